package stats

import (
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"gateway/internal/testsize"
)

var (
	calibratedPopulation = population{mean: -2.5, deviation: 1.5, slope: 1, threshold: 0.3}
	populations          = map[string]population{
		"calibrated":     calibratedPopulation,
		"balanced":       {slope: 1, deviation: 1, threshold: 0.5},
		"overconfident":  {mean: -2.5, deviation: 1.5, intercept: 0.5, slope: 0.7, threshold: 0.5},
		"scores too low": {mean: -2.5, deviation: 2.5, intercept: -0.3, slope: 1, threshold: 0.5},
	}
)

func TestIntervalsCoverTheTruth(t *testing.T) {
	random := rand.New(rand.NewPCG(21, 1))
	repeats := testsize.Of(200, 1500)
	for _, name := range slices.Sorted(maps.Keys(populations)) {
		p := populations[name]
		truth := p.truth().figures()
		for _, rows := range []int{300, 3000} {
			covered := coverage{}
			for range repeats {
				for figure, f := range Measure(p.sample(random, rows)).figures() {
					covered.add(figure, f, truth[figure])
				}
			}
			var line []string
			for _, figure := range slices.Sorted(maps.Keys(covered)) {
				share := covered.share(figure)
				line = append(line, fmt.Sprintf("%s %.3f", figure, share))
				if share < 0.90 || share > 0.99 {
					t.Errorf("%s, %d rows: the interval of %s covers the truth in %.3f of samples", name, rows, figure, share)
				}
			}
			t.Logf("%s, %d rows: %s", name, rows, strings.Join(line, ", "))
		}
	}
}

func TestBinningChangesFiguresLittle(t *testing.T) {
	random := rand.New(rand.NewPCG(21, 2))
	names := testsize.Of([]string{"overconfident"}, slices.Sorted(maps.Keys(populations)))
	for _, name := range names {
		p := populations[name]
		var b binned
		rows := testsize.Of(100_000, 1_000_000)
		scores, labels := make([]float64, rows), make([]float64, rows)
		for i := range rows {
			score, positive := p.draw(random)
			scores[i], labels[i] = score, label(random, positive)
			b.add(score, p.threshold, labels[i])
		}
		exact, got := Measure(exactCells(scores, labels, p.threshold)).figures(), Measure(b[:]).figures()
		for _, figure := range slices.Sorted(maps.Keys(got)) {
			difference := math.Abs(got[figure].Value - exact[figure].Value)
			most := map[string]float64{"auc": 2e-4, "log loss": 1e-4, "Brier": 1e-4, "calibration error": 2e-3}[figure]
			if difference > most {
				t.Errorf("%s: %s is %v in bins and %v of rows", name, figure, got[figure].Value, exact[figure].Value)
			}
			t.Logf("%s, %d rows: %s differs by %.1e", name, rows, figure, difference)
		}
	}
}

// A threshold within a bin separates the bin's predictions: their label was counted.
func TestPredictedLabelsAreNotBlurred(t *testing.T) {
	const threshold = 0.1234
	random := rand.New(rand.NewPCG(21, 3))
	var b binned
	var right, predicted, positives, hits float64
	for range 2000 {
		score := 0.12 + 0.01*random.Float64() // one bin
		y := label(random, 0.3)
		b.add(score, threshold, y)
		positives += y
		if score >= threshold {
			predicted++
			hits += y
		}
		if (score >= threshold) == (y == 1) {
			right++
		}
	}
	q := Measure(b[:])
	near(t, "accuracy", q.Accuracy.Value, right/2000, 1e-12)
	near(t, "precision", q.Precision.Value, hits/predicted, 1e-12)
	near(t, "recall", q.Recall.Value, hits/positives, 1e-12)
	if q.Precision.Count != int64(predicted) || q.Recall.Count != int64(positives) || q.Accuracy.Count != 2000 {
		t.Errorf("counts are %d, %d, %d", q.Precision.Count, q.Recall.Count, q.Accuracy.Count)
	}
	if q.AUC.Value != 0.5 {
		t.Errorf("the AUC of one bin is %v: rows of a bin are not tied", q.AUC.Value)
	}
}

