package schema_test

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gateway/internal/failure"
	"gateway/internal/schema"
)

// sample is the article's customer as JSON features.
const sample = `{"age":34,"job":"technician","marital":"married","education":"high.school","default":"no","housing":"yes",` +
	`"loan":"no","contact":"cellular","month":"jun","day_of_week":"wed","duration":190,"campaign":1,"pdays":3,"previous":4,` +
	`"poutcome":"success","emp_var_rate":-1.7,"cons_price_idx":94.055,"cons_conf_idx":-39.8,"euribor3m":0.715,"nr_employed":4991.6}`

func TestDecodeTakesTheSample(t *testing.T) {
	s := schema.Bank()
	r := record(t, s, sample)
	if got := string(s.AppendFeatures(nil, r, true)); got != sample {
		t.Errorf("it comes back as\n%s\nwant\n%s", got, sample)
	}
	if missing := s.Complete(r, ""); len(missing) > 0 {
		t.Errorf("missing: %v", missing)
	}
	stored, err := s.DecodeStored([]byte(sample), nil)
	if err != nil || string(s.AppendFeatures(nil, stored, true)) != sample {
		t.Errorf("stored features: %v", err)
	}
}

func TestDecodeNamesEveryViolationAtOnce(t *testing.T) {
	_, violations, err := decode(schema.Bank(), `{
		"age": 34.5, "job": 7, "marital": "single", "education": null, "default": ["no"], "housing": {"a": 1}, "loan": true,
		"contact": "Cellular", "month": "june", "day_of_week": "sun", "duration": -1, "campaign": "1", "pdays": 1e999,
		"previous": 9007199254740993, "poutcome": "", "emp.var.rate": -1.7, "emp_var_rate": -1.8,
		"cons_price_idx": "94", "cons_conf_idx": -1e400, "euribor": 0.7, "": 1, "nr/employed~": 1}`)
	if err != nil {
		t.Fatal(err)
	}
	want := `/features/age not_integer: must be an integer, not "34.5"
/features/job type: must be a string, not a number
/features/education type: must be a string, not null
/features/default type: must be a string, not an array
/features/housing type: must be a string, not an object
/features/loan type: must be a string, not a boolean
/features/contact unknown_category: must be one of cellular, telephone, not "Cellular"
/features/month unknown_category: must be one of jan, feb, mar, apr, may, jun, jul, aug, sep, oct, nov, dec, not "june"
/features/day_of_week unknown_category: must be one of mon, tue, wed, thu, fri, not "sun"
/features/duration out_of_range: must be at least 0, not "-1"
/features/campaign type: must be an integer, not a string
/features/pdays out_of_range: is larger than a number can be, not "1e999"
/features/previous out_of_range: is beyond the integers that are exact (magnitude below 2^53), not "9007199254740993"
/features/poutcome unknown_category: must be one of failure, nonexistent, success
/features/emp_var_rate duplicate: is feature "emp_var_rate", which is given twice
/features/cons_price_idx type: must be a number, not a string
/features/cons_conf_idx out_of_range: is larger than a number can be, not "-1e400"
/features/euribor unknown_field: is not a feature of the schema; did you mean "euribor3m"?
/features/ unknown_field: is not a feature of the schema
/features/nr~1employed~0 unknown_field: is not a feature of the schema; did you mean "nr_employed"?`
	if diff := cmp.Diff(want, details(violations)); diff != "" {
		t.Errorf("violations (-want +got):\n%s", diff)
	}
}

func TestViolationsBearTheNameThatTheCallerWrote(t *testing.T) {
	_, violations, err := decode(schema.Bank(), `{"emp.var.rate":"x"}`)
	if got := codes(violations); err != nil || got != "/features/emp.var.rate type" {
		t.Errorf("got %s, %v", got, err)
	}
}

