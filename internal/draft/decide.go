package draft

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"gateway/internal/schema"
)

const (
	// maxValues is the maximum number of values of a category of which all are kept.
	maxValues = 100
	// keptValues is the maximum number of values that are kept of a category with
	// more; the others become one value.
	keptValues = 250
	// minValueRows is the minimum number of rows of each of these.
	minValueRows = 20
	// minCoverage is the minimum share of rows that these must have together.
	minCoverage = 0.3
	// maxUniqueShare is the share of distinct values from which a text is an
	// identifier or free text.
	maxUniqueShare = 0.9
)

// decisions are what the draft makes of the columns.
type decisions struct {
	table  *table
	opts   Options
	label  *column
	labels Label
	id     *column
	whyID  string
	plans  []plan // by column, without label and id

	targetBytes int // of the values of categories that are coded by the label
}

// plan is what becomes of a column.
type plan struct {
	column  *column
	kind    schema.Type
	comment []string // sentences
	fields  []string // of the YAML mapping, after name and type
	leftOut string   // why the model does not see it; empty: it does
}

func (d *decisions) decide() error {
	label, classes, why, err := d.chooseLabel()
	if err != nil {
		return err
	}
	d.label = label
	d.labels = Label{Column: label.header, Why: why, Missing: label.missingCount()}
	d.labels.Positive, d.labels.Negative, d.labels.WhyValue, d.labels.Guess, err = orient(classes, d.opts.Positive)
	if err != nil {
		return err
	}
	if d.id, d.whyID, err = d.chooseID(label); err != nil {
		return err
	}
	for _, c := range d.table.columns {
		if c != d.label && c != d.id {
			d.plans = append(d.plans, d.plan(c))
		}
	}
	return nil
}

// plan decides what a column is taken for.
func (d *decisions) plan(c *column) plan {
	p := plan{column: c}
	switch {
	case c.seen == 0:
		p.exclude("no row has a value", schema.Category)
		return p
	case c.distinct() == 1 && c.missingCount() == 0 && c.rounded == 0:
		p.exclude(fmt.Sprintf("every row has the value %q", shorten(c.anyText(), 40)), schema.Category)
		return p
	case c.rowNumber():
		p.exclude("it counts the rows", schema.Category)
		return p
	case idRank(c.header) >= 2 && c.rounded > 0:
		p.exclude("it has the name of an id, but a spreadsheet has rounded its values: export the file again with this column as text", schema.Category)
		return p
	case idRank(c.header) >= 2 && c.distinct() > 2:
		p.exclude("it has the name of an id, but "+c.whyNotUnique(), schema.Category)
		return p
	}
	date, otherDates, isDate := c.dates.format()
	format, isNumber, otherFormats := c.number()
	switch {
	case isDate:
		d.planDate(&p, date, otherDates)
	case isNumber:
		d.planNumber(&p, format, otherFormats)
	default:
		d.planCategory(&p)
	}
	if p.leftOut == "" {
		if auc, ok := d.aloneAUC(c); ok && auc > leakAUC {
			p.fields = nil
			p.exclude(fmt.Sprintf("LEAK: it alone tells the label (AUC %.4f on held-out rows), so it was probably written after the outcome", auc), schema.Category)
		}
	}
	return p
}

// exclude makes the plan that of a column that the model does not see.
func (p *plan) exclude(reason string, kind schema.Type) {
	p.leftOut, p.kind, p.comment = reason, kind, nil
	p.fields = []string{"values: [other]", "unknown: other", "missing: allow", "exclude: true"}
	if !p.column.repeated || p.column.overflow {
		p.fields = append(p.fields, "personal: true")
	}
}

func (c *column) anyText() string {
	for text := range c.texts {
		return text
	}
	return ""
}

// noteMissing adds what the draft does about missing values.
func (p *plan) noteMissing(fill string) {
	c := p.column
	if n := c.missingCount(); n > 0 {
		p.comment = append(p.comment, fmt.Sprintf("%s %s; the model learns from that too", rowsText(n), c.markersText()))
		p.fields = append(p.fields, "missing: allow")
		if fill != "" {
			p.fields = append(p.fields, "fill: "+fill)
		}
	}
}

