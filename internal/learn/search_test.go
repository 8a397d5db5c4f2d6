package learn

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// drawn returns rows of as many numbers as columns has letters, with labels drawn
// by the given log-odds.
func drawn(columns string, rows int, seed uint64, margin func(row []float64) float64) Dataset {
	random := rand.New(rand.NewPCG(seed, 1))
	d := Dataset{Columns: strings.Split(columns, "")}
	for range rows {
		row := make([]float64, len(d.Columns))
		for j := range row {
			row[j] = random.NormFloat64()
		}
		y := 0.0
		if random.Float64() < sigmoid(margin(row)) {
			y = 1
		}
		d.X, d.Y = append(d.X, row...), append(d.Y, y)
	}
	return d
}

// fast makes boosting take few rounds.
func fast() map[string]string { return map[string]string{"eta": "0.25", "num_round": "80"} }

func straight(row []float64) float64 { return 1.5*row[0] - row[1] - 0.5 }

func corners(row []float64) float64 {
	if (row[0] > 0) == (row[1] > 0) {
		return 2.5
	}
	return -2.5
}

func TestAutoChoosesByTheData(t *testing.T) {
	for name, c := range map[string]struct {
		margin func(row []float64) float64
		want   Algorithm
	}{
		"a plane":   {straight, LinearLearner},
		"a pattern": {corners, XGBoost},
	} {
		data, test := drawn("ab", 1200, 1, c.margin), drawn("ab", 4000, 2, c.margin)
		m := mustTrain(t, data, Options{Algorithm: Auto, Hyperparameters: fast()})
		if m.Algorithm() != c.want || m.Search().Chosen != c.want {
			t.Errorf("%s: got %s, want %s: %+v", name, m.Algorithm(), c.want, m.Search().Candidates)
		}
		found, err := Evaluate(scores(m, test), test.Y, 0.5)
		if err != nil {
			t.Fatal(err)
		}
		truth := make([]float64, test.Rows())
		for i := range truth {
			truth[i] = sigmoid(c.margin(test.Row(i)))
		}
		best, err := Evaluate(truth, test.Y, 0.5)
		if err != nil {
			t.Fatal(err)
		}
		if found.AUC < best.AUC-0.02 || found.LogLoss > best.LogLoss+0.03 {
			t.Errorf("%s: got AUC %v and log loss %v, with the truth they are %v and %v", name, found.AUC, found.LogLoss, best.AUC, best.LogLoss)
		}
	}
}

// both is the sum of a plane and a pattern.
func both(row []float64) float64 {
	sum := corners(row) / 2
	for _, x := range row {
		sum += 0.7 * x
	}
	return sum
}

// Where a plane and a pattern add up, their models do.
func TestAutoBlends(t *testing.T) {
	data, test := drawn("abcdefgh", 1500, 3, both), drawn("abcdefgh", 3000, 4, both)
	m := mustTrain(t, data, Options{Algorithm: Auto, Hyperparameters: fast()})
	if m.Algorithm() != Blend || m.linear == nil || m.forest == nil {
		t.Fatalf("got %s by %+v, want a blend", m.Algorithm(), m.Search().Candidates)
	}
	best := math.Inf(1)
	for _, c := range m.Search().Candidates {
		best = min(best, c.LogLoss)
	}
	found, err := Evaluate(scores(m, test), test.Y, 0.5)
	if err != nil {
		t.Fatal(err)
	}
	if found.LogLoss > best+0.02 {
		t.Errorf("the blend has log loss %v on new rows, the best candidate %v", found.LogLoss, best)
	}
	row := test.Row(5)
	sum := m.Base()
	for _, c := range m.Contributions(row) {
		sum += c
	}
	if want := logit(m.Score(row)); !near(sum, want, 1e-9) {
		t.Errorf("base and contributions make %v, want %v", sum, want)
	}
	if _, _, ok := m.Coefficients(); ok {
		t.Error("a blend has coefficients as if it were linear")
	}
}

