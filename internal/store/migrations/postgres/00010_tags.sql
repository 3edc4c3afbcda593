-- +goose Up

-- tag: who wrote the row was the vault (authentic.go); NULL of rows from before, which are not
-- used until somebody has vouched for them. content: the digest of leaf and chain, which the tag
-- covers in their place.
ALTER TABLE vaults ADD COLUMN tag BYTEA;
ALTER TABLE certificates ADD COLUMN tag BYTEA;
ALTER TABLE certificate_versions ADD COLUMN tag BYTEA;
ALTER TABLE certificate_operations ADD COLUMN tag BYTEA;
ALTER TABLE keys ADD COLUMN tag BYTEA;
ALTER TABLE key_versions ADD COLUMN tag BYTEA;
ALTER TABLE key_rotation ADD COLUMN tag BYTEA;
ALTER TABLE secrets ADD COLUMN tag BYTEA;
ALTER TABLE secret_versions ADD COLUMN tag BYTEA;
ALTER TABLE contacts ADD COLUMN tag BYTEA;
ALTER TABLE issuers ADD COLUMN tag BYTEA;
ALTER TABLE role_assignments ADD COLUMN tag BYTEA;
ALTER TABLE principals ADD COLUMN tag BYTEA;
ALTER TABLE credentials ADD COLUMN tag BYTEA;
ALTER TABLE memberships ADD COLUMN tag BYTEA;
ALTER TABLE signing_keys ADD COLUMN tag BYTEA;
ALTER TABLE certificate_versions ADD COLUMN content BYTEA;
