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
