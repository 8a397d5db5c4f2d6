package stats

import (
	"math"
	"math/rand/v2"
	"testing"
)

// randomCells are the cells of n predictions, of which most have an outcome that goes
// with the score, and the rows behind them.
func randomCells(seed uint64, n int) (cells []Cell, scores []float64, labels []int) {
	r := rand.New(rand.NewPCG(seed, 1))
	byBin := map[[2]int]*Cell{}
	for range n {
		score := math.Pow(r.Float64(), 3)
		bin, predicted := ScoreBin(score), 0
		if score >= 0.5 {
			predicted = 1
		}
		c := byBin[[2]int{predicted, bin}]
		if c == nil {
			c = &Cell{Score: ScoreBinCenter(bin), PredictedPositive: predicted == 1}
			byBin[[2]int{predicted, bin}] = c
		}
		c.Predictions++
		label := -1
		switch {
		case r.Float64() < 0.2:
		case r.Float64() < score:
			c.Positives++
			label = 1
		default:
			c.Negatives++
			label = 0
		}
		scores, labels = append(scores, score), append(labels, label)
	}
	for _, c := range byBin {
		cells = append(cells, *c)
	}
	return cells, scores, labels
}

// Bars count each prediction once, in the bar that its score is in.
func TestHistogram(t *testing.T) {
	cells, scores, labels := randomCells(1, 5000)
	bars := Histogram(cells, cells)
	for i, b := range bars {
		var want HistogramBar
		for k, score := range scores {
			if score < b.From || score >= b.To {
				continue
			}
			want.Predictions++
			switch labels[k] {
			case 0:
				want.Negatives++
			case 1:
				want.Positives++
			}
		}
		if b.Predictions != want.Predictions || b.Negatives != want.Negatives || b.Positives != want.Positives {
			t.Errorf("bar %+v, the rows say %+v", b, want)
		}
		if i > 0 && bars[i-1].To != b.From {
			t.Errorf("a bar ends at %g and the next one begins at %g", bars[i-1].To, b.From)
		}
	}
	if bars[0].Predictions == 0 || bars[len(bars)-1].Predictions == 0 {
		t.Error("an empty bar at an end")
	}
	if len(histogramEdges) != 40 || scoreEdges[histogramEdges[16]] != 0.1 || scoreEdges[histogramEdges[24]] != 0.9 {
		t.Errorf("%d bars begin at %v", len(histogramEdges), histogramEdges)
	}
	for i := 1; i < len(histogramEdges); i++ {
		if histogramEdges[i] <= histogramEdges[i-1] {
			t.Fatalf("edges do not rise: %v", histogramEdges)
		}
	}
	if empty := Histogram(nil, nil); empty == nil || len(empty) != 0 {
		t.Errorf("of nothing: %v", empty)
	}
	if one := Histogram([]Cell{{Score: ScoreBinCenter(ScoreBins - 1), Predictions: 7}}, nil); len(one) != 1 || one[0].To != 1 || one[0].Predictions != 7 {
		t.Errorf("all scores 1: %+v", one)
	}
}

// Each point is what its threshold makes of the rows, and the area below the points is
// the AUC.
func TestThresholds(t *testing.T) {
	cells, scores, labels := randomCells(2, 3000)
	points := Thresholds(cells)
	var all [2]float64
	for _, label := range labels {
		if label >= 0 {
			all[label]++
		}
	}
	for _, p := range points {
		var predicted [2]float64
		for k, score := range scores {
			if labels[k] >= 0 && score >= p.Threshold && p.Threshold < 1 {
				predicted[labels[k]]++
			}
		}
		if p.Recall != predicted[1]/all[1] || p.FalsePositiveRate != predicted[0]/all[0] {
			t.Errorf("%+v, the rows say recall %g and %g", p, predicted[1]/all[1], predicted[0]/all[0])
		}
		if n := predicted[0] + predicted[1]; n == 0 != (p.Precision == nil) || n > 0 && *p.Precision != predicted[1]/n || p.PositiveShare != n/(all[0]+all[1]) {
			t.Errorf("%+v of %v", p, predicted)
		}
	}
	area := 0.0
	for i := 1; i < len(points); i++ {
		area += (points[i].FalsePositiveRate - points[i-1].FalsePositiveRate) * (points[i].Recall + points[i-1].Recall) / 2
	}
	if auc := Measure(cells).AUC.Value; math.Abs(area-auc) > 1e-12 {
		t.Errorf("the area is %g, the AUC %g", area, auc)
	}
	first, last := points[0], points[len(points)-1]
	if first.Threshold != 1 || first.Recall != 0 || last.Threshold != 0 || last.Recall != 1 || last.FalsePositiveRate != 1 {
		t.Errorf("from %+v to %+v", first, last)
	}
	at := OperatingPoint(cells, 0.5)
	for _, p := range points {
		if p.Threshold == 0.5 && (p.Recall != at.Recall || p.FalsePositiveRate != at.FalsePositiveRate || *p.Precision != *at.Precision) {
			t.Errorf("the labels say %+v, the scores %+v", at, p)
		}
	}
	if m := Measure(cells); m.Recall.Value != at.Recall || m.Precision.Value != *at.Precision {
		t.Errorf("the operating point is %+v, the figures are %+v and %+v", at, m.Recall, m.Precision)
	}
}

func TestThresholdsOfTooFewOutcomes(t *testing.T) {
	cells := []Cell{{Score: 0.5, Predictions: 100, Negatives: 100}}
	if points := Thresholds(cells); points == nil || len(points) != 0 || OperatingPoint(cells, 0.5) != nil {
		t.Errorf("with one label: %v", points)
	}
	cells[0].Positives = 100
	if points := Thresholds(cells); len(points) != 2 || points[1].Recall != 1 || points[1].Threshold != 0 {
		t.Errorf("all scores are equal: %+v", points)
	}
}
