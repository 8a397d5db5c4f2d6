package exportsql

import (
	"fmt"
	"strings"

	"gateway/internal/schema"
)

// The forms of dates that need no format: those of package schema.
const (
	isoDate  = "^([0-9]{4})-([0-9]{2})-([0-9]{2})$"
	dateTime = "^([0-9]{4})-([0-9]{2})-([0-9]{2})[T ]([0-9]{2}):([0-9]{2}):([0-9]{2})([.][0-9]+)?(Z| ?UTC| ?[+-][0-9]{2}(:?[0-9]{2})?)$"
)

// dateFields adds the fields of a date: year, month, mday, hour, minute, second, and zone,
// the offset in seconds. Each is NULL if the text is no date.
func dateFields(l *layers, i int, f *schema.Feature) {
	t := fmt.Sprintf("t%d", i)
	name := func(field string) string { return fmt.Sprintf("%s%d", field, i) }
	if p, ok := f.DatePattern(); ok {
		is := fmt.Sprintf("regexp_like(%s, %s)", t, quote(p.Expression))
		pick := func(field string, n, iso int) {
			own := "0e0"
			if n > 0 {
				own = groupNumber(t, p.Expression, n)
			}
			other := "0e0"
			if iso > 0 {
				other = groupNumber(t, isoDate, iso)
			}
			switch {
			case field == "year" && p.Century:
				own = fmt.Sprintf("(%s + CASE WHEN %[1]s >= 69 THEN 1900e0 ELSE 2000e0 END)", own)
			case field == "month" && p.Named:
				own = monthNumber(group(t, p.Expression, n))
			case iso == 0:
				own = "COALESCE(" + own + ", 0e0)" // it may be in brackets
			}
			l.add(name(field), "CASE WHEN %s THEN %s ELSE %s END", is, own, other)
		}
		pick("year", p.Year, 1)
		pick("month", p.Month, 2)
		pick("mday", p.Day, 3)
		pick("hour", p.Hour, 0)
		pick("minute", p.Minute, 0)
		pick("second", p.Second, 0)
		l.add(name("zone"), "0e0")
		return
	}
	if f.Format != "" {
		for n, field := range []string{"year", "month", "mday"} {
			l.add(name(field), "%s", groupNumber(t, isoDate, n+1))
		}
		for _, field := range []string{"hour", "minute", "second", "zone"} {
			l.add(name(field), "0e0")
		}
		return
	}
	is := fmt.Sprintf("regexp_like(%s, %s)", t, quote(dateTime))
	for n, field := range []string{"year", "month", "mday"} {
		l.add(name(field), "COALESCE(%s, %s)", groupNumber(t, isoDate, n+1), groupNumber(t, dateTime, n+1))
	}
	for n, field := range []string{"hour", "minute", "second"} {
		l.add(name(field), "CASE WHEN %s THEN %s ELSE 0e0 END", is, groupNumber(t, dateTime, n+4))
	}
	zone := group(t, dateTime, 8)
	hours, minutes := groupNumber(zone, "[+-]([0-9]{2})", 1), groupNumber(zone, "[+-][0-9]{2}:?([0-9]{2})$", 1)
	l.add(name("zone"), "CASE WHEN NOT %s OR NOT regexp_like(%s, '[+-]') THEN 0e0 WHEN %s > 24 OR COALESCE(%s, 0e0) > 60 THEN NULL "+
		"ELSE (CASE WHEN strpos(%[2]s, '-') > 0 THEN -1e0 ELSE 1e0 END) * (%[3]s * 3600 + COALESCE(%[4]s, 0e0) * 60) END", is, zone, hours, minutes)
}

// monthNumber returns the number of a month's name.
func monthNumber(x string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "CASE lower(substr(%s, 1, 3))", x)
	for i, name := range []string{"jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"} {
		fmt.Fprintf(&b, " WHEN '%s' THEN %de0", name, i+1)
	}
	return b.String() + " END"
}