func TestDecodeNumbers(t *testing.T) {
	s := parse(t, withFeatures(
		"  - {name: whole, type: integer, default: 0}",
		"  - {name: real, type: number, default: 0}",
		"  - {name: small, type: integer, min: -3, max: 3, default: 0}"))
	tests := []struct {
		member string
		want   string // the code of the violation, or the value stored
	}{
		{`"whole": 34`, "34"},
		{`"whole": 34.0`, "34"},
		{`"whole": 3.4e1`, "34"},
		{`"whole": -0`, "0"},
		{`"whole": -0.0`, "0"},
		{`"whole": 9007199254740991`, "9007199254740991"},
		{`"whole": -9007199254740991`, "-9007199254740991"},
		{`"whole": 9007199254740992`, failure.CodeRange},
		{`"whole": 9007199254740993`, failure.CodeRange},
		{`"whole": 34.5`, failure.CodeInteger},
		{`"whole": 34.00000000000000000001`, failure.CodeInteger},
		{`"whole": 1e-400`, failure.CodeInteger},
		{`"whole": 1e999`, failure.CodeRange},
		{`"whole": "34"`, failure.CodeType},
		{`"real": 34.00000000000000000001`, "34"},
		{`"real": 9007199254740993`, "9007199254740992"},
		{`"real": 1e-400`, "0"},
		{`"real": -0`, "0"},
		{`"real": -0.715`, "-0.715"},
		{`"real": 1e300`, "1e+300"},
		{`"real": 1e999`, failure.CodeRange},
		{`"real": -1e999`, failure.CodeRange},
		{`"real": null`, failure.CodeType},
		{`"small": 3`, "3"},
		{`"small": -3`, "-3"},
		{`"small": 4`, failure.CodeRange},
		{`"small": -4`, failure.CodeRange},
		{`"small": 3.5`, failure.CodeInteger},
	}
	for _, tt := range tests {
		t.Run(tt.member, func(t *testing.T) {
			r, violations, err := decode(s, "{"+tt.member+"}")
			if err != nil {
				t.Fatal(err)
			}
			if len(violations) > 0 {
				if violations[0].Code != tt.want || string(s.AppendFeatures(nil, r, true)) != "{}" {
					t.Errorf("got %+v, want %s", violations, tt.want)
				}
				return
			}
			name, _, _ := strings.Cut(tt.member, ":")
			if got := string(s.AppendFeatures(nil, r, true)); got != "{"+name+":"+tt.want+"}" {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

func TestBrokenJSONIsAnError(t *testing.T) {
	for name, text := range map[string]string{
		"an empty text":                ``,
		"a text that ends":             `{"age":34`,
		"a text that ends in a name":   `{"age`,
		"a trailing comma":             `{"age":34,}`,
		"a bare word":                  `{"age":NaN}`,
		"a leading zero":               `{"age":034}`,
		"a plus sign":                  `{"age":+34}`,
		"a hexadecimal number":         `{"age":0x22}`,
		"single quotes":                `{'age':34}`,
		"a duplicate name":             `{"age":34,"age":34}`,
		"a duplicate name, escaped":    `{"age":34,"\u0061ge":34}`,
		"a duplicate of what is wrong": `{"nope":34,"nope":34}`,
		"a duplicate name deep inside": `{"age":{"a":1,"a":2}}`,
		"invalid UTF-8 in a value":     "{\"job\":\"caf\xe9\"}",
		"invalid UTF-8 in a name":      "{\"caf\xe9\":1}",
		"half a surrogate pair":        `{"job":"\ud800"}`,
		"nesting without an end":       `{"job":` + strings.Repeat("[", 100_000),
		"nesting far too deep":         `{"job":` + strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000) + "}",
		"a control character":          "{\"job\":\"a\x01\"}",
	} {
		t.Run(name, func(t *testing.T) {
			if _, _, err := decode(schema.Bank(), text); err == nil {
				t.Error("it is accepted")
			} else if fault := schema.JSONFault(err); strings.Contains(fault, "34") || strings.Contains(fault, "job") {
				t.Errorf("the fault repeats the input: %s", fault)
			}
		})
	}
}

func TestFeaturesThatAreNoObject(t *testing.T) {
	for text, kind := range map[string]string{`[]`: "an array", `null`: "null", `"x"`: "a string", `3`: "a number", `true`: "a boolean"} {
		_, violations, err := decode(schema.Bank(), text)
		if want := "/features type: must be an object, not " + kind; err != nil || details(violations) != want {
			t.Errorf("%s: %v, %s; want %s", text, err, details(violations), want)
		}
	}
}

func TestUnlistedCategories(t *testing.T) {
	s := parse(t, small)
	r := record(t, s, `{"age":20,"job":"Services"}`)
	var mapped []int
	r.Mapped(func(f int) { mapped = append(mapped, f) })
	if fmt.Sprint(mapped) != "[1]" {
		t.Errorf("mapped features %v, want job's", mapped)
	}
	if got := string(s.AppendFeatures(nil, r, true)); got != `{"age":20,"job":"unknown"}` {
		t.Errorf("got %s", got)
	}
}

func TestComplete(t *testing.T) {
	s := parse(t, small+"  - {name: note, type: category, values: [a], exclude: true}\n")
	r := record(t, s, `{"month":"may"}`)
	if got, want := codes(s.Complete(r, "/features/")), "/features/age missing\n/features/job missing"; got != want {
		t.Errorf("violations %q, want %q", got, want)
	}
	if got, want := string(s.AppendFeatures(nil, r, true)), `{"month":"may","rate":1.5}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestOver(t *testing.T) {
	s := parse(t, small)
	request, stored := record(t, s, `{"age":20,"rate":0}`), record(t, s, `{"age":50,"job":"admin.","rate":9}`)
	if got, want := string(s.AppendFeatures(nil, request.Over(stored), true)), `{"age":20,"job":"admin.","rate":0}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	var zero schema.Record
	if !zero.IsEmpty() || !zero.Over(zero).IsEmpty() {
		t.Error("the zero record is not empty")
	}
	stored = record(t, s, `{"age":50}`)
	for name, r := range map[string]schema.Record{"zero over stored": zero.Over(stored), "stored over zero": stored.Over(zero)} {
		if got := string(s.AppendFeatures(nil, r, true)); got != `{"age":50}` {
			t.Errorf("%s: %s", name, got)
		}
	}
}

func TestStoredFeaturesOfAnEarlierSchema(t *testing.T) {
	s := parse(t, small)
	r, err := s.DecodeStored([]byte(`{"gone":1,"age":150,"job":"pilot","month":"jun","rate":"x","emp.rate":2}`), nil)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := string(s.AppendFeatures(nil, r, true)), `{"job":"unknown","rate":2}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if _, err := s.DecodeStored([]byte(`{"age":`), nil); err == nil {
		t.Error("broken JSON is accepted")
	}
}

// private has a personal feature of each kind.
const private = `name: private
id: customer_id
label: {name: y, positive: [1], negative: [0]}
features:
  - {name: open, type: number, default: 0}
  - {name: whole, type: integer, min: 0, max: 9, personal: true, alias: [w.hole]}
  - {name: real, type: number, min: 0, max: 9, personal: true}
  - {name: kind, type: category, values: [a, b], personal: true}
`

func TestPersonalValuesAreNeverRepeated(t *testing.T) {
	s := parse(t, private)
	const marker = "4711"
	values := []string{`4711`, `-4711`, `4711.5`, `4711e400`, `"4711"`, `["4711"]`, `{"4711":4711}`, `47114711471147114711`,
		`"4711\u0000"`, `"4711` + strings.Repeat("x", 100) + `"`, `0.4711`, `04711`, `4711x`, `"4711`, "\"4711\xff\""}
	for _, name := range []string{"whole", "w.hole", "real", "kind"} {
		for _, value := range values {
			_, violations, err := decode(s, `{"`+name+`":`+value+`}`)
			all := details(violations)
			if err != nil {
				all = schema.JSONFault(err)
			}
			if all == "" && (name != "real" || value != "0.4711") {
				t.Errorf("%s %s is accepted", name, value)
			}
			if strings.Contains(all, marker) {
				t.Errorf("%s %s: %s", name, value, all)
			}
		}
		if name == "w.hole" {
			name = "whole"
		}
		for _, value := range []string{"4711", "-4711", "4711.5", "4711e400", "x4711", "4711\xff", "0x4711"} {
			table, err := schema.NewCSVTable(s, strings.NewReader("customer_id,"+name+"\n1,"+value+"\n"), 1<<16)
			if err != nil {
				t.Fatal(err)
			}
			row, err := table.Next()
			if err != nil || row.Violations.Count() != 1 {
				t.Fatalf("%s %s: %v, %v", name, value, err, row.Violations)
			}
			if all := details(row.Violations.Listed); strings.Contains(all, marker) {
				t.Errorf("%s %s: %s", name, value, all)
			}
		}
	}
	// And the other way round: a value of an open feature is repeated.
	if _, violations, _ := decode(parse(t, strings.ReplaceAll(private, ", personal: true", "")), `{"whole":4711}`); !strings.Contains(details(violations), marker) {
		t.Errorf("an open value is kept back: %s", details(violations))
	}
}

func TestPersonalFeaturesStayOutWhereAsked(t *testing.T) {
	s := parse(t, private)
	r := record(t, s, `{"open":1,"whole":2,"real":3,"kind":"b"}`)
	if got := string(s.AppendFeatures(nil, r, false)); got != `{"open":1}` {
		t.Errorf("got %s", got)
	}
	if got := string(s.AppendFeatures(nil, r, true)); got != `{"open":1,"whole":2,"real":3,"kind":"b"}` {
		t.Errorf("got %s", got)
	}
}

func TestLongValuesAreShortened(t *testing.T) {
	_, violations, err := decode(schema.Bank(), `{"month":"`+strings.Repeat("ä", 1000)+`","`+strings.Repeat("b", 1000)+`":1}`)
	if err != nil || len(violations) != 2 {
		t.Fatalf("%v, %v", err, violations)
	}
	if v := violations[0]; !strings.HasSuffix(v.Detail, `, not "`+strings.Repeat("ä", 40)+`…"`) {
		t.Errorf("value: %s", v.Detail)
	}
	if v := violations[1]; v.Field != "/features/"+strings.Repeat("b", 40)+"…" {
		t.Errorf("field: %s", v.Field)
	}
	long := parse(t, manyValues(21, ""))
	_, violations, _ = decode(long, `{"a":"x"}`)
	if d := details(violations); !strings.Contains(d, "v19, … (21 in all)") || strings.Contains(d, "v20") {
		t.Errorf("many values: %s", d)
	}
}

func FuzzDecodeFeatures(f *testing.F) {
	f.Add(sample)
	f.Add(`{"age":34,"job":"pilot","emp.var.rate":1.1}`)
	f.Add(strings.Replace(sample, "34", "34.0000", 1))
	f.Add(strings.Replace(sample, "4991.6", "1e309", 1))
	f.Add(strings.Replace(sample, `"jun"`, `"\u006aun"`, 1))
	f.Add(`{"age":null,"age ":1,"features":{}}`)
	f.Add(`[{"age":34}]`)
	f.Add(`{"age":34,"rate":null,"job":null,"must":1,"kind":"?"}`)
	f.Add(`{"age":null,"size":"s","plan":"q","note":null,"must":1,"kind":"?"}`)
	schemas := []*schema.Schema{schema.Bank(), ordinalBank(f), parse(f, optional)}
	f.Fuzz(func(t *testing.T, text string) {
		for _, s := range schemas {
			r, violations, err := decode(s, text)
			if err != nil {
				schema.JSONFault(err)
				continue
			}
			for _, v := range violations {
				if v.Field == "" || v.Code == "" || v.Detail == "" {
					t.Fatalf("half a violation: %+v", v)
				}
			}
			if missing := s.Complete(r, ""); len(missing) > 0 {
				continue
			}
			v := s.Encode(r)
			if len(v) != s.Width() {
				t.Fatalf("%d columns, want %d", len(v), s.Width())
			}
			for i, x := range v {
				if math.IsNaN(x) || math.IsInf(x, 0) {
					t.Fatalf("column %s is %v", s.Columns()[i], x)
				}
			}
			// What is stored comes back as it was.
			again, err := s.DecodeStored(s.AppendFeatures(nil, r, true), nil)
			if err != nil || len(s.Complete(again, "")) > 0 || !cmp.Equal(s.Encode(again), v) {
				t.Fatalf("stored features differ: %v", err)
			}
		}
	})
}
