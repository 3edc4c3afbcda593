-- +goose Up

-- How far each audit log goes: the number and the SHA-256 of a line that is durable
-- there. The log is a file; who changes the file alone is found out by this.
CREATE TABLE audit_heads (
	log      TEXT NOT NULL PRIMARY KEY,
	sequence INTEGER NOT NULL,
	hash     BLOB NOT NULL,
	kept     INTEGER NOT NULL
) STRICT;
