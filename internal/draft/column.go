package draft

import (
	"hash/maphash"
	"math"
	"slices"
	"strings"

	"gateway/internal/schema"
)

const (
	// maxTexts is the maximum number of distinct texts of a column that are counted.
	maxTexts = 1000
	// maxCategories is the same for a column whose values are neither all numbers nor all
	// dates, of texts of at most maxCategoryBytes.
	maxCategories, maxCategoryBytes = 20_000, 64
	// maxUnique is the maximum number of values up to which it is checked that none
	// repeats: 8 bytes each, for columns without a repetition only.
	maxUnique = 8_000_000
)

// column is the profile of a column after one pass.
type column struct {
	header string
	at     int // index in the header

	seen    int            // cells with a value
	missing map[string]int // missing markers and their counts; "" for empty cells

	texts    map[string]int // distinct texts and their counts, at most maxTexts or maxCategories
	overflow bool           // there are more

	hashes   map[uint64]struct{} // of the values, while none has repeated
	repeated bool                // a value occurs twice
	seed     maphash.Seed

	numbers  [numberFormats]numberProfile
	dates    dateProfile
	zeros    int     // distinct texts such as 08123: codes, not quantities
	rounded  int     // distinct texts such as 1.23457E+11: numbers that a spreadsheet rounded
	units    units   // of the distinct texts
	counting bool    // each row's value is one more than that of the row before
	rising   bool    // each row's value is above that of the row before
	last     float64 // of the row before, while rising
	longest  int     // bytes of the longest text
	wordy    int     // rows with three words and more
}

// numberProfile is what a column shows if all values are read in one number format.
type numberProfile struct {
	none     bool // a value cannot be read
	fraction bool // a value is not an integer
	any      bool // a value was read
	min, max float64
}

func newColumn(header string, at int) *column {
	return &column{header: header, at: at, missing: map[string]int{}, texts: map[string]int{}, hashes: map[uint64]struct{}{},
		seed: maphash.MakeSeed(), counting: true, rising: true}
}

// units are what stands around the numbers of a column.
type units struct {
	prefixes, suffixes []string // different ones, at most maxUnits each
	bare               bool     // a number has none
	signs              bool     // a number has a sign that only a schema's format reads
}

// maxUnits is the maximum number of different units that are kept.
const maxUnits = 3

func (u *units) add(w *written) {
	u.prefixes, u.suffixes = addUnit(u.prefixes, w.prefix), addUnit(u.suffixes, w.suffix)
	u.bare = u.bare || w.prefix+w.suffix == ""
	u.signs = u.signs || w.sign
}

func addUnit(all []string, unit string) []string {
	same := func(other string) bool { return strings.TrimSpace(other) == strings.TrimSpace(unit) }
	if unit == "" || len(all) == maxUnits || slices.ContainsFunc(all, same) {
		return all
	}
	return append(all, strings.Clone(unit))
}

// prefix and suffix return the only unit, or nothing.
func (u *units) prefix() string { return strings.Join(u.prefixes[:min(1, len(u.prefixes))], "") }
func (u *units) suffix() string { return strings.Join(u.suffixes[:min(1, len(u.suffixes))], "") }

// mixed reports whether numbers have different units.
func (u *units) mixed() bool { return len(u.prefixes) > 1 || len(u.suffixes) > 1 }

// partial reports whether some numbers have a unit and some have none.
func (u *units) partial() bool { return u.bare && len(u.prefixes)+len(u.suffixes) > 0 }

// missingCount returns the number of cells without a value.
func (c *column) missingCount() int {
	n := 0
	for _, k := range c.missing {
		n += k
	}
	return n
}

// ambiguousMarkers are missing markers that are also words of data: a category
// may have them as a value.
var ambiguousMarkers = []string{"None", "none"}

// add adds a cell. A text that was seen before is only counted.
func (c *column) add(text string) {
	if schema.IsMissingMarker(text) && !slices.Contains(ambiguousMarkers, text) {
		c.missing[text]++
		c.counting, c.rising = false, false
		return
	}
	c.seen++
	if strings.Count(text, " ") >= 2 {
		c.wordy++
	}
	if c.rising {
		c.follow(text)
	}
	if _, known := c.texts[text]; known {
		c.texts[text]++
		c.repeated, c.hashes = true, nil
		return
	}
	if len(c.texts) < maxTexts || len(c.texts) < maxCategories && len(text) <= maxCategoryBytes && c.textual() {
		c.texts[strings.Clone(text)] = 1
	} else {
		c.overflow = true
	}
	c.longest = max(c.longest, len(text))
	c.addUnique(text)
	if !slices.Contains(ambiguousMarkers, text) {
		c.addNumber(text)
		c.dates.add(text)
	}
}