// The log-odds of a mixture are the weighted sum that was chosen, calibrated.
func TestMixtureIsTheWeightedSum(t *testing.T) {
	data := synthetic(300, 3, []int{3}, 54)
	table := packedTable(t, data)
	linear, _, err := parseLinear(nil)
	if err != nil {
		t.Fatal(err)
	}
	boosting, _, err := parseBoosting(map[string]string{"num_round": "5"}, 1)
	if err != nil {
		t.Fatal(err)
	}
	plain := mustTrain(t, data, Options{Algorithm: LinearLearner})
	trees := mustTrain(t, data, Options{Algorithm: XGBoost, Seed: 1, Hyperparameters: map[string]string{"num_round": "5"}})
	curve := &calibration{from: []float64{-3, -1, 1}, to: []float64{-4, 0, 1}}
	for name, mix := range map[string]mixture{
		"blend":  {linear: 0.5, boosted: 2, shift: 0.3, calibration: curve},
		"linear": {linear: 0.5, shift: 0.3},
		"trees":  {boosted: 2, shift: -0.3, calibration: curve},
	} {
		m := &Model{columns: data.Columns}
		if err := m.become(t.Context(), table, mix, &tried{linear: linear}, &tried{boosting: []boostSettings{boosting}}); err != nil {
			t.Fatal(err)
		}
		for i := range 20 {
			row := data.Row(i)
			want := mix.calibration.at(mix.linear*plain.margin(row) + mix.boosted*trees.margin(row) + mix.shift)
			if got := logit(m.Score(row)); !near(got, want, 1e-9) {
				t.Errorf("%s, row %d: got log-odds %v, want %v", name, i, got, want)
			}
			sum := m.Base()
			for _, c := range m.Contributions(row) {
				sum += c
			}
			if !near(sum, want, 1e-9) {
				t.Errorf("%s, row %d: base and contributions make %v, want %v", name, i, sum, want)
			}
		}
	}
}

func TestAutoRecordsWhatItTried(t *testing.T) {
	m := mustTrain(t, drawn("ab", 900, 5, straight), Options{Algorithm: Auto, Hyperparameters: map[string]string{"eta": "0.2", "max_depth": "2"}})
	s := m.Search()
	if s.Rows != 900 || s.Folds != 5 || len(s.Curve) == 0 {
		t.Errorf("got %d rows, %d folds and a curve of %d rounds", s.Rows, s.Folds, len(s.Curve))
	}
	var tried []string
	for _, c := range s.Candidates {
		tried = append(tried, fmt.Sprintf("%s %d", c.Algorithm, c.MeanOf))
		if !(c.LogLoss > 0.3 && c.LogLoss < 0.69) || !(c.AUC > 0.7 && c.AUC < 1) {
			t.Errorf("%s %v: log loss %v, AUC %v", c.Algorithm, c.Hyperparameters, c.LogLoss, c.AUC)
		}
		if c.Algorithm == XGBoost && c.MeanOf == 0 && (c.Hyperparameters["eta"] != "0.2" || c.Hyperparameters["max_depth"] != "2") {
			t.Errorf("got %v, want the hyperparameters that were given", c.Hyperparameters)
		}
	}
	if want := []string{"linear-learner 0", "linear-learner 0", "xgboost 0", "xgboost 0", "xgboost 0", "xgboost 2", "xgboost 3"}; !slices.Equal(tried, want) {
		t.Errorf("tried %v, want %v", tried, want)
	}
	if first, second := s.Candidates[0], s.Candidates[1]; first.Hyperparameters["wd"] != "0.001111" || second.Hyperparameters["wd"] != "0.01111" || first.LogLoss == second.LogLoss {
		t.Errorf("got linear candidates %+v and %+v, want a penalty of 1/900 and ten times that", first, second)
	}
	// Each of the two, as it is and calibrated, and both together.
	var mixed []string
	lowest := math.Inf(1)
	for _, x := range s.Mixtures {
		mixed = append(mixed, string(x.Algorithm)+" "+x.Calibration)
		lowest = min(lowest, x.LogLoss)
		if x.Algorithm == s.Chosen && x.Calibration == s.Calibration && x.LogLoss > lowest+worthwhile {
			t.Errorf("%+v was chosen of %+v", x, s.Mixtures)
		}
	}
	for _, want := range []string{"linear-learner none", "xgboost none", "linear-learner logistic", "xgboost logistic", string(s.Chosen) + " " + s.Calibration} {
		if !slices.Contains(mixed, want) {
			t.Errorf("no %q among the mixtures %v", want, mixed)
		}
	}
	if !strings.HasPrefix(s.Why, "the lowest log loss") {
		t.Errorf("chosen because %q", s.Why)
	}
	fixed := mustTrain(t, drawn("ab", 200, 5, straight), Options{Algorithm: Auto, Hyperparameters: map[string]string{"wd": "0.25"}}).Search()
	if got := fixed.Candidates[0].Hyperparameters["wd"]; got != "0.25" || fixed.Candidates[1].Algorithm != XGBoost {
		t.Errorf("with wd given, got candidates %+v", fixed.Candidates[:2])
	}
}

