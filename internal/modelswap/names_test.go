package modelswap

import (
	"regexp"
	"strings"
	"testing"
	"time"
)

func TestTheNameOfAModelHasRoomForWhatIsDerivedFromIt(t *testing.T) {
	const renewal = "0193a2b4-7c11-7d3e-9a55-1f2e3d4c5b6a"
	at := time.Date(2026, 11, 30, 4, 5, 6, 0, time.UTC)
	shape := regexp.MustCompile(`^[a-z0-9](-*[a-z0-9])*$`)
	for schema, want := range map[string]string{
		"bank":                              "bank-20261130-040506-3d4c5b6a",
		"":                                  "model-20261130-040506-3d4c5b6a",
		"a_b-c":                             "a-b-c-20261130-040506-3d4c5b6a",
		"ends-":                             "ends-20261130-040506-3d4c5b6a",
		strings.Repeat("n", 25):             strings.Repeat("n", 25) + "-20261130-040506-3d4c5b6a",
		strings.Repeat("n", 32):             strings.Repeat("n", 25) + "-20261130-040506-3d4c5b6a",
		"a-long-name-that-is-cut--in-a-gap": "a-long-name-that-is-cut-20261130-040506-3d4c5b6a",
	} {
		for _, again := range []int{0, 2, 999} {
			name := modelName(schema, renewal, at, again)
			if again == 0 && name != want {
				t.Errorf("schema %q gives %q, want %q", schema, name, want)
			}
			if !MayBeNamedAfter(name, schema) {
				t.Errorf("%s cannot be named after schema %q", name, schema)
			}
			if len(name) > MaxModelName || !shape.MatchString(name) {
				t.Errorf("schema %q gives %q of %d characters; at most %d go", schema, name, len(name), MaxModelName)
			}
		}
	}
}

func TestAModelIsNamedAfterOneSchema(t *testing.T) {
	const after = "-20261130-040506-3d4c5b6a"
	for _, c := range []struct {
		model, schema string
		want          bool
	}{
		{"bank" + after, "bank", true},
		{"bank" + after + "-2", "bank", true},
		{"bank" + after, "telco", false},
		{"bank" + after, "bank-2", false},
		{"bank-2" + after, "bank", false},
		{"bank" + after, "", false},
		{"model" + after, "", true},
		{strings.Repeat("n", 32) + after, strings.Repeat("n", 32), true}, // as earlier versions named it
		{"one-that-others-made", "bank", true},
		{"bank-20261130", "telco", true},
	} {
		if got := MayBeNamedAfter(c.model, c.schema); got != c.want {
			t.Errorf("model %s may be named after schema %q: %v, want %v", c.model, c.schema, got, c.want)
		}
	}
}
