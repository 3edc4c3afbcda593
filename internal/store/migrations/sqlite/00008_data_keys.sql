-- +goose Up

-- sealed: how many boxes a key may have sealed; nobody counted before, so that those from
-- before begin at a number that none has reached (2^30). replaced: when the successor came, NULL of
-- the one key of a scope that is current. closed: since when no box of it can be stored.
-- kept: it is not destroyed, for backups of objects open with it; the installation's key
-- sealed them until now. A scope is a vault's id, or one of the installation's.
ALTER TABLE data_keys ADD COLUMN sealed INTEGER NOT NULL DEFAULT 0;
ALTER TABLE data_keys ADD COLUMN replaced INTEGER;
ALTER TABLE data_keys ADD COLUMN closed INTEGER;
ALTER TABLE data_keys ADD COLUMN kept INTEGER NOT NULL DEFAULT 0;
UPDATE data_keys SET sealed = 1073741824, kept = (scope = 'installation');
DROP INDEX data_keys_first;
CREATE UNIQUE INDEX data_keys_current ON data_keys (scope) WHERE replaced IS NULL;

-- The boxes of a key: bytes 2 to 9 of a box are the id of the key that sealed it.
CREATE INDEX key_versions_private ON key_versions (vault, substr(private, 2, 8), name, version) WHERE private IS NOT NULL;
CREATE INDEX secret_versions_value ON secret_versions (vault, substr(value, 2, 8), name, version) WHERE value IS NOT NULL;
CREATE INDEX certificate_operations_private ON certificate_operations (vault, substr(private, 2, 8), name) WHERE private IS NOT NULL;
CREATE INDEX certificate_operations_order_state ON certificate_operations (vault, substr(order_state, 2, 8), name) WHERE order_state IS NOT NULL;
CREATE INDEX issuers_password ON issuers (vault, substr(password, 2, 8), name) WHERE password IS NOT NULL;
CREATE INDEX signing_keys_private ON signing_keys (substr(private, 2, 8), id) WHERE private IS NOT NULL;

-- No box is stored whose key is closed or gone, whoever sealed it when: nothing would open
-- it. That its vault is gone says the foreign key.
-- +goose StatementBegin
CREATE TRIGGER key_versions_private_insert BEFORE INSERT ON key_versions
WHEN NEW.private IS NOT NULL AND NOT EXISTS (SELECT 1 FROM data_keys
	WHERE scope = NEW.vault AND id = lower(hex(substr(NEW.private, 2, 8))) AND closed IS NULL)
	AND EXISTS (SELECT 1 FROM vaults WHERE id = NEW.vault)
