-- +goose Up

-- When the tokens of a principal were revoked last, in milliseconds since 1970; 0 for
-- never. Tokens of before are refused.
ALTER TABLE principals ADD COLUMN valid_after BIGINT NOT NULL DEFAULT 0;
