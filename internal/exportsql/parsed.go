package exportsql

import (
	"fmt"
	"math"
	"strings"

	"gateway/internal/failure"
	"gateway/internal/schema"
)

// parsed makes the layers that read the texts: x of a number, c of a category (its index),
// day of a date; and the label.
func (p *Plan) parsed(l *layers) {
	lab := &p.schema.Label
	l.add("label_text", "CASE WHEN unlabelled_own THEN label_alias ELSE label_text_own END")
	l.add("label_given", "(NOT unlabelled_own OR label_aliased)")
	l.add("label_alias_value", "%s", labelOf("label_alias", lab))
	for i := range p.schema.Features {
		f := &p.schema.Features[i]
		t := fmt.Sprintf("t%d", i)
		switch {
		case f.Exclude:
		case f.Type == schema.Category:
			l.add(fmt.Sprintf("c%d", i), "%s", category(t, f))
		case f.Type == schema.Date:
			dateFields(l, i, f)
		default:
			l.add(fmt.Sprintf("x%d", i), "CASE WHEN %s THEN TRY_CAST(%s AS double) + 0e0 END", isDecimal(t), t)
		}
	}
	l.end("parsed", true)
	l.add("label", "%s", labelOf("label_text", lab))
	l.add("unlabelled", "(NOT label_given OR COALESCE(%s AND NOT %s AND NOT %s, false))",
		isMarker("label_text"), spells("label_text", lab.Positive), spells("label_text", lab.Negative))
	l.add("imported", "COALESCE(imported_own, CASE WHEN NOT unlabelled_own AND outcome > 0 THEN label_alias_value END, -1)")
	for i := range p.schema.Features {
		if f := &p.schema.Features[i]; !f.Exclude && f.Type == schema.Date {
			l.add(fmt.Sprintf("day%d", i), "%s", day(i, f))
		}
	}
	l.end("dated", true)
}

// category returns the index of a value, that of the unknown value where it is not listed,
// or NULL.
func category(t string, f *schema.Feature) string {
	var b strings.Builder
	fmt.Fprintf(&b, "CASE WHEN %s IS NULL THEN NULL", t)
	unknown := "NULL"
	for i, value := range f.Values {
		fmt.Fprintf(&b, " WHEN %s = %s THEN %d", t, quote(value), i)
		if f.Unknown != "" && value == f.Unknown {
			unknown = fmt.Sprint(i)
		}
	}
	fmt.Fprintf(&b, " ELSE %s END", unknown)
	return b.String()
}

// judged makes the layer of faults: f of each feature, or NULL.
func (p *Plan) judged(l *layers) {
	for i := range p.schema.Features {
		f := &p.schema.Features[i]
		if f.Exclude {
			continue
		}
		absent := "NULL"
		if f.Required() {
			absent = reason(failure.CodeMissing, f.Name)
		}
		l.add(fmt.Sprintf("f%d", i), "CASE WHEN e%d IS NOT NULL THEN e%[1]d WHEN t%[1]d IS NULL THEN %s %s END", i, absent, fault(i, f))
	}
	l.end("judged", true)
}

// fault returns the cases of a value that breaks the schema.
func fault(i int, f *schema.Feature) string {
	switch f.Type {
	case schema.Category:
		return fmt.Sprintf("WHEN c%d IS NULL THEN %s", i, reason(failure.CodeCategory, f.Name))
	case schema.Date:
		var cases string
		if pattern, ok := f.DatePattern(); f.Format != "" && (!ok || pattern.Named) {
			other := "true"
			if ok {
				other = fmt.Sprintf("regexp_like(t%d, '[^ -~]')", i) // letters beyond ASCII that fold to letters of a month
			}
			cases = fmt.Sprintf("WHEN day%d IS NULL AND %s THEN %s ", i, other, unread(f.Name, "a date that the format of the schema may read"))
		}
		return cases + fmt.Sprintf("WHEN day%d IS NULL THEN %s %s", i, reason(failure.CodeFormat, f.Name), bounds(fmt.Sprintf("day%d", i), f))
	}
	x, t := fmt.Sprintf("x%d", i), fmt.Sprintf("t%d", i)
	var cases []string
	if f.Format != "" {
		cases = append(cases, fmt.Sprintf("WHEN NOT n%d THEN %s", i, unread(f.Name, "a string with a number in the format of the schema")))
	}
	cases = append(cases,
		fmt.Sprintf("WHEN NOT %s THEN %s", isDecimal(t), reason(failure.CodeType, f.Name)),
		fmt.Sprintf("WHEN NOT COALESCE(abs(%s) <= %s, false) THEN %s", x, double(math.MaxFloat64), reason(failure.CodeRange, f.Name)))
	if f.Type == schema.Integer {
		cases = append(cases,
			fmt.Sprintf("WHEN NOT (%s = floor(%[1]s) AND (NOT regexp_like(%s, '[.eE]') OR %s = '' OR %s >= 0)) THEN %s",
				x, t, significant(t), powerOf(t), reason(failure.CodeInteger, f.Name)),
			fmt.Sprintf("WHEN abs(%s) > 9007199254740991e0 THEN %s", x, reason(failure.CodeRange, f.Name)))
	}
	return strings.Join(cases, " ") + " " + bounds(x, f)
}

// bounds returns the cases of a value out of the feature's range.
func bounds(x string, f *schema.Feature) string {
	var cases string
	if f.Min != nil {
		cases += fmt.Sprintf("WHEN %s < %s THEN %s ", x, double(*f.Min), reason(failure.CodeRange, f.Name))
	}
	if f.Max != nil {
		cases += fmt.Sprintf("WHEN %s > %s THEN %s ", x, double(*f.Max), reason(failure.CodeRange, f.Name))
	}
	return cases
}
