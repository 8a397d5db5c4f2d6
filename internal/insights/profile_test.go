package insights

import (
	"encoding/csv"
	"errors"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"testing"

	"gateway/internal/schema"

	"github.com/google/go-cmp/cmp"
)

const shopYAML = `
name: shop
id: id
label: {name: bought, positive: [1], negative: [0]}
features:
  - {name: visits, type: integer, min: 0, default: 3}
  - {name: plan, type: category, values: [free, pro, team], unknown: free}
  - {name: income, type: number, missing: allow, fill: 5}
  - {name: secret, type: number, personal: true}
  - {name: since, type: date}
  - {name: code, type: category, values: [a, b], encode: ordinal}
  - {name: note, type: category, values: [x, y], exclude: true}
`

func parse(t testing.TB, text string) *schema.Schema {
	t.Helper()
	s, err := schema.Parse("test.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// record reads the values of features as a request gives them.
func record(t testing.TB, s *schema.Schema, json string) schema.Record {
	t.Helper()
	r, err := s.DecodeStored([]byte(json), func(feature int, code string) { t.Fatalf("feature %d: %s", feature, code) })
	if err != nil {
		t.Fatal(err)
	}
	if missing := s.Complete(r, ""); len(missing) > 0 {
		t.Fatalf("%+v", missing)
	}
	return r
}

// rowOf is a row of training data as the conversion hands it over.
func rowOf(s *schema.Schema, r schema.Record, train bool, label int) Row {
	row := Row{Train: train, CSV: append(schema.AppendTrainingCSV(nil, label, s.Encode(r)), '\n')}
	for i := range s.Features {
		if r.IsMapped(i) {
			row.Mapped = append(row.Mapped, i)
		}
		if r.IsDefaulted(i) {
			row.Defaulted = append(row.Defaulted, i)
		}
	}
	return row
}

func TestProfile(t *testing.T) {
	s := parse(t, shopYAML)
	p := NewProfiler(s)
	for _, x := range []struct {
		json  string
		train bool
		label int
	}{
		{`{"visits":3,"plan":"pro","income":1.5,"secret":7,"since":"2026-01-01","code":"a"}`, true, 1},
		{`{"plan":"other","income":null,"secret":8,"since":"2026-01-02","code":"b"}`, true, 0},
		{`{"visits":9,"plan":"free","income":5,"secret":9,"since":"2026-01-03","code":"b"}`, true, 0},
		{`{"visits":50,"plan":"team","income":99,"secret":9,"since":"2026-01-03","code":"a"}`, false, 1}, // held out
	} {
		if err := p.Add(rowOf(s, record(t, s, x.json), x.train, x.label)); err != nil {
			t.Fatal(err)
		}
	}
	profile := p.Profile("sha")
	day := 20454.0 // 2026-01-01
	wantBins := []FeatureBins{
		{Name: "visits", Ranges: [][2]float64{{3, 3}, {9, 9}}, Default: firstValueBin},
		{Name: "plan", Values: []string{"free", "pro", "team"}},
		{Name: "income", Ranges: [][2]float64{{1.5, 1.5}, {5, 5}}},
		{Name: "secret", Personal: true},
		{Name: "since", Ranges: [][2]float64{{day, day}, {day + 1, day + 1}, {day + 2, day + 2}}},
		{Name: "code", Values: []string{"a", "b"}},
	}
	if diff := cmp.Diff(wantBins, profile.Bins.Features); diff != "" {
		t.Errorf("bins (-want +got):\n%s", diff)
	}
	// missing, unseen, out of range, defaulted, values
	const wantCounts = ",,,1,1,1;" + ",1,,,1,1;" + "1,,,,1,1;" + ";" + ",,,,1,1,1;" + ",,,,1,2;"
	if profile.Counts != wantCounts {
		t.Errorf("counts are %q, want %q", profile.Counts, wantCounts)
	}
	if profile.Rows != 3 || profile.Labelled != 4 || profile.Data != "sha" {
		t.Errorf("got %d rows, %d labelled, data %s", profile.Rows, profile.Labelled, profile.Data)
	}
	team := profile.Correlations[slices.IndexFunc(profile.Correlations, func(c Correlation) bool { return c.Category != nil && *c.Category == "team" })]
	if want := 1 / math.Sqrt(3); math.Abs(*team.Correlation-want) > 1e-12 { // of 0 0 0 1 with 1 0 0 1
		t.Errorf("the correlation of plan = team is %v, want %v", *team.Correlation, want)
	}
}

func TestBinsOfRecords(t *testing.T) {
	s := parse(t, shopYAML)
	bins := Bins{Schema: s.Fingerprint(), Features: []FeatureBins{
		{Name: "visits", Ranges: [][2]float64{{1, 3}, {5, 9}}, Default: firstValueBin},
		{Name: "plan", Values: []string{"free", "pro", "team"}},
		{Name: "income", Ranges: [][2]float64{{1, 2}}},
		{Name: "secret"}, // of an earlier schema, in which it was not personal
		{Name: "since", Ranges: [][2]float64{{20454, 20455}}},
		{Name: "code", Values: []string{"a", "b"}},
	}}
	c, err := bins.compile(s)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ json, want string }{
		{`{"visits":1,"plan":"free","income":1,"secret":7,"since":"2026-01-01","code":"a"}`, "444-44"},
		{`{"visits":4,"plan":"team","income":null,"secret":7,"since":"2026-01-02","code":"b"}`, "560-45"}, // between two ranges; missing
		{`{"visits":10,"plan":"other","income":3,"secret":7,"since":"2026-01-03","code":"b"}`, "212-25"},  // above; unseen; above; later
		{`{"visits":0,"plan":"pro","secret":7,"since":"2025-12-31","code":"b"}`, "250-25"},                // below; missing; earlier
		{`{"plan":"pro","income":1,"secret":7,"since":"2026-01-01","code":"b"}`, "354-45"},                // defaulted
	} {
		if got := string(c.appendBins(nil, record(t, s, tt.json))); got != tt.want {
			t.Errorf("%s: the bins are %q, want %q", tt.json, got, tt.want)
		}
	}
	bins.Schema = "another"
	if _, err := bins.compile(s); err == nil {
		t.Error("bins of another schema were taken")
	}
}

// The bins of categories with many values are text that databases store.
func TestManyValues(t *testing.T) {
	var got []int
	eachBin([]byte(string([]rune{firstBin + 203, notCounted, firstBin, firstBin + 5})), func(feature, bin int) { got = append(got, feature, bin) })
	if diff := cmp.Diff([]int{0, 203, 2, 0, 3, 5}, got); diff != "" {
		t.Error(diff)
	}
	if b := valueBin(100_000); b != firstValueBin+maxValues-1 {
		t.Errorf("the bin of a late value is %d", b)
	}
}

// A sketch has exact counts in ranges whose bounds are values, whatever the order, and
// bounded memory.
func TestSketch(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for name, draw := range map[string]func() float64{
		"few values":      func() float64 { return float64(rng.IntN(50)) },
		"many values":     func() float64 { return rng.NormFloat64() * 1e6 },
		"a frequent one":  func() float64 { return []float64{999, rng.Float64() * 20}[min(1, rng.IntN(20)/19)] },
		"small and large": func() float64 { return math.Exp(40 * rng.NormFloat64()) },
		"constant":        func() float64 { return -3.5 },
	} {
		t.Run(name, func(t *testing.T) {
			values := make([]float64, 60_000)
			for i := range values {
				values[i] = draw()
			}
			var a, b sketch
			for _, x := range values {
				a.add(x)
			}
			for _, i := range rng.Perm(len(values)) {
				b.add(values[i])
			}
			if len(a.cells) > maxSketch {
				t.Errorf("%d cells", len(a.cells))
			}
			ranges, counts := a.ranges()
			again, _ := b.ranges()
			if diff := cmp.Diff(ranges, again); diff != "" {
				t.Errorf("another order gives other ranges:\n%s", diff)
			}
			f := FeatureBins{Ranges: ranges}
			exact := make([]int64, len(ranges))
			for _, x := range values {
				exact[f.numberBin(x)-firstValueBin]++
			}
			if diff := cmp.Diff(exact, counts); diff != "" {
				t.Errorf("counts (-exact +got):\n%s", diff)
			}
			sort.Float64s(values)
			if ranges[0][0] != values[0] || ranges[len(ranges)-1][1] != values[len(values)-1] {
				t.Errorf("the ranges are %v to %v, the values %v to %v", ranges[0][0], ranges[len(ranges)-1][1], values[0], values[len(values)-1])
			}
			if len(ranges) > wantedRanges+2 {
				t.Errorf("%d ranges", len(ranges))
			}
			if name == "many values" && (len(ranges) < 9 || slices.Max(counts) > 8_000) {
				t.Errorf("counts are %v", counts)
			}
			if name == "a frequent one" && ranges[len(ranges)-1] != [2]float64{999, 999} {
				t.Errorf("the frequent value has no range of its own: %v", ranges)
			}
		})
	}
}

// TestBankCorrelations has the figures that the article's query gives for these rows.
func TestBankCorrelations(t *testing.T) {
	f, err := os.Open(filepath.FromSlash("../../../shared/data/bank/bank-additional.csv"))
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip("no ../../../shared/data/bank/bank-additional.csv")
	} else if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	s := schema.Bank()
	lines := csv.NewReader(f)
	lines.Comma = ';'
	rows, err := lines.ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	p := NewProfiler(s)
	for n, row := range rows[1:] {
		r := s.NewRecord()
		label := 0
		for c, cell := range row {
			if name := rows[0][c]; s.IsLabel(name) {
				label, _ = s.Label.FromText(cell)
			} else if i := s.Feature(name); i >= 0 {
				if v := s.SetText(r, i, cell); v != nil {
					t.Fatal(v)
				}
			}
		}
		if missing := s.Complete(r, ""); len(missing) > 0 {
			t.Fatal(missing)
		}
		if err := p.Add(rowOf(s, r, n%10 > 0, label)); err != nil {
			t.Fatal(err)
		}
	}
	profile := p.Profile("")
	if profile.Labelled != 32845 {
		t.Errorf("%d rows, want 32845", profile.Labelled)
	}
	for _, want := range []struct {
		feature, category string
		correlation       float64
	}{{"age", "", 0.029866}, {"duration", "", 0.406779}, {"campaign", "", -0.068215}, {"contact", "telephone", -0.145001}} {
		found := false
		for _, c := range profile.Correlations {
			if c.Feature == want.feature && (c.Category == nil && want.category == "" || c.Category != nil && *c.Category == want.category) {
				found = true
				if math.Abs(*c.Correlation-want.correlation) > 5e-7 {
					t.Errorf("%s %s: the correlation is %.6f, want %.6f", want.feature, want.category, *c.Correlation, want.correlation)
				}
			}
		}
		if !found {
			t.Errorf("there is no correlation of %s %s", want.feature, want.category)
		}
	}
	for i, f := range profile.Bins.Features {
		t.Log(f.Name, f.Ranges, f.Default, mustParse(t, profile.Counts)[i])
	}
}

func mustParse(t testing.TB, text string) Counts {
	t.Helper()
	c, err := ParseCounts(text)
	if err != nil {
		t.Fatal(err)
	}
	return c
}
