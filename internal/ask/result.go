package ask

import (
	"errors"
	"fmt"
)

// Result is the answer to a question. A value is nil, int64, float64, bool or string.
type Result struct {
	Columns []string
	Rows    [][]any
	More    bool // there are more rows than the limit
}

// maxResultBytes bounds the texts of a result in memory.
const maxResultBytes = 64 << 20

// errTooLarge is the error of a result that exceeds maxResultBytes.
var errTooLarge = fmt.Errorf("the answer is larger than %d MiB: select fewer or shorter columns", maxResultBytes>>20)

// errFull ends a question that has given as many rows as were asked for.
var errFull = errors.New("the answer has enough rows")

// Collector makes a Result of rows, as many as a limit allows.
type Collector struct {
	limit  int
	bytes  int
	result Result
}

// NewCollector returns a collector of at most limit rows.
func NewCollector(limit int) *Collector { return &Collector{limit: limit} }

// Full reports whether an error of Add means that there are more rows than the limit.
func Full(err error) bool { return errors.Is(err, errFull) }

// Add takes a row. Values may be reused after it, except texts.
func (c *Collector) Add(row []any) error {
	if len(c.result.Rows) == c.limit {
		c.result.More = true
		return errFull
	}
	for _, v := range row {
		c.bytes += 16
		if s, ok := v.(string); ok {
			c.bytes += len(s)
		}
	}
	if c.bytes > maxResultBytes {
		return errTooLarge
	}
	c.result.Rows = append(c.result.Rows, append([]any(nil), row...))
	return nil
}

// Result returns the rows under the names of the columns.
func (c *Collector) Result(columns []string) *Result {
	c.result.Columns = columns
	return &c.result
}
