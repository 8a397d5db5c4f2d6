-- +goose Up

-- Why the predictions of a stored response have no reasons, which its header says.
ALTER TABLE idempotency_keys ADD COLUMN unexplained TEXT;
