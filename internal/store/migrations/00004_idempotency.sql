-- +goose Up

-- What was answered to a request that may be repeated. Neither the key nor the
-- request is here, only hashes: both may be personal.
CREATE TABLE idempotency_keys (
    id           TEXT   NOT NULL PRIMARY KEY CHECK (id <> ''), -- hash of scope, caller and key
    fingerprint  TEXT   NOT NULL,           -- hash of these and of the request's body
    subject      TEXT   NOT NULL,           -- id of what the request makes
    token        TEXT   NOT NULL,           -- of the claim that has the key
    lease_until  BIGINT NOT NULL,           -- nobody else claims it before, unless it expires
    expires_at   BIGINT NOT NULL,
    status       BIGINT,                    -- NULL while there is no answer
    content_type TEXT,
    location     TEXT,
    body         TEXT
);
CREATE INDEX idempotency_keys_by_expiry ON idempotency_keys (expires_at);
