package schema_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"gateway/internal/schema"
)

func TestCSVRoundTrip(t *testing.T) {
	s := schema.Bank()
	random := rand.New(rand.NewPCG(3, 4))
	v := make(schema.Vector, s.Width())
	for range 500 {
		for i := range v {
			switch random.IntN(4) {
			case 0:
				v[i] = float64(random.IntN(2))
			case 1:
				v[i] = float64(random.IntN(2_000_001) - 1_000_000)
			case 2:
				v[i] = math.Round(random.NormFloat64()*1e5) / 1e3
			default:
				for v[i] = math.NaN(); math.IsNaN(v[i]) || math.IsInf(v[i], 0); {
					v[i] = math.Float64frombits(random.Uint64())
				}
			}
		}
		row := schema.AppendCSV(nil, v)
		back, err := s.ParseCSV(row)
		if err != nil || !slices.Equal(back, v) {
			t.Fatalf("%s comes back as %v, %v", row, back, err)
		}
	}
}

func TestParseCSVFaults(t *testing.T) {
	s := parse(t, withFeatures("  - {name: a, type: number}", "  - {name: b, type: category, values: [x, y]}"))
	for row, want := range map[string]string{
		"":                "column 1 (a) is not a finite number",
		"1,0":             "the row must have 3 columns, it has 2",
		"1,0,1,":          "the row must have 3 columns, it has more",
		"1,0,1,1":         "the row must have 3 columns, it has more",
		"1,,1":            "column 2 (b=x) is not a finite number",
		"1,0,secret":      "column 3 (b=y) is not a finite number",
		"NaN,0,1":         "column 1 (a) is not a finite number",
		"1e999,0,1":       "column 1 (a) is not a finite number",
		"0x1,0,1":         "column 1 (a) is not a finite number",
		`"1",0,1`:         "column 1 (a) is not a finite number",
		"1;0;1":           "column 1 (a) is not a finite number",
		"1,0,1\n1,0,1":    "column 3 (b=y) is not a finite number",
		"Infinity,-inf,1": "column 1 (a) is not a finite number",
	} {
		if _, err := s.ParseCSV([]byte(row)); err == nil || err.Error() != want {
			t.Errorf("%q: %v, want %s", row, err, want)
		}
	}
	for _, row := range []string{"1,0,1", " 1 ,\t0, 1\r\n", "1.0,0e0,+1", "-1.5e-3,0,1"} {
		if v, err := s.ParseCSV([]byte(row)); err != nil || len(v) != 3 {
			t.Errorf("%q: %v, %v", row, v, err)
		}
	}
}

func TestAppendVectorAppends(t *testing.T) {
	s := parse(t, small)
	r := record(t, s, `{"age":20,"job":"services","month":"may","rate":-2}`)
	want := schema.Vector{7, 20, 0, 1, 0, 3, -2}
	// A destination with dirty memory behind its end.
	dst := append(schema.Vector{7}, slices.Repeat(schema.Vector{9}, 20)...)[:1]
	if got := s.AppendVector(dst, r); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := string(schema.AppendCSV(nil, want)); got != "7,20,0,1,0,3,-2" {
		t.Errorf("got %s", got)
	}
	if got := string(schema.AppendCSV(nil, schema.Vector{math.Copysign(0, -1), 1e-7})); got != "0,1e-07" {
		t.Errorf("got %s", got)
	}
	if columns := strings.Join(s.Columns(), " "); columns != "age job=admin. job=services job=unknown month rate" {
		t.Errorf("columns %s", columns)
	}
}

// TestTargetEncodingIsAPositionOfItsOwnKind: the columns are those of an ordinal
// category, and the fingerprint is another.
func TestTargetEncodingIsAPositionOfItsOwnKind(t *testing.T) {
	with := func(encode string) *schema.Schema {
		return parse(t, withFeatures("  - {name: a, type: category, values: [u, v]}", "  - {name: b, type: category, values: [x, y, z], missing: allow, encode: "+encode+"}",
			"  - {name: c, type: category, values: [p], encode: "+encode+", exclude: true}", "  - {name: d, type: category, values: [p, q], encode: "+encode+"}"))
	}
	target, ordinal := with("target"), with("ordinal")
	if got := target.CodedColumns(); !slices.Equal(got, []int{2, 4}) {
		t.Errorf("coded columns %v of %q", got, target.Columns())
	}
	if got := ordinal.CodedColumns(); got != nil {
		t.Errorf("an ordinal category has coded columns %v", got)
	}
	if target.Fingerprint() == ordinal.Fingerprint() {
		t.Error("the fingerprints are the same")
	}
	for text, want := range map[string]schema.Vector{`{"a":"v","b":"z","d":"q"}`: {0, 1, 3, 0, 2}, `{"a":"u","b":null,"d":"p"}`: {1, 0, 0, 1, 1}} {
		for _, s := range []*schema.Schema{target, ordinal} {
			v := s.Encode(record(t, s, text))
			if !slices.Equal(v, want) {
				t.Errorf("%s: %v, want %v", text, v, want)
			}
		}
		value, missing := target.Features[1].Decode(want[2:])
		if missing != (want[3] == 1) || !missing && value != want[2]-1 {
			t.Errorf("%s: decoded as %v, %v", text, value, missing)
		}
	}
	if got := target.Units()[2]; got != "per 1 of the log-odds of its value" {
		t.Errorf("the unit is %q", got)
	}
}
