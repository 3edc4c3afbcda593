-- +goose Up

-- What is true of the whole installation, a row each: the settings that its clients go
-- by, and when it was backed up last.
CREATE TABLE installation (
	name  TEXT NOT NULL PRIMARY KEY,
	value TEXT NOT NULL
) STRICT;
