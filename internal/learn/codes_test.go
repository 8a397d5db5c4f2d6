package learn

import (
	"bytes"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// shops returns rows of a number and a code of one of many shops, each of which moves
// the log-odds by effect times a normal number.
func shops(rows, shops int, effect float64, seed uint64) Dataset {
	random := rand.New(rand.NewPCG(7, uint64(shops)))
	moves := make([]float64, shops)
	for k := range moves {
		moves[k] = effect * random.NormFloat64()
	}
	random = rand.New(rand.NewPCG(seed, 1))
	d := Dataset{Columns: []string{"number", "shop"}}
	for range rows {
		x, shop := random.NormFloat64(), random.IntN(shops)
		y := 0.0
		if random.Float64() < sigmoid(0.5*x+moves[shop]-1) {
			y = 1
		}
		d.X, d.Y = append(d.X, x, float64(shop)), append(d.Y, y)
	}
	return d
}

// TestCodedColumnsTellWhatTheirValuesSay compares models that know that a column is
// one of codes with models that take it for a number.
func TestCodedColumnsTellWhatTheirValuesSay(t *testing.T) {
	data, held := shops(4000, 400, 1, 1), shops(2000, 400, 1, 2)
	for _, algorithm := range []Algorithm{LinearLearner, XGBoost, Auto} {
		auc := func(coded []int) float64 {
			m := mustTrain(t, data, Options{Algorithm: algorithm, Coded: coded, Seed: 1})
			metrics, err := Evaluate(scores(m, held), held.Y, 0.5)
			if err != nil {
				t.Fatal(err)
			}
			return metrics.AUC
		}
		if plain, coded := auc(nil), auc([]int{1}); coded < plain+0.04 {
			t.Errorf("%s: AUC %.4f, and %.4f with codes", algorithm, plain, coded)
		}
	}
}

// TestStatisticsDoNotTellALabelToItsOwnRow: codes that say nothing must not look as if
// they did, which the statistics of all rows would.
func TestStatisticsDoNotTellALabelToItsOwnRow(t *testing.T) {
	data := packedTable(t, shops(3000, 1000, 0, 3))
	table, all := newCoder(data, []int{1}, 1).table(nil)
	seen, served := make([]float64, data.Rows()), make([]float64, data.Rows())
	row := make([]float64, 2)
	for i := range seen {
		table.ReadRow(i, row)
		seen[i] = row[1]
		data.ReadRow(i, row)
		served[i] = all.replaced(row)[1]
	}
	if auc := rank(seen, data.labels).auc; auc > 0.53 {
		t.Errorf("the statistics that the model learns from reach an AUC of %.3f", auc)
	}
	if auc := rank(served, data.labels).auc; auc < 0.6 {
		t.Errorf("the statistics of all rows reach an AUC of %.3f: this test shows nothing", auc)
	}
	m := mustTrain(t, shops(3000, 1000, 0, 3), Options{Algorithm: Auto, Coded: []int{1}, Seed: 1})
	for _, c := range m.Search().Candidates {
		if c.Problem == "" && c.AUC > 0.68 { // the number alone reaches about 0.63
			t.Errorf("cross-validation says AUC %.3f of %v: the labels of held rows had a part in it", c.AUC, c)
		}
	}
}

// TestHeldLabelsHaveNoPartInStatistics changes the labels of the rows that are held.
func TestHeldLabelsHaveNoPartInStatistics(t *testing.T) {
	data := packedTable(t, shops(500, 40, 1, 4))
	held := newFolds(data.labels, 3, 1).held(1)
	c := newCoder(data, []int{1}, 1)
	before, codesBefore := c.table(held)
	changed := slices.Clone(data.labels)
	for i := range changed {
		if held[i] {
			changed[i] = 1 - changed[i]
		}
	}
	other := *data
	other.labels = changed
	after, codesAfter := (&coder{data: &other, coded: c.coded, parts: c.parts}).table(held)
	for i := range changed {
		if a, b := before.packed[1].at(i), after.packed[1].at(i); a != b {
			t.Fatalf("row %d, held %v: %v becomes %v", i, held[i], a, b)
		}
	}
	if !slices.Equal(codesBefore.columns[0].values, codesAfter.columns[0].values) {
		t.Error("the statistics of all rows have changed")
	}
	search := newTuner(data, autoSettings{seed: 1}, []int{1})
	for k, got := range search.tables {
		want, _ := newCoder(data, []int{1}, 1).table(search.folds.held(k))
		for i := range changed {
			if a, b := got.packed[1].at(i), want.packed[1].at(i); a != b {
				t.Fatalf("part %d of the search, row %d: %v, want %v", k, i, a, b)
			}
		}
	}
}

// TestStatisticsByHand checks the formula.
func TestStatisticsByHand(t *testing.T) {
	tallies := []tally{{}, {rows: 50, positives: 50}, {rows: 50}}
	weight, rate := bestWeight(tallies, 0.5), 0.5
	if weight != 1 {
		t.Errorf("codes that tell nearly all have weight %v", weight)
	}
	got := statistics(tallies)
	for code, want := range []float64{logit(rate), logit((50 + rate) / 51), logit(rate / 51)} {
		if !near(got[code], want, 1e-12) {
			t.Errorf("code %d: %v, want %v", code, got[code], want)
		}
	}
	if weight := bestWeight([]tally{{rows: 100, positives: 50}, {rows: 100, positives: 50}}, 0.5); weight < 1000 {
		t.Errorf("codes that tell nothing have weight %v", weight)
	}
	for code, x := range statistics([]tally{{rows: 3, positives: 3}, {rows: 2, positives: 2}}) {
		if !finite(x) {
			t.Errorf("without a negative row code %d has %v", code, x)
		}
	}
}

func TestCodedModelsAreKeptAndExplained(t *testing.T) {
	data := shops(1500, 60, 1, 5)
	o := Options{Algorithm: Auto, Coded: []int{1}, Seed: 1}
	m := mustTrain(t, data, o)
	if again := mustTrain(t, data, o); encoded(t, m) != encoded(t, again) {
		t.Error("the same data gives another model")
	}
	a, err := Decode(bytes.NewReader(encode(t, &Artifact{Algorithm: m.Algorithm(), Model: m})))
	if err != nil {
		t.Fatal(err)
	}
	rows := [][]float64{data.Row(0), data.Row(7), {0.5, 1e6}, {0.5, -1}, {0.5, 1.5}, {0.5, math.NaN()}}
	for _, row := range rows {
		given := slices.Clone(row)
		score, parts := m.Score(row), m.Contributions(row)
		if got := a.Model.Score(row); got != score {
			t.Errorf("%v: the artifact gives %v, the model %v", row, got, score)
		}
		if sum := m.Base() + parts[0] + parts[1]; !near(sum, logit(score), 1e-9) {
			t.Errorf("%v: base and contributions make %v, the score is %v", row, sum, logit(score))
		}
		if row[1] == row[1] && !slices.Equal(row, given) {
			t.Errorf("%v became %v", given, row)
		}
	}
	if a, b := m.Score([]float64{0.5, 1e6}), m.Score([]float64{0.5, 61}); a != b {
		t.Errorf("codes that were not seen score %v and %v", a, b)
	}
	if _, err := m.Boosted(); err == nil {
		if _, err := m.Linear(); err == nil {
			t.Error("a model with codes has the parts of one without")
		}
	}
}

func TestCodesThatCannotBeUsed(t *testing.T) {
	for name, tc := range map[string]struct {
		code  float64
		coded []int
		want  string
	}{
		"a fraction":         {0.5, []int{1}, `column "shop": the code 0.5 is not a whole number`},
		"a negative code":    {-1, []int{1}, `column "shop": the code -1 is not a whole number`},
		"a missing code":     {math.NaN(), []int{1}, `column "shop": the code NaN is not a whole number`},
		"too great a code":   {1 << 20, []int{1}, `is not a whole number from 0 to 1048575`},
		"a column too many":  {1, []int{2}, "coded columns [2]"},
		"a column twice":     {1, []int{1, 1}, "coded columns [1 1]"},
		"columns in a twist": {1, []int{1, 0}, "coded columns [1 0]"},
	} {
		data := shops(100, 5, 1, 6)
		data.X[3] = tc.code
		for _, algorithm := range []Algorithm{LinearLearner, Auto} {
			_, err := Train(t.Context(), data, Options{Algorithm: algorithm, Coded: tc.coded})
			if !errors.Is(err, ErrInput) || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%s, %s: %v", name, algorithm, err)
			}
		}
	}
	m := mustTrain(t, shops(100, 5, 1, 6), Options{Algorithm: LinearLearner, Coded: []int{1}})
	for _, broken := range []codes{{}, {other: math.NaN(), columns: m.codes.columns}, {columns: []codedColumn{{2, nil}}}, {columns: []codedColumn{{1, nil}, {1, nil}}},
		{columns: []codedColumn{{1, []float64{math.Inf(1)}}}}} {
		m := *m
		m.codes = &broken
		if err := (&Artifact{Algorithm: LinearLearner, Model: &m}).check(); !errors.Is(err, ErrArtifact) {
			t.Errorf("%+v: %v", broken, err)
		}
	}
}
