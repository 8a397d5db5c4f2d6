package schema

import (
	"regexp"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// # Dates
//
// A date is a number of days since 1970-01-01, in UTC. It is counted from a fixed day
// and not to today, so that a row has the same code whenever it is encoded: in
// training, and in every request after it.

const isoDate = "2006-01-02"

// dayOf returns the day of a time; ok is false beyond the years 1 to 9999.
func dayOf(t time.Time) (day float64, ok bool) {
	t = t.UTC()
	midnight := time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, time.UTC)
	return float64(midnight.Unix() / secondsOfDay), t.Year() >= 1 && t.Year() <= 9999
}

const secondsOfDay = 24 * 60 * 60

func timeOf(day float64) time.Time { return time.Unix(int64(day)*secondsOfDay, 0).UTC() }

func formatDay(day float64) string { return timeOf(day).Format(isoDate) }

// parseISODate reads a full-date of RFC 3339.
func parseISODate(text string) (day float64, ok bool) {
	t, err := time.Parse(isoDate, text)
	if err != nil {
		return 0, false
	}
	return dayOf(t)
}

// parseDate reads a full-date or a date-time of RFC 3339. Of a date-time it takes
// the day in UTC. As databases write it, a blank may stand for the T, and the offset may
// be +02 or +0200 or UTC, after a blank or not.
func parseDate(text string) (day float64, ok bool) {
	if day, ok = parseISODate(text); ok {
		return day, true
	}
	if day, ok = parseDateTime(text); !ok {
		day, ok = parseDateTime(asRFC3339(text))
	}
	return day, ok
}

var shortOffset = regexp.MustCompile(`[+-]\d\d(\d\d)?$`)

// asRFC3339 rewrites a date-time of a database in the form of RFC 3339. What is none
// remains none.
func asRFC3339(text string) string {
	if len(text) > len(isoDate) && text[len(isoDate)] == ' ' {
		text = text[:len(isoDate)] + "T" + text[len(isoDate)+1:]
	}
	if rest, ok := strings.CutSuffix(text, "UTC"); ok {
		return strings.TrimSuffix(rest, " ") + "Z"
	}
	zone := max(0, strings.LastIndexAny(text, "+-"))
	text = strings.TrimSuffix(text[:zone], " ") + text[zone:]
	at := shortOffset.FindStringIndex(text)
	if at == nil {
		return text
	}
	hours := at[0] + len("+02")
	if minutes := text[hours:]; minutes != "" {
		return text[:hours] + ":" + minutes
	}
	return text + ":00"
}

// parseDateTime reads a date-time of RFC 3339.
func parseDateTime(text string) (day float64, ok bool) {
	// time.Parse accepts an hour of one digit and a comma before a fraction.
	const hour = "2006-01-02T15"
	t, err := time.Parse(time.RFC3339, text)
	if err != nil || text[len(hour)] != ':' || strings.Contains(text, ",") {
		return 0, false
	}
	return dayOf(t)
}

// appendDay appends the three columns of a date: the day, the month from 1, and the
// day of the week from Monday, 1, to Sunday, 7.
func appendDay(dst Vector, day float64) Vector {
	t := timeOf(day)
	weekday := (int(t.Weekday())+6)%7 + 1
	return append(dst, day, float64(t.Month()), float64(weekday))
}

// DateReader returns a function that reads the dates of a format of a feature, and no
// other dates; of the empty format those of RFC 3339, which parseDate extends. It panics
// if the format is invalid.
func DateReader(format string) func(text string) (day time.Time, ok bool) {
	read := parseDate
	if format != "" {
		d, fault := parseDateFormat(format)
		if fault != "" {
			panic("schema: date format " + format + " " + fault)
		}
		read = d.match
	}
	return func(text string) (time.Time, bool) {
		day, ok := read(text)
		return timeOf(day), ok
	}
}

