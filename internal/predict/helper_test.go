package predict_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"gateway/internal/failure"
	"gateway/internal/schema"
)

// sample is the article's customer as JSON features.
const sample = `{"age":34,"job":"technician","marital":"married","education":"high.school","default":"no","housing":"yes",` +
	`"loan":"no","contact":"cellular","month":"jun","day_of_week":"wed","duration":190,"campaign":1,"pdays":3,"previous":4,` +
	`"poutcome":"success","emp_var_rate":-1.7,"cons_price_idx":94.055,"cons_conf_idx":-39.8,"euribor3m":0.715,"nr_employed":4991.6}`

// small is a schema with one feature of each kind.
const small = `name: small
id: customer_id
label: {name: y, positive: [1, "yes"], negative: [0, "no"]}
features:
  - {name: age, type: integer, min: 17, max: 120}
  - {name: job, type: category, values: [admin., services, unknown], unknown: unknown}
  - {name: month, type: category, values: [mar, apr, may], encode: ordinal, default: apr}
  - {name: rate, type: number, alias: [emp.rate], default: 1.5}
`

// parse reads a schema that must be sound.
func parse(t testing.TB, text string) *schema.Schema {
	t.Helper()
	s, err := schema.Parse("test.yaml", []byte(text))
	if err != nil {
		t.Fatalf("the schema is refused:\n%v\n%s", err, text)
	}
	return s
}

// csvOf is a table of small's features from text.
func csvOf(t testing.TB, s *schema.Schema, text string) schema.Table {
	t.Helper()
	table, err := schema.NewCSVTable(s, strings.NewReader(text), 1<<16)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// decode reads one JSON object of features.
func decode(s *schema.Schema, text string) (schema.Record, []failure.Violation, error) {
	r := s.NewRecord()
	var violations failure.Violations
	err := s.DecodeFeatures(r, jsontext.NewDecoder(bytes.NewReader([]byte(text))), "/features/", &violations)
	return r, violations.Listed, err
}

// record reads features that must be sound.
func record(t testing.TB, s *schema.Schema, text string) schema.Record {
	t.Helper()
	r, violations, err := decode(s, text)
	if err != nil || len(violations) > 0 {
		t.Fatalf("%v, violations %v", err, violations)
	}
	return r
}

// codes writes violations as "field code", one a line.
func codes(violations []failure.Violation) string {
	lines := make([]string, len(violations))
	for i, v := range violations {
		lines[i] = v.Field + " " + v.Code
	}
	return strings.Join(lines, "\n")
}
