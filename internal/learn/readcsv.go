package learn

import (
	"bufio"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"
)

// maxLine bounds one line of training CSV, in bytes. A thousand columns of
// full-precision numbers fit twenty times over.
const maxLine = 1 << 19

// ReadCSV reads training data as SageMaker's built-in algorithms take it: one
// row per line, the label (0 or 1) first, then one plain decimal number for
// each of columns; no header, no quotes, no blank lines. Lines end in LF or
// CRLF and the last may go without.
//
// An error names the line and the column and matches ErrInput; an error of r
// is returned as it is. An empty input is no error here: it gives a Dataset of
// no rows, which Train refuses.
func ReadCSV(r io.Reader, columns []string) (Dataset, error) {
	d := Dataset{Columns: columns}
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, 64<<10), maxLine)
	number := 0
	for lines.Scan() {
		number++
		// One string per line; its fields are slices of it.
		if err := d.appendLine(lines.Text(), number); err != nil {
			return Dataset{}, err
		}
	}
	if err := lines.Err(); errors.Is(err, bufio.ErrTooLong) {
		return Dataset{}, inputErrorf("line %d: longer than %d bytes", number+1, maxLine)
	} else if err != nil {
		return Dataset{}, err
	}
	return d, nil
}

// appendLine parses one line of CSV and adds it to d as a row.
func (d *Dataset) appendLine(line string, number int) error {
	if got, want := strings.Count(line, ",")+1, len(d.Columns)+1; got != want {
		return inputErrorf("line %d: %d values; the label and %d columns make %d",
			number, got, len(d.Columns), want)
	}
	label, rest, _ := strings.Cut(line, ",")
	y, ok := parseNumber(label)
	if !ok || y != 0 && y != 1 {
		return inputErrorf("line %d, column 1 (label): %q is not 0 or 1", number, clip(label))
	}
	if cap(d.X)-len(d.X) < len(d.Columns) {
		d.X = slices.Grow(d.X, len(d.X)+len(d.Columns)) // doubles; append would copy more often
	}
	for i, name := range d.Columns {
		end := strings.IndexByte(rest, ',')
		if end < 0 {
			end = len(rest)
		}
		x, ok := parseNumber(rest[:end])
		if !ok {
			return inputErrorf("line %d, column %d (%s): %q is not a finite number", number, i+2, name, clip(rest[:end]))
		}
		d.X = append(d.X, x)
		rest = rest[min(end+1, len(rest)):]
	}
	d.Y = append(d.Y, y)
	return nil
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
