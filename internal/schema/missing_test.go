package schema_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gateway/internal/schema"
)

// optional has features that may be missing, and others to compare with.
const optional = `name: optional
id: customer_id
label: {name: y, positive: [1, "yes"], negative: [0, "no", "-"]}
features:
  - {name: age, type: integer, min: 17, missing: allow, fill: -1}
  - {name: rate, type: number, missing: allow}
  - {name: job, type: category, values: [admin., none], missing: allow}
  - {name: size, type: category, values: [s, m], missing: allow, encode: ordinal}
  - {name: plan, type: category, values: [a, b], unknown: b, missing: allow}
  - {name: note, type: number, missing: allow, exclude: true}
  - {name: must, type: number}
  - {name: kind, type: category, values: [x, "?"], unknown: x}
  - {name: else, type: number, default: 9}
`

// Golden encodings of missing values, as values of JSON and as cells of CSV.
func TestMissingValuesAreEncoded(t *testing.T) {
	s := parse(t, optional)
	want := []string{"age", "age=", "rate", "rate=", "job=admin.", "job=none", "job=", "size", "size=", "plan=a", "plan=b", "plan=", "must", "kind=x", "kind=?", "else"}
	if diff := cmp.Diff(want, s.Columns()); diff != "" {
		t.Fatalf("columns (-want +got):\n%s", diff)
	}
	features := s.ColumnFeatures()
	for i, column := range s.Columns() {
		name, _, _ := strings.Cut(column, "=")
		if got := s.Features[features[i]].Name; got != name {
			t.Errorf("column %s belongs to feature %s", column, got)
		}
	}
	const header = "age,rate,job,size,plan,note,must,kind,else\n"
	for name, tt := range map[string]struct{ json, csv, want string }{
		"all given": {`{"age":34,"rate":0.5,"job":"none","size":"m","plan":"a","note":1,"must":7,"kind":"?","else":1}`,
			"34,0.5,none,m,a,1,7,?,1", "34,0,0.5,0,0,1,0,2,0,1,0,0,7,0,1,1"},
		"all absent": {`{"must":7,"kind":"x"}`, ",,,,,,7,x,", "-1,1,0,1,0,0,1,0,1,0,0,1,7,1,0,9"},
		"all null": {`{"age":null,"rate":null,"job":null,"size":null,"plan":null,"note":null,"must":7,"kind":"x"}`,
			"?,NA,NULL,-,n/a,--,7,x,nan", "-1,1,0,1,0,0,1,0,1,0,0,1,7,1,0,9"},
		"zero is a value": {`{"age":17,"rate":0,"must":0,"kind":"x","plan":"zzz"}`, "17,0,,,zzz,,0,None,", "17,0,0,0,0,0,1,0,1,0,1,0,0,1,0,9"},
	} {
		fromJSON := record(t, s, tt.json)
		row, err := csvOf(t, s, header+tt.csv+"\n").Next()
		if err != nil || row.Violations.Count() > 0 {
			t.Fatalf("%s: %v, %s", name, err, details(row.Violations.Listed))
		}
		for form, r := range map[string]schema.Record{"JSON": fromJSON, "CSV": row.Features} {
			if missing := s.Complete(r, ""); len(missing) > 0 {
				t.Fatalf("%s: %s", name, details(missing))
			}
			v := s.Encode(r)
			if got := string(schema.AppendCSV(nil, v)); got != tt.want {
				t.Errorf("%s from %s: got  %s\nwant %s", name, form, got, tt.want)
			}
			if again, err := s.ParseCSV([]byte(tt.want)); err != nil || !cmp.Equal(again, v) {
				t.Errorf("%s: the row is read as %v (%v)", name, again, err)
			}
		}
	}
}

func TestNullIsStoredAndReadBack(t *testing.T) {
	s := parse(t, optional)
	r := record(t, s, `{"age":null,"job":null,"note":null,"must":7}`)
	const stored = `{"age":null,"job":null,"note":null,"must":7}`
	if got := string(s.AppendFeatures(nil, r, true)); got != stored {
		t.Errorf("stored as %s", got)
	}
	again, err := s.DecodeStored([]byte(stored), func(feature int, code string) { t.Errorf("feature %d is ignored: %s", feature, code) })
	if err != nil {
		t.Fatal(err)
	}
	if got := string(s.AppendFeatures(nil, again, true)); got != stored {
		t.Errorf("read back as %s", got)
	}
	for i, want := range []struct{ has, missing bool }{{true, true}, {false, true}, {true, true}, {false, true}, {false, true}, {true, true}, {true, false}} {
		if again.Has(i) != want.has || again.Missing(i) != want.missing {
			t.Errorf("%s: has a value %v, is missing %v", s.Features[i].Name, again.Has(i), again.Missing(i))
		}
	}
	// A null takes precedence over a stored value, absence does not.
	over := record(t, s, `{"age":null,"rate":2}`).Over(record(t, s, `{"age":40,"rate":1,"job":"none"}`))
	if got := string(s.AppendFeatures(nil, over, true)); got != `{"age":null,"rate":2,"job":"none"}` {
		t.Errorf("merged to %s", got)
	}
	row, err := csvOf(t, s, "customer_id,age,rate\n1,NA,\n").Next()
	if err != nil {
		t.Fatal(err)
	}
	if got := string(s.AppendFeatures(nil, row.Features.Over(again), true)); got != stored {
		t.Errorf("a missing cell over a stored value: %s", got)
	}
	// An earlier schema allowed null.
	ignored := ""
	strict, err := parse(t, strings.ReplaceAll(optional, "missing: allow, fill: -1", "default: 20")).
		DecodeStored([]byte(stored), func(feature int, code string) { ignored += fmt.Sprint(feature, code) })
	if err != nil || ignored != "0type" || strict.Has(0) {
		t.Errorf("ignored %q, %v", ignored, err)
	}
}

