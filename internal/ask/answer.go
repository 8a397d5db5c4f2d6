package ask

import (
	"database/sql/driver"
	"fmt"
	"strings"

	"modernc.org/sqlite"
)

// answer collects the rows of a question by aggregate functions, each of which takes as
// many columns as a function may have arguments.
type answer struct {
	collector *Collector
	row       []any
	err       error
}

// Names that around gives.
const (
	partFunction = "gateway_part" // of columns before the last ones
	rowFunction  = "gateway_row"  // of the last columns of a row
	answerName   = "gateway_answer"
)

// register adds the functions to a driver.
func (a *answer) register(d *sqlite.Driver) error {
	for name, last := range map[string]bool{partFunction: false, rowFunction: true} {
		err := d.RegisterFunction(name, aggregate(-1, func() sqlite.AggregateFunction { return &part{answer: a, last: last} }))
		if err != nil {
			return fmt.Errorf("function %s: %w", name, err)
		}
	}
	return nil
}

// around returns SQL that passes all rows of a question to the functions. The first
// argument of each is the number of its first column.
func (a *answer) around(question string, columns int) string {
	a.err = nil
	names := make([]string, columns)
	for i := range names {
		names[i] = fmt.Sprintf("c%d", i)
	}
	var calls []string
	for first := 0; first < columns; first += maxArguments - 1 {
		end := min(first+maxArguments-1, columns)
		function := partFunction
		if end == columns {
			function = rowFunction
		}
		calls = append(calls, fmt.Sprintf("%s(%d, %s)", function, first, strings.Join(names[first:end], ", ")))
	}
	return fmt.Sprintf("WITH %s (%s) AS (%s\n) SELECT %s FROM %s", answerName, strings.Join(names, ", "), question, strings.Join(calls, " || "), answerName)
}

// part is one of the functions.
type part struct {
	answer *answer
	last   bool
}

// Step implements sqlite.AggregateFunction.
func (p *part) Step(_ *sqlite.FunctionContext, args []driver.Value) error {
	first := int(args[0].(int64)) // around wrote it
	for i, v := range args[1:] {
		if b, ok := v.([]byte); ok {
			v = fmt.Sprintf("%x", b)
		}
		p.answer.row[first+i] = v
	}
	if !p.last {
		return nil
	}
	p.answer.err = p.answer.collector.Add(p.answer.row)
	return p.answer.err
}

// WindowInverse implements sqlite.AggregateFunction.
func (*part) WindowInverse(*sqlite.FunctionContext, []driver.Value) error { return errNoFrames }

// WindowValue implements sqlite.AggregateFunction.
func (*part) WindowValue(*sqlite.FunctionContext) (driver.Value, error) { return "", nil }

// Final implements sqlite.AggregateFunction.
func (*part) Final(*sqlite.FunctionContext) {}
