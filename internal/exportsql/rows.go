package exportsql

import (
	"fmt"
	"strings"

	"gateway/internal/schema"
)

// heldBelow is the hexadecimal form of the bound of export.Held: MaxUint64 / 10.
const heldBelow = "1999999999999999"

// rows makes the layer of rows: the reason of an item that gives none, the hash of the id,
// whether the row is held out, which features were mapped (u) and defaulted (g), and the
// encoded columns o0, o1, ….
func (p *Plan) rows(l *layers) {
	var faults []string
	for i := range p.schema.Features {
		if !p.schema.Features[i].Exclude {
			faults = append(faults, fmt.Sprintf("f%d", i))
		}
	}
	old := ""
	if p.layout != "dynamodb" {
		old = fmt.Sprintf("WHEN broken AND strpos(line, %s) > 0 THEN %s ", quote("\x03"), unread("a line", "in the ^B/^C form of old backups"))
	}
	l.add("reason", "CASE %sWHEN broken THEN 'broken_line' WHEN id_unread THEN %s WHEN id IS NULL THEN 'no_id' WHEN label_unread THEN %s "+
		"WHEN unlabelled THEN 'unlabelled' WHEN label IS NULL THEN 'bad_label' ELSE COALESCE(%s, NULL) END",
		old, unread(p.schema.ID, "more than one alias in an item"), unread(p.schema.Label.Name, "more than one alias in an item"), strings.Join(faults, ", "))
	l.add("hash", "to_hex(sha256(to_utf8(id)))")
	for i := range p.schema.Features {
		f := &p.schema.Features[i]
		if f.Exclude {
			continue
		}
		if f.Type == schema.Category && f.Unknown != "" {
			l.add(fmt.Sprintf("u%d", i), "COALESCE(t%d NOT IN (%s), false)", i, quoteAll(f.Values))
		}
		if f.Default != nil {
			l.add(fmt.Sprintf("g%d", i), "(t%d IS NULL)", i)
		}
	}
	column := 0
	for i := range p.schema.Features {
		for _, expression := range encoded(i, &p.schema.Features[i]) {
			l.add(fmt.Sprintf("o%d", column), "%s", expression)
			column++
		}
	}
	l.end("encoded", true)
	l.add("held", "(substr(hash, 17, 16) < '%s')", heldBelow)
	l.end("all_rows", true)
}

// encoded returns the encoded columns of a feature, as schema.Feature's columns are named.
func encoded(i int, f *schema.Feature) (columns []string) {
	if f.Exclude {
		return nil
	}
	switch {
	case f.Type == schema.Category:
		columns = encodedCategory(i, f)
	case f.Type == schema.Date:
		columns = encodedDate(i, f)
	default:
		instead := 0.0
		switch {
		case f.Default != nil:
			instead = *f.Default
		case f.Fill != nil:
			instead = *f.Fill
		}
		x := fmt.Sprintf("x%d", i)
		columns = []string{fmt.Sprintf("CASE WHEN t%d IS NULL THEN %s ELSE %s END", i, quote(f.Text(instead)), numberText(x, fmt.Sprintf("t%d", i)))}
	}
	if f.Missing {
		columns = append(columns, fmt.Sprintf("CASE WHEN t%d IS NULL THEN 1 ELSE 0 END", i))
	}
	return columns
}

func encodedCategory(i int, f *schema.Feature) (columns []string) {
	code, missing := fmt.Sprintf("c%d", i), -1
	if f.Default != nil {
		missing = int(*f.Default)
	}
	if f.Encode != schema.OneHot {
		return []string{fmt.Sprintf("COALESCE(%s, %d) + 1", code, missing)}
	}
	for value := range f.Values {
		also := ""
		if value == missing {
			also = fmt.Sprintf(" OR %s IS NULL", code)
		}
		columns = append(columns, fmt.Sprintf("CASE WHEN %s = %d%s THEN 1 ELSE 0 END", code, value, also))
	}
	return columns
}

func encodedDate(i int, f *schema.Feature) []string {
	instead := f.Default
	if instead == nil {
		instead = f.Fill
	}
	day := fmt.Sprintf("day%d", i)
	if instead != nil {
		day = fmt.Sprintf("COALESCE(%s, %s)", day, double(*instead))
	}
	columns := []string{day, monthOf(day), weekdayOf(day)}
	for i, c := range columns {
		columns[i] = "COALESCE(CAST(" + c + " AS bigint), 0)"
	}
	return columns
}
