package app

import (
	"context"

	"gateway/internal/failure"
	"gateway/internal/predict"
	"gateway/internal/store"
)

// exports are what operators may take out of the database.
type exports struct {
	*store.Line
	customersTable string // DynamoDB table that has the customers; empty: the database has them
}

// CustomersAfter is that of the store, where the store has the customers.
func (e exports) CustomersAfter(ctx context.Context, after string, limit int) ([]predict.Customer, error) {
	if e.customersTable != "" {
		return nil, failure.Errorf(failure.Conflict, "the customers are in the DynamoDB table %q (GATEWAY_CUSTOMERS_TABLE): export that table", e.customersTable)
	}
	return e.Line.CustomersAfter(ctx, after, limit)
}