// follow compares a column of rising numbers with the row before. It counts the
// rows if its first number is 0 or 1 and each other one is the next.
func (c *column) follow(text string) {
	x, integer, ok := schema.ParseNumber(text)
	if c.seen == 1 {
		c.rising, c.counting = ok, ok && (x == 0 || x == 1)
	} else {
		c.rising, c.counting = ok && x > c.last, c.counting && ok && integer && x == c.last+1
	}
	c.last = x
}

func (c *column) addUnique(text string) {
	if c.repeated || len(c.hashes) >= maxUnique {
		return
	}
	h := maphash.String(c.seed, text)
	if _, again := c.hashes[h]; again {
		c.repeated, c.hashes = true, nil
		return
	}
	c.hashes[h] = struct{}{}
}

func (c *column) addNumber(text string) {
	if len(text) > 1 && text[0] == '0' && strings.Trim(text, "0123456789") == "" {
		c.zeros++
	}
	if strings.Contains(text, "E+") || strings.Contains(text, "e+") {
		c.rounded++
	}
	x, integer, plainOK := schema.ParseNumber(text)
	simple := plainOK && strings.Trim(text, "0123456789.-") == ""
	hasPoint := strings.IndexByte(text, '.') >= 0
	w := written{digits: text}
	if !simple {
		w = cutNumber(text)
	}
	read := false
	for f := range c.numbers {
		p := &c.numbers[f]
		if p.none {
			continue
		}
		format := numberFormat(f)
		x, integer, ok := x, integer, plainOK
		if format != plain && !(simple && (!hasPoint || marks[f].decimal == '.')) || format == plain && !plainOK {
			x, integer, ok = w.read(format)
		}
		if !ok {
			p.none = true
			continue
		}
		if !p.any {
			p.min, p.max, p.any = x, x, true
		}
		p.min, p.max = math.Min(p.min, x), math.Max(p.max, x)
		p.fraction = p.fraction || !integer
		read = true
	}
	if read {
		c.units.add(&w)
	}
}

// ambiguous returns the number of cells with an ambiguous missing marker.
func (c *column) ambiguous() int {
	n := 0
	for _, marker := range ambiguousMarkers {
		n += c.texts[marker]
	}
	return n
}

// unique reports whether no value repeats and no cell is empty.
func (c *column) unique() bool { return !c.repeated && c.seen > 1 && c.missingCount() == 0 }

// rowNumber reports whether the column counts the rows.
func (c *column) rowNumber() bool { return c.counting && c.seen > 1 && c.missingCount() == 0 }

// textual reports whether the values so far are neither all numbers nor all dates.
func (c *column) textual() bool {
	return c.dates.none && (c.zeros > 0 || !slices.ContainsFunc(c.numbers[:], func(n numberProfile) bool { return !n.none }))
}

// distinct returns the number of distinct texts; it is a lower bound where there are
// more than are counted.
func (c *column) distinct() int { return len(c.texts) }

// number returns the format in which all values of the column are numbers.
// otherFormats says which further formats would read them all as other numbers.
func (c *column) number() (format numberFormat, ok bool, others []numberFormat) {
	if c.seen == c.ambiguous() || c.zeros > 0 || c.units.mixed() {
		return 0, false, nil
	}
	var fit []numberFormat
	for f := range c.numbers {
		if c.numbers[f].any && !c.numbers[f].none {
			fit = append(fit, numberFormat(f))
		}
	}
	if len(fit) == 0 {
		return 0, false, nil
	}
	for _, f := range fit[1:] {
		if c.numbers[f].min != c.numbers[fit[0]].min || c.numbers[f].max != c.numbers[fit[0]].max {
			others = append(others, f)
		}
	}
	return fit[0], true, others
}

// code reports whether the values are digits with leading zeros.
func (c *column) code() bool { return c.zeros > 0 && !c.numbers[plain].none }