func TestFiguresNeedOutcomes(t *testing.T) {
	cells := func(negatives, positives float64, predicted bool) []Cell {
		return []Cell{{Score: 0.2, Predictions: 1000, Negatives: negatives}, {Score: 0.6, PredictedPositive: predicted, Predictions: 1000, Positives: positives}}
	}
	tests := []struct {
		name  string
		cells []Cell
		want  string // empty: all figures
	}{
		{"enough", cells(25, 5, true), ""},
		{"too few", cells(24, 5, true), "29 outcomes, 30 are needed"},
		{"too few positive", cells(26, 4, true), "4 positive outcomes, 5 are needed"},
		{"too few negative", cells(4, 26, true), "4 negative outcomes, 5 are needed"},
		{"none", nil, "0 outcomes, 30 are needed; 0 positive outcomes, 5 are needed; 0 negative outcomes, 5 are needed"},
		{"nothing predicted positive", cells(25, 5, false), "precision: no prediction of the positive label has an outcome"},
	}
	for _, tt := range tests {
		q := Measure(tt.cells)
		if q.Insufficient != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, q.Insufficient, tt.want)
		}
		for name, f := range q.figures() {
			absent := tt.want != "" && (len(tt.cells) == 0 || !strings.HasPrefix(tt.want, "precision") || name == "precision")
			if (f == nil) != absent {
				t.Errorf("%s: %s is %v", tt.name, name, f)
			}
		}
		if len(q.Calibration) != 10 {
			t.Errorf("%s: the calibration table has %d rows", tt.name, len(q.Calibration))
		}
	}
}

func TestIntervalsOfPerfectScores(t *testing.T) {
	q := Measure([]Cell{{Score: 0.01, Predictions: 40, Negatives: 40}, {Score: 0.99, PredictedPositive: true, Predictions: 10, Positives: 10}})
	for name, f := range q.figures() {
		if !(f.Low <= f.Value && f.Value <= f.High) {
			t.Errorf("%s is %+v", name, *f)
		}
		if f.Low == f.High && name != "log loss" && name != "Brier" { // all rows have the same loss
			t.Errorf("the interval of %s is empty: %+v", name, *f)
		}
	}
	// An AUC half a row short of 1, 0.95, has a standard error of 0.05 by Hanley and McNeil.
	if q.AUC.Value != 1 || q.AUC.High != 1 || q.AUC.Low < 0.5 || q.AUC.Low > 0.85 {
		t.Errorf("AUC is %+v", *q.AUC)
	}
}

func TestCalibrationTable(t *testing.T) {
	q := Measure([]Cell{
		{Score: 0.02, Predictions: 500, Negatives: 60, Positives: 1},
		{Score: 0.06, Predictions: 500, Negatives: 35, Positives: 4},
		{Score: 0.3, Predictions: 10, Negatives: 6, Positives: 4},
		{Score: 1, PredictedPositive: true, Predictions: 10, Positives: 5},
	})
	first := q.Calibration[0]
	if first.From != 0 || first.To != 0.1 || first.Count != 100 {
		t.Errorf("the first row is %+v", first)
	}
	near(t, "mean score", *first.MeanScore, 0.61*0.02+0.39*0.06, 1e-12)
	near(t, "rate", *first.PositiveRate, 0.05, 1e-12)
	if !(*first.Low < 0.05 && *first.High > 0.05) {
		t.Errorf("the interval is %v to %v", *first.Low, *first.High)
	}
	for i, count := range []int64{100, 0, 0, 10, 0, 0, 0, 0, 0, 5} {
		row := q.Calibration[i]
		if row.Count != count || (row.MeanScore == nil) != (count == 0) || (row.PositiveRate == nil) != (count == 0) {
			t.Errorf("row %d is %+v", i, row)
		}
	}
}

func TestWithDefault(t *testing.T) {
	cells := []Cell{{Score: 0.2, Predictions: 10, Negatives: 1, Positives: 3}, {Score: 0.3, Predictions: 2, Negatives: 2}}
	if got := WithDefault(cells, false)[0]; got.Negatives != 7 || got.Positives != 3 {
		t.Errorf("with the negative label: %+v", got)
	}
	if got := WithDefault(cells, true)[0]; got.Negatives != 1 || got.Positives != 9 {
		t.Errorf("with the positive label: %+v", got)
	}
	if got := WithDefault(cells, true)[1]; got != cells[1] {
		t.Errorf("a cell with all outcomes became %+v", got)
	}
	if cells[0].Negatives != 1 {
		t.Error("the cells given have changed")
	}
}
