package learn

import (
	"math"
	"slices"
	"sync"
)

// Table is training data held column by column, in as few bytes as its numbers
// need: a column of at most 256 different numbers takes one byte a row, one of
// at most 65,536 two, any other eight. No number is rounded. Most columns of
// customers are indicators or small counts, so a table takes about an eighth
// of the memory of a Dataset.
type Table struct {
	columns []string
	labels  []float64
	packed  []packed
}

func newTable(columns []string) *Table {
	return &Table{columns: columns, packed: make([]packed, len(columns))}
}

// TableOf returns rows of numbers with their labels as a Table.
func TableOf[Row ~[]float64](columns []string, rows []Row, labels []float64) *Table {
	t := newTable(columns)
	for i, row := range rows {
		t.append(row, labels[i])
	}
	t.seal()
	return t
}

// Rows returns the number of labelled rows.
func (t *Table) Rows() int { return len(t.labels) }

// Labels returns the label of each row: 1 for yes, 0 for no.
func (t *Table) Labels() []float64 { return t.labels }

// ReadRow sets row to the numbers of row i, one for each column.
func (t *Table) ReadRow(i int, row []float64) {
	for j := range t.packed {
		row[j] = t.packed[j].at(i)
	}
}

func (t *Table) append(row []float64, label float64) {
	for j, x := range row {
		t.packed[j].append(x)
	}
	t.labels = append(t.labels, label)
}

// subset returns the given rows of t as a table of their own.
func (t *Table) subset(rows []int32) *Table {
	out := newTable(t.columns)
	row := make([]float64, len(t.columns))
	for _, i := range rows {
		t.ReadRow(int(i), row)
		out.append(row, t.labels[i])
	}
	out.seal()
	return out
}

// eachColumn calls do with each column's numbers, from several goroutines. The
// numbers are do's until it returns.
func (t *Table) eachColumn(do func(j int, values []float64)) {
	buffers := sync.Pool{New: func() any {
		values := make([]float64, t.Rows())
		return &values
	}}
	parallel(len(t.packed), func(j int) {
		values := buffers.Get().(*[]float64)
		t.packed[j].read(*values)
		do(j, *values)
		buffers.Put(values)
	})
}

// missing returns the first column in which numbers are missing, or -1.
func (t *Table) missing() int {
	return slices.IndexFunc(t.packed, func(p packed) bool {
		return slices.ContainsFunc(p.distinct, math.IsNaN) || slices.ContainsFunc(p.wide, math.IsNaN)
	})
}

// check reports the first reason why t cannot be learned from. Its numbers are
// finite or missing.
func (t *Table) check() error {
	if err := checkSize(t.columns, t.Rows()); err != nil {
		return err
	}
	return checkLabels(t.labels)
}

// packed is one column of a Table. A row's number is the entry of distinct at
// the row's code, or the row's entry of wide where there are too many different
// numbers for codes. One of narrow, medium and wide is in use.
type packed struct {
	distinct []float64
	codes    map[uint64]uint16 // the position in distinct of a number, by its bits
	narrow   []uint8
	medium   []uint16
	wide     []float64
}

// maxNarrow and maxMedium are how many numbers a code of one and of two bytes
// can tell apart.
const (
	maxNarrow = math.MaxUint8 + 1
	maxMedium = math.MaxUint16 + 1
)

func (p *packed) append(x float64) {
	if p.wide != nil {
		p.wide = append(p.wide, x)
		return
	}
	code, ok := p.code(x)
	switch {
	case !ok:
		p.wide = make([]float64, len(p.medium), len(p.medium)+len(p.medium)/4+1)
		p.read(p.wide)
		p.wide = append(p.wide, x)
		p.distinct, p.codes, p.medium = nil, nil, nil
	case p.medium != nil:
		p.medium = append(p.medium, code)
	case code < maxNarrow:
		p.narrow = append(p.narrow, uint8(code))
	default:
		p.medium = make([]uint16, len(p.narrow), len(p.narrow)+len(p.narrow)/4+1)
		for i, c := range p.narrow {
			p.medium[i] = uint16(c)
		}
		p.medium = append(p.medium, code)
		p.narrow = nil
	}
}

// code returns the code of x, a new one if x has none. It reports false if all
// codes are taken.
func (p *packed) code(x float64) (uint16, bool) {
	bits := math.Float64bits(x) // tells 0 from -0 and finds NaN
	for k, known := range p.distinct[:min(2, len(p.distinct))] {
		if math.Float64bits(known) == bits { // most columns are indicators
			return uint16(k), true
		}
	}
	if code, ok := p.codes[bits]; ok {
		return code, true
	}
	if len(p.distinct) == maxMedium {
		return 0, false
	}
	if p.codes == nil {
		p.codes = make(map[uint64]uint16)
	}
	code := uint16(len(p.distinct))
	p.codes[bits] = code
	p.distinct = append(p.distinct, x)
	return code, true
}

func (p *packed) at(i int) float64 {
	switch {
	case p.narrow != nil:
		return p.distinct[p.narrow[i]]
	case p.medium != nil:
		return p.distinct[p.medium[i]]
	}
	return p.wide[i]
}

// read sets values to the numbers of all rows.
func (p *packed) read(values []float64) {
	switch {
	case p.narrow != nil:
		for i, c := range p.narrow {
			values[i] = p.distinct[c]
		}
	case p.medium != nil:
		for i, c := range p.medium {
			values[i] = p.distinct[c]
		}
	default:
		copy(values, p.wide)
	}
}

// seal frees what only append needs.
func (t *Table) seal() {
	for j := range t.packed {
		t.packed[j].codes = nil
	}
}
