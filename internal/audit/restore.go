package audit

import "context"

// restored is the operation of a database being replaced by a copy of an earlier time.
const restored = "VaultRestore"

// RecordRestore puts on record, durably and before it happens, that the database is
// replaced, and by whom. What says by which copy: a sentence.
func (l *Log) RecordRestore(ctx context.Context, what string, by Claims) error {
	if err := l.records.append(l.ownLine(restored, success, what, by)); err != nil {
		return err
	}
	return l.keepHead(ctx)
}
