package schema_test

import (
	"encoding/json"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"testing"

	"gateway/internal/schema"
)

func TestJSONSchemaOfTheBank(t *testing.T) {
	golden(t, "bank.schema.json", schema.Bank().JSONSchema())
}

// document is as much of JSON Schema 2020-12 as the gateway writes.
type document struct {
	Schema               string              `json:"$schema"`
	ID                   string              `json:"$id"`
	Title                string              `json:"title"`
	Type                 string              `json:"type"`
	Properties           map[string]property `json:"properties"`
	Required             []string            `json:"required"`
	AdditionalProperties *bool               `json:"additionalProperties"`
}

type property struct {
	Type        types           `json:"type"`
	Enum        []any           `json:"enum"`
	Examples    []string        `json:"examples"`
	Minimum     *json.Number    `json:"minimum"`
	Maximum     *json.Number    `json:"maximum"`
	Default     json.RawMessage `json:"default"`
	Description string          `json:"description"`
	Unknown     string          `json:"x-unknown"`
	Aliases     []string        `json:"x-aliases"`
	Personal    bool            `json:"x-personal"`
	Excluded    bool            `json:"x-excluded"`
}

// types are those that an instance may have: a name or a list of names.
type types []string

func (ts *types) UnmarshalJSON(text []byte) error {
	if text[0] == '[' {
		return json.Unmarshal(text, (*[]string)(ts))
	}
	*ts = types{""}
	return json.Unmarshal(text, &(*ts)[0])
}

func readDocument(t testing.TB, s *schema.Schema) document {
	t.Helper()
	var d document
	decoder := json.NewDecoder(strings.NewReader(string(s.JSONSchema())))
	if err := decoder.Decode(&d); err != nil {
		t.Fatal(err)
	}
	return d
}

// accepts says whether a JSON value is an instance of the property, by the
// rules of draft 2020-12: numbers are compared as they are written, and 34.0
// is an integer.
func (p property) accepts(value string) bool {
	var x any
	decoder := json.NewDecoder(strings.NewReader(value))
	decoder.UseNumber()
	if err := decoder.Decode(&x); err != nil {
		return false
	}
	has := func(name string) bool { return slices.Contains(p.Type, name) }
	listed := p.Enum == nil || slices.Contains(p.Enum, x)
	switch x := x.(type) {
	case nil:
		return has("null") && listed
	case string:
		return has("string") && listed
	case json.Number:
		n, ok := new(big.Rat).SetString(x.String())
		switch {
		case !ok, has("string"), has("integer") && !n.IsInt():
			return false
		case p.Minimum != nil && n.Cmp(rat(*p.Minimum)) < 0:
			return false
		}
		return p.Maximum == nil || n.Cmp(rat(*p.Maximum)) <= 0
	}
	return false
}

func rat(n json.Number) *big.Rat {
	r, ok := new(big.Rat).SetString(n.String())
	if !ok {
		panic("not a number: " + n)
	}
	return r
}

// everyKind has features with each thing that a schema can say.
const everyKind = `name: every
id: customer_id
label: {name: y, positive: [1], negative: [0]}
features:
  - {name: whole, type: integer, description: "a <whole> number & more"}
  - {name: low, type: integer, min: -3}
  - {name: high, type: integer, max: 4.5, default: 4}
  - {name: real, type: number, min: -1.5, max: 2.5e3, default: 0.1, alias: [r.eal, re]}
  - {name: free, type: number}
  - {name: closed, type: category, values: [a, "b c", "ü", '"', "<&>"], personal: true}
  - {name: open, type: category, values: [a, other], unknown: other, default: a}
  - {name: coded, type: category, values: ["1", "2"], encode: ordinal, default: "2"}
  - {name: left, type: number, exclude: true}
  - {name: gap, type: integer, min: 0, missing: allow}
  - {name: hole, type: category, values: [a, b], missing: allow}
  - {name: void, type: category, values: [a, other], unknown: other, missing: allow}
`

