-- +goose Up

-- Labels of customers who are stored elsewhere are read by the number of their
-- outcome. The index leaves out customers without one, which may be millions.
CREATE INDEX customers_by_outcome ON customers (outcome) WHERE outcome > 0;
