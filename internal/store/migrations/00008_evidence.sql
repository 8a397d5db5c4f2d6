-- +goose Up

-- 'app' for a customer made from a prediction and its outcome. An import makes
-- it 'imported'.
ALTER TABLE customers ADD COLUMN origin TEXT NOT NULL DEFAULT 'imported' CHECK (origin IN ('imported', 'app'));
-- If an outcome set the label: the caller who reported it, when it was received, and
-- the label that was imported. NULL if unknown or none.
ALTER TABLE customers ADD COLUMN caller TEXT CHECK (caller <> '');
ALTER TABLE customers ADD COLUMN labelled_at BIGINT;
ALTER TABLE customers ADD COLUMN imported_label BIGINT CHECK (imported_label IN (0, 1));
ALTER TABLE outcomes ADD COLUMN caller TEXT CHECK (caller <> '');

-- Of earlier customers only those are certain to be made from predictions that
-- bear the id of an anonymous one.
UPDATE customers SET origin = 'app'
WHERE outcome > 0 AND EXISTS (SELECT 1 FROM predictions WHERE predictions.id = customers.id AND predictions.customer_id IS NULL);
UPDATE customers SET labelled_at = (SELECT received_at FROM outcomes WHERE outcomes.seq = customers.outcome)
WHERE outcome > 0;
