package ask

import (
	"database/sql/driver"
	"errors"
	"fmt"
	"math"

	"modernc.org/sqlite"

	"gateway/internal/insights/stats"
)

// registerFunctions adds functions of Athena that SQLite lacks.
func registerFunctions(d *sqlite.Driver) error {
	aggregates := map[string]*sqlite.FunctionImpl{
		"corr": aggregate(2, func() sqlite.AggregateFunction { return &correlation{} }),
	}
	for _, f := range []struct {
		names  []string
		sample bool
		root   bool
	}{
		{[]string{"variance", "var_samp"}, true, false}, {[]string{"var_pop"}, false, false},
		{[]string{"stddev", "stddev_samp"}, true, true}, {[]string{"stddev_pop"}, false, true},
	} {
		for _, name := range f.names {
			aggregates[name] = aggregate(1, func() sqlite.AggregateFunction { return &spread{sample: f.sample, root: f.root} })
		}
	}
	for name, implementation := range aggregates {
		if err := d.RegisterFunction(name, implementation); err != nil {
			return fmt.Errorf("function %s: %w", name, err)
		}
	}
	return nil
}

func aggregate(args int32, make func() sqlite.AggregateFunction) *sqlite.FunctionImpl {
	return &sqlite.FunctionImpl{NArgs: args, Deterministic: true,
		MakeAggregate: func(sqlite.FunctionContext) (sqlite.AggregateFunction, error) { return make(), nil }}
}

// errNoFrames is the error of an aggregate over a frame of rows that moves.
var errNoFrames = errors.New("this function cannot leave rows of a window again; use a window from its first row on")

// number reads an argument. ok is false for NULL. A text is an error, as in Athena.
func number(v driver.Value) (x float64, ok bool, err error) {
	switch v := v.(type) {
	case nil:
		return 0, false, nil
	case int64:
		return float64(v), true, nil
	case float64:
		return v, true, nil
	}
	return 0, false, errors.New("the arguments must be numbers; of a text make one by CASE WHEN … THEN 1 ELSE 0 END")
}

// correlation is corr(x, y): Pearson's, over the rows in which both are known.
type correlation struct{ pairs stats.Correlation }

// Step implements sqlite.AggregateFunction.
func (c *correlation) Step(_ *sqlite.FunctionContext, args []driver.Value) error {
	x, okX, err := number(args[0])
	if err != nil {
		return err
	}
	y, okY, err := number(args[1])
	if err == nil && okX && okY {
		c.pairs.Add(x, y)
	}
	return err
}

// WindowInverse implements sqlite.AggregateFunction.
func (*correlation) WindowInverse(*sqlite.FunctionContext, []driver.Value) error { return errNoFrames }

// WindowValue implements sqlite.AggregateFunction.
func (c *correlation) WindowValue(*sqlite.FunctionContext) (driver.Value, error) {
	if r, ok := c.pairs.Value(); ok {
		return r, nil
	}
	return nil, nil
}

// Final implements sqlite.AggregateFunction.
func (*correlation) Final(*sqlite.FunctionContext) {}

// spread is the variance of numbers or its root, of the population or, as an estimate
// from a sample, with one degree of freedom less. The sums are updated as by Welford
// (Technometrics 4(3), 1962).
type spread struct {
	sample, root       bool
	count, mean, total float64
}

// Step implements sqlite.AggregateFunction.
func (s *spread) Step(_ *sqlite.FunctionContext, args []driver.Value) error {
	x, ok, err := number(args[0])
	if err != nil || !ok {
		return err
	}
	s.count++
	distance := x - s.mean
	s.mean += distance / s.count
	s.total += distance * (x - s.mean)
	return nil
}

// WindowInverse implements sqlite.AggregateFunction.
func (*spread) WindowInverse(*sqlite.FunctionContext, []driver.Value) error { return errNoFrames }

// WindowValue implements sqlite.AggregateFunction.
func (s *spread) WindowValue(*sqlite.FunctionContext) (driver.Value, error) {
	n := s.count
	if s.sample {
		n--
	}
	if n <= 0 {
		return nil, nil
	}
	if s.root {
		return math.Sqrt(s.total / n), nil
	}
	return s.total / n, nil
}

// Final implements sqlite.AggregateFunction.
func (*spread) Final(*sqlite.FunctionContext) {}