// dateFormat is the way in which the dates of a column are written, as the
// feature's format: names it: "DD.MM.YYYY", "M/D/YY", "YYYY-MM-DD HH:mm[:ss]".
type dateFormat struct {
	parts []datePart
	tail  []datePart // what is in brackets: a cell may end before it
}

// datePart is a field of digits or a literal text.
type datePart struct {
	field    dateField
	min, max int // digits; zero for a text: a month by its name, or AM and PM
	literal  string
}

type dateField uint8

const (
	fieldNone dateField = iota // a literal text
	fieldYear
	fieldMonth
	fieldDay
	fieldHour
	fieldMinute
	fieldSecond
	fieldHalf // AM or PM, which does not change the day
	dateFields
)

// dateTokens are the names of fields in a format, longer ones first.
var dateTokens = []struct {
	name string
	part datePart
}{
	{"YYYY", datePart{field: fieldYear, min: 4, max: 4}}, {"YY", datePart{field: fieldYear, min: 2, max: 2}},
	{"MMMM", datePart{field: fieldMonth, literal: fullName}}, {"MMM", datePart{field: fieldMonth}}, {"MM", datePart{field: fieldMonth, min: 2, max: 2}}, {"M", datePart{field: fieldMonth, min: 1, max: 2}},
	{"DD", datePart{field: fieldDay, min: 2, max: 2}}, {"D", datePart{field: fieldDay, min: 1, max: 2}},
	{"HH", datePart{field: fieldHour, min: 2, max: 2}}, {"H", datePart{field: fieldHour, min: 1, max: 2}},
	{"mm", datePart{field: fieldMinute, min: 2, max: 2}}, {"ss", datePart{field: fieldSecond, min: 2, max: 2}},
	{"A", datePart{field: fieldHalf}},
}

// fullName marks a month that is written in full.
const fullName = "full"

// parseDateFormat reads a format. fault says why it is none.
func parseDateFormat(text string) (d *dateFormat, fault string) {
	d = &dateFormat{}
	parts := &d.parts
	var seen [dateFields]bool
	for rest := text; rest != ""; {
		part, size := nextPart(rest)
		c := rest[:size]
		rest = rest[size:]
		switch {
		case c == "[" && parts == &d.parts:
			parts = &d.tail
			continue
		case c == "]" && parts == &d.tail && rest == "":
			continue
		case c == "[" || c == "]":
			return nil, "may have brackets only around its end"
		case part.field == fieldNone && isTokenRune(c):
			return nil, "has " + c + "; its fields are YYYY, YY, MMMM, MMM, MM, M, DD, D, HH, H, mm, ss and A"
		case part.field != fieldNone && seen[part.field]:
			return nil, "has a field twice: " + c
		}
		if n := len(*parts); n > 0 && part.field != fieldNone && (*parts)[n-1].min < (*parts)[n-1].max {
			return nil, "needs a separator before " + c
		}
		seen[part.field] = true
		*parts = append(*parts, part)
	}
	if !seen[fieldYear] || !seen[fieldMonth] || !seen[fieldDay] {
		return nil, "must have a year, a month and a day, as in DD.MM.YYYY"
	}
	for _, part := range d.tail {
		if part.field == fieldYear || part.field == fieldMonth || part.field == fieldDay {
			return nil, "must have year, month and day outside of brackets"
		}
	}
	// The gateway writes dates of stored customers as YYYY-MM-DD.
	const sample = "2001-02-03"
	want, _ := parseISODate(sample)
	if got, ok := d.match(sample); ok && got != want {
		return nil, "reads 2001-02-03 as " + formatDay(got)
	}
	return d, ""
}

// nextPart returns the field or the character at the beginning of a format.
func nextPart(text string) (part datePart, size int) {
	for _, token := range dateTokens {
		if strings.HasPrefix(text, token.name) {
			return token.part, len(token.name)
		}
	}
	_, size = utf8.DecodeRuneInString(text)
	return datePart{literal: text[:size]}, size
}

