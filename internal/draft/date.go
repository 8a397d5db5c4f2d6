package draft

import (
	"strings"
	"time"
)

// dateFormat is a way to write dates: as a schema names it, and as package time does.
type dateFormat struct{ schema, layout string }

// dateFormats are the formats that are recognised, with the preferred one first
// where a date can be read in two.
var dateFormats = withTimes([]dateFormat{
	{"YYYY-MM-DD", "2006-01-02"}, {"YYYY/MM/DD", "2006/01/02"}, {"YYYY.MM.DD", "2006.01.02"}, {"YYYYMMDD", "20060102"},
	{"D.M.YYYY", "2.1.2006"}, {"D/M/YYYY", "2/1/2006"}, {"M/D/YYYY", "1/2/2006"}, {"D-M-YYYY", "2-1-2006"}, {"M-D-YYYY", "1-2-2006"},
	{"D.M.YY", "2.1.06"}, {"D/M/YY", "2/1/06"}, {"M/D/YY", "1/2/06"}, {"D-MMM-YY", "2-Jan-06"}, {"D-MMM-YYYY", "2-Jan-2006"}, {"D MMM YYYY", "2 Jan 2006"},
})

// withTimes adds the formats that have a time after the date.
func withTimes(dates []dateFormat) []dateFormat {
	all := dates
	for _, d := range dates {
		all = append(all, dateFormat{d.schema + " HH:mm", d.layout + " 15:04"}, dateFormat{d.schema + " HH:mm:ss", d.layout + " 15:04:05"})
	}
	return append(all, dateFormat{"", time.RFC3339}, dateFormat{"YYYY-MM-DDTHH:mm:ss", "2006-01-02T15:04:05"})
}

// matches reports whether a text is a date in the format.
func (f dateFormat) matches(text string) bool {
	at, err := time.Parse(f.layout, text)
	return err == nil && plausible(at)
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
		at, err := time.Parse(dateFormats[i].layout, text)
		if err != nil || !plausible(at) {
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
// every cell as well, as other dates.
func (d *dateProfile) format() (format dateFormat, others []dateFormat, ok bool) {
	if d.seen == 0 || d.none || len(d.fit) == 0 {
		return dateFormat{}, nil, false
	}
	for _, i := range d.fit[1:] {
		others = append(others, dateFormats[i])
	}
	return dateFormats[d.fit[0]], others, true
}
