package schema

import (
	"regexp"
	"strings"
	"time"
)

// DatePattern is the format of a date as a regular expression without backslashes, lazy
// operators or names, which engines of other languages read alike. Each number is the
// group of the expression that has the field, or 0 where the format has none.
type DatePattern struct {
	Expression                             string
	Year, Month, Day, Hour, Minute, Second int
	Century                                bool // the year has two digits
	Named                                  bool // the month is a name, of which the first three letters tell
}

// DatePattern returns the pattern of the feature's format. ok is false if the feature has
// no format, or one that no such expression reads alike.
func (f *Feature) DatePattern() (p DatePattern, ok bool) {
	if f.dates == nil {
		return p, false
	}
	b := &patternBuilder{}
	b.parts(f.dates.parts)
	if len(f.dates.tail) > 0 {
		b.text.WriteString("(")
		b.groups++
		b.parts(f.dates.tail)
		b.text.WriteString(")?")
	}
	p = b.pattern
	p.Expression = "^" + b.text.String() + "$"
	return p, !b.unlike
}

type patternBuilder struct {
	text    strings.Builder
	groups  int
	pattern DatePattern
	unlike  bool
}

func (b *patternBuilder) parts(parts []datePart) {
	for i, part := range parts {
		if part.field == fieldNone {
			b.text.WriteString(literalPattern(part.literal))
			continue
		}
		b.groups++
		switch {
		case part.field == fieldHalf:
			b.text.WriteString("([AaPp][Mm])")
		case part.max == 0:
			b.text.WriteString("(" + monthPattern(part.literal == fullName) + ")")
			b.pattern.Named = true
		case part.min == part.max:
			b.text.WriteString("(" + strings.Repeat("[0-9]", part.min) + ")")
		default:
			b.text.WriteString("([0-9][0-9]?)") // M, D and H
		}
		if field := b.group(part.field); field != nil {
			*field = b.groups
		}
		b.pattern.Century = b.pattern.Century || part.field == fieldYear && part.max == 2
		if part.field == fieldSecond {
			b.groups++
			b.text.WriteString("([.][0-9]+)?")
			// An expression may give the fraction's point to a literal that follows.
			b.unlike = b.unlike || i+1 < len(parts) && strings.HasPrefix(parts[i+1].literal, ".")
		}
	}
}

func (b *patternBuilder) group(field dateField) *int {
	p := &b.pattern
	switch field {
	case fieldYear:
		return &p.Year
	case fieldMonth:
		return &p.Month
	case fieldDay:
		return &p.Day
	case fieldHour:
		return &p.Hour
	case fieldMinute:
		return &p.Minute
	case fieldSecond:
		return &p.Second
	}
	return nil
}

// literalPattern matches one character.
func literalPattern(text string) string {
	if regexp.QuoteMeta(text) == text {
		return text
	}
	if text == "^" || text == `\` {
		return `\` + text
	}
	return "[" + text + "]"
}

// monthPattern matches the names of months, whole or their first three letters, in any
// case.
func monthPattern(whole bool) string {
	var names []string
	for m := time.January; m <= time.December; m++ {
		name := m.String()
		if !whole {
			name = name[:monthLetters]
		}
		var b strings.Builder
		for _, r := range name {
			b.WriteString("[" + strings.ToUpper(string(r)) + strings.ToLower(string(r)) + "]")
		}
		names = append(names, b.String())
	}
	return strings.Join(names, "|")
}
