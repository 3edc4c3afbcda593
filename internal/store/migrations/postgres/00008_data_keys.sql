-- +goose Up

-- sealed: how many boxes a key may have sealed; nobody counted before, so that those from
-- before begin at a number that none has reached (2^30). replaced: when the successor came, NULL of
-- the one key of a scope that is current. closed: since when no box of it can be stored.
-- kept: it is not destroyed, for backups of objects open with it; the installation's key
-- sealed them until now. A scope is a vault's id, or one of the installation's.
ALTER TABLE data_keys ADD COLUMN sealed BIGINT NOT NULL DEFAULT 0;
ALTER TABLE data_keys ADD COLUMN replaced BIGINT;
ALTER TABLE data_keys ADD COLUMN closed BIGINT;
ALTER TABLE data_keys ADD COLUMN kept BOOLEAN NOT NULL DEFAULT FALSE;
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
-- it. The lock lasts until the commit, so that who closes the key waits for the
-- transactions that store its boxes. That its vault is gone says the foreign key.
-- +goose StatementBegin
CREATE FUNCTION check_data_key(scope_of TEXT, box BYTEA) RETURNS VOID LANGUAGE plpgsql AS $$
BEGIN
	PERFORM 1 FROM data_keys WHERE scope = scope_of AND id = encode(substr(box, 2, 8), 'hex') AND closed IS NULL FOR KEY SHARE;
	IF NOT FOUND AND (scope_of = 'installation' OR EXISTS (SELECT 1 FROM vaults WHERE id = scope_of)) THEN
		RAISE EXCEPTION 'closed data key' USING ERRCODE = 'CF001';
	END IF;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION key_versions_private_key() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
	PERFORM check_data_key(NEW.vault, NEW.private);
	RETURN NEW;
END $$;
-- +goose StatementEnd
CREATE TRIGGER key_versions_private_insert BEFORE INSERT ON key_versions FOR EACH ROW WHEN (NEW.private IS NOT NULL) EXECUTE FUNCTION key_versions_private_key();
CREATE TRIGGER key_versions_private_update BEFORE UPDATE OF private ON key_versions FOR EACH ROW
	WHEN (NEW.private IS NOT NULL AND NEW.private IS DISTINCT FROM OLD.private) EXECUTE FUNCTION key_versions_private_key();

-- +goose StatementBegin
CREATE FUNCTION secret_versions_value_key() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
	PERFORM check_data_key(NEW.vault, NEW.value);
	RETURN NEW;
END $$;
-- +goose StatementEnd
CREATE TRIGGER secret_versions_value_insert BEFORE INSERT ON secret_versions FOR EACH ROW WHEN (NEW.value IS NOT NULL) EXECUTE FUNCTION secret_versions_value_key();
CREATE TRIGGER secret_versions_value_update BEFORE UPDATE OF value ON secret_versions FOR EACH ROW
	WHEN (NEW.value IS NOT NULL AND NEW.value IS DISTINCT FROM OLD.value) EXECUTE FUNCTION secret_versions_value_key();

-- +goose StatementBegin
CREATE FUNCTION certificate_operations_private_key() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
	PERFORM check_data_key(NEW.vault, NEW.private);
	RETURN NEW;
END $$;
-- +goose StatementEnd
CREATE TRIGGER certificate_operations_private_insert BEFORE INSERT ON certificate_operations FOR EACH ROW WHEN (NEW.private IS NOT NULL) EXECUTE FUNCTION certificate_operations_private_key();
CREATE TRIGGER certificate_operations_private_update BEFORE UPDATE OF private ON certificate_operations FOR EACH ROW
	WHEN (NEW.private IS NOT NULL AND NEW.private IS DISTINCT FROM OLD.private) EXECUTE FUNCTION certificate_operations_private_key();

-- +goose StatementBegin
CREATE FUNCTION certificate_operations_order_state_key() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
	PERFORM check_data_key(NEW.vault, NEW.order_state);
	RETURN NEW;
END $$;
-- +goose StatementEnd
CREATE TRIGGER certificate_operations_order_state_insert BEFORE INSERT ON certificate_operations FOR EACH ROW WHEN (NEW.order_state IS NOT NULL) EXECUTE FUNCTION certificate_operations_order_state_key();
CREATE TRIGGER certificate_operations_order_state_update BEFORE UPDATE OF order_state ON certificate_operations FOR EACH ROW
	WHEN (NEW.order_state IS NOT NULL AND NEW.order_state IS DISTINCT FROM OLD.order_state) EXECUTE FUNCTION certificate_operations_order_state_key();

-- +goose StatementBegin
CREATE FUNCTION issuers_password_key() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
	PERFORM check_data_key(NEW.vault, NEW.password);
	RETURN NEW;
END $$;
-- +goose StatementEnd
CREATE TRIGGER issuers_password_insert BEFORE INSERT ON issuers FOR EACH ROW WHEN (NEW.password IS NOT NULL) EXECUTE FUNCTION issuers_password_key();
CREATE TRIGGER issuers_password_update BEFORE UPDATE OF password ON issuers FOR EACH ROW
	WHEN (NEW.password IS NOT NULL AND NEW.password IS DISTINCT FROM OLD.password) EXECUTE FUNCTION issuers_password_key();

-- +goose StatementBegin
CREATE FUNCTION signing_keys_private_key() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
	PERFORM check_data_key('installation', NEW.private);
	RETURN NEW;
END $$;
-- +goose StatementEnd
CREATE TRIGGER signing_keys_private_insert BEFORE INSERT ON signing_keys FOR EACH ROW WHEN (NEW.private IS NOT NULL) EXECUTE FUNCTION signing_keys_private_key();
CREATE TRIGGER signing_keys_private_update BEFORE UPDATE OF private ON signing_keys FOR EACH ROW
	WHEN (NEW.private IS NOT NULL AND NEW.private IS DISTINCT FROM OLD.private) EXECUTE FUNCTION signing_keys_private_key();