func rowsText(n int) string {
	if n == 1 {
		return "1 row has"
	}
	return fmt.Sprintf("%d rows have", n)
}

// markersText says how missing values are written.
func (c *column) markersText() string {
	var marks []string
	for _, m := range slices.Sorted(maps.Keys(c.missing)) {
		if m != "" {
			marks = append(marks, fmt.Sprintf("%q", m))
		}
	}
	if len(marks) == 0 {
		return "no value"
	}
	return "no value (" + strings.Join(marks, ", ") + ")"
}

func (d *decisions) planDate(p *plan, format dateFormat, others []dateFormat) {
	c := p.column
	p.kind = "date"
	p.comment = append(p.comment, fmt.Sprintf("dates from %s to %s, taken as day, month and day of the week", c.dates.min.Format("2006-01-02"), c.dates.max.Format("2006-01-02")))
	if format.schema != "" && format.schema != "YYYY-MM-DD" {
		p.fields = append(p.fields, "format: "+quoteYAML(format.schema))
	}
	for _, o := range others {
		if o.schema != "" && strings.IndexByte(o.schema, 'M') != strings.IndexByte(format.schema, 'M') {
			p.comment = append(p.comment, fmt.Sprintf("GUESS: the order of day and month; every date can also be read as %s", o.schema))
			break
		}
	}
	p.noteMissing("")
}

func (d *decisions) planNumber(p *plan, format numberFormat, others []numberFormat) {
	c := p.column
	n := c.numbers[format]
	p.kind = schema.Number
	what := "numbers"
	if !n.fraction {
		p.kind, what = schema.Integer, "whole numbers"
	}
	distinct := fmt.Sprint(c.distinct())
	if c.overflow {
		distinct = fmt.Sprintf("more than %d", c.distinct())
	}
	p.comment = append(p.comment, fmt.Sprintf("%s different %s from %s to %s", distinct, what, number(n.min), number(n.max)))
	u := &c.units
	if format != plain || u.signs || len(u.prefixes)+len(u.suffixes) > 0 {
		p.fields = append(p.fields, "format: "+quoteText(format.example(u.prefix(), u.suffix(), p.kind == schema.Number || format == decimalComma)))
	}
	if u.signs {
		p.comment = append(p.comment, "Parentheses, or a minus behind the number, make it negative")
	}
	if text := c.placeholder(n); text != "" {
		p.comment = append(p.comment, "GUESS: "+text)
	}
	if u.partial() {
		p.comment = append(p.comment, fmt.Sprintf("GUESS: numbers without %q have the same unit as those with it", strings.TrimSpace(cmp.Or(u.prefix(), u.suffix()))))
	}
	unit := ""
	if p.kind == schema.Integer && format == plain {
		unit = n.clock()
	}
	if unit != "" {
		p.comment = append(p.comment, fmt.Sprintf("GUESS: a number, although it looks like %s since 1970. Write dates if month and day of the week may matter", unit))
	}
	for _, o := range others {
		p.comment = append(p.comment, fmt.Sprintf("GUESS: read as %s; every value can also be read as %s", format.example("", "", true), o.example("", "", true)))
		break
	}
	if n.min >= 0 {
		p.fields = append(p.fields, "min: 0")
	}
	p.noteMissing(number(d.median(c, format)))
	if p.kind == schema.Integer && c.distinct() == 2 && c.missingCount() == 0 {
		return
	}
	why := c.identifies(n)
	switch {
	case unit != "": // a time, which a file may be sorted by
	case p.kind != schema.Integer || c.repeated || c.missingCount() > 0 || c.seen <= minIdentified:
	case why != "":
		p.exclude("GUESS: a number that identifies rows, since no value repeats: "+why+". If it is a quantity, give it type: integer and remove exclude", schema.Category)
	default:
		p.comment = append(p.comment, "GUESS: a quantity, although no value repeats; exclude it if it identifies rows")
	}
}

// minIdentified is the number of rows up to which whole numbers that do not repeat
// are taken as a quantity.
const minIdentified = 20

// minExpectedRepeats is the number of equal pairs that random numbers of a column's
// range would have, from which a column without any is taken to identify rows.
// Quantities cluster, so they have more.
const minExpectedRepeats = 0.5

