-- +goose Up

-- As 00002 says of secrets.
CREATE INDEX keys_deleted ON keys (vault, name) WHERE deleted_at IS NOT NULL AND NOT managed;
CREATE INDEX keys_purge ON keys (purge_at, vault, name) WHERE purge_at IS NOT NULL AND NOT managed;

-- Durations as they were given (ISO 8601), '' for none.
CREATE TABLE key_rotation (
	vault         TEXT NOT NULL,
	name          TEXT NOT NULL,
	rotate_after  TEXT NOT NULL,
	rotate_before TEXT NOT NULL,
	notify_before TEXT NOT NULL,
	expiry        TEXT NOT NULL,
	created       INTEGER NOT NULL,
	updated       INTEGER NOT NULL,
	PRIMARY KEY (vault, name),
	FOREIGN KEY (vault, name) REFERENCES keys (vault, name) ON DELETE CASCADE
) STRICT;
