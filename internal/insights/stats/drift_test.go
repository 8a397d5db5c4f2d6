package stats

import (
	"math"
	"math/rand/v2"
	"slices"
	"sort"
	"strings"
	"testing"

	"gateway/internal/testsize"
)

// world draws rows of 20 features and a score. Features are numbers with a common
// factor, some of which are missing at times, and categories with rare values. Some
// depend on the label.
type world struct {
	positives    float64 // share of rows
	shift        float64 // of the first number, in standard deviations
	unseen       float64 // share of rows in which the first category has a new value
	missing      float64 // share of rows in which the second number is missing
	randomSource *rand.Rand
}

const (
	worldNumbers    = 14
	worldCategories = 6
	worldFeatures   = worldNumbers + worldCategories
	scoreFeature    = worldFeatures // the index of the score

	shiftedFeature = 0
	missingFeature = 1
	unseenFeature  = worldNumbers
)

var (
	unchanged = world{positives: 0.11}

	// Half of the features have a weight in the score.
	worldWeights = [worldNumbers]float64{0.2, 1, 0.8, 0.6, 0.5, 0.4, 0.3}

	worldValues = [worldCategories][]float64{
		{0.253, 0.225, 0.164, 0.096, 0.070, 0.042, 0.036, 0.035, 0.025, 0.024, 0.022, 0.008},
		{0.887, 0.113},
		{0.604, 0.281, 0.113, 0.002},
		{0.963, 0.020, 0.008, 0.004, 0.002, 0.001, 0.001, 0.0005, 0.0005},
		zipf(40),
		{0.79, 0.2099, 0.0001},
	}
)

func zipf(values int) []float64 {
	out, sum := make([]float64, values), 0.0
	for i := range out {
		out[i] = 1 / float64(i+1)
		sum += out[i]
	}
	for i := range out {
		out[i] /= sum
	}
	return out
}

// row draws the numbers, NaN where missing, the index of each category's value, -1
// where it is new, and the score's log-odds.
func (w world) row() (numbers [worldNumbers]float64, categories [worldCategories]int, score float64) {
	r := w.randomSource
	y := label(r, w.positives)
	factor := r.NormFloat64()
	for i := range numbers {
		numbers[i] = 0.5*factor + math.Sqrt(0.75)*r.NormFloat64() + 2*worldWeights[i]*(y-unchanged.positives)
		if i == shiftedFeature {
			numbers[i] += w.shift
		}
		score += worldWeights[i] * numbers[i]
		if i == missingFeature && r.Float64() < w.missing || i > 10 && r.Float64() < 0.01 {
			numbers[i] = math.NaN()
		}
	}
	for i, values := range worldValues {
		u := r.Float64()
		for categories[i] = 0; categories[i] < len(values)-1 && u >= values[categories[i]]; categories[i]++ {
			u -= values[categories[i]]
		}
		if i == 0 && r.Float64() < w.unseen {
			categories[i] = -1
		}
	}
	return numbers, categories, score
}

// worldBins has the deciles of the numbers and the score in a reference.
type worldBins [worldNumbers + 1][]float64

// tally counts rows. The first two bins of a feature are missing and unseen.
func (w world) tally(bins *worldBins, rows int) (counts [worldFeatures + 1][]float64) {
	for i := range counts {
		counts[i] = make([]float64, 2+10)
		if i >= worldNumbers && i < scoreFeature {
			counts[i] = make([]float64, 2+len(worldValues[i-worldNumbers]))
		}
	}
	decile := func(i int, x float64) int {
		if math.IsNaN(x) {
			return 0
		}
		return 2 + sort.SearchFloat64s(bins[i], x)
	}
	for range rows {
		numbers, categories, score := w.row()
		for i, x := range numbers {
			counts[i][decile(i, x)]++
		}
		for i, value := range categories {
			counts[worldNumbers+i][max(1, 2+value)]++
		}
		counts[scoreFeature][decile(worldNumbers, score)]++
	}
	return counts
}

func (w world) deciles() (bins worldBins) {
	var columns worldBins
	for range 30_000 {
		numbers, _, score := w.row()
		for i, x := range append(numbers[:], score) {
			if !math.IsNaN(x) {
				columns[i] = append(columns[i], x)
			}
		}
	}
	for i, column := range columns {
		slices.Sort(column)
		for decile := 1; decile < 10; decile++ {
			bins[i] = append(bins[i], column[len(column)*decile/10])
		}
	}
	return bins
}