// Days of the years 1 to 9999, which a date must be of.
const firstDay, lastDay = "-719162e0", "2932896e0"

// day returns the day of the fields of a date, or NULL if they are none. The arithmetic is
// H. Hinnant's days_from_civil ("chrono-Compatible Low-Level Date Algorithms"), in doubles,
// which are exact here and mean the same to every engine.
func day(i int, f *schema.Feature) string {
	y, m, d := fmt.Sprintf("year%d", i), fmt.Sprintf("month%d", i), fmt.Sprintf("mday%d", i)
	h, mi, s, o := fmt.Sprintf("hour%d", i), fmt.Sprintf("minute%d", i), fmt.Sprintf("second%d", i), fmt.Sprintf("zone%d", i)
	leap := fmt.Sprintf("(%s = 4e0 * floor(%[1]s / 4e0) AND (%[1]s <> 100e0 * floor(%[1]s / 100e0) OR %[1]s = 400e0 * floor(%[1]s / 400e0)))", y)
	length := fmt.Sprintf("CASE WHEN %s = 2 THEN (CASE WHEN %s THEN 29 ELSE 28 END) WHEN %[1]s IN (4, 6, 9, 11) THEN 30 ELSE 31 END", m, leap)
	lastSecond := "59"
	if f.Format != "" {
		lastSecond = "60" // package schema does not check seconds of a format any closer
	}
	valid := fmt.Sprintf("%s BETWEEN 1 AND 12 AND %s >= 1 AND %[2]s <= (%s) AND %s <= 23 AND %s <= 59 AND %s <= %s", m, d, length, h, mi, s, lastSecond)
	shift := fmt.Sprintf("floor((%s * 3600 + %s * 60 + %s - %s) / 86400e0)", h, mi, s, o)
	if f.Format != "" {
		shift = "0e0" // a format has no zone, and second 60 is of the same day
	}
	yy := fmt.Sprintf("(%s - CASE WHEN %s <= 2 THEN 1e0 ELSE 0e0 END)", y, m)
	yoe := fmt.Sprintf("(%s - 400e0 * floor(%[1]s / 400e0))", yy)
	doy := fmt.Sprintf("(floor((153e0 * (%s + CASE WHEN %[1]s > 2 THEN -3e0 ELSE 9e0 END) + 2e0) / 5e0) + %s - 1e0)", m, d)
	days := fmt.Sprintf("(floor(%s / 400e0) * 146097e0 + %s * 365e0 + floor(%[2]s / 4e0) - floor(%[2]s / 100e0) + %s - 719468e0 + %s)", yy, yoe, doy, shift)
	return fmt.Sprintf("CASE WHEN %s AND %s BETWEEN %s AND %s THEN %[2]s END", valid, days, firstDay, lastDay)
}

// monthOf returns the month of a day, by civil_from_days of the same source.
func monthOf(day string) string {
	doe := fmt.Sprintf("(%s + 719468e0 - 146097e0 * floor((%[1]s + 719468e0) / 146097e0))", day)
	yoe := fmt.Sprintf("floor((%s - floor(%[1]s / 1460e0) + floor(%[1]s / 36524e0) - floor(%[1]s / 146096e0)) / 365e0)", doe)
	doy := fmt.Sprintf("(%s - (365e0 * %s + floor(%[2]s / 4e0) - floor(%[2]s / 100e0)))", doe, yoe)
	mp := fmt.Sprintf("floor((5e0 * %s + 2e0) / 153e0)", doy)
	return fmt.Sprintf("(%s + CASE WHEN %[1]s < 10 THEN 3e0 ELSE -9e0 END)", mp)
}

// weekdayOf returns the day of the week, Monday 1 to Sunday 7. Day 0 was a Thursday.
func weekdayOf(day string) string {
	return fmt.Sprintf("(%s + 3e0 - 7e0 * floor((%[1]s + 3e0) / 7e0) + 1e0)", day)
}
