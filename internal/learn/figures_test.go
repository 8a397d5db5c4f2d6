package learn

import (
	"bytes"
	"context"
	"errors"
	"math"
	"runtime"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// described is a model of two features, the second in two columns, that goes by the
// first alone, and rows of which every second one is labelled as it says.
func described(t *testing.T) (*Model, *Table) {
	t.Helper()
	m := &Model{algorithm: LinearLearner, columns: []string{"a", "b=0", "b=1"}, base: 0.5,
		linear: &linear{intercept: -1, coef: []float64{2, 0, 0}, mean: make([]float64, 3)}}
	held := newTable(m.columns)
	for i := range 200 {
		on := float64(i / 2 % 2)
		label := on
		if i%8 == 7 {
			label = 1 - on
		}
		held.append([]float64{on, float64(i % 2), float64((i + 1) % 2)}, label)
	}
	held.seal()
	return m, held
}

func TestDescribe(t *testing.T) {
	m, held := described(t)
	features := []string{"a", "b", "b"}
	f, err := Describe(t.Context(), m, held, features, 0.5, 1)
	if err != nil {
		t.Fatal(err)
	}
	low, high := sigmoid(-1), sigmoid(1)
	intercept := -1.0
	want := &Figures{Rows: 200, Intercept: &intercept,
		Coefficients: []Coefficient{{"a", "a", 2}, {"b=0", "b", 0}, {"b=1", "b", 0}},
		Calibration:  []CalibrationBin{{0.2, 0.3, 100, low, 0}, {0.7, 0.8, 100, high, 0.75}},
		Confusion:    Confusion{Threshold: 0.5, TruePositives: 75, FalsePositives: 25, TrueNegatives: 100},
	}
	got := *f
	got.Importance = nil
	if diff := cmp.Diff(want, &got, cmp.Comparer(func(a, b float64) bool { return near(a, b, 1e-9) })); diff != "" {
		t.Errorf("wrong figures (-want +got):\n%s", diff)
	}
	if len(f.Importance) != 2 || f.Importance[0].Feature != "a" || f.Importance[1] != (Importance{Feature: "b"}) {
		t.Fatalf("got importance %+v, want a, and b of none", f.Importance)
	}
	// Dealt out at random, a says nothing: AUC falls from 0.9 to about a half.
	if got := f.Importance[0]; math.Abs(got.AUC-0.4) > 0.06 || got.LogLoss < 0.2 {
		t.Errorf("got %+v, want an AUC about 0.4 lower and a higher log loss", got)
	}
	before := runtime.GOMAXPROCS(1)
	again, err := Describe(t.Context(), m, held, features, 0.5, 1)
	runtime.GOMAXPROCS(before)
	if diff := cmp.Diff(f, again); err != nil || diff != "" {
		t.Errorf("the same arguments gave other figures (%v):\n%s", err, diff)
	}
}

func TestDescribeRefuses(t *testing.T) {
	m, held := described(t)
	if _, err := Describe(t.Context(), m, held, []string{"a"}, 0.5, 1); !errors.Is(err, ErrInput) {
		t.Errorf("too few features: got error %v", err)
	}
	one := newTable(m.columns)
	one.append([]float64{1, 0, 1}, 1)
	if _, err := Describe(t.Context(), m, one, []string{"a", "b", "b"}, 0.5, 1); !errors.Is(err, ErrInput) {
		t.Errorf("one class: got error %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Describe(ctx, m, held, []string{"a", "b", "b"}, 0.5, 1); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: got error %v", err)
	}
}

// Importance is measured on a sample where rows are many.
func TestImportanceOfManyRowsIsSampled(t *testing.T) {
	data := packedTable(t, synthetic(4000, 30, []int{3}, 91))
	features := make([]string, len(data.columns))
	for j := range features {
		features[j] = data.columns[min(j, 30)]
	}
	m, err := TrainTable(t.Context(), data, Options{Algorithm: LinearLearner})
	if err != nil {
		t.Fatal(err)
	}
	f, err := Describe(t.Context(), m, data, features, 0.5, 1)
	if err != nil {
		t.Fatal(err)
	}
	if len(f.Importance) != 31 || f.Rows != 4000 {
		t.Errorf("got %d features over %d rows, want 31 over 4000", len(f.Importance), f.Rows)
	}
	for k := 1; k < len(f.Importance); k++ {
		if f.Importance[k].LogLoss > f.Importance[k-1].LogLoss {
			t.Fatalf("importance is not in order: %+v", f.Importance)
		}
	}
}

func TestFiguresAreInTheArtifact(t *testing.T) {
	m := mustTrain(t, drawn("ab", 400, 3, corners), Options{Algorithm: Auto, Hyperparameters: fast()})
	held := packedTable(t, drawn("ab", 200, 4, corners))
	f, err := Describe(t.Context(), m, held, []string{"a", "b"}, 0.5, 1)
	if err != nil {
		t.Fatal(err)
	}
	if m.forest == nil || len(f.Curve) == 0 || len(f.Coefficients) > 0 && m.linear == nil {
		t.Errorf("got a curve of %d rounds and %d coefficients for %s", len(f.Curve), len(f.Coefficients), m.Algorithm())
	}
	a, err := Decode(bytes.NewReader(encode(t, &Artifact{Algorithm: m.Algorithm(), Model: m, Figures: f})))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(f, a.Figures); diff != "" {
		t.Errorf("figures differ (-want +got):\n%s", diff)
	}
}

func TestRowsForTheImportance(t *testing.T) {
	for features, want := range map[int]int{10: 10_000, 200: 500, 600: 500, 1000: 300, 3000: 100, 10_000: 100} {
		if got := importanceRows(features); got != want {
			t.Errorf("%d features: %d rows, want %d", features, got, want)
		}
	}
}

// TestUsedColumns changes one column after the other: a score that changes is of a used
// one, and columns that say nothing are not used by trees of one decision.
func TestUsedColumns(t *testing.T) {
	data := drawn("abcd", 400, 12, func(row []float64) float64 { return 3 * row[1] })
	for _, o := range []Options{{Algorithm: LinearLearner, Hyperparameters: map[string]string{"l1": "0.05"}}, {Algorithm: XGBoost, Hyperparameters: map[string]string{"num_round": "3", "max_depth": "1"}}} {
		m := mustTrain(t, data, o)
		used := m.uses()
		if !used[1] || used[0] || used[2] || used[3] {
			t.Errorf("%s uses %v, want the second alone", o.Algorithm, used)
		}
		for j := range used {
			changed := false
			for i := range 50 {
				row := slices.Clone(data.Row(i))
				before := m.Score(row)
				row[j] = -row[j]
				changed = changed || m.Score(row) != before
			}
			if changed != used[j] {
				t.Errorf("%s, column %d: used %v, scores changed %v", o.Algorithm, j, used[j], changed)
			}
		}
	}
}
