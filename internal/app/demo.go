package app

import (
	"cmp"
	"context"
	"errors"

	"gateway/internal/demo"
	"gateway/internal/failure"
	"gateway/internal/modelswap"
)

// demoCustomers is how many customers the demo generates by default.
const demoCustomers = 6000

// startDemo fills an empty customer store and starts the first renewal, so
// that a newcomer has a model within seconds. It touches nothing that holds
// real customers.
func (m *Model) startDemo(ctx context.Context, c *components) {
	if !c.cfg.Demo || !demo.Fits(m.schema) {
		return
	}
	err := m.fillDemo(ctx, c)
	var known *failure.Error
	if errors.As(err, &known) && known.Kind == failure.Conflict {
		return // the first renewal is under way since an earlier start
	}
	if err != nil && ctx.Err() == nil {
		c.log.Error("the demo could not start", "error", err)
	}
}

// fillDemo generates customers if there are none but generated ones, and asks
// for a first model if there is none.
func (m *Model) fillDemo(ctx context.Context, c *components) error {
	count, err := m.count(ctx)
	if err != nil {
		return err
	}
	// A process that died in the middle of it has left some of them.
	wanted := cmp.Or(c.options.DemoCustomers, demoCustomers)
	if count.Customers == count.Demo && count.Customers < int64(wanted) {
		customers, err := demo.Customers(m.schema, wanted, trainingSeed)
		if err != nil {
			return err
		}
		if _, _, err := m.customers.PutCustomers(ctx, customers); err != nil {
			return err
		}
		c.log.Info("generated demo customers", "customers", len(customers))
		count.Customers, count.Demo = int64(wanted), int64(wanted)
	}
	serving, err := m.engine.Serving(ctx)
	if err != nil || serving != "" || count.Demo < count.Customers {
		return err
	}
	_, err = m.engine.Trigger(ctx, modelswap.TriggerRequest{
		Trigger: modelswap.TriggerFirst, Reason: "the first model, from generated customers"})
	return err
}