// Ten rows of a label are needed to compare by.
func TestAutoOnFewRows(t *testing.T) {
	data := Dataset{Columns: []string{"a", "b"}, X: drawn("ab", 40, 6, straight).X, Y: make([]float64, 40)}
	for i := range 9 {
		data.Y[i] = 1
	}
	m := mustTrain(t, data, Options{Algorithm: Auto})
	if m.Algorithm() != LinearLearner || m.Search().Folds != 0 || len(m.Search().Candidates) != 0 {
		t.Errorf("got %s by %+v, want linear-learner untried", m.Algorithm(), m.Search())
	}
	if m.Search().Why != "fewer than 10 rows of either label are too few to compare by" {
		t.Errorf("chosen because %q", m.Search().Why)
	}
	data.X[7] = math.NaN()
	if m := mustTrain(t, data, Options{Algorithm: Auto}); m.Algorithm() != XGBoost {
		t.Errorf("with a missing number: got %s, want xgboost", m.Algorithm())
	}
}

func TestAutoIsTheSameOnAnyNumberOfProcessors(t *testing.T) {
	data := synthetic(500, 4, []int{4, 2}, 51)
	o := Options{Algorithm: Auto, Seed: 7, Hyperparameters: fast()}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	want := encoded(t, mustTrain(t, data, o))
	for _, processors := range []int{2, 5} {
		runtime.GOMAXPROCS(processors)
		if got := encoded(t, mustTrain(t, data, o)); got != want {
			t.Errorf("%d processors give another model", processors)
		}
	}
}

func TestAutoStopsWhenTold(t *testing.T) {
	for stopAt := 1; stopAt <= 5; stopAt++ {
		ctx, cancel := context.WithCancel(context.Background())
		_, err := Train(ctx, drawn("ab", 300, 8, corners), Options{Algorithm: Auto, Hyperparameters: fast(), Progress: func(done, _ int) {
			if done == stopAt {
				cancel()
			}
		}})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled at step %d: got error %v", stopAt, err)
		}
	}
}

func TestProgressOfAutoEndsAtTotal(t *testing.T) {
	for name, given := range map[string]map[string]string{"all candidates": nil, "fewer": {"wd": "1"}} {
		last, total := 0, 0
		mustTrain(t, drawn("ab", 300, 9, corners), Options{Algorithm: Auto, Hyperparameters: given, Progress: func(done, of int) {
			if done < last || done > of {
				t.Errorf("%s: %d of %d after %d", name, done, of, last)
			}
			last, total = done, of
		}})
		if last != total || total == 0 {
			t.Errorf("%s: ended at %d of %d", name, last, total)
		}
	}
}

// Many rows are compared on a sample and learned from as a whole.
func TestAutoSamplesManyRows(t *testing.T) {
	rows := sampleRows(1000, 100, 3)
	if len(rows) != 100 || !slices.IsSorted(rows) || len(slices.Compact(slices.Clone(rows))) != 100 {
		t.Errorf("got %d rows, in order: %v", len(rows), slices.IsSorted(rows))
	}
	if !slices.Equal(rows, sampleRows(1000, 100, 3)) || slices.Equal(rows, sampleRows(1000, 100, 4)) {
		t.Error("the sample does not depend on the seed alone")
	}
	data := packedTable(t, synthetic(300, 3, []int{2}, 52))
	sub := data.subset(rows[:20])
	want, got := make([]float64, 5), make([]float64, 5)
	for n, i := range rows[:20] {
		data.ReadRow(int(i), want)
		sub.ReadRow(n, got)
		if !slices.Equal(got, want) || sub.labels[n] != data.labels[i] {
			t.Fatalf("row %d of the subset is %v, want row %d: %v", n, got, i, want)
		}
	}
}

