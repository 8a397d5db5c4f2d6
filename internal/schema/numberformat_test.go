package schema_test

import (
	"fmt"
	"strings"
	"testing"

	"gateway/internal/schema"
)

// formatted is a schema of one number with a format.
func formatted(kind, example string) string {
	return withFeatures(fmt.Sprintf("  - {name: a, type: %s, format: %q, personal: false}", kind, example))
}

// cellOf reads a cell: the value as it is stored, or the violation.
func cellOf(s *schema.Schema, text string) string {
	r := s.NewRecord()
	if v := s.SetText(r, 0, text); v != nil {
		return v.Code + ": " + v.Detail
	}
	if !r.Has(0) {
		return "missing"
	}
	return string(s.AppendValue(nil, r, 0))
}

func TestNumberFormats(t *testing.T) {
	const mismatch = "type: "
	for example, cells := range map[string]map[string]string{
		"1,234.56": {"1,234.56": "1234.56", "1234.56": "1234.56", "12": "12", "-1,234": "-1234", "(1,234.5)": "-1234.5", "1,234,567.8": "1234567.8", "0": "0",
			".5": "0.5", "+5": "5", "1e3": "1000", "−7": "-7", "1,23": mismatch, "12,34.5": mismatch, "1,2345": mismatch, "1234,567": mismatch, ",123": mismatch,
			"1.234,56": mismatch, "1 234": mismatch, "$5": mismatch, "12.5-": "-12.5", "1,234−": "-1234", "-5-": mismatch, "(5-)": mismatch, "(5": mismatch, "(-5)": mismatch, "--5": mismatch, "-(5)": mismatch, "- ": "missing", "NA": "missing", "": "missing"},
		"1.234,56":    {"1.234,56": "1234.56", "1.234": "1234", "12,5": "12.5", "1.5": mismatch, "1,234.5": mismatch, "1,2,3": mismatch, "1.5e-3": mismatch, "1,5E-3": "0.0015"},
		"1 234,56":    {"1\u00a0234,56": "1234.56", "1\u202f234": "1234", "1 234": "1234", "-1 234,5": "-1234.5", "1  234": mismatch, "1 23": mismatch, "12.5": mismatch},
		"1'234.56":    {"1'234.56": "1234.56", "1’234": "1234", "1234.5": "1234.5", "1,234": mismatch},
		"$1,234.56":   {"$1,234.56": "1234.56", "-$5": "-5", "$-5": "-5", "$ 5": "5", "5": "5", "($1,234)": "-1234", "$(1,234)": "-1234", "€5": mismatch, "$": mismatch, "$$5": mismatch},
		"1.234,56 €":  {"1.234,56 €": "1234.56", "12€": "12", "-3,5 €": "-3.5", "(12 €)": "-12", "(12) €": "-12", "12 $": mismatch, "3": "3"},
		"CHF 1'234.5": {"CHF 1'234.5": "1234.5", "CHF5": "5", "-CHF 5": "-5", "5": "5", "EUR 5": mismatch},
		"1,23,456.78": {"1,23,456.78": "123456.78", "12,34,56,789.5": "123456789.5", "1,234": "1234", "123456.7": "123456.7", "-1,00,000": "-100000",
			"123,456": mismatch, "1,2,345": mismatch, "1,234,567": mismatch, ",23,456": mismatch, "1,23,45": mismatch},
		"₹ 1,23,456.00": {"₹ 1,00,000.00": "100000", "₹500": "500"},
		"1.234,56- EUR": {"1.234,56- EUR": "-1234.56", "5,5-": "-5.5", "12 EUR-": "-12", "3 EUR": "3"},
		"12,5":          {"12,5": "12.5", "0,125": "0.125", "1234,5": "1234.5", "12.5": mismatch, "1 234,5": mismatch},
		"12.5%":         {"12.5%": "12.5", "12.5 %": "12.5", "3": "3", "-1%": "-1", "1,5%": mismatch, "%": mismatch},
		"0,5":           {"0,5": "0.5", "2": "2", "0,123": "0.123"},
		"0.125":         {"1234.5": "1234.5", "1,234": mismatch},
		"-1.5":          {"-1.5": "-1.5", "2": "2"},
		"(1,234.00)":    {"(5)": "-5", "5": "5"},
		"1.234.567":     {"1.234": "1234", "1,5": "1.5"},
		"kr. 1234":      {"kr. 5": "5", "5.5": "5.5"},
		"5 EUR":         {"7 EUR": "7", "7EUR": "7", "1e2 EUR": "100"},
	} {
		s := parse(t, formatted("number", example))
		for text, want := range cells {
			if want == mismatch {
				want = fmt.Sprintf("type: must be a number as in %q, not %q", example, text)
			}
			if got := cellOf(s, text); got != want {
				t.Errorf("%s: %q is %s, want %s", example, text, got, want)
			}
		}
	}
	whole := parse(t, formatted("integer", "1.234"))
	for text, want := range map[string]string{"1.234": "1234", "12": "12", "1.234,0": "1234", "1.234,5": `not_integer: must be an integer, not "1.234,5"`} {
		if got := cellOf(whole, text); got != want {
			t.Errorf("1.234 of an integer: %q is %s, want %s", text, got, want)
		}
	}
}

