-- +goose Up

-- An entry of the audit log may stand for several failed sign-ins.
ALTER TABLE acts ADD COLUMN count BIGINT NOT NULL DEFAULT 1;