func TestFoldsHaveTheirShareOfBothLabels(t *testing.T) {
	labels := make([]float64, 103)
	for i := range 21 {
		labels[i*3] = 1
	}
	f := newFolds(labels, 5, 1)
	var rows, positives [5]int
	for i, k := range f.of {
		rows[k]++
		positives[k] += int(labels[i])
	}
	for k := range 5 {
		if rows[k] < 20 || rows[k] > 22 || positives[k] < 4 || positives[k] > 5 {
			t.Errorf("fold %d has %d rows, %d of them positive", k, rows[k], positives[k])
		}
		if in, out := f.rows(k, true), f.rows(k, false); len(in) != rows[k] || len(in)+len(out) != 103 {
			t.Errorf("fold %d: %d rows in it and %d outside", k, len(in), len(out))
		}
	}
	if !slices.Equal(f.of, newFolds(labels, 5, 1).of) || slices.Equal(f.of, newFolds(labels, 5, 2).of) {
		t.Error("the folds do not depend on the seed alone")
	}
}

// What a fold's rows score in cross-validation is what a forest of the other rows
// gives them, and their labels have no part in it.
func TestFoldsAreNotLearnedFrom(t *testing.T) {
	data := packedTable(t, synthetic(400, 3, []int{3}, 53))
	f := newFolds(data.labels, 4, 1)
	s, _, err := parseBoosting(map[string]string{"num_round": "12", "subsample": "1", "colsample_bytree": "1"}, 1)
	if err != nil {
		t.Fatal(err)
	}
	shared := newBinned(data, s.bins)
	run, err := boostFolds(t.Context(), []*binned{shared, shared, shared, shared}, data.labels, f, s)
	if err != nil {
		t.Fatal(err)
	}
	changed := slices.Clone(data.labels)
	for _, i := range f.rows(2, true) {
		changed[i] = 1 - changed[i]
	}
	s.rounds = run.rounds
	held, other := newBooster(shared, data.labels, f.held(2), s), newBooster(shared, changed, f.held(2), s)
	for round := range s.rounds {
		held.addTree(round)
		other.addTree(round)
	}
	for _, i := range f.rows(2, true) {
		row := make([]float64, len(data.columns))
		data.ReadRow(int(i), row)
		if got, want := held.forest.margin(row), run.margins[i]; !near(got, want, 1e-9) || other.against[i] != held.against[i] {
			t.Fatalf("row %d: cross-validation has %v, its forest gives %v, and %v with other labels in the fold",
				i, want, got, -math.Log(other.against[i]))
		}
	}
}

// On noise, more rounds only overfit.
func TestBoostFoldsStopEarly(t *testing.T) {
	data := packedTable(t, drawn("ab", 300, 10, func(row []float64) float64 { return row[0] }))
	f := newFolds(data.labels, 5, 1)
	s, _, err := parseBoosting(map[string]string{"num_round": "400", "eta": "0.3", "gamma": "0"}, 1)
	if err != nil {
		t.Fatal(err)
	}
	run, err := boostFolds(t.Context(), slices.Repeat([]*binned{newBinned(data, s.bins)}, f.count), data.labels, f, s)
	if err != nil {
		t.Fatal(err)
	}
	if len(run.curve) != run.rounds+patience || len(run.curve) > 100 {
		t.Errorf("stopped after %d rounds, the best at %d", len(run.curve), run.rounds)
	}
	if best := slices.Min(run.curve); run.curve[run.rounds-1] > best+minImprovement {
		t.Errorf("round %d has loss %v, the lowest is %v", run.rounds, run.curve[run.rounds-1], best)
	}
	if got := marginLoss(run.margins, data.labels); !near(got, run.curve[run.rounds-1], 1e-12) {
		t.Errorf("the margins have loss %v, the curve says %v", got, run.curve[run.rounds-1])
	}
}

