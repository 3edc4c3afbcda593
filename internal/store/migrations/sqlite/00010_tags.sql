-- +goose Up

-- tag: who wrote the row was the vault (authentic.go); NULL of rows from before, which are not
-- used until somebody has vouched for them. content: the digest of leaf and chain, which the tag
-- covers in their place.
ALTER TABLE vaults ADD COLUMN tag BLOB;
ALTER TABLE certificates ADD COLUMN tag BLOB;
ALTER TABLE certificate_versions ADD COLUMN tag BLOB;
ALTER TABLE certificate_operations ADD COLUMN tag BLOB;
ALTER TABLE keys ADD COLUMN tag BLOB;
ALTER TABLE key_versions ADD COLUMN tag BLOB;
ALTER TABLE key_rotation ADD COLUMN tag BLOB;
ALTER TABLE secrets ADD COLUMN tag BLOB;
ALTER TABLE secret_versions ADD COLUMN tag BLOB;
ALTER TABLE contacts ADD COLUMN tag BLOB;
ALTER TABLE issuers ADD COLUMN tag BLOB;
ALTER TABLE role_assignments ADD COLUMN tag BLOB;
ALTER TABLE principals ADD COLUMN tag BLOB;
ALTER TABLE credentials ADD COLUMN tag BLOB;
ALTER TABLE memberships ADD COLUMN tag BLOB;
ALTER TABLE signing_keys ADD COLUMN tag BLOB;
ALTER TABLE certificate_versions ADD COLUMN content BLOB;
