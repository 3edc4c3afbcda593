-- +goose Up

-- Secrets of their own are deleted, listed as deleted and purged by themselves;
-- those of certificates go with their certificate.
CREATE INDEX secrets_deleted ON secrets (vault, name) WHERE deleted_at IS NOT NULL AND NOT managed;
CREATE INDEX secrets_purge ON secrets (purge_at, vault, name) WHERE purge_at IS NOT NULL AND NOT managed;
