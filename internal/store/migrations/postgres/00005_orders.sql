-- +goose Up

-- args: JSON, NULL for none. failures and last_error: of the attempts since the job was
-- enqueued. gave_up: when it was given up, milliseconds; NULL while it is to be done.
ALTER TABLE jobs ADD COLUMN args TEXT;
ALTER TABLE jobs ADD COLUMN failures BIGINT NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN last_error TEXT NOT NULL DEFAULT '';
ALTER TABLE jobs ADD COLUMN gave_up BIGINT;
DROP INDEX jobs_due;
DROP INDEX jobs_free;
DROP INDEX jobs_lease;
CREATE INDEX jobs_due ON jobs (due, id) WHERE gave_up IS NULL;
CREATE INDEX jobs_free ON jobs (due) WHERE lease IS NULL AND gave_up IS NULL;
CREATE INDEX jobs_lease ON jobs (lease) WHERE lease IS NOT NULL;
CREATE INDEX jobs_gave_up ON jobs (gave_up, id) WHERE gave_up IS NOT NULL;

-- What the issuer of an operation keeps of its order, sealed; how often that was
-- stored; and when the issuer is asked again, in milliseconds.
ALTER TABLE certificate_operations ADD COLUMN order_state BYTEA;
ALTER TABLE certificate_operations ADD COLUMN order_step BIGINT NOT NULL DEFAULT 0;
ALTER TABLE certificate_operations ADD COLUMN order_look BIGINT;

-- What is still to be told to somebody outside; each recipient has a job. data is JSON.
CREATE TABLE outbox (
	id      TEXT COLLATE "C" NOT NULL PRIMARY KEY,
	vault   TEXT COLLATE "C" NOT NULL REFERENCES vaults (id) ON DELETE CASCADE,
	topic   TEXT NOT NULL,
	family  TEXT NOT NULL,
	name    TEXT NOT NULL,
	version TEXT NOT NULL,
	created BIGINT NOT NULL,
	data    TEXT NOT NULL
);
CREATE INDEX outbox_vault ON outbox (vault);