func TestArtifactOfAutoRoundTrips(t *testing.T) {
	data := packedTable(t, drawn("ab", 200, 3, corners))
	plain, trees := defaultLinearSettings(), defaultBoostSettings()
	trees.rounds = 5
	m := &Model{columns: data.columns, base: 0.3, search: &Search{Rows: 7, Folds: 5, Chosen: Blend, Calibration: CalibrationIsotonic, Curve: []float64{0.5, 1. / 3},
		Candidates: []Candidate{{Algorithm: XGBoost, Hyperparameters: map[string]string{"eta": "0.1"}, LogLoss: 0.1 + 0.2, AUC: 0.9}, {Algorithm: LinearLearner, Problem: "none"}}}}
	mix := mixture{linear: 0.7, boosted: 0.4, shift: 0.1, calibration: &calibration{from: []float64{-1, 0.5}, to: []float64{-2, 1. / 3}}}
	if err := m.become(t.Context(), data, mix, &tried{linear: plain}, &tried{boosting: []boostSettings{trees}}); err != nil {
		t.Fatal(err)
	}
	first := encode(t, &Artifact{Algorithm: m.Algorithm(), Model: m})
	a, err := Decode(bytes.NewReader(first))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(m, a.Model, cmp.AllowUnexported(Model{}, linear{}, forest{}, node{}, calibration{}), cmpopts.IgnoreFields(forest{}, "explained")); diff != "" {
		t.Errorf("decoded differs (-want +got):\n%s", diff)
	}
	if !bytes.Equal(encode(t, a), first) {
		t.Error("encoding again gives other bytes")
	}
}

// TestTheSearchOfWideDataIsBounded: trees of wide data take fewer columns each, linear
// models are solved by rows, and those that would take too long are left out with a reason.
func TestTheSearchOfWideDataIsBounded(t *testing.T) {
	data := wide(120, 900, 4)
	m := mustTrain(t, data, Options{Algorithm: Auto, Seed: 1})
	var linear, boosted int
	for _, c := range m.Search().Candidates {
		switch {
		case c.Problem != "":
			t.Errorf("%v could not be tried", c)
		case c.Algorithm == LinearLearner:
			linear++
		case c.MeanOf == 0:
			boosted++
			if share, err := strconv.ParseFloat(c.Hyperparameters["colsample_bytree"], 64); err != nil || share > 0.8 {
				t.Errorf("%v takes more than 0.8 of the columns", c)
			}
		}
	}
	if linear != 2 || boosted != 3 {
		t.Errorf("%d linear and %d boosted candidates", linear, boosted)
	}
	given := mustTrain(t, data, Options{Algorithm: Auto, Seed: 1, Hyperparameters: map[string]string{"colsample_bytree": "0.9", "num_round": "5"}})
	for _, c := range given.Search().Candidates {
		if c.Algorithm == XGBoost && c.MeanOf == 0 && c.Hyperparameters["colsample_bytree"] != "0.9" {
			t.Errorf("the setting 0.9 became %v", c.Hyperparameters)
		}
	}
}

func TestLinearModelsThatTakeTooLongAreLeftOut(t *testing.T) {
	small := packedTable(t, synthetic(400, 3, []int{3}, 53))
	for name, c := range map[string]struct {
		rows, width int
		entries     float64
		affords     bool
	}{
		"narrow":                     {20_000, 60, 20, true},
		"a thousand one-hot columns": {20_000, 1_000, 30, true},
		"two thousand":               {20_000, 2_000, 30, false},
		"more columns than rows":     {400, 3_000, 3_000, true},
		"numbers in many columns":    {20_000, 1_000, 1_000, false},
		"numbers in 3,000 columns":   {5_000, 3_000, 3_000, false},
		"a million rows of numbers":  {1_000_000, 500, 500, false},
	} {
		tn := newTuner(small, autoSettings{seed: 1}, nil)
		tn.width, tn.entries, tn.rows = c.width, c.entries, c.rows
		tn.data = &Table{columns: small.columns, labels: make([]float64, min(c.rows, searchRows))}
		err := tn.affordsLinear()
		if (err == nil) != c.affords || err != nil && !errors.Is(err, ErrInput) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
