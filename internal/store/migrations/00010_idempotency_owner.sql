-- +goose Up

-- The caller who is charged for a key, and its size in bytes, since what is kept for
-- one caller is bounded. Earlier keys have no owner.
ALTER TABLE idempotency_keys ADD COLUMN owner TEXT NOT NULL DEFAULT '';
ALTER TABLE idempotency_keys ADD COLUMN size BIGINT NOT NULL DEFAULT 512;
UPDATE idempotency_keys SET size = 512 + LENGTH(body) WHERE body IS NOT NULL;
-- For the sum of an owner's keys, and for its oldest.
CREATE INDEX idempotency_keys_by_owner ON idempotency_keys (owner, expires_at, size);