func TestMissingMarkers(t *testing.T) {
	for _, text := range []string{"", " \t", "NA", " N/A ", "n/a", "#N/A", "<NA>", "NULL", "null", "Null", "NaN", "nan", "NAN", "None", "none", "NONE", "?", "-", "--", `\N`, "\u00a0"} {
		if !schema.IsMissingMarker(text) {
			t.Errorf("%q is no marker", text)
		}
	}
	for _, text := range []string{"0", "na", "Na", "nil", "n.a.", "---", "??", ".", `\n`, "missing", "unknown", "no", "x", "-1", "inf", "N / A"} {
		if schema.IsMissingMarker(text) {
			t.Errorf("%q is a marker", text)
		}
	}
}

// A value of the schema is that value, even if it looks like a marker.
func TestMarkersInCells(t *testing.T) {
	s := parse(t, optional)
	got := summary(t, s, csvOf(t, s, "age,job,kind,must,y\n?,none,?,NA,-\nnull,None,NULL,\\N,?\n-,-,-,3,NA\n34,NA,\\N,1,N/A\n"))
	want := `2 [] {"job":"none","kind":"?"} 0
3 [] {"kind":"x"} -
4 [] {"must":3,"kind":"x"} -
5 [] {"age":34,"must":1} -
`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
	row, err := csvOf(t, s, "must,kind,age\n N/A ,\\N,?\n").Next()
	if err != nil {
		t.Fatal(err)
	}
	s.AddMissing(&row.Violations, row.Features, "")
	if got, want := details(row.Violations.Listed), `must missing: is required and has no default; the text "N/A" was taken as a missing value
kind missing: is required and has no default; the text "\\N" was taken as a missing value`; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	// A row of markers alone was given, so that each is named.
	if row.Features.IsEmpty() {
		t.Error("a row of markers is empty")
	}
	_, violations, err := decode(s, `{"must":null,"age":"NA","rate":"?","kind":"-","job":"None"}`)
	if got, want := details(violations), `/features/must type: must be a number, not null
/features/age type: must be an integer, not a string
/features/rate type: must be a number, not a string
/features/job unknown_category: must be one of admin., none, not "None"`; err != nil || got != want {
		t.Errorf("in JSON: %v, got  %s\nwant %s", err, got, want)
	}
}

func TestMissingFaults(t *testing.T) {
	tests := []struct {
		name, line string
		want       []string
	}{
		{"another word", "{name: a, type: number, missing: yes}", []string{
			`s.yaml:5: feature "a": missing "yes": must be allow; without it a value that is missing is refused or takes the default`}},
		{"a list", "{name: a, type: number, missing: [allow]}", []string{"s.yaml:5: missing must be a single value"}},
		{"a default too", "{name: a, type: category, values: [x], missing: allow, default: x}", []string{
			`s.yaml:5: feature "a": give default or missing: allow, not both; a default replaces what is missing`}},
		{"a fill alone", "{name: a, type: number, fill: 3}", []string{`s.yaml:5: feature "a": fill is for a feature with missing: allow`}},
		{"a fill of a category alone", "{name: a, type: category, values: [x], fill: x}", []string{`s.yaml:5: feature "a": fill is for a feature with missing: allow`}},
		{"a fill of a category", "{name: a, type: category, values: [x], missing: allow, fill: x}", []string{
			`s.yaml:5: feature "a": fill is for numbers and dates; a category that is missing has no value`}},
		{"a fill that is no number", "{name: a, type: number, missing: allow, fill: .nan}", []string{`s.yaml:5: fill must be a finite number, not ".nan"`}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { wantFaults(t, withFeatures("  - "+tt.line), tt.want) })
	}
}

func TestFingerprintOfMissingValues(t *testing.T) {
	seen := make(map[string]string)
	for _, line := range []string{"", ", missing: allow", ", missing: allow, fill: 1", ", missing: allow, fill: -1", ", default: 0"} {
		got := parse(t, withFeatures("  - {name: a, type: number"+line+"}")).Fingerprint()
		if other, taken := seen[got]; taken {
			t.Errorf("%q has the fingerprint of %q", line, other)
		}
		seen[got] = line
	}
	if got := parse(t, withFeatures("  - {name: a, type: number, missing: allow, fill: 0}")).Fingerprint(); seen[got] != ", missing: allow" {
		t.Error("a fill of 0 is not the default")
	}
}
