package schema

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"gateway/internal/failure"
)

// Record holds a customer's feature values, possibly only some. It belongs to one
// Schema and must not be used with another. The zero Record is empty. A Record
// must not be used by two goroutines at once.
type Record struct {
	values []float64 // by feature: the number, the day, or the index into Values
	origin []origin  // by feature: where the value came from
}

type origin uint8

const (
	absent    origin = iota
	marked           // a text was taken as a missing value; values has its index in missingMarkers
	refused          // it was given, and its value broke the schema
	given            // this one and all below: the feature has a value
	mapped           // an unlisted category, replaced with the feature's Unknown
	defaulted        // absent in the input, taken from the schema
	null             // missing; values has 0
)

// NewRecord returns an empty record.
func (s *Schema) NewRecord() Record {
	n := len(s.Features)
	return Record{values: make([]float64, n), origin: make([]origin, n)}
}

// IsZero reports whether r is the zero Record, which belongs to no schema yet.
func (r Record) IsZero() bool { return r.origin == nil }

// Reset empties the record for reuse.
func (r Record) Reset() { clear(r.origin) }

// IsEmpty reports whether no feature was given, not even a wrong value.
func (r Record) IsEmpty() bool {
	for _, o := range r.origin {
		if o != absent {
			return false
		}
	}
	return true
}

// Over merges r over base: where both have a value, r's is taken, a null too. Either
// may be the zero Record. The result may share memory with both.
func (r Record) Over(base Record) Record {
	switch {
	case len(base.origin) == 0:
		return r
	case len(r.origin) == 0:
		return base
	}
	for i, o := range r.origin {
		if o <= marked && base.Has(i) {
			r.values[i], r.origin[i] = base.values[i], base.origin[i]
		}
	}
	return r
}

// Complete sets absent features to the schema's defaults, or to null if they may be
// missing, and returns one violation for each that is required. prefix is put before
// the names of the fields, such as "/features/". Excluded features may stay absent.
func (s *Schema) Complete(r Record, prefix string) []failure.Violation {
	return s.complete(r, prefix, refused)
}

// complete is Complete for features of an origin up to most: marked or refused.
func (s *Schema) complete(r Record, prefix string, most origin) []failure.Violation {
	var missing []failure.Violation
	for i := range s.Features {
		f := &s.Features[i]
		switch {
		case r.origin[i] > most:
		case f.Default != nil:
			r.values[i], r.origin[i] = *f.Default, defaulted
		case f.Exclude:
		case f.Missing:
			s.SetNull(r, i)
		default:
			missing = append(missing, failure.Violation{Field: failure.Pointer(prefix, f.Name), Code: failure.CodeMissing, Detail: r.absence(i)})
		}
	}
	return missing
}

// AddMissing adds one violation for each feature that is absent without a
// default, so that a caller gets all faults at once. A feature that is present
// but wrong is not reported as missing.
func (s *Schema) AddMissing(violations *failure.Violations, r Record, prefix string) {
	for _, v := range s.complete(r, prefix, marked) {
		violations.Add(v)
	}
}

// Has reports whether the feature of index i has a value, which may be null.
func (r Record) Has(i int) bool { return r.origin[i] >= given }

// Missing reports whether the feature of index i has no value, or null.
func (r Record) Missing(i int) bool { return !r.Has(i) || r.origin[i] == null }

// Value returns the number, the day or the index into Values of the feature of index
// i, which must have a value that is not null.
func (r Record) Value(i int) float64 { return r.values[i] }

// IsMapped reports whether the feature of index i had an unlisted category, which was
// replaced with its Unknown value.
func (r Record) IsMapped(i int) bool { return r.origin[i] == mapped }

// IsDefaulted reports whether the feature of index i was absent and took its default.
func (r Record) IsDefaulted(i int) bool { return r.origin[i] == defaulted }

// Incomplete reports whether a feature that is not excluded has no value in r. A
// default does not count as a value.
func (s *Schema) Incomplete(r Record) bool {
	for i := range r.origin {
		if !r.Has(i) && !s.Features[i].Exclude {
			return true
		}
	}
	return false
}

// LacksRequired reports whether a required feature has no value in r.
func (s *Schema) LacksRequired(r Record) bool {
	for i := range r.origin {
		if !r.Has(i) && s.Features[i].Required() {
			return true
		}
	}
	return false
}

// Mapped calls fn with the index of each feature whose unlisted category was
// replaced with the feature's Unknown value.
func (r Record) Mapped(fn func(feature int)) {
	for i, o := range r.origin {
		if o == mapped {
			fn(i)
		}
	}
}

// SetText sets a feature from text in the form of files and exports; a missing
// value leaves the feature absent. It returns the violation, if any.
func (s *Schema) SetText(r Record, i int, text string) *failure.Violation {
	return s.setText(r, i, strings.TrimSpace(text), s.Features[i].numbers)
}

// SetNumber is SetText for a number that is written as in JSON, whatever the
// feature's format is: an attribute of DynamoDB's type N.
func (s *Schema) SetNumber(r Record, i int, text string) *failure.Violation {
	return s.setText(r, i, strings.TrimSpace(text), nil)
}

func (s *Schema) setText(r Record, i int, text string, format *numberFormat) *failure.Violation {
	if text == "" {
		return nil
	}
	v := s.Features[i].setText(r, i, text, format)
	if v != nil {
		r.origin[i] = refused
	}
	return v
}

