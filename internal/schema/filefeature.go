package schema

import (
	"slices"

	"go.yaml.in/yaml/v3"
)

func (p *schemaParser) features(n *yaml.Node) []Feature {
	if n == nil {
		return nil
	}
	var all []Feature
	included, columns := 0, 0
	for _, item := range p.list(n, "features") {
		f := p.feature(item)
		all = append(all, f)
		if !f.Exclude {
			included++
		}
		columns += f.Width()
	}
	switch {
	case n.Kind == yaml.SequenceNode && len(all) == 0:
		p.fault(n, "features must list at least one feature")
	case len(all) > 0 && included == 0:
		p.fault(n, "every feature is excluded; at least one must be included")
	case columns > maxColumns:
		p.fault(n, "the features make %d columns; at most %d are supported", columns, maxColumns)
	}
	return all
}

func (p *schemaParser) feature(n *yaml.Node) Feature {
	var f Feature
	m := p.mapping(n, "a feature", "name", "type", "alias", "description", "min", "max",
		"values", "unknown", "encode", "default", "missing", "fill", "format", "personal", "exclude")
	f.Name = p.column(p.need(n, m, "name"), "a feature")
	f.Aliases = p.aliases(m["alias"], f.Name)
	f.Description, _ = p.scalar(m["description"], "description")
	f.Personal = p.boolean(m["personal"], "personal")
	f.Exclude = p.boolean(m["exclude"], "exclude")
	f.Missing = p.missing(m, f.Name)

	typeNode := p.need(n, m, "type")
	text, ok := p.scalar(typeNode, "type")
	f.Type = Type(text)
	switch f.Type {
	case Integer, Number:
		p.numeric(&f, m)
	case Category:
		p.category(n, &f, m)
	case Date:
		p.date(&f, m)
	default:
		if ok {
			p.fault(typeNode, "type %q of feature %q: must be integer, number, category or date", text, f.Name)
		}
	}
	return f
}

// missing reads whether a value may be missing.
func (p *schemaParser) missing(m map[string]*yaml.Node, name string) bool {
	n := m["missing"]
	text, ok := p.scalar(n, "missing")
	if ok && text != "allow" {
		p.fault(n, "feature %q: missing %q: must be allow; without it a value that is missing is refused or takes the default", name, text)
	}
	switch {
	case n == nil && m["fill"] != nil:
		p.fault(m["fill"], "feature %q: fill is for a feature with missing: allow", name)
	case n != nil && m["default"] != nil:
		p.fault(m["default"], "feature %q: give default or missing: allow, not both; a default replaces what is missing", name)
	}
	return n != nil
}

func (p *schemaParser) numeric(f *Feature, m map[string]*yaml.Node) {
	p.noCategory(f, m)
	if text, ok := p.scalar(m["format"], "format"); ok {
		var fault string
		f.Format = text
		if f.numbers, fault = parseNumberFormat(text, f.Type == Integer); fault != "" {
			p.fault(m["format"], "feature %q: format %q %s", f.Name, text, fault)
		}
	}
	f.Min, f.Max = p.number(m["min"], "min"), p.number(m["max"], "max")
	f.Default = p.number(m["default"], "default")
	if f.Fill = p.number(m["fill"], "fill"); f.Fill != nil && *f.Fill == 0 {
		f.Fill = nil // as without it
	}
	if f.Min != nil && f.Max != nil && *f.Min > *f.Max {
		p.fault(m["min"], "feature %q: min %s is above max %s", f.Name, formatNumber(*f.Min), formatNumber(*f.Max))
	}
	if f.Default == nil {
		return
	}
	if v := f.check(*f.Default, m["default"].Value); v != nil {
		p.fault(m["default"], "feature %q: the default %s", f.Name, v.Detail)
	} else if f.Type == Integer && !isInteger(m["default"].Value, *f.Default) {
		p.fault(m["default"], "feature %q: the default is not an integer", f.Name)
	}
}

// noCategory refuses the keys of categories.
func (p *schemaParser) noCategory(f *Feature, m map[string]*yaml.Node) {
	for _, key := range []string{"values", "unknown", "encode"} {
		if m[key] != nil {
			p.fault(m[key], "feature %q: %s is for categories, not for type %s", f.Name, key, f.Type)
		}
	}
}

func (p *schemaParser) date(f *Feature, m map[string]*yaml.Node) {
	p.noCategory(f, m)
	if text, ok := p.scalar(m["format"], "format"); ok {
		var fault string
		f.Format = text
		if f.dates, fault = parseDateFormat(text); fault != "" {
			p.fault(m["format"], "feature %q: format %q %s", f.Name, text, fault)
		}
	}
	f.Min, f.Max = p.day(m["min"], "min"), p.day(m["max"], "max")
	f.Default, f.Fill = p.day(m["default"], "default"), p.day(m["fill"], "fill")
	if f.Min != nil && f.Max != nil && *f.Min > *f.Max {
		p.fault(m["min"], "feature %q: min %s is after max %s", f.Name, f.format(*f.Min), f.format(*f.Max))
	}
	if f.Default != nil {
		if v := f.check(*f.Default, m["default"].Value); v != nil {
			p.fault(m["default"], "feature %q: the default %s", f.Name, v.Detail)
		}
	}
}

func (p *schemaParser) day(n *yaml.Node, what string) *float64 {
	text, ok := p.scalar(n, what)
	if !ok {
		return nil
	}
	day, ok := parseISODate(text)
	if !ok {
		p.fault(n, "%s must be a date such as 2026-11-30, not %q", what, text)
		return nil
	}
	return &day
}

func (p *schemaParser) category(n *yaml.Node, f *Feature, m map[string]*yaml.Node) {
	if m["fill"] != nil && m["missing"] != nil {
		p.fault(m["fill"], "feature %q: fill is for numbers and dates; a category that is missing has no value", f.Name)
	}
	for _, key := range []string{"min", "max", "format"} {
		if m[key] != nil {
			p.fault(m[key], "feature %q: %s is for numbers and dates, not for a category", f.Name, key)
		}
	}
	seen := make(map[string]bool)
	for _, item := range p.list(p.need(n, m, "values"), "values") {
		text, ok := p.scalar(item, "a category value")
		switch {
		case !ok:
		case text == "":
			p.fault(item, "feature %q: a category value is empty; empty means missing", f.Name)
		case seen[text]:
			p.fault(item, "feature %q: value %q is given twice", f.Name, text)
		default:
			seen[text] = true
			f.Values = append(f.Values, text)
		}
	}
	if m["values"] != nil && len(f.Values) == 0 {
		p.fault(m["values"], "feature %q: values must list at least one value", f.Name)
	}
	f.Encode = OneHot
	if text, ok := p.scalar(m["encode"], "encode"); ok {
		f.Encode = Encoding(text)
		if f.Encode != OneHot && f.Encode != Ordinal && f.Encode != Target {
			p.fault(m["encode"], "feature %q: encode %q: must be onehot, ordinal or target", f.Name, text)
		}
	}
	if text, ok := p.scalar(m["unknown"], "unknown"); ok {
		f.Unknown = text
		if !slices.Contains(f.Values, text) {
			p.fault(m["unknown"], "feature %q: unknown names %q, which is not among the values", f.Name, text)
		}
	}
	if text, ok := p.scalar(m["default"], "default"); ok {
		i := slices.Index(f.Values, text)
		if i < 0 {
			p.fault(m["default"], "feature %q: the default %q is not among the values", f.Name, text)
		}
		code := float64(i)
		f.Default = &code
	}
}
