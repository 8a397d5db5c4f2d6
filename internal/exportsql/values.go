package exportsql

import (
	"fmt"
	"strings"

	"gateway/internal/export"
	"gateway/internal/failure"
	"gateway/internal/schema"
)

// values makes the layer of the texts that count: id, label and evidence, and of each
// feature its text t, NULL if it has no value, and the fault e of its attributes.
func (p *Plan) values(l *layers) {
	p.id(l)
	p.label(l)
	own := func(name string) int { return p.read(name) }
	l.add("made", "COALESCE(%s = %s, false)", p.text(own(export.OriginAttribute)), quote(export.OriginApp))
	l.add("caller", "COALESCE(%s, '')", p.text(own(export.CallerAttribute)))
	for i := range p.schema.Features {
		if f := &p.schema.Features[i]; !f.Exclude {
			p.feature(l, i, f)
		}
	}
	l.end("found", true)
}

// id adds the id and, in id_unread, why it cannot be told. The attribute of the schema's
// own name takes precedence; among aliases the item's order would tell, which a map does
// not have.
func (p *Plan) id(l *layers) {
	names := export.NamesOf(p.schema.ID, p.schema.IDAliases)
	text, number, _, _ := p.kinds()
	var cases, aliases []string
	for n, name := range names {
		i := p.read(name)
		given := fmt.Sprintf("%s OR r%d NOT IN ('', '\\N')", nested(i), i)
		cases = append(cases, fmt.Sprintf("WHEN %s THEN COALESCE(%s, NULL)", given, scalar(i, text, number)))
		if n > 0 {
			aliases = append(aliases, "CASE WHEN "+given+" THEN 1 ELSE 0 END")
		}
	}
	l.add("id", "CASE %s END", strings.Join(cases, " "))
	own := p.read(p.schema.ID)
	l.add("id_unread", "%s", atMostOne(aliases, fmt.Sprintf("(%s OR r%d NOT IN ('', '\\N'))", nested(own), own)))
}

// atMostOne is the condition that more than one of the flags is 1 although the attribute
// of the own name, which takes precedence, is not there.
func atMostOne(flags []string, own string) string {
	if len(flags) < 2 {
		return "false"
	}
	return fmt.Sprintf("(NOT COALESCE(%s, false) AND %s > 1)", own, strings.Join(flags, " + "))
}

// label adds the label's text, whether there is none, the label under an alias, and what
// evidence is numbers.
func (p *Plan) label(l *layers) {
	lab := &p.schema.Label
	names := export.NamesOf(lab.Name, lab.Aliases)
	own := p.read(names[0])
	missing := func(x string) string {
		return fmt.Sprintf("(%s AND NOT %s AND NOT %s)", isMarker(x), spells(x, lab.Positive), spells(x, lab.Negative))
	}
	l.add("unlabelled_own", "(a%d IS NULL OR COALESCE(%s, false))", own, missing(fmt.Sprintf("r%d", own)))
	texts, given, flags := []string{"NULL", "NULL"}, []string{"false"}, []string(nil)
	for _, name := range names[1:] {
		i := p.read(name)
		texts = append(texts, fmt.Sprintf("r%d", i))
		given = append(given, fmt.Sprintf("a%d IS NOT NULL", i))
		flags = append(flags, fmt.Sprintf("CASE WHEN a%d IS NOT NULL THEN 1 ELSE 0 END", i))
	}
	l.add("label_text_own", "r%d", own)
	l.add("label_alias", "CAST(COALESCE(%s) AS varchar)", strings.Join(texts, ", "))
	l.add("label_aliased", "(%s)", strings.Join(given, " OR "))
	l.add("label_unread", "%s", atMostOne(flags, "false"))
	l.add("outcome", "%s", positive(p.text(p.read(export.OutcomeAttribute))))
	l.add("labelled", "%s", positive(p.text(p.read(export.LabelledAttribute))))
	l.add("imported_own", "%s", labelOf(fmt.Sprintf("r%d", p.read(export.ImportedAttribute)), lab))
}

// positive reads a whole number above zero; anything else is zero.
func positive(x string) string {
	return fmt.Sprintf("COALESCE(CASE WHEN regexp_like(%s, '^[+-]?[0-9]+$') THEN greatest(TRY_CAST(%[1]s AS bigint), 0) END, 0)", x)
}

// feature adds t, e and, where the feature has a format of numbers, n: whether the value is
// of DynamoDB's type N.
func (p *Plan) feature(l *layers, at int, f *schema.Feature) {
	var texts, given, nest, number []string
	_, numbers, _, _ := p.kinds()
	for _, name := range export.NamesOf(f.Name, f.Aliases) {
		i := p.read(name)
		r := fmt.Sprintf("r%d", i)
		value := fmt.Sprintf("NOT %s", isMissing(r, f))
		texts = append(texts, fmt.Sprintf("CASE WHEN %s THEN %s END", value, r))
		given = append(given, fmt.Sprintf("CASE WHEN %s OR %s THEN 1 ELSE 0 END", nested(i), value))
		nest = append(nest, nested(i))
		for _, kind := range numbers {
			number = append(number, fmt.Sprintf("%s AND element_at(a%d, %s) IS NOT NULL", value, i, quote(kind)))
		}
	}
	duplicate := ""
	if len(given) > 1 {
		duplicate = fmt.Sprintf("WHEN %s > 1 THEN %s ", strings.Join(given, " + "), reason(failure.CodeDuplicate, f.Name))
	}
	l.add(fmt.Sprintf("t%d", at), "COALESCE(%s, NULL)", strings.Join(texts, ", "))
	l.add(fmt.Sprintf("e%d", at), "CASE %sWHEN %s THEN %s END", duplicate, strings.Join(nest, " OR "), reason(failure.CodeType, f.Name))
	if f.Format != "" && f.Type != schema.Date {
		l.add(fmt.Sprintf("n%d", at), "(%s)", strings.Join(number, " OR "))
	}
}

// reason is the literal of a fault of a feature.
func reason(code, feature string) string { return quote(code + ":" + feature) }

func unread(attribute, why string) string { return quote(Unread + attribute + " " + why) }