// identifies says why a column of whole numbers that do not repeat identifies its
// rows; empty: it may be a quantity, such as incomes that happen to differ.
func (c *column) identifies(n numberProfile) string {
	rows := float64(c.seen)
	switch {
	case idRank(c.header) > 0 || isContact(c.header):
		return "its name says so"
	case c.rising:
		return "each is above that of the row before"
	case rows*(rows-1)/2/(n.max-n.min+1) >= minExpectedRepeats:
		return fmt.Sprintf("%d quantities from %s to %s would repeat", c.seen, number(n.min), number(n.max))
	}
	return ""
}

// median returns the median of a column's numbers in the sample.
func (d *decisions) median(c *column, format numberFormat) float64 {
	var values []float64
	for _, row := range d.table.sample {
		if text := row[c.at]; !schema.IsMissingMarker(text) {
			if x, _, ok := readNumber(text, format); ok {
				values = append(values, x)
			}
		}
	}
	if len(values) == 0 {
		return 0
	}
	slices.Sort(values)
	return values[(len(values)-1)/2]
}

func (d *decisions) planCategory(p *plan) {
	c := p.column
	p.kind = schema.Category
	values := slices.Sorted(maps.Keys(c.texts))
	switch {
	case !c.overflow && len(values) <= maxValues && float64(len(values)) < maxUniqueShare*float64(max(c.seen, 10)):
		d.planValues(p, values)
		return
	case !c.repeated, float64(len(values)) >= maxUniqueShare*float64(c.seen):
		p.exclude(cmp.Or(c.nearly(), "nearly every value is different: an identifier or free text"), schema.Category)
		return
	case c.wordy*2 > c.seen && c.longest > 60:
		p.exclude("free text", schema.Category)
		return
	}
	kept, rows := c.frequent()
	if float64(rows)/float64(c.seen) < minCoverage {
		kept = nil
	}
	if d.planTarget(p, kept) {
		return
	}
	if share := float64(rows) / float64(c.seen); share < minCoverage {
		p.exclude(cmp.Or(c.nearly(), fmt.Sprintf("%s different texts, most of them rare", c.distinctText())), schema.Category)
		return
	}
	p.noteNearly()
	other := c.otherName()
	p.comment = append(p.comment, fmt.Sprintf("%s different texts; the %d most frequent are kept (%.0f %% of the rows), the others become %q",
		c.distinctText(), len(kept), 100*float64(rows)/float64(c.seen), other))
	p.fields = append(p.fields, "values: ["+yamlList(append(kept, other))+"]", "unknown: "+quoteText(other))
	p.noteMissing("")
}

func (c *column) distinctText() string {
	if c.overflow {
		return fmt.Sprintf("more than %d", c.distinct())
	}
	return fmt.Sprint(c.distinct())
}

// frequent returns the most frequent values, in the order of their texts, and how
// many rows have them.
func (c *column) frequent() (values []string, rows int) {
	for _, v := range c.byFrequency() {
		if len(values) == keptValues || c.texts[v] < minValueRows {
			break
		}
		values, rows = append(values, v), rows+c.texts[v]
	}
	slices.Sort(values)
	return values, rows
}

// planValues keeps all values of a category.
func (d *decisions) planValues(p *plan, values []string) {
	c := p.column
	p.noteNearly()
	switch {
	case c.code():
		p.comment = append(p.comment, fmt.Sprintf("%d different codes with leading zeros, taken as texts", len(values)))
	case len(values) == 1:
		p.comment = append(p.comment, "1 text")
	default:
		p.comment = append(p.comment, fmt.Sprintf("%d different texts", len(values)))
	}
	unknown := ""
	for _, v := range values {
		switch strings.ToLower(v) {
		case "unknown", "other":
			unknown = v
		}
	}
	if same := sameButCase(values); same != "" {
		p.comment = append(p.comment, same+" differ in case only, and are different values")
	}
	p.fields = append(p.fields, "values: ["+yamlList(values)+"]")
	if unknown != "" {
		p.fields = append(p.fields, "unknown: "+quoteText(unknown))
		p.comment = append(p.comment, fmt.Sprintf("Texts that are not listed become %q", unknown))
	}
	p.noteMissing("")
}
