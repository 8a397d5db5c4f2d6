package export

import (
	"testing"

	"gateway/internal/schema"
)

// A string of DynamoDB is written as the feature's format says, a number of
// DynamoDB is not: 1.234 there is below two.
func TestNumbersOfItemsInAFormat(t *testing.T) {
	s, err := schema.Parse("format.yaml", []byte(`
name: format
id: customer_id
label: {name: y, positive: [1], negative: [0]}
features:
  - {name: income, type: number, format: "1.234,56 €", missing: allow}
`))
	if err != nil {
		t.Fatal(err)
	}
	for value, want := range map[string]string{
		`{"N":"1.234"}`:      "1,1.234,0\n",
		`{"S":"1.234"}`:      "1,1234,0\n",
		`{"S":"1.234,5 €"}`:  "1,1234.5,0\n",
		`{"S":"-"}`:          "1,0,1\n",
		`{"N":"NaN"}`:        "1,0,1\n",
		`{"S":"1,234.5"}`:    "type:income",
		`{"BOOL":true}`:      "type:income",
		`{"N":"1234567.25"}`: "1,1234567.25,0\n",
	} {
		line := nativeLine(map[string]string{"customer_id": `{"S":"1"}`, "y": `{"N":"1"}`, "income": value})
		got, report, err := convertFS(t, s, files(map[string]string{"f": line + "\n"}), "f", Options{})
		if err != nil {
			t.Fatal(err)
		}
		for reason := range report.Skipped {
			got += reason
		}
		if got != want {
			t.Errorf("%s: got %q, want %q", value, got, want)
		}
	}
}
