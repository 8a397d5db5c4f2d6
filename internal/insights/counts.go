package insights

import (
	"errors"
	"strconv"
	"strings"
)

// Counts are numbers in rows and columns. A number that is not there is zero, so the
// rows may differ in length. Numbers may be negative: a part of a sum can take back
// what another part has counted.
type Counts [][]int64

// Add adds n to a number.
func (c *Counts) Add(row, column int, n int64) {
	if len(*c) <= row {
		*c = append(*c, make(Counts, row+1-len(*c))...)
	}
	r := &(*c)[row]
	switch {
	case column < len(*r):
	case column < cap(*r): // beyond its length a row has zeros
		*r = (*r)[:column+1]
	default:
		longer := make([]int64, column+1, max(16, column+1, 2*len(*r)))
		copy(longer, *r)
		*r = longer
	}
	(*r)[column] += n
}

// Reset makes all numbers zero and keeps the memory of the rows.
func (c Counts) Reset() {
	for i := range c {
		clear(c[i])
		c[i] = c[i][:0]
	}
}

// Merge adds all numbers of other.
func (c *Counts) Merge(other Counts) {
	for i, row := range other {
		for j := len(row) - 1; j >= 0; j-- { // the longest extent first
			if row[j] != 0 {
				c.Add(i, j, row[j])
			}
		}
	}
}

// At returns a number.
func (c Counts) At(row, column int) int64 {
	if row >= len(c) || column >= len(c[row]) {
		return 0
	}
	return c[row][column]
}

// Row returns a row, which is nil where there is none.
func (c Counts) Row(row int) []int64 {
	if row >= len(c) {
		return nil
	}
	return c[row]
}

// AppendText appends the text of the numbers: rows end in ";" and numbers are divided
// by ",". A number that is zero is left out, and so are zeros at the end of a row:
// "1,,3;;5;" has three rows.
func (c Counts) AppendText(dst []byte) []byte {
	for _, row := range c {
		end := len(row)
		for end > 0 && row[end-1] == 0 {
			end--
		}
		for j, n := range row[:end] {
			if j > 0 {
				dst = append(dst, ',')
			}
			if n != 0 {
				dst = strconv.AppendInt(dst, n, 10)
			}
		}
		dst = append(dst, ';')
	}
	return dst
}

var errCounts = errors.New("a text of counts is damaged")

// ParseCounts reads what AppendText wrote.
func ParseCounts(text string) (Counts, error) {
	rows, cells := strings.Count(text, ";"), strings.Count(text, ",")
	all := make(Counts, 0, rows)
	memory := make([]int64, 0, rows+cells) // of all rows
	begin := 0                             // of the row in memory
	var n int64
	var digits, negative bool
	for i := range len(text) {
		switch c := text[i]; {
		case c >= '0' && c <= '9':
			if n > (1<<63-1-9)/10 {
				return nil, errCounts
			}
			n, digits = 10*n+int64(c-'0'), true
		case c == '-' && !digits && !negative:
			negative = true
		case c == ',' || c == ';':
			if negative {
				n = -n
			}
			if c == ',' || digits {
				memory = append(memory, n)
			}
			n, digits, negative = 0, false, false
			if c == ';' {
				end := len(memory)
				all = append(all, memory[begin:end:end])
				begin = end
			}
		default:
			return nil, errCounts
		}
	}
	if digits || negative || begin < len(memory) {
		return nil, errCounts // the last row does not end
	}
	return all, nil
}
