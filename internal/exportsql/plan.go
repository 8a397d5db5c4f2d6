package exportsql

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"gateway/internal/export"
	"gateway/internal/failure"
	"gateway/internal/schema"
)

// Unread begins the reason of an item that SQL cannot tell about as package export does.
// The name of the attribute follows, then a blank and why.
const Unread = "unread:"

// MaxBytes is the maximum length of a query of Athena.
const MaxBytes = 262_144

// Plan is the conversion of exports of a layout by a schema.
type Plan struct {
	schema *schema.Schema
	layout export.Layout
	names  []string // of attributes that are read
	base   string   // the layers before a policy
}

// New makes the plan. The error is of kind Invalid where the schema or the layout cannot
// be converted by SQL.
func New(s *schema.Schema, layout export.Layout) (*Plan, error) {
	if layout != export.Native && layout != export.Backup {
		return nil, failure.Errorf(failure.Invalid, "Athena converts exports with a manifest, and this one is of single files; set GATEWAY_TRANSFORM=inline")
	}
	p := &Plan{schema: s, layout: layout}
	l := &layers{}
	p.lines(l)
	p.attributes(l)
	p.values(l)
	p.parsed(l)
	p.judged(l)
	p.rows(l)
	p.base = l.text.String()
	if n := p.longest(); n > MaxBytes {
		widest := slices.MaxFunc(s.Features, func(a, b schema.Feature) int { return a.Width() - b.Width() })
		return nil, failure.Errorf(failure.Invalid, "the query of the %d columns of schema %s would have %d bytes, and Athena takes %d; "+
			"feature %q has %d of the columns: encode it as ordinal, or set GATEWAY_TRANSFORM=inline", s.Width(), s.Name, n, MaxBytes, widest.Name, widest.Width())
	}
	return p, nil
}

// longest is the length of the longest query, with names as long as they may be.
func (p *Plan) longest() int {
	table, address := strings.Repeat("x", 128), "s3://"+strings.Repeat("x", 1024)
	policy := export.Policy{KnownOnly: true, Probation: 1}
	return max(len(p.Counts(table, policy, math.MaxInt64)), len(p.Unload(table, address, policy, false)), len(p.UnloadEvidence(table, address, policy)))
}

// kinds are the names of DynamoDB's scalar types in the layout.
func (p *Plan) kinds() (text, number, boolean, null []string) {
	if p.layout == export.Native {
		return []string{"S"}, []string{"N"}, []string{"BOOL"}, []string{"NULL"}
	}
	return []string{"s", "S"}, []string{"n", "N"}, []string{"bOOL", "BOOL", "bool"}, []string{"nULLValue", "nULL", "NULL", "null"}
}

// lines makes the layers of lines and of items.
func (p *Plan) lines(l *layers) {
	l.begin("lines", "line", "{table} WHERE regexp_like(line, '[^ \t\r]')"+p.files())
	root := "json_parse(line)"
	if p.layout == export.Native {
		root = "json_extract(json_parse(line), '$.Item')"
	}
	l.add("line", "line")
	l.add("item", "TRY(CAST(%s AS map(varchar, map(varchar, json))))", root)
	l.end("items", false)
}

// files is the condition that a line is of a data file. A backup has its manifest beside
// them.
func (p *Plan) files() string {
	if p.layout == export.Native {
		return ""
	}
	return ` AND NOT regexp_like("$path", '/manifest$')`
}

// read returns the number of the column that has an attribute.
func (p *Plan) read(name string) int {
	if i := slices.Index(p.names, name); i >= 0 {
		return i
	}
	p.names = append(p.names, name)
	return len(p.names) - 1
}

// attributes makes the layers of attributes, a0, a1, …, and of their texts without blanks
// around them, r0, r1, …. A text is NULL if there is no such attribute or if it is of a
// nested type, and empty if it is of type NULL.
func (p *Plan) attributes(l *layers) {
	for _, name := range export.Attributes(p.schema) {
		p.read(name)
	}
	l.add("line", "line")
	l.add("broken", "item IS NULL")
	for i, name := range p.names {
		l.add(fmt.Sprintf("a%d", i), "element_at(item, %s)", quote(name))
	}
	l.end("attributes", false)
	for i := range p.names {
		l.add(fmt.Sprintf("r%d", i), "%s", trimmed(p.text(i)))
	}
	l.end("texts", true)
}

// text returns the text of an attribute, blanks included.
func (p *Plan) text(i int) string {
	text, number, boolean, null := p.kinds()
	var absent []string
	for _, kind := range null {
		absent = append(absent, fmt.Sprintf("element_at(a%d, %s) IS NOT NULL", i, quote(kind)))
	}
	return "COALESCE(" + scalar(i, text, number, boolean) + ", CASE WHEN " + strings.Join(absent, " OR ") + " THEN '' END)"
}

// scalar returns the texts of an attribute that has one of the types, as a list.
func scalar(i int, kinds ...[]string) string {
	var all []string
	for _, kind := range slices.Concat(kinds...) {
		all = append(all, fmt.Sprintf("json_extract_scalar(element_at(a%d, %s), '$')", i, quote(kind)))
	}
	return strings.Join(all, ", ")
}

// nested is the condition that an attribute is of a type without a text.
func nested(i int) string { return fmt.Sprintf("(a%d IS NOT NULL AND r%d IS NULL)", i, i) }
