package stats

import (
	"encoding/json"
	"math"
	"os"
	"testing"
)

// golden has figures of scipy and scikit-learn, made by testdata/golden.py.
type golden struct {
	Versions  map[string]string `json:"versions"`
	Tails     [][3]float64      `json:"chi2_tails"`     // x, degrees of freedom, probability
	Quantiles [][3]float64      `json:"chi2_quantiles"` // probability, degrees of freedom, x
	Quality   []struct {
		goldenRows
		goldenFigures
		Labels          []float64  `json:"labels"`
		AUCVariance     float64    `json:"auc_variance"`
		AccuracyWilson  [3]float64 `json:"accuracy_wilson"`
		PrecisionWilson [3]float64 `json:"precision_wilson"`
		RecallWilson    [3]float64 `json:"recall_wilson"`
	} `json:"quality"`
	Expected []struct {
		goldenRows
		goldenFigures
	} `json:"expected"`
	Calibration []struct {
		goldenRows
		Labels           []float64 `json:"labels"`
		CalibrationError float64   `json:"calibration_error"`
	} `json:"calibration"`
	Isotonic []struct {
		X, Y, W, Fitted, At, Predicted []float64
	} `json:"isotonic"`
	PSI []struct {
		Reference, Live []float64
		PSI             float64
		PValue          float64 `json:"p_value"`
	} `json:"psi"`
	Correlation []struct {
		X, Y        []float64
		Correlation float64
	} `json:"correlation"`
}

type goldenRows struct {
	Scores    []float64 `json:"scores"`
	Threshold float64   `json:"threshold"`
}

type goldenFigures struct {
	AUC       float64 `json:"auc"`
	LogLoss   float64 `json:"log_loss"`
	Brier     float64 `json:"brier"`
	Accuracy  float64 `json:"accuracy"`
	Precision float64 `json:"precision"`
	Recall    float64 `json:"recall"`
}

func readGolden(t *testing.T) golden {
	t.Helper()
	text, err := os.ReadFile("testdata/golden.json")
	if err != nil {
		t.Fatal(err)
	}
	var g golden
	if err := json.Unmarshal(text, &g); err != nil {
		t.Fatal(err)
	}
	return g
}

// near fails the test where values differ by more than a relative tolerance.
func near(t *testing.T, what string, got, want, tolerance float64) {
	t.Helper()
	if !(math.Abs(got-want) <= tolerance*max(math.Abs(want), 1e-300)) {
		t.Errorf("%s is %.17g, want %.17g", what, got, want)
	}
}

// exactCells has a cell for each row. Without labels the rows have no outcome.
func exactCells(scores, labels []float64, threshold float64) []Cell {
	cells := make([]Cell, len(scores))
	for i, score := range scores {
		cells[i] = Cell{Score: score, PredictedPositive: score >= threshold, Predictions: 1}
		if labels != nil {
			cells[i].Positives, cells[i].Negatives = labels[i], 1-labels[i]
		}
	}
	return cells
}

func TestChiSquareIsThatOfScipy(t *testing.T) {
	g := readGolden(t)
	for _, c := range g.Tails {
		if c[2] > 1e-250 {
			near(t, "tail", chiSquareTail(c[0], c[1]), c[2], 2e-11)
		}
	}
	for _, c := range g.Quantiles {
		near(t, "quantile", chiSquareQuantile(c[0], c[1]), c[2], 1e-12)
	}
	if chiSquareTail(0, 3) != 1 || chiSquareTail(-1, 3) != 1 {
		t.Error("the tail from 0 is not 1")
	}
}

// Evidently's tests have this p-value (tests/stattests/test_stattests.py).
func TestChiSquareIsThatOfEvidently(t *testing.T) {
	reference := []float64{16, 18, 16, 14, 12, 12}
	current := []float64{16, 16, 16, 16, 16, 8}
	statistic := 0.0
	for i, expected := range reference {
		statistic += square(current[i]-expected) / expected
	}
	if p := chiSquareTail(statistic, 5); math.Abs(p-0.67309) > 1e-5 {
		t.Errorf("p = %v, want 0.67309", p)
	}
}

