package storetest

import (
	"math"

	"coffer/internal/audit"
	"coffer/internal/object"
	"coffer/internal/store"
)

func auditHeads(s *suite) {
	one := audit.Head{Sequence: 7, Hash: [32]byte{1, 31: 2}}
	next := audit.Head{Sequence: math.MaxInt64, Hash: [32]byte{9}}
	s.update(func(tx *store.Tx) {
		_, err := tx.AuditHead(s.ctx, "a")
		s.wantErr(err, object.ErrNotFound)
		s.must(tx.SetAuditHead(s.ctx, "a", one, epoch))
		s.must(tx.SetAuditHead(s.ctx, "b", next, epoch))
	})
	s.update(func(tx *store.Tx) {
		got, err := tx.AuditHead(s.ctx, "a")
		same(s, got, err, one)
		got, err = tx.AuditHead(s.ctx, "b")
		same(s, got, err, next)
		s.must(tx.SetAuditHead(s.ctx, "a", next, epoch))
		got, err = tx.AuditHead(s.ctx, "a")
		same(s, got, err, next)
	})
}
