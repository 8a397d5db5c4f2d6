-- +goose Up

-- Retention finds the oldest by their ids, which ascend with time.
DROP INDEX predictions_by_age;
