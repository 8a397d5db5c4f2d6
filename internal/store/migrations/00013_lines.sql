-- +goose Up

-- docs/operations.md has the way back.

-- A model line is everything that belongs to the model of one schema. It is named
-- after the schema, and its rows carry its number.
CREATE TABLE model_lines (
    id   BIGINT NOT NULL PRIMARY KEY,
    name TEXT   NOT NULL UNIQUE
);
-- Line 1 has the rows from before lines were recorded, and those that earlier
-- versions of the gateway still insert beside this one. The first gateway that
-- opens a line names it.
INSERT INTO model_lines (id, name) VALUES (1, '');

-- Neither engine rewrites its rows for a column with a constant default.
-- schedules.kind and serving.endpoint stay the keys, for earlier versions of the
-- gateway rely on them: of further lines they end in the line's number.
ALTER TABLE schedules   ADD COLUMN line BIGINT NOT NULL DEFAULT 1;
ALTER TABLE predictions ADD COLUMN line BIGINT NOT NULL DEFAULT 1;
ALTER TABLE renewals    ADD COLUMN line BIGINT NOT NULL DEFAULT 1;
ALTER TABLE models      ADD COLUMN line BIGINT NOT NULL DEFAULT 1;
ALTER TABLE artifacts   ADD COLUMN line BIGINT NOT NULL DEFAULT 1;
ALTER TABLE serving     ADD COLUMN line BIGINT NOT NULL DEFAULT 1;

-- Each line may have an unfinished renewal of its own.
DROP INDEX renewals_one_unfinished;
CREATE UNIQUE INDEX renewals_one_unfinished ON renewals (line, kind)
    WHERE status IN ('queued', 'running');