// windows compares windows of a changed world with references of the unchanged one, of
// 30,000 rows, each of which serves for fifty windows.
func windows(changed world, rows, count int, seed uint64, visit func([]Drift)) {
	random := rand.New(rand.NewPCG(21, seed))
	base := unchanged
	base.randomSource, changed.randomSource = random, random
	var bins worldBins
	var reference [worldFeatures + 1][]float64
	for i := range count {
		if i%50 == 0 {
			bins = base.deciles()
			reference = base.tally(&bins, 30_000)
		}
		live := changed.tally(&bins, rows)
		features := make([]Histograms, len(live))
		for j := range features {
			features[j] = Histograms{Reference: reference[j], Live: live[j], Special: 2, Weight: 0.1}
			if j < worldNumbers {
				features[j].Weight += worldWeights[j]
			}
		}
		visit(FindDrift(features))
	}
}

func TestNoFalseAlarms(t *testing.T) {
	for i, rows := range []int{200, 1000, 10_000} {
		count, alarms := testsize.Of(min(100, 100_000/rows), 1000), 0
		windows(unchanged, rows, count, uint64(100+i), func(drifts []Drift) {
			if slices.ContainsFunc(drifts, func(d Drift) bool { return d.Drifted }) {
				alarms++
			}
		})
		t.Logf("%d of %d windows of %d rows raise an alarm", alarms, count, rows)
		if alarms > count/100 {
			t.Errorf("%d of %d windows of %d rows raise an alarm though nothing has changed", alarms, count, rows)
		}
	}
}

// Each change has to be found in 95 % of windows of 1,000 rows and, where it is of one
// feature, to be named first.
func TestChangesAreFoundAndNamed(t *testing.T) {
	tests := []struct {
		name    string
		changed world
		first   int // the feature; scoreFeature: the score must drift
	}{
		{"half a standard deviation", world{positives: 0.11, shift: 0.5}, shiftedFeature},
		{"3 % of a new value", world{positives: 0.11, unseen: 0.03}, unseenFeature},
		{"5 % missing", world{positives: 0.11, missing: 0.05}, missingFeature},
		{"all missing", world{positives: 0.11, missing: 1}, missingFeature},
		{"a quarter positive, not a ninth", world{positives: 0.25}, scoreFeature},
	}
	for i, tt := range tests {
		count := testsize.Of(40, 1000)
		found, named := 0, 0
		windows(tt.changed, 1000, count, uint64(200+i), func(drifts []Drift) {
			if drifts[tt.first].Drifted {
				found++
			}
			if Order(drifts[:scoreFeature])[0] == tt.first || tt.first == scoreFeature {
				named++
			}
		})
		t.Logf("%s: found in %d of %d windows, named first in %d", tt.name, found, count, named)
		if found*100 < 95*count || named*100 < 95*count {
			t.Errorf("%s: found in %d of %d windows, named first in %d", tt.name, found, count, named)
		}
	}
}

func TestDriftNeedsRows(t *testing.T) {
	h := Histograms{Reference: []float64{1000, 1000}, Live: []float64{150, 49}}
	d := FindDrift([]Histograms{h})[0]
	if d.Drifted || d.PSI != 0 || !strings.HasPrefix(d.Insufficient, "199 rows") {
		t.Errorf("199 rows: %+v", d)
	}
	h.Live[1]++
	if d = FindDrift([]Histograms{h})[0]; !d.Drifted || d.Insufficient != "" {
		t.Errorf("200 rows: %+v", d)
	}
	if d = FindDrift([]Histograms{{Reference: []float64{100, 99}, Live: []float64{500, 500}}})[0]; d.Insufficient == "" {
		t.Errorf("199 rows of the reference: %+v", d)
	}
}

func TestDriftNeedsSomeSize(t *testing.T) {
	// 52 % instead of 50 %, of half a million rows: p far below any level.
	h := Histograms{Reference: []float64{100_000, 100_000}, Live: []float64{240_000, 260_000}}
	d := FindDrift([]Histograms{h})[0]
	if d.PValue > 1e-12 || d.PSI > 0.007 || d.Drifted || d.Threshold != MinDriftPSI {
		t.Errorf("%+v", d)
	}
}

func TestPSIOfEmptyBins(t *testing.T) {
	reference, live := []float64{0, 500, 500, 0}, []float64{100, 450, 450, 0}
	d := FindDrift([]Histograms{{Reference: reference, Live: live}})[0]
	p, q := 0.0005, 0.1
	want := (q-p)*math.Log(q/p) + 2*(0.45-0.5)*math.Log(0.45/0.5)
	near(t, "PSI", d.PSI, want, 1e-12)
	if !d.Drifted {
		t.Errorf("a tenth of new values is no drift: %+v", d)
	}
	// A value that is gone.
	d = FindDrift([]Histograms{{Reference: []float64{500, 500}, Live: []float64{0, 1000}}})[0]
	near(t, "PSI of a value that is gone", d.PSI, (0.0005-0.5)*math.Log(0.0005/0.5)+0.5*math.Log(2), 1e-12)
	// A feature with one value has not drifted.
	d = FindDrift([]Histograms{{Reference: []float64{0, 1000}, Live: []float64{0, 1000}}})[0]
	if d.PSI != 0 || d.PValue != 1 || d.Drifted {
		t.Errorf("a constant: %+v", d)
	}
}

