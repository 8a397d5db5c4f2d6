package schema

import (
	"encoding/json"
)

// JSONSchema returns the schema of the "features" object as JSON Schema 2020-12,
// for forms and clients. POST /predict accepts what validates against it, except
// where JSON Schema has no means: an alias may replace its feature, stored
// features fill what is absent where a customer_id is given, and a number beyond
// the range of a float64 is refused.
func (s *Schema) JSONSchema() []byte {
	properties := make(orderedObject, 0, len(s.Features))
	required := []string{}
	for i := range s.Features {
		f := &s.Features[i]
		properties = append(properties, member{f.Name, f.jsonSchema()})
		if f.Required() {
			required = append(required, f.Name)
		}
	}
	text, err := json.MarshalIndent(orderedObject{
		{"$schema", "https://json-schema.org/draft/2020-12/schema"},
		{"$id", "urn:gateway:schema:" + s.fingerprint},
		{"title", s.Name},
		{"type", "object"},
		{"properties", properties},
		{"required", required},
		{"additionalProperties", false},
		{"x-fingerprint", s.fingerprint},
		{"x-id", s.ID},
		{"x-label", s.Label.Name},
		{"x-positive", spelled(s.Label.Positive)},
		{"x-negative", spelled(s.Label.Negative)},
	}, "", "  ")
	if err != nil {
		panic(err) // strings, numbers and lists only
	}
	return append(text, '\n')
}

// spelled returns the spellings of a class as JSON values.
func spelled(class []Spelling) []any {
	var values []any
	for _, s := range class {
		if s.IsText {
			values = append(values, s.Value)
			continue
		}
		x, _, _ := ParseNumber(s.Value)
		values = append(values, json.Number(formatNumber(x)))
	}
	return values
}

func (f *Feature) jsonSchema() orderedObject {
	var o orderedObject
	add := func(name string, value any) { o = append(o, member{name, value}) }
	kind := string(f.Type)
	if f.Type == Category || f.Type == Date {
		kind = "string"
	}
	if f.Missing {
		add("type", []string{kind, "null"})
	} else {
		add("type", kind)
	}
	switch {
	case f.Type != Category:
	case f.Unknown != "":
		add("examples", f.Values)
		add("x-unknown", f.Unknown)
	case f.Missing:
		values := make([]any, 0, len(f.Values)+1)
		for _, v := range f.Values {
			values = append(values, v)
		}
		add("enum", append(values, nil))
	default:
		add("enum", f.Values)
	}
	switch f.Type {
	case Date:
		add("format", "date")
		if f.Min != nil {
			add("formatMinimum", f.format(*f.Min))
		}
		if f.Max != nil {
			add("formatMaximum", f.format(*f.Max))
		}
	case Integer:
		low, high := float64(-maxInteger), float64(maxInteger)
		if f.Min != nil {
			low = max(low, *f.Min)
		}
		if f.Max != nil {
			high = min(high, *f.Max)
		}
		add("minimum", json.Number(formatNumber(low)))
		add("maximum", json.Number(formatNumber(high)))
	default:
		if f.Min != nil {
			add("minimum", json.Number(formatNumber(*f.Min)))
		}
		if f.Max != nil {
			add("maximum", json.Number(formatNumber(*f.Max)))
		}
	}
	if f.Default != nil {
		if f.Type == Category || f.Type == Date {
			add("default", f.format(*f.Default))
		} else {
			add("default", json.Number(f.format(*f.Default)))
		}
	}
	if f.Description != "" {
		add("description", f.Description)
	}
	if f.Format != "" {
		add("x-format", f.Format)
	}
	if len(f.Aliases) > 0 {
		add("x-aliases", f.Aliases)
	}
	if f.Personal {
		add("x-personal", true)
	}
	if f.Exclude {
		add("x-excluded", true)
	}
	return o
}

// orderedObject is a JSON object that keeps the order of its members, so that
// forms show the features in the schema's order.
type orderedObject []member

type member struct {
	name  string
	value any
}

// MarshalJSON implements json.Marshaler.
func (o orderedObject) MarshalJSON() ([]byte, error) {
	text := []byte{'{'}
	for i, m := range o {
		if i > 0 {
			text = append(text, ',')
		}
		name, err := json.Marshal(m.name)
		if err != nil {
			return nil, err
		}
		value, err := json.Marshal(m.value)
		if err != nil {
			return nil, err
		}
		text = append(append(append(text, name...), ':'), value...)
	}
	return append(text, '}'), nil
}