func TestJSONSchemaAcceptsWhatTheGatewayAccepts(t *testing.T) {
	values := []string{`null`, `true`, `false`, `[]`, `{}`, `[1]`, `""`, `" "`, `"a"`, `"A"`, `"b c"`, `"ü"`, `"\u00fc"`, `"\""`, `"<&>"`,
		`"other"`, `"1"`, `"2"`, `"jun"`, `"technician"`, `"unknown"`, `"zzz"`, `0`, `-0`, `1`, `2`, `-3`, `-4`, `4`, `4.5`, `5`, `34`, `34.0`, `3.4e1`, `34.5`,
		`34.00000000000000000001`, `17`, `16`, `120`, `121`, `-1.5`, `-1.6`, `2500`, `2500.0001`, `0.1`, `1e-300`, `1e300`, `999`,
		`9007199254740991`, `9007199254740992`, `9007199254740993`, `-9007199254740991`, `-9007199254740992`, `-9007199254740993`, `"34"`}
	for name, s := range map[string]*schema.Schema{"every kind": parse(t, everyKind), "bank": schema.Bank(), "ordinal bank": ordinalBank(t)} {
		t.Run(name, func(t *testing.T) {
			d := readDocument(t, s)
			if len(d.Properties) != len(s.Features) {
				t.Errorf("%d properties for %d features", len(d.Properties), len(s.Features))
			}
			for _, f := range s.Features {
				p, ok := d.Properties[f.Name]
				if !ok {
					t.Errorf("%s is not there", f.Name)
					continue
				}
				some, own := false, values
				for _, value := range f.Values {
					own = append(own, strconv.Quote(value))
				}
				for _, value := range own {
					_, violations, err := decode(s, `{"`+f.Name+`":`+value+`}`)
					gateway := err == nil && len(violations) == 0
					if schema := p.accepts(value); schema != gateway {
						t.Errorf("%s %s: the JSON schema says %v, the gateway %v", f.Name, value, schema, gateway)
					}
					some = some || gateway
				}
				if !some {
					t.Errorf("%s accepts none of the values", f.Name)
				}
				if p.Default != nil && !p.accepts(string(p.Default)) {
					t.Errorf("%s: the default %s is no instance", f.Name, p.Default)
				}
			}
		})
	}
}

func TestJSONSchemaDocument(t *testing.T) {
	s := parse(t, everyKind)
	d := readDocument(t, s)
	if d.Schema != "https://json-schema.org/draft/2020-12/schema" || d.ID != "urn:gateway:schema:"+s.Fingerprint() || d.Title != "every" || d.Type != "object" {
		t.Errorf("head %q, %q, %q, %q", d.Schema, d.ID, d.Title, d.Type)
	}
	if d.AdditionalProperties == nil || *d.AdditionalProperties {
		t.Error("unknown features are allowed")
	}
	// Required is what Complete calls missing.
	var missing []string
	for _, v := range s.Complete(s.NewRecord(), "") {
		missing = append(missing, v.Field)
	}
	if !slices.Equal(d.Required, missing) {
		t.Errorf("required %v, want %v", d.Required, missing)
	}
	for name, want := range map[string]string{"high": "4", "real": "0.1", "open": `"a"`, "coded": `"2"`, "whole": ""} {
		if got := string(d.Properties[name].Default); got != want {
			t.Errorf("default of %s is %s, want %s", name, got, want)
		}
	}
	if p := d.Properties["real"]; !slices.Equal(p.Aliases, []string{"r.eal", "re"}) {
		t.Errorf("aliases %q", p.Aliases)
	}
	if p := d.Properties["open"]; p.Unknown != "other" || !slices.Equal(p.Examples, []string{"a", "other"}) {
		t.Errorf("open: %+v", p)
	}
	if !d.Properties["closed"].Personal || d.Properties["open"].Personal || !d.Properties["left"].Excluded || d.Properties["real"].Excluded {
		t.Error("personal or excluded is wrong")
	}
	if p := d.Properties["whole"]; p.Description != "a <whole> number & more" {
		t.Errorf("description %q", p.Description)
	}
	// Forms show features in the order of the schema.
	text, at := string(s.JSONSchema()), 0
	for _, f := range s.Features {
		i := strings.Index(text[at:], `"`+f.Name+`": {`)
		if i < 0 {
			t.Fatalf("%s is not in order", f.Name)
		}
		at += i
	}
	if all := readDocument(t, parse(t, withFeatures("  - {name: a, type: number, default: 1}"))); all.Required == nil {
		t.Error("required is null where nothing is; it must be a list")
	}
}