func TestUnitsWithSigns(t *testing.T) {
	for example, cells := range map[string]map[string]string{
		"1234.56 km/h": {"12 km/h": "12", "12.5km/h": "12.5", "12": "12"},
		"1234.56°C":    {"-3.5°C": "-3.5", "4 °C": "4"},
		"1234,56 m²":   {"72,5 m²": "72.5"},
	} {
		s := parse(t, formatted("number", example))
		for cell, want := range cells {
			if got := cellOf(s, cell); got != want {
				t.Errorf("%s: %q is %s, want %s", example, cell, got, want)
			}
		}
	}
}

func TestNumberFormatFaults(t *testing.T) {
	for example, fault := range map[string]string{
		"":            "has no digit",
		"$":           "has no digit",
		"1,234":       "does not show whether , separates thousands or decimals; show both, as in 1,234.56 or 1.234,56",
		"$12.345":     "does not show whether . separates thousands or decimals; show both, as in 1,234.56 or 1.234,56",
		"1,2,345.7":   "must have groups of three digits between separators of thousands, or Indian groups as in 1,23,456",
		"1 2345":      "must have groups of three digits between separators of thousands, or Indian groups as in 1,23,456",
		"1 234'567.8": "has more separators than one of thousands and a decimal mark",
		"1,234.567,8": "has more separators than one of thousands and a decimal mark",
		"1_234":       "may have only digits and the separators . , ' and blank within the number",
		"#1":          "may have only letters, a currency sign, % or the signs ° / ² ³ of units around the number",
		"~ 1.5":       "may have only letters, a currency sign, % or the signs ° / ² ³ of units around the number",
		"1.5 km*h":    "may have only letters, a currency sign, % or the signs ° / ² ³ of units around the number",
	} {
		wantFaults(t, formatted("number", example), []string{fmt.Sprintf("s.yaml:5: feature \"a\": format %q %s", example, fault)})
	}
	wantFaults(t, withFeatures(`  - {name: a, type: category, values: [x], format: "1"}`), []string{`s.yaml:5: feature "a": format is for numbers and dates, not for a category`})
}

// A format is how files write a number. Requests, stored features and numbers of
// DynamoDB are written as ever, and an export of customers is a file.
func TestFormatsAreOfFiles(t *testing.T) {
	s := parse(t, formatted("number", "1.234,56"))
	if got, want := s.Fingerprint(), parse(t, withFeatures("  - {name: a, type: number}")).Fingerprint(); got != want {
		t.Error("a format changes the fingerprint")
	}
	if got := string(s.AppendFeatures(nil, record(t, s, `{"a":1.234}`), true)); got != `{"a":1.234}` {
		t.Errorf("JSON is read as %s", got)
	}
	_, violations, err := decode(s, `{"a":"1.234,56"}`)
	if got, want := details(violations), "/features/a type: must be a number, not a string"; err != nil || got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	r := s.NewRecord()
	if v := s.SetNumber(r, 0, "1.234"); v != nil || string(s.AppendValue(nil, r, 0)) != "1.234" {
		t.Errorf("a number of DynamoDB: %v, %s", v, s.AppendValue(nil, r, 0))
	}
	for stored, want := range map[string]string{`{"a":1234.5}`: "1234,5", `{"a":-0.125}`: "-0,125", `{"a":1e300}`: "1e300", `{"a":7}`: "7", `{}`: "", `{"a":"x"}`: "x"} {
		values, err := s.StoredValues([]byte(stored))
		if err != nil {
			t.Fatal(err)
		}
		if got := s.Cell(0, values[0]); got != want {
			t.Errorf("the cell of %s is %s, want %s", stored, got, want)
		}
	}
	if text := string(s.JSONSchema()); !strings.Contains(text, `"x-format": "1.234,56"`) {
		t.Errorf("the format is not in the JSON Schema:\n%s", text)
	}
}

// A number has one value in all its forms: in JSON, stored, as a cell of an export
// and of DynamoDB.
func FuzzFormattedNumbers(f *testing.F) {
	for _, x := range []float64{0, -1, 1234.5, 1e-7, 123456789, 1e21, -0.001, 9007199254740993} {
		f.Add(x)
	}
	var schemas []*schema.Schema
	for _, example := range []string{"1,234.56", "1.234,56 €", "1 234,56", "$1'234.56", "12,5%", "5"} {
		schemas = append(schemas, parse(f, formatted("number", example)))
	}
	f.Fuzz(func(t *testing.T, x float64) {
		text := fmt.Sprintf(`{"a":%v}`, x)
		for _, s := range schemas {
			r, violations, err := decode(s, text)
			if err != nil || len(violations) > 0 {
				return // not a number of JSON
			}
			stored := s.AppendFeatures(nil, r, true)
			values, err := s.StoredValues(stored)
			if err != nil {
				t.Fatal(err)
			}
			cell, number := s.NewRecord(), s.NewRecord()
			if v := s.SetText(cell, 0, s.Cell(0, values[0])); v != nil {
				t.Fatalf("cell %s of %s: %v", s.Cell(0, values[0]), s.Features[0].Format, v)
			}
			if v := s.SetNumber(number, 0, string(values[0])); v != nil {
				t.Fatal(v)
			}
			for form, other := range map[string]schema.Record{"cell": cell, "number": number} {
				if got := s.AppendFeatures(nil, other, true); string(got) != string(stored) {
					t.Errorf("%s: %s, stored as %s", form, got, stored)
				}
			}
		}
	})
}