// isTokenRune reports whether a character may not be a literal: a digit, or a letter
// other than the T and Z of RFC 3339 and those behind numbers in dates of East Asia.
func isTokenRune(c string) bool {
	r, _ := utf8.DecodeRuneInString(c)
	return unicode.IsDigit(r) || unicode.IsLetter(r) && !strings.ContainsRune("TZ年月日년월일", r)
}

// read returns the day that a cell has, in the format or as YYYY-MM-DD.
func (d *dateFormat) read(text string) (day float64, ok bool) {
	if day, ok = d.match(text); ok {
		return day, true
	}
	return parseISODate(text)
}

func (d *dateFormat) match(text string) (float64, bool) {
	fields := [dateFields]int{}
	rest, ok := take(d.parts, text, &fields)
	if ok && rest != "" {
		rest, ok = take(d.tail, rest, &fields)
	}
	if !ok || rest != "" || fields[fieldHour] > 23 || fields[fieldMinute] > 59 || fields[fieldSecond] > 60 {
		return 0, false
	}
	t := time.Date(fields[fieldYear], time.Month(fields[fieldMonth]), fields[fieldDay], 0, 0, 0, 0, time.UTC)
	if t.Month() != time.Month(fields[fieldMonth]) || t.Day() != fields[fieldDay] {
		return 0, false // such as February 30
	}
	return dayOf(t)
}

// take reads the parts from the beginning of a text and returns what is left.
func take(parts []datePart, text string, fields *[dateFields]int) (rest string, ok bool) {
	for _, part := range parts {
		if part.field == fieldNone {
			if text, ok = strings.CutPrefix(text, part.literal); !ok {
				return "", false
			}
			continue
		}
		if part.max == 0 {
			if text, ok = takeWord(part, text, fields); !ok {
				return "", false
			}
			continue
		}
		n, value := 0, 0
		for n < part.max && n < len(text) && text[n] >= '0' && text[n] <= '9' {
			value, n = 10*value+int(text[n]-'0'), n+1
		}
		if n < part.min {
			return "", false
		}
		if part.field == fieldYear && part.max == 2 {
			value = century(value)
		}
		text, fields[part.field] = text[n:], value
		if part.field == fieldSecond {
			text = withoutFraction(text)
		}
	}
	return text, true
}

// takeWord reads the name of a month, or AM or PM, from the beginning of a text and
// returns what is left.
func takeWord(part datePart, text string, fields *[dateFields]int) (rest string, ok bool) {
	if part.field == fieldHalf {
		const letters = 2
		ok = len(text) >= letters && (strings.EqualFold(text[:letters], "AM") || strings.EqualFold(text[:letters], "PM"))
		return text[min(letters, len(text)):], ok
	}
	month, ok := monthNamed(text)
	if !ok {
		return "", false
	}
	letters := monthLetters
	if part.literal == fullName {
		name := time.Month(month).String()
		if letters = len(name); len(text) < letters || !strings.EqualFold(text[:letters], name) {
			return "", false
		}
	}
	fields[fieldMonth] = month
	return text[letters:], true
}

// withoutFraction cuts a fraction of a second from the beginning of a text.
func withoutFraction(text string) string {
	rest, ok := strings.CutPrefix(text, ".")
	digits := strings.TrimLeft(rest, "0123456789")
	if !ok || len(digits) == len(rest) {
		return text
	}
	return digits
}

// monthLetters is the number of letters of an English month that a format MMM reads.
const monthLetters = 3

// monthNamed returns the month, 1 to 12, whose first three letters begin a text, in
// any case.
func monthNamed(text string) (month int, ok bool) {
	if len(text) < monthLetters {
		return 0, false
	}
	for m := time.January; m <= time.December; m++ {
		if strings.EqualFold(text[:monthLetters], m.String()[:monthLetters]) {
			return int(m), true
		}
	}
	return 0, false
}

// century completes a year of two digits as POSIX does: 69 to 99 are of the
// twentieth century, 0 to 68 of the twenty-first.
func century(year int) int {
	if year >= 69 {
		return 1900 + year
	}
	return 2000 + year
}
