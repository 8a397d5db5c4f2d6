-- +goose Up

-- The name of the API key that asked; NULL if unknown.
ALTER TABLE predictions ADD COLUMN caller TEXT CHECK (caller <> '');
-- A JSON object of keyed hashes of personal features; NULL if they are left out.
ALTER TABLE predictions ADD COLUMN personal TEXT;
-- Retention removes the oldest.
CREATE INDEX predictions_by_age ON predictions (created_at);