// Bins with less than ten expected rows are added to the next such ones; special bins are
// not.
func TestSparseBinsAreAddedUp(t *testing.T) {
	sparse := Histograms{
		Special:   1,
		Reference: []float64{0, 5000, 80, 80, 4500, 80, 80, 80, 80, 20},
		Live:      []float64{3, 240, 5, 3, 225, 4, 5, 2, 6, 7},
	}
	// Three values of 4 rows reach 10, and twice so; the last value is what is left.
	added := Histograms{
		Special:   1,
		Reference: []float64{0, 5000, 4500, 240, 240, 20},
		Live:      []float64{3, 240, 225, 12, 13, 7},
	}
	got, freedom := sparse.psi()
	want, wantFreedom := added.psi()
	near(t, "PSI", got, want, 1e-12)
	if freedom != wantFreedom || freedom != 5 {
		t.Errorf("%v degrees of freedom, want 5", freedom)
	}
}

func TestOrder(t *testing.T) {
	drifts := []Drift{
		{PSI: 0.009, Threshold: 0.01, ShareOfScoreShift: 0.5},
		{PSI: 0.02, Threshold: 0.01, Drifted: true, ShareOfScoreShift: 0.1},
		{PSI: 0.05, Threshold: 0.02, Drifted: true},
		{PSI: 0.04, Threshold: 0.01, Drifted: true},
		{PSI: 0.03, Threshold: 0.01, Drifted: true, ShareOfScoreShift: 0.4},
		{Insufficient: "too few rows"},
	}
	if got, want := Order(drifts), []int{4, 1, 3, 2, 0, 5}; !slices.Equal(got, want) {
		t.Errorf("the order is %v, want %v", got, want)
	}
}

// The example of Benjamini and Hochberg's article has four discoveries at 0.05.
func TestDiscoveryLevel(t *testing.T) {
	p := []float64{0.0344, 0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0459, 0.3240, 0.4262, 0.5719, 0.6528, 0.7590, 1}
	near(t, "level", discoveryLevel(p, 0.05), 4*0.05/15, 1e-12)
	near(t, "level without a discovery", discoveryLevel([]float64{0.2, 0.9}, 0.05), 0.025, 1e-12)
	near(t, "level of nothing", discoveryLevel(nil, 0.05), 0.05, 1e-12)
}

func TestThresholdIsThatOfTheLevel(t *testing.T) {
	ten := func(live []float64) Histograms {
		return Histograms{Reference: slices.Repeat([]float64{3000}, 10), Live: live}
	}
	same := slices.Repeat([]float64{100}, 10)
	moved := []float64{40, 60, 80, 90, 100, 110, 120, 130, 130, 140}
	drifts := FindDrift([]Histograms{ten(same), ten(moved), ten(same), ten(moved), ten(same)})
	want := chiSquareQuantile(2*FalseDriftRate/5, 9) * (1/1000. + 1/30_000.)
	for i, d := range drifts {
		near(t, "threshold", d.Threshold, want, 1e-12)
		if d.Drifted != (i == 1 || i == 3) {
			t.Errorf("feature %d: %+v", i, d)
		}
	}
}

func TestShareOfScoreShift(t *testing.T) {
	number := func(live []float64, contribution ...float64) Histograms {
		return Histograms{Reference: []float64{10_000, 10_000}, Live: live, Contribution: contribution}
	}
	drifts := FindDrift([]Histograms{
		number([]float64{500, 500}, -1, 1), // has not moved
		number([]float64{300, 700}, -1, 1), // by 0.4
		number([]float64{700, 300}, -2, 2), // by -0.8
		number([]float64{510, 490}, -5, 5), // within the sampling error
		number([]float64{0, 1000}, 0, 0),   // of no weight
	})
	near(t, "shift", drifts[1].Shift, 0.4, 1e-9)
	near(t, "shift", drifts[2].Shift, -0.8, 1e-9)
	near(t, "share", drifts[2].ShareOfScoreShift/drifts[1].ShareOfScoreShift, 2, 1e-9)
	near(t, "sum of the shares", drifts[1].ShareOfScoreShift+drifts[2].ShareOfScoreShift, 1, 1e-12)
	for _, i := range []int{0, 3, 4} {
		if drifts[i].ShareOfScoreShift != 0 {
			t.Errorf("feature %d has a share of %v", i, drifts[i].ShareOfScoreShift)
		}
	}
	if got, want := Order(drifts), []int{2, 1, 4, 3, 0}; !slices.Equal(got, want) {
		t.Errorf("the order is %v, want %v", got, want)
	}
}
