-- +goose Up

-- The gateway that works on an unfinished renewal, and when its lease expires. Both
-- are NULL if no gateway works on it.
ALTER TABLE renewals ADD COLUMN lease_owner TEXT;
ALTER TABLE renewals ADD COLUMN lease_until BIGINT;
-- When the renewal is due; 0: at once.
ALTER TABLE renewals ADD COLUMN wake_at BIGINT NOT NULL DEFAULT 0;
-- 1: it is to be cancelled.
ALTER TABLE renewals ADD COLUMN cancel BIGINT NOT NULL DEFAULT 0 CHECK (cancel IN (0, 1));

-- A step that has not begun again after it was reset has a row of attempt 0, so that
-- the rows of its attempts are kept. This is the number of these attempts.
ALTER TABLE renewal_steps ADD COLUMN earlier BIGINT NOT NULL DEFAULT 0;