func TestQualityIsThatOfScikitLearn(t *testing.T) {
	for _, c := range readGolden(t).Quality {
		cells := exactCells(c.Scores, c.Labels, c.Threshold)
		q := Measure(cells)
		if q.Insufficient != "" {
			t.Fatal(q.Insufficient)
		}
		near(t, "AUC", q.AUC.Value, c.AUC, 1e-12)
		near(t, "variance of the AUC", rank(cells).variance(), c.AUCVariance, 1e-10)
		near(t, "log loss", q.LogLoss.Value, c.LogLoss, 1e-12)
		near(t, "Brier", q.Brier.Value, c.Brier, 1e-12)
		near(t, "accuracy", q.Accuracy.Value, c.Accuracy, 1e-12)
		near(t, "precision", q.Precision.Value, c.Precision, 1e-12)
		near(t, "recall", q.Recall.Value, c.Recall, 1e-12)
		for name, f := range map[string]struct {
			got  *Figure
			want [3]float64
		}{"accuracy": {q.Accuracy, c.AccuracyWilson}, "precision": {q.Precision, c.PrecisionWilson}, "recall": {q.Recall, c.RecallWilson}} {
			near(t, "low of "+name, f.got.Low, f.want[1], 1e-9)
			near(t, "high of "+name, f.got.High, f.want[2], 1e-9)
		}
	}
}

func TestEstimateIsThatOfScikitLearnWithWeights(t *testing.T) {
	for _, c := range readGolden(t).Expected {
		e := Expect(exactCells(c.Scores, nil, c.Threshold), nil)
		if e.Insufficient != "" {
			t.Fatal(e.Insufficient)
		}
		near(t, "AUC", e.AUC.Value, c.AUC, 1e-12)
		near(t, "log loss", e.LogLoss.Value, c.LogLoss, 1e-12)
		near(t, "Brier", e.Brier.Value, c.Brier, 1e-12)
		near(t, "accuracy", e.Accuracy.Value, c.Accuracy, 1e-12)
		near(t, "precision", e.Precision.Value, c.Precision, 1e-12)
		near(t, "recall", e.Recall.Value, c.Recall, 1e-12)
	}
}

// Rows have different scores, so the groups have the same number of them.
func TestCalibrationErrorIsThatOfScikitLearnsCurve(t *testing.T) {
	for _, c := range readGolden(t).Calibration {
		q := Measure(exactCells(c.Scores, c.Labels, 0.5))
		near(t, "calibration error", q.CalibrationError.Value, c.CalibrationError, 1e-12)
	}
}

func TestIsotonicIsThatOfScikitLearn(t *testing.T) {
	for _, c := range readGolden(t).Isotonic {
		fitted := isotonic(c.Y, c.W)
		for i := range fitted {
			if math.Abs(fitted[i]-c.Fitted[i]) > 1e-12 {
				t.Fatalf("point %d is %v, want %v", i, fitted[i], c.Fitted[i])
			}
		}
		curve := &Calibration{Scores: c.X, Rates: fitted}
		for i, x := range c.At {
			if got := curve.Rate(x); math.Abs(got-c.Predicted[i]) > 1e-12 {
				t.Errorf("at %v the rate is %v, want %v", x, got, c.Predicted[i])
			}
		}
	}
}

func TestPSIIsThatOfScipy(t *testing.T) {
	for _, c := range readGolden(t).PSI {
		d := FindDrift([]Histograms{{Reference: c.Reference, Live: c.Live}})[0]
		near(t, "PSI", d.PSI, c.PSI, 1e-12)
		near(t, "p", d.PValue, c.PValue, 1e-10)
	}
}

func TestCorrelationIsThatOfScipy(t *testing.T) {
	for _, c := range readGolden(t).Correlation {
		var all Correlation
		parts := make([]Correlation, 7)
		for i, x := range c.X {
			all.Add(x, c.Y[i])
			parts[i*i%7].Add(x, c.Y[i])
		}
		var merged Correlation
		for _, p := range parts {
			merged.Merge(p)
		}
		for name, sum := range map[string]Correlation{"in one": all, "merged": merged} {
			got, ok := sum.Value()
			if !ok || sum.Count() != int64(len(c.X)) {
				t.Fatalf("%s: %d pairs, ok %v", name, sum.Count(), ok)
			}
			near(t, name, got, c.Correlation, 1e-12)
		}
	}
}
