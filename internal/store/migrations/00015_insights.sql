-- +goose Up

-- The bins in which a prediction is counted, one character for each feature of its
-- model's bins; '' where the model has none. NULL: the prediction is not counted, as
-- an earlier version of the gateway inserted it.
ALTER TABLE predictions ADD COLUMN bins TEXT;
-- It becomes empty once these are counted, and costs nothing then.
CREATE INDEX predictions_uncounted ON predictions (line, id) WHERE bins IS NULL;

-- Sums of predictions and of their outcomes by model and period. period and start are
-- in microseconds; texts are of insights.Counts. Minutes become hours, and hours days,
-- once they are old.
CREATE TABLE insight_sums (
    line      BIGINT NOT NULL,
    model     TEXT   NOT NULL,
    period    BIGINT NOT NULL,
    start     BIGINT NOT NULL,
    row_count BIGINT NOT NULL,
    features  TEXT   NOT NULL,
    scores    TEXT   NOT NULL,
    outcomes  TEXT   NOT NULL,
    delays    TEXT   NOT NULL,
    segments  TEXT   NOT NULL,
    PRIMARY KEY (line, model, period, start)
);
-- What transactions have added to the sums of minutes and is not merged yet. Without an
-- index, since it has few rows and each transaction of the ledger inserts one.
CREATE TABLE insight_parts (
    id        BIGINT NOT NULL, -- when it was inserted
    line      BIGINT NOT NULL,
    model     TEXT   NOT NULL,
    period    BIGINT NOT NULL,
    start     BIGINT NOT NULL,
    row_count BIGINT NOT NULL,
    features  TEXT   NOT NULL,
    scores    TEXT   NOT NULL,
    outcomes  TEXT   NOT NULL,
    delays    TEXT   NOT NULL,
    segments  TEXT   NOT NULL
);

-- What is kept of the training data of a model, and of its held-out rows, as JSON.
CREATE TABLE insight_profiles (
    line       BIGINT NOT NULL,
    model      TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    profile    TEXT   NOT NULL,
    holdout    TEXT,
    PRIMARY KEY (line, model)
);
