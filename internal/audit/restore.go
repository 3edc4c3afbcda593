package audit

import "context"

// accepts is the operation of changed settings being put in force.
const accepts = "VaultSettingsAccept"

// restored is the operation of a database being replaced by a copy of an earlier time.
const restored = "VaultRestore"

// RecordRestore puts on record, durably and before it happens, that the database is
// replaced, and by whom. What says by which copy: a sentence.
func (l *Log) RecordRestore(ctx context.Context, what string, by Claims) error {
	return l.recordOwn(ctx, restored, what, by)
}

// upgraded is the operation of what a database of an older version holds being trusted.
const upgraded = "VaultUpgrade"

// RecordUpgrade puts on record, durably and before it happens, that rows nobody has
// authenticated are trusted, and by whom. What says how many: a sentence.
func (l *Log) RecordUpgrade(ctx context.Context, what string, by Claims) error {
	return l.recordOwn(ctx, upgraded, what, by)
}

// RecordSettings puts on record, durably and before it happens, that changed settings are
// put in force, and by whom. What says which: a sentence.
func (l *Log) RecordSettings(ctx context.Context, what string, by Claims) error {
	return l.recordOwn(ctx, accepts, what, by)
}

func (l *Log) recordOwn(ctx context.Context, operation, what string, by Claims) error {
	if err := l.records.append(l.ownLine(operation, success, what, by)); err != nil {
		return err
	}
	return l.keepHead(ctx)
}
