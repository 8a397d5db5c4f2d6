-- +goose Up

-- The responses to requests that may be repeated. Keys and requests are stored as
-- hashes, since both may be personal.
CREATE TABLE idempotency_keys (
    id           TEXT   NOT NULL PRIMARY KEY CHECK (id <> ''), -- hash of scope, caller and key
    fingerprint  TEXT   NOT NULL,           -- hash of these and of the request's body
    subject      TEXT   NOT NULL,           -- id of what the request makes
    token        TEXT   NOT NULL,           -- of the claim that holds the key
    lease_until  BIGINT NOT NULL,           -- no other claim succeeds before, unless the key expires
    expires_at   BIGINT NOT NULL,
    status       BIGINT,                    -- NULL while there is no answer
    content_type TEXT,
    location     TEXT,
    body         TEXT
);
CREATE INDEX idempotency_keys_by_expiry ON idempotency_keys (expires_at);
