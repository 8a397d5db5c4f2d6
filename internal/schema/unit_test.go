package schema_test

import (
	"slices"
	"testing"
)

func TestUnits(t *testing.T) {
	s := parse(t, `
name: units
id: id
label: {name: y, positive: [1], negative: [0]}
features:
  - {name: age, type: integer}
  - {name: income, type: number, format: "1.234,56 €", missing: allow}
  - {name: fee, type: number, format: "$1,234.56"}
  - {name: hidden, type: number, exclude: true}
  - {name: job, type: category, values: [admin., none], missing: allow}
  - {name: grade, type: category, values: [low, high], encode: ordinal}
  - {name: since, type: date}
`)
	want := []string{"per 1", "per 1 €", "if missing", "per 1 $", "if admin.", "if none", "if missing", "per place in the list of values",
		"per day", "per month of the year", "per day of the week"}
	if got := s.Units(); !slices.Equal(got, want) || len(got) != s.Width() {
		t.Errorf("got %q, want %q", got, want)
	}
}
