-- +goose Up

-- The schedule of renewals: one row for each kind of renewal.
CREATE TABLE schedules (
    kind     TEXT   NOT NULL PRIMARY KEY,
    revision BIGINT NOT NULL,
    state    TEXT   NOT NULL
);

-- When a model was removed from the platform; its record stays.
ALTER TABLE models ADD COLUMN removed_at BIGINT;

-- The audit log: what operators did. 0 is the status of an act without an end.
CREATE TABLE acts (
    id            TEXT   NOT NULL PRIMARY KEY CHECK (id <> ''),
    at            BIGINT NOT NULL,
    token         TEXT   NOT NULL,
    address       TEXT   NOT NULL,
    forwarded_for TEXT   NOT NULL,
    request_id    TEXT   NOT NULL,
    action        TEXT   NOT NULL,
    target        TEXT   NOT NULL,
    detail        TEXT   NOT NULL,
    status        BIGINT NOT NULL
);
CREATE INDEX acts_by_age ON acts (at, id);
