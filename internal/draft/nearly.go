package draft

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// minNearly is the share of rows from which a column that is not one of numbers, or
// of dates, is said to be nearly one.
const minNearly = 0.5

var (
	// dateLike matches a text that begins like a date.
	dateLike = regexp.MustCompile(`^(\d{1,4}[-/. ]+(\d{1,2}|\p{L}{3,9})|\p{L}{3,9}\.? \d{1,2})[-/. ,]+\d{1,4}`)
	// monthLike matches a month with its year.
	monthLike = regexp.MustCompile(`^(\p{L}{3,9}\.?[-/. ]+(\d{4}|\d{2})|(19|20)\d{2}[-/.](0?[1-9]|1[0-2])|(0?[1-9]|1[0-2])[-/.](19|20)\d{2}|(19|20)\d{2}年 ?\d{1,2}月)$`)
	// timeLike matches a time of day or a duration.
	timeLike = regexp.MustCompile(`^-?\d{1,4}:\d{2}(:\d{2}(\.\d+)?)?( ?[AaPp][Mm])?$`)
)

// nearly says that a column of texts looks like one of numbers or of dates, and
// which values prevent that; empty: it does not.
func (c *column) nearly() string {
	if len(c.units.prefixes) > 1 || len(c.units.suffixes) > 1 {
		return fmt.Sprintf("its numbers have different units: %s", quoted(slices.Concat(c.units.prefixes, c.units.suffixes)))
	}
	if c.zeros > 0 {
		return ""
	}
	for f := range numberFormats {
		if text := c.nearlyAll("numbers", func(text string) bool { _, _, ok := readNumber(text, f); return ok }); text != "" {
			return text
		}
	}
	for _, f := range dateFormats {
		if text := c.nearlyAll("dates", f.matches); text != "" {
			return text
		}
	}
	if c.all(timeLike.MatchString) {
		return fmt.Sprintf("it looks like times of day or durations, which are not read, such as %q; write them as numbers, of minutes for example", shorten(c.firstText(), 40))
	}
	if c.all(monthLike.MatchString) {
		return fmt.Sprintf("it looks like months, which are not read, such as %q; write the first day, as 2026-11-01", shorten(c.firstText(), 40))
	}
	if c.nearlyAll("dates", dateLike.MatchString) != "" || c.all(dateLike.MatchString) {
		return fmt.Sprintf("it looks like dates in a form that is not read, such as %q", shorten(c.firstText(), 40))
	}
	return ""
}

// nearlyAll says that most values are of a kind and which are not; empty: not most,
// or all.
func (c *column) nearlyAll(kind string, is func(text string) bool) string {
	rows, total := 0, 0
	others := []string{}
	for _, text := range slices.Sorted(maps.Keys(c.texts)) {
		total += c.texts[text]
		if is(text) {
			rows += c.texts[text]
			continue
		}
		others = append(others, text)
	}
	if len(others) == 0 || float64(rows) < minNearly*float64(total) {
		return ""
	}
	slices.SortStableFunc(others, func(a, b string) int { return c.texts[b] - c.texts[a] })
	const shown = 3
	more := ""
	if len(others) > shown {
		more = fmt.Sprintf(" and %d more", len(others)-shown)
	}
	return fmt.Sprintf("%d of %d values are %s, but not %s%s", rows, total, kind, quoted(others[:min(shown, len(others))]), more)
}

func (c *column) all(is func(text string) bool) bool {
	for text := range c.texts {
		if !is(text) {
			return false
		}
	}
	return len(c.texts) > 0
}

func (c *column) firstText() string { return slices.Min(slices.Collect(maps.Keys(c.texts))) }

// noteNearly adds that a category looks like numbers or dates.
func (p *plan) noteNearly() {
	if text := p.column.nearly(); text != "" {
		p.comment = append(p.comment, "GUESS: taken as texts, since "+text)
	}
}

// sameButCase lists values that differ in case only; empty: none do.
func sameButCase(values []string) string {
	byKey := map[string][]string{}
	for _, v := range values {
		byKey[strings.ToLower(v)] = append(byKey[strings.ToLower(v)], v)
	}
	var all []string
	for _, key := range slices.Sorted(maps.Keys(byKey)) {
		if len(byKey[key]) > 1 {
			all = append(all, byKey[key]...)
		}
	}
	return quoted(all)
}

// placeholders are numbers that stand for a missing value in some files.
var placeholders = []float64{-9, -99, -999, -9999, 99, 999, 9999, 99999}

// minPlaceholder is the share of rows from which an extreme value may be one.
const minPlaceholder = 0.05

// placeholder says that the lowest or highest number of a column may stand for a
// missing value: it is frequent, and far from all others. Empty: there is none.
func (c *column) placeholder(n numberProfile) string {
	if c.overflow {
		return ""
	}
	var values []float64
	counts := map[float64]int{}
	for text, count := range c.texts {
		x, _, ok := readNumber(text, plain)
		if !ok {
			return ""
		}
		values, counts[x] = append(values, x), counts[x]+count
	}
	slices.Sort(values)
	values = slices.Compact(values)
	if len(values) < 3 {
		return ""
	}
	low, high := values[1], values[len(values)-2]
	for _, p := range placeholders {
		far := p == n.min && p < 0 && low >= 0 || p == n.max && p > 2*high && low >= 0
		if far && float64(counts[p]) >= minPlaceholder*float64(c.seen) {
			return fmt.Sprintf("%s, in %s, is a number; if it means that the value is missing, leave these cells empty", number(p), countOf(counts[p], "row"))
		}
	}
	return ""
}

// clock returns the unit in which the numbers of a column look like times since 1970,
// from 2000 to 2100; empty: they do not.
func (n *numberProfile) clock() string {
	const from, to = 946_684_800, 4_102_444_800
	switch {
	case n.min >= from && n.max < to && n.max-n.min >= 86_400:
		return "seconds"
	case n.min >= 1000*from && n.max < 1000*to && n.max-n.min >= 86_400_000:
		return "milliseconds"
	}
	return ""
}
