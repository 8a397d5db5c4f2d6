package learn

import (
	"bufio"
	"errors"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
)

// maxLine bounds one line of training CSV, in bytes. A thousand columns of
// full-precision numbers fit twenty times over.
const maxLine = 1 << 19

// ReadCSV reads training data as SageMaker's built-in algorithms take it: one
// row per line, the label (0 or 1) first, then one plain decimal number for
// each of columns; no header, no quotes, no blank lines. Nothing between two
// commas is a missing number, which becomes NaN. Lines end in LF or CRLF and the
// last may go without.
//
// An error names the line and the column and matches ErrInput; an error of r
// is returned as it is. An empty input is no error here: it gives a Dataset of
// no rows, which Train refuses.
func ReadCSV(r io.Reader, columns []string) (Dataset, error) {
	d := Dataset{Columns: columns}
	err := eachLine(r, columns, func(row []float64, label float64) {
		if cap(d.X)-len(d.X) < len(row) {
			d.X = slices.Grow(d.X, len(d.X)+len(row)) // doubles; append would copy more often
		}
		d.X, d.Y = append(d.X, row...), append(d.Y, label)
	})
	if err != nil {
		return Dataset{}, err
	}
	return d, nil
}

// ReadTable reads training data as ReadCSV does, into a Table.
func ReadTable(r io.Reader, columns []string) (*Table, error) {
	t := newTable(columns)
	if err := eachLine(r, columns, t.append); err != nil {
		return nil, err
	}
	t.seal()
	return t, nil
}

// eachLine calls do with the numbers and the label of each line of r. The
// numbers are do's until it returns.
func eachLine(r io.Reader, columns []string, do func(row []float64, label float64)) error {
	row := make([]float64, len(columns))
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, 64<<10), maxLine)
	number := 0
	for lines.Scan() {
		number++
		// One string per line; its fields are slices of it.
		label, err := parseLine(lines.Text(), number, columns, row)
		if err != nil {
			return err
		}
		do(row, label)
	}
	if err := lines.Err(); errors.Is(err, bufio.ErrTooLong) {
		return inputErrorf("line %d: longer than %d bytes", number+1, maxLine)
	} else if err != nil {
		return err
	}
	return nil
}

// parseLine parses one line of CSV: the label, which it returns, and the
// numbers, which it stores in row.
func parseLine(line string, number int, columns []string, row []float64) (y float64, err error) {
	if got, want := strings.Count(line, ",")+1, len(columns)+1; got != want {
		return 0, inputErrorf("line %d: %d values; the label and %d columns make %d",
			number, got, len(columns), want)
	}
	label, rest, _ := strings.Cut(line, ",")
	y, ok := parseNumber(label)
	if !ok || y != 0 && y != 1 {
		return 0, inputErrorf("line %d, column 1 (label): %q is not 0 or 1", number, clip(label))
	}
	for i, name := range columns {
		end := strings.IndexByte(rest, ',')
		if end < 0 {
			end = len(rest)
		}
		x, ok := parseNumber(rest[:end])
		switch {
		case end == 0:
			x = math.NaN()
		case !ok:
			return 0, inputErrorf("line %d, column %d (%s): %q is not a finite number", number, i+2, name, clip(rest[:end]))
		}
		row[i] = x
		rest = rest[min(end+1, len(rest)):]
	}
	return y, nil
}

// parseNumber parses a finite decimal number, and only that: strconv would
// also take infinities, NaN and hexadecimal.
func parseNumber(s string) (x float64, ok bool) {
	if len(s) == 1 && '0' <= s[0] && s[0] <= '9' { // most columns are indicators
		return float64(s[0] - '0'), true
	}
	x, err := strconv.ParseFloat(s, 64)
	hexadecimal := strings.IndexByte(s, 'x') >= 0 || strings.IndexByte(s, 'X') >= 0
	return x, err == nil && finite(x) && !hexadecimal
}

// clip shortens a hostile or accidental wall of text for an error message.
func clip(s string) string {
	const most = 40
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}
