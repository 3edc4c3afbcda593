-- +goose Up

-- The id in the PKCS#11 token of a key that is there, NULL of one in software. The
-- handle itself is sealed in private; this column answers whether a key in the
-- token is still held by anything.
ALTER TABLE key_versions ADD COLUMN hsm_id BLOB;
ALTER TABLE certificate_operations ADD COLUMN hsm_id BLOB;
CREATE INDEX key_versions_hsm ON key_versions (hsm_id) WHERE hsm_id IS NOT NULL;
CREATE INDEX certificate_operations_hsm ON certificate_operations (hsm_id) WHERE hsm_id IS NOT NULL;
