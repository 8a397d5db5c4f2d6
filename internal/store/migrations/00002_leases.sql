-- +goose Up

-- Who works on an unfinished renewal, and until when nobody else may. Both are
-- NULL where nobody does.
ALTER TABLE renewals ADD COLUMN lease_owner TEXT;
ALTER TABLE renewals ADD COLUMN lease_until BIGINT;
-- Nobody need look before; 0: at once.
ALTER TABLE renewals ADD COLUMN wake_at BIGINT NOT NULL DEFAULT 0;
-- 1: somebody has asked to cancel it.
ALTER TABLE renewals ADD COLUMN cancel BIGINT NOT NULL DEFAULT 0 CHECK (cancel IN (0, 1));

-- A step that has not begun again after it was reset has the row of attempt 0,
-- so that the rows of its attempts stay as they ended. This is how many those are.
ALTER TABLE renewal_steps ADD COLUMN earlier BIGINT NOT NULL DEFAULT 0;
