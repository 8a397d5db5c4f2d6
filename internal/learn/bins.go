package learn

import (
	"math"
	"slices"
	"sort"
)

// binned is training data with every number replaced by the bin it falls in,
// which is all that growing a tree needs to know about it.
//
// Columns share a group where they can: the indicators of a one-hot encoded
// category are never on in the same row, so together they are one number, the
// indicator that is on. A pass over the data then costs one step per category
// and not one per indicator (the exclusive feature bundling of Ke et al.,
// LightGBM, NIPS 2017, without its tolerance for conflicts).
type binned struct {
	rows    int
	columns int // of the data
	groups  []group
	bin     []uint16 // row-major, rows × len(groups)
	cells   int      // length of a histogram: bins of all groups, with padding
}

// group is one or more columns that share a number per row.
//
// A plain group holds one column of len(cuts)+1 bins; bin b holds the values x
// with cuts[b-1] ≤ x < cuts[b]. Where values are missing, the bin after the last
// holds their rows. An indicator group holds columns of two
// values; in bin 0 all are at their lower value, in bin b columns[b-1] alone
// is at its upper one, which is ≥ cuts[b-1].
type group struct {
	columns   []int
	cuts      []float64
	indicator bool
	missing   bool
	at        int // position among the groups
	first     int // position of bin 0 in a histogram
}

// lineCells is how many histogram cells a pair of cache lines holds. Groups
// start on a multiple of it: were two processors to add into one line, each
// would wait for the other.
const lineCells = 8

func (g *group) size() int {
	if g.missing {
		return len(g.cuts) + 2
	}
	return len(g.cuts) + 1
}

// newBinned cuts each column of data into at most most bins and groups the
// indicators. Constant columns are left out: nothing can be split on them.
func newBinned(data *Table, most int) *binned {
	columns := make([]column, len(data.columns))
	data.eachColumn(func(j int, values []float64) { columns[j] = cutColumn(values, most) })

	b := &binned{rows: data.Rows(), columns: len(columns)}
	var bundles []*bundle
	for j, c := range columns {
		switch {
		case len(c.cuts) > 1 || c.missing:
			b.groups = append(b.groups, group{columns: []int{j}, cuts: c.cuts, missing: c.missing})
		case len(c.cuts) == 1:
			bundles = place(bundles, j, c, b.rows)
		}
	}
	for _, u := range bundles {
		b.groups = append(b.groups, u.group)
	}
	for i := range b.groups {
		b.groups[i].at, b.groups[i].first = i, b.cells
		b.cells += (b.groups[i].size() + lineCells - 1) / lineCells * lineCells
	}
	b.fill(columns)
	return b
}

// fill writes the bin of every row and group.
func (b *binned) fill(columns []column) {
	width := len(b.groups)
	b.bin = make([]uint16, b.rows*width)
	parallel(width, func(k int) {
		g := &b.groups[k]
		if !g.indicator {
			for i, v := range columns[g.columns[0]].bin {
				b.bin[i*width+k] = v
			}
			return
		}
		for n, j := range g.columns {
			for _, i := range columns[j].on {
				b.bin[int(i)*width+k] = uint16(n + 1)
			}
		}
	})
}

// column is one column cut into bins.
type column struct {
	cuts    []float64 // ascending; none for a constant column
	missing bool      // some values are missing
	bin     []uint16  // of each row, if values are missing or there are two cuts or more
	on      []int32   // otherwise, the rows in the upper bin, if there is one cut
}

// cutColumn cuts values into at most most bins, holding about the same number
// of rows each. Where there are no more than most distinct values, each gets a
// bin. Missing values, which are NaN, have one besides.
func cutColumn(values []float64, most int) column {
	if slices.ContainsFunc(values, math.IsNaN) {
		return cutKnown(values, most)
	}
	if cut, on, ok := indicator(values); ok {
		return column{cuts: cut, on: on}
	}
	sorted := slices.Clone(values)
	slices.Sort(sorted)
	c := column{cuts: quantileCuts(sorted, most)}
	if len(c.cuts) == 1 { // a max_bin of 2
		for i, x := range values {
			if x >= c.cuts[0] {
				c.on = append(c.on, int32(i))
			}
		}
		return c
	}
	c.assign(values)
	return c
}

// cutKnown cuts those of values that are not missing.
func cutKnown(values []float64, most int) column {
	known := slices.DeleteFunc(slices.Clone(values), math.IsNaN)
	slices.Sort(known)
	c := column{missing: true}
	if len(known) > 0 {
		c.cuts = quantileCuts(known, most)
	}
	c.assign(values)
	return c
}

// assign sets the bin of each value: the number of cuts at or below it, and one
// more than there are cuts for NaN.
func (c *column) assign(values []float64) {
	c.bin = make([]uint16, len(values))
	for i, x := range values {
		if math.IsNaN(x) {
			c.bin[i] = uint16(len(c.cuts) + 1)
			continue
		}
		c.bin[i] = uint16(sort.Search(len(c.cuts), func(k int) bool { return c.cuts[k] > x }))
	}
}

// indicator reports whether values are at most two different numbers, and if
// so the cut between them, if there are two, and the rows above it.
func indicator(values []float64) (cut []float64, on []int32, ok bool) {
	low, high := values[0], values[0]
	for _, x := range values {
		switch {
		case x == low || x == high:
		case low != high:
			return nil, nil, false
		case x < low:
			low = x
		default:
			high = x
		}
	}
	if low == high {
		return nil, nil, true
	}
	for i, x := range values {
		if x == high {
			on = append(on, int32(i))
		}
	}
	return []float64{between(low, high)}, on, true
}

// quantileCuts returns ascending cuts that part sorted values into at most
// most bins. Equal values are never parted. Going up, a bin is closed when it
// holds its fair share of the values that were left when it was opened, so a
// value that fills several bins by itself does not starve the rest.
func quantileCuts(sorted []float64, most int) []float64 {
	distinct := 1
	for i := 1; i < len(sorted); i++ {
		if sorted[i] != sorted[i-1] {
			distinct++
		}
	}
	var cuts []float64
	opened := 0
	for i := 1; i < len(sorted); i++ {
		if sorted[i] == sorted[i-1] {
			continue
		}
		binsLeft := most - len(cuts)
		if binsLeft == 1 {
			break
		}
		if distinct <= most || (i-opened)*binsLeft >= len(sorted)-opened {
			cuts = append(cuts, between(sorted[i-1], sorted[i]))
			opened = i
		}
	}
	return cuts
}

// between returns a number above a and at most b, for a < b: halfway, unless
// rounding makes that a.
func between(a, b float64) float64 {
	if mid := a/2 + b/2; mid > a && mid <= b {
		return mid
	}
	return b
}

// bundle is an indicator group being filled.
type bundle struct {
	group group
	taken []bool // rows in which one of the columns is on
}

// place adds column j, whose cuts is one, to the first bundle in which no row
// has another column on, or to a new one.
func place(bundles []*bundle, j int, c column, rows int) []*bundle {
	fits := func(u *bundle) bool {
		if u.group.size() > maxBins {
			return false
		}
		for _, i := range c.on {
			if u.taken[i] {
				return false
			}
		}
		return true
	}
	k := slices.IndexFunc(bundles, fits)
	if k < 0 {
		k = len(bundles)
		bundles = append(bundles, &bundle{group: group{indicator: true}, taken: make([]bool, rows)})
	}
	u := bundles[k]
	u.group.columns = append(u.group.columns, j)
	u.group.cuts = append(u.group.cuts, c.cuts[0])
	for _, i := range c.on {
		u.taken[i] = true
	}
	return bundles
}
