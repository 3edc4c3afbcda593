package store

import (
	"context"
	"fmt"
	"time"

	"coffer/internal/audit"
)

const (
	oneAuditHead = `SELECT sequence, hash FROM audit_heads WHERE log = $1`
	allAuditLogs = `SELECT log, kept FROM audit_heads`
	setAuditHead = `INSERT INTO audit_heads (log, sequence, hash, kept) VALUES ($1, $2, $3, $4)
		ON CONFLICT (log) DO UPDATE SET sequence = excluded.sequence, hash = excluded.hash, kept = excluded.kept`
)

// AuditHead implements audit.Tx.
func (tx *Tx) AuditHead(ctx context.Context, log string) (h audit.Head, err error) {
	var sequence int64
	var hash []byte
	if err := tx.row(ctx, oneAuditHead, []any{log}, &sequence, &hash); err != nil {
		return audit.Head{}, err
	}
	if len(hash) != len(h.Hash) || sequence < 0 {
		return audit.Head{}, fmt.Errorf("store: the head of the audit log %q is damaged", log)
	}
	h.Sequence = uint64(sequence)
	copy(h.Hash[:], hash)
	return h, nil
}

// AuditLogs tells of each audit log when its head was kept last.
func (tx *Tx) AuditLogs(ctx context.Context) (map[string]time.Time, error) {
	logs := map[string]time.Time{}
	err := tx.rows(ctx, allAuditLogs, nil, func(s scanner) error {
		var log string
		var kept int64
		err := s.Scan(&log, &kept)
		logs[log] = fromSecond(kept)
		return err
	})
	return logs, err
}

// SetAuditHead implements audit.Tx.
func (tx *Tx) SetAuditHead(ctx context.Context, log string, h audit.Head, at time.Time) error {
	_, err := tx.exec(ctx, "SetAuditHead", setAuditHead, log, int64(h.Sequence), h.Hash[:], second(at))
	return err
}
