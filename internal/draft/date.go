package draft

import (
	"strings"
	"time"

	"gateway/internal/schema"
)

// dateFormat is a way to write dates, as a schema names it. read is how the schema
// reads it.
type dateFormat struct {
	schema string
	read   func(text string) (time.Time, bool)
}

// dateFormats are the formats that are recognised, with the preferred one first
// where a date can be read in two. The last one is that of a schema without a format.
var dateFormats = withTimes("YYYY-MM-DD", "YYYY/MM/DD", "YYYY.MM.DD", "YYYYMMDD",
	"D.M.YYYY", "D/M/YYYY", "M/D/YYYY", "D-M-YYYY", "M-D-YYYY", "D.M.YY", "D/M/YY", "M/D/YY",
	"YYYY年M月D日", "YYYY년 M월 D일", "D-MMM-YY", "D-MMM-YYYY", "D MMM YYYY", "D MMMM YYYY", "D. MMMM YYYY", "MMM D, YYYY", "MMMM D, YYYY", "MMM D YYYY", "MMMM D YYYY")

// withTimes adds the formats that have a time after the date.
func withTimes(dates ...string) []dateFormat {
	names := dates
	for _, d := range dates {
		names = append(names, d+" HH:mm", d+" HH:mm:ss", d+" H:mm", d+" H:mm:ss", d+" H:mm A", d+" H:mm:ss A")
	}
	names = append(names, "YYYY-MM-DDTHH:mm:ss", "")
	all := make([]dateFormat, len(names))
	for i, name := range names {
		all[i] = dateFormat{name, schema.DateReader(name)}
	}
	return all
}

// matches reports whether a text is a date in the format.
func (f dateFormat) matches(text string) bool {
	at, ok := f.read(text)
	return ok && plausible(at)
}

// plausible reports whether a date is one of a customer, and not a number that looks
// like a date.
func plausible(at time.Time) bool { return at.Year() >= 1800 && at.Year() <= 2200 }

// dateProfile counts in which formats the cells of a column are dates.
type dateProfile struct {
	seen int
	fit  []int // indexes into dateFormats that all cells fit; nil before the first cell
	none bool
	min  time.Time
	max  time.Time
}

func (d *dateProfile) add(text string) {
	d.seen++
	if d.none {
		return
	}
	if d.seen == 1 {
		for i := range dateFormats {
			d.fit = append(d.fit, i)
		}
	}
	if len(text) < 6 || len(text) > 35 || !strings.ContainsAny(text, "0123456789") {
		d.none = true
		return
	}
	fit := d.fit[:0]
	first := true
	for _, i := range d.fit {
		at, ok := dateFormats[i].read(text)
		if !ok || !plausible(at) {
			continue
		}
		if fit = append(fit, i); first {
			if d.seen == 1 || at.Before(d.min) {
				d.min = at
			}
			if d.seen == 1 || at.After(d.max) {
				d.max = at
			}
			first = false
		}
	}
	d.fit, d.none = fit, len(fit) == 0
}

// format returns the format of a column of dates, and the others that would read
// every cell as well.
func (d *dateProfile) format() (format dateFormat, others []dateFormat, ok bool) {
	if d.seen == 0 || d.none || len(d.fit) == 0 {
		return dateFormat{}, nil, false
	}
	for _, i := range d.fit[1:] {
		others = append(others, dateFormats[i])
	}
	return dateFormats[d.fit[0]], others, true
}
