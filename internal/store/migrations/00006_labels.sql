-- +goose Up

-- Labels that are brought to customers who live elsewhere are read by the number
-- of their outcome. Customers without one, which may be millions, stay out of it.
CREATE INDEX customers_by_outcome ON customers (outcome) WHERE outcome > 0;
