package store

import "time"

// SetPatience is for tests that do not want to wait so long.
func SetPatience(db *DB, d time.Duration) { db.engine.(*postgresEngine).patience = d }
