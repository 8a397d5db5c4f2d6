-- +goose Up

-- When a gateway last removed rows by their age, by its own clock, and since when
-- a clock has been in doubt that is far ahead of that; 0 for none.
CREATE TABLE clock (
    id          BIGINT NOT NULL PRIMARY KEY,
    checked_at  BIGINT NOT NULL,
    doubt_since BIGINT NOT NULL
);