func (f *Feature) setText(r Record, i int, text string, format *numberFormat) *failure.Violation {
	if f.Type == Category {
		if marker := f.marker(text); marker >= 0 {
			r.setMarked(i, marker)
			return nil
		}
		return f.setCategory(r, i, text)
	}
	if f.Type == Date {
		return f.setDateText(r, i, text)
	}
	number, ok := text, true
	if format != nil {
		number, ok = format.read(text)
	}
	x, isNumber, finite := parseNumber(number)
	switch ok = ok && isNumber; {
	case !ok && f.marker(text) >= 0:
		r.setMarked(i, f.marker(text))
		return nil
	case !ok && format != nil:
		return f.violation(failure.CodeType, "must be "+f.kind()+` as in "`+f.Format+`"`, text)
	case !ok:
		return f.violation(failure.CodeType, "must be "+f.kind(), text)
	case !finite:
		return f.violation(failure.CodeRange, "is larger than a number can be", text)
	}
	return f.setNumber(r, i, x, number, text)
}

// setJSON sets a feature from one JSON value.
func (s *Schema) setJSON(r Record, i int, raw jsontext.Value) *failure.Violation {
	f := &s.Features[i]
	switch kind := raw.Kind(); {
	case kind == 'n' && s.SetNull(r, i):
		return nil
	case kind == '0' && f.Type != Category && f.Type != Date:
		text := string(raw)
		x, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return f.violation(failure.CodeRange, "is larger than a number can be", text)
		}
		return f.setNumber(r, i, x+0, text, text) // -0 + 0 is +0
	case kind == '"' && (f.Type == Category || f.Type == Date):
		text, err := jsontext.AppendUnquote(nil, raw)
		if err != nil {
			return f.violation(failure.CodeType, "is not a valid JSON string", "")
		}
		if f.Type == Category {
			return f.setCategory(r, i, string(text))
		}
		day, ok := parseDate(string(text))
		if !ok {
			return f.violation(failure.CodeFormat, "must be a date such as 2026-11-30", string(text))
		}
		return f.setDay(r, i, day, string(text))
	default:
		return f.violation(failure.CodeType, "must be "+f.kind()+", not "+JSONKind(kind), "")
	}
}

// setDateText sets a date from text in the feature's format.
func (f *Feature) setDateText(r Record, i int, text string) *failure.Violation {
	read, form := parseDate, "such as 2026-11-30"
	if f.dates != nil {
		read, form = f.dates.read, "in the form "+f.Format
	}
	day, ok := read(text)
	marker := f.marker(text)
	switch {
	case ok:
		return f.setDay(r, i, day, text)
	case marker >= 0:
		r.setMarked(i, marker)
		return nil
	}
	return f.violation(failure.CodeFormat, "must be a date "+form, text)
}

func (f *Feature) setDay(r Record, i int, day float64, text string) *failure.Violation {
	if v := f.check(day, text); v != nil {
		return v
	}
	r.values[i], r.origin[i] = day, given
	return nil
}

// setNumber sets x, which is the value of number; text is how it was written.
func (f *Feature) setNumber(r Record, i int, x float64, number, text string) *failure.Violation {
	if f.Type == Integer && !isInteger(number, x) {
		return f.violation(failure.CodeInteger, "must be an integer", text)
	}
	if v := f.check(x, text); v != nil {
		return v
	}
	r.values[i], r.origin[i] = x, given
	return nil
}

// check compares a number or a day with the feature's range; text is how it was written.
func (f *Feature) check(x float64, text string) *failure.Violation {
	switch {
	case f.Type == Integer && math.Abs(x) > maxInteger:
		return f.violation(failure.CodeRange, "is beyond the integers that are exact (magnitude below 2^53)", text)
	case f.Min != nil && x < *f.Min:
		return f.violation(failure.CodeRange, "must be at least "+f.format(*f.Min), text)
	case f.Max != nil && x > *f.Max:
		return f.violation(failure.CodeRange, "must be at most "+f.format(*f.Max), text)
	}
	return nil
}

func (f *Feature) setCategory(r Record, i int, text string) *failure.Violation {
	if code, ok := f.index[text]; ok {
		r.values[i], r.origin[i] = float64(code), given
		return nil
	}
	if f.Unknown != "" {
		r.values[i], r.origin[i] = float64(f.index[f.Unknown]), mapped
		return nil
	}
	const most = 20
	list := strings.Join(f.Values[:min(len(f.Values), most)], ", ")
	if len(f.Values) > most {
		list += fmt.Sprintf(", … (%d in all)", len(f.Values))
	}
	return f.violation(failure.CodeCategory, "must be one of "+list, text)
}

// violation describes a bad value. It repeats the value, shortened, unless the
// feature is personal.
func (f *Feature) violation(code, rule, value string) *failure.Violation {
	detail := rule
	if value != "" && !f.Personal {
		detail = fmt.Sprintf("%s, not %q", rule, shorten(value))
	}
	return &failure.Violation{Field: f.Name, Code: code, Detail: detail}
}

func shorten(text string) string {
	const most = 40
	end := ""
	if utf8.RuneCountInString(text) > most {
		runes := 0
		for i := range text {
			if runes == most {
				text, end = text[:i], "…"
				break
			}
			runes++
		}
	}
	if !utf8.ValidString(text) {
		quoted := strconv.Quote(text)
		text = quoted[1 : len(quoted)-1]
	}
	return text + end
}

func (f *Feature) kind() string {
	switch f.Type {
	case Integer:
		return "an integer"
	case Number:
		return "a number"
	case Date:
		return "a date in a string"
	}
	return "a string"
}

// JSONKind names a kind of JSON value in words for error messages, such as "a
// number".
func JSONKind(k jsontext.Kind) string {
	switch k {
	case 'n':
		return "null"
	case 't', 'f':
		return "a boolean"
	case '"':
		return "a string"
	case '0':
		return "a number"
	case '{':
		return "an object"
	case '[':
		return "an array"
	}
	return "something else"
}
