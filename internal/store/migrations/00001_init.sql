-- The common subset of SQLite and PostgreSQL. Times are microseconds since
-- 1970 in UTC, flags are 0 or 1, JSON is TEXT.

-- +goose Up

-- One row for each sequence. A transaction that wants numbers updates the row
-- first, and so holds it until it ends: numbers become visible in their order.
CREATE TABLE counters (
    name  TEXT   NOT NULL PRIMARY KEY,
    value BIGINT NOT NULL
);
INSERT INTO counters (name, value) VALUES ('outcomes', 0);

CREATE TABLE customers (
    id       TEXT   NOT NULL PRIMARY KEY CHECK (id <> ''),
    features TEXT   NOT NULL,
    label    BIGINT CHECK (label IN (0, 1)),
    label_at BIGINT,                        -- when it was observed; NULL if imported
    demo     BIGINT NOT NULL CHECK (demo IN (0, 1)),
    outcome  BIGINT NOT NULL                -- outcomes.seq that set label, or 0
);
-- Counting and the removal of demo customers read this instead of the rows.
CREATE INDEX customers_demo_label ON customers (demo, label);

CREATE TABLE predictions (
    id          TEXT             NOT NULL PRIMARY KEY CHECK (id <> ''),
    customer_id TEXT             CHECK (customer_id <> ''), -- NULL if anonymous
    created_at  BIGINT           NOT NULL,
    features    TEXT             NOT NULL,
    -- Finite: PostgreSQL could store NaN, greater than all, and infinities.
    score       DOUBLE PRECISION NOT NULL CHECK (score BETWEEN -1.7976931348623157e308 AND 1.7976931348623157e308),
    label       BIGINT           NOT NULL CHECK (label IN (0, 1)),
    model       TEXT             NOT NULL,
    schema      TEXT             NOT NULL,
    latency_us  BIGINT           NOT NULL,
    outcome     BIGINT           CHECK (outcome IN (0, 1)),
    outcome_at  BIGINT
);
CREATE INDEX predictions_of_customer ON predictions (customer_id, created_at, id)
    WHERE customer_id IS NOT NULL;

CREATE TABLE outcomes (
    seq           BIGINT NOT NULL PRIMARY KEY,
    customer_id   TEXT   NOT NULL REFERENCES customers (id) ON DELETE CASCADE,
    prediction_id TEXT,
    label         BIGINT NOT NULL CHECK (label IN (0, 1)),
    observed_at   BIGINT NOT NULL,
    received_at   BIGINT NOT NULL,
    model         TEXT   NOT NULL
);
CREATE UNIQUE INDEX outcomes_once ON outcomes (customer_id, label, observed_at);

CREATE TABLE renewals (
    id          TEXT   NOT NULL PRIMARY KEY CHECK (id <> ''),
    kind        TEXT   NOT NULL DEFAULT 'model',
    revision    BIGINT NOT NULL,
    status      TEXT   NOT NULL,
    cause       TEXT   NOT NULL,
    reason      TEXT   NOT NULL,
    overrides   TEXT   NOT NULL,
    force       BIGINT NOT NULL CHECK (force IN (0, 1)),
    created_at  BIGINT NOT NULL,
    finished_at BIGINT,
    model       TEXT,
    metrics     TEXT   NOT NULL,
    state       TEXT   NOT NULL,
    error       TEXT   NOT NULL
);
CREATE UNIQUE INDEX renewals_one_unfinished ON renewals (kind)
    WHERE status IN ('queued', 'running');
CREATE INDEX renewals_by_age ON renewals (created_at, id);

CREATE TABLE renewal_steps (
    renewal_id  TEXT   NOT NULL REFERENCES renewals (id) ON DELETE CASCADE,
    name        TEXT   NOT NULL,
    attempt     BIGINT NOT NULL,
    latest      BIGINT NOT NULL CHECK (latest IN (0, 1)), -- 1: what the renewal shows
    position    BIGINT NOT NULL,
    status      TEXT   NOT NULL,
    started_at  BIGINT,
    finished_at BIGINT,
    detail      TEXT,
    error       TEXT,
    PRIMARY KEY (renewal_id, name, attempt)
);

CREATE TABLE models (
    name        TEXT   NOT NULL PRIMARY KEY CHECK (name <> ''),
    renewal     TEXT   NOT NULL,
    algorithm   TEXT   NOT NULL,
    schema      TEXT   NOT NULL,
    data        TEXT   NOT NULL,
    row_count   BIGINT NOT NULL,
    parameters  TEXT,
    metrics     TEXT,
    created_at  BIGINT NOT NULL,
    deployed_at BIGINT,
    retired_at  BIGINT,
    watermark   BIGINT NOT NULL
);

CREATE TABLE artifacts (
    name       TEXT   NOT NULL PRIMARY KEY CHECK (name <> ''),
    body       TEXT   NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE TABLE serving (
    endpoint   TEXT   NOT NULL PRIMARY KEY CHECK (endpoint <> ''),
    model      TEXT   NOT NULL,
    changed_at BIGINT NOT NULL
);