BEGIN SELECT RAISE(ABORT, 'closed data key'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER key_versions_private_update BEFORE UPDATE OF private ON key_versions
WHEN NEW.private IS NOT NULL AND NEW.private IS NOT OLD.private AND NOT EXISTS (SELECT 1 FROM data_keys
	WHERE scope = NEW.vault AND id = lower(hex(substr(NEW.private, 2, 8))) AND closed IS NULL)
	AND EXISTS (SELECT 1 FROM vaults WHERE id = NEW.vault)
BEGIN SELECT RAISE(ABORT, 'closed data key'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER secret_versions_value_insert BEFORE INSERT ON secret_versions
WHEN NEW.value IS NOT NULL AND NOT EXISTS (SELECT 1 FROM data_keys
	WHERE scope = NEW.vault AND id = lower(hex(substr(NEW.value, 2, 8))) AND closed IS NULL)
	AND EXISTS (SELECT 1 FROM vaults WHERE id = NEW.vault)
BEGIN SELECT RAISE(ABORT, 'closed data key'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER secret_versions_value_update BEFORE UPDATE OF value ON secret_versions
WHEN NEW.value IS NOT NULL AND NEW.value IS NOT OLD.value AND NOT EXISTS (SELECT 1 FROM data_keys
	WHERE scope = NEW.vault AND id = lower(hex(substr(NEW.value, 2, 8))) AND closed IS NULL)
	AND EXISTS (SELECT 1 FROM vaults WHERE id = NEW.vault)
BEGIN SELECT RAISE(ABORT, 'closed data key'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER certificate_operations_private_insert BEFORE INSERT ON certificate_operations
WHEN NEW.private IS NOT NULL AND NOT EXISTS (SELECT 1 FROM data_keys
	WHERE scope = NEW.vault AND id = lower(hex(substr(NEW.private, 2, 8))) AND closed IS NULL)
	AND EXISTS (SELECT 1 FROM vaults WHERE id = NEW.vault)
BEGIN SELECT RAISE(ABORT, 'closed data key'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER certificate_operations_private_update BEFORE UPDATE OF private ON certificate_operations
WHEN NEW.private IS NOT NULL AND NEW.private IS NOT OLD.private AND NOT EXISTS (SELECT 1 FROM data_keys
	WHERE scope = NEW.vault AND id = lower(hex(substr(NEW.private, 2, 8))) AND closed IS NULL)
	AND EXISTS (SELECT 1 FROM vaults WHERE id = NEW.vault)
BEGIN SELECT RAISE(ABORT, 'closed data key'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER certificate_operations_order_state_insert BEFORE INSERT ON certificate_operations
WHEN NEW.order_state IS NOT NULL AND NOT EXISTS (SELECT 1 FROM data_keys
	WHERE scope = NEW.vault AND id = lower(hex(substr(NEW.order_state, 2, 8))) AND closed IS NULL)
	AND EXISTS (SELECT 1 FROM vaults WHERE id = NEW.vault)
BEGIN SELECT RAISE(ABORT, 'closed data key'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER certificate_operations_order_state_update BEFORE UPDATE OF order_state ON certificate_operations
WHEN NEW.order_state IS NOT NULL AND NEW.order_state IS NOT OLD.order_state AND NOT EXISTS (SELECT 1 FROM data_keys
	WHERE scope = NEW.vault AND id = lower(hex(substr(NEW.order_state, 2, 8))) AND closed IS NULL)
	AND EXISTS (SELECT 1 FROM vaults WHERE id = NEW.vault)
BEGIN SELECT RAISE(ABORT, 'closed data key'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER issuers_password_insert BEFORE INSERT ON issuers
WHEN NEW.password IS NOT NULL AND NOT EXISTS (SELECT 1 FROM data_keys
	WHERE scope = NEW.vault AND id = lower(hex(substr(NEW.password, 2, 8))) AND closed IS NULL)
	AND EXISTS (SELECT 1 FROM vaults WHERE id = NEW.vault)
BEGIN SELECT RAISE(ABORT, 'closed data key'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER issuers_password_update BEFORE UPDATE OF password ON issuers
WHEN NEW.password IS NOT NULL AND NEW.password IS NOT OLD.password AND NOT EXISTS (SELECT 1 FROM data_keys
	WHERE scope = NEW.vault AND id = lower(hex(substr(NEW.password, 2, 8))) AND closed IS NULL)
	AND EXISTS (SELECT 1 FROM vaults WHERE id = NEW.vault)
BEGIN SELECT RAISE(ABORT, 'closed data key'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER signing_keys_private_insert BEFORE INSERT ON signing_keys
WHEN NEW.private IS NOT NULL AND NOT EXISTS (SELECT 1 FROM data_keys
	WHERE scope = 'installation' AND id = lower(hex(substr(NEW.private, 2, 8))) AND closed IS NULL)
BEGIN SELECT RAISE(ABORT, 'closed data key'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER signing_keys_private_update BEFORE UPDATE OF private ON signing_keys
WHEN NEW.private IS NOT NULL AND NEW.private IS NOT OLD.private AND NOT EXISTS (SELECT 1 FROM data_keys
	WHERE scope = 'installation' AND id = lower(hex(substr(NEW.private, 2, 8))) AND closed IS NULL)
BEGIN SELECT RAISE(ABORT, 'closed data key'); END;
-- +goose StatementEnd
