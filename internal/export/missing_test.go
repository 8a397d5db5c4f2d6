package export

import (
	"testing"

	"gateway/internal/predict"
	"gateway/internal/schema"
)

// Items that the gateway writes, and those of others, are encoded as requests are:
// null, absence and markers are one code.
func TestMissingValuesOfItems(t *testing.T) {
	s, err := schema.Parse("optional.yaml", []byte(`
name: optional
id: customer_id
label: {name: y, positive: [1], negative: [0]}
features:
  - {name: age, type: integer, missing: allow, fill: -1}
  - {name: job, type: category, values: [a, b], missing: allow}
  - {name: rate, type: number, missing: allow}
  - {name: since, type: date, format: DD.MM.YYYY, missing: allow}
`))
	if err != nil {
		t.Fatal(err)
	}
	one := 1
	for features, want := range map[string]string{
		`{"age":34,"job":"b","rate":0.5,"since":"2026-11-30"}`: "1,34,0,0,1,0,0.5,0,20787,11,1,0\n",
		`{"age":null,"job":null,"rate":0.5,"since":null}`:      "1,-1,1,0,0,1,0.5,0,0,0,0,1\n",
		`{}`: "1,-1,1,0,0,1,0,1,0,0,0,1\n",
	} {
		line, err := appendItem(nil, s, predict.Customer{ID: "1", Features: []byte(features), Label: &one})
		if err != nil {
			t.Fatal(err)
		}
		got, report, err := convertFS(t, s, files(map[string]string{"f": string(line)}), "f", Options{})
		if err != nil || got != want {
			t.Errorf("%s: got %q, want %q (%v, %+v)", features, got, want, err, report.Skipped)
		}
	}
	others := nativeLine(map[string]string{"customer_id": `{"S":"1"}`, "y": `{"N":"1"}`, "age": `{"S":"?"}`, "job": `{"S":"None"}`, "rate": `{"N":"NaN"}`, "since": `{"S":"30.11.2026"}`})
	got, _, err := convertFS(t, s, files(map[string]string{"f": others + "\n"}), "f", Options{})
	if want := "1,-1,1,0,0,1,0,1,20787,11,1,0\n"; err != nil || got != want {
		t.Errorf("markers: got %q, want %q (%v)", got, want, err)
	}
}
