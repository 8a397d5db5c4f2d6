-- +goose Up

-- docs/operations.md has the way back.

-- What a model goes by and how good it is, as JSON; NULL for models that earlier
-- versions of the gateway insert.
ALTER TABLE models ADD COLUMN figures TEXT;
