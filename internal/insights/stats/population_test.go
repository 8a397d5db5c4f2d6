package stats

import (
	"math"
	"math/rand/v2"
)

// population has scores whose log-odds are normal, and labels whose log-odds are a
// linear function of those of the score.
type population struct {
	mean, deviation  float64
	intercept, slope float64 // 0 and 1: the scores are calibrated
	threshold        float64
}

// draw returns a score and the probability of the positive label.
func (p population) draw(random *rand.Rand) (score, positive float64) {
	return p.at(random.NormFloat64())
}

func (p population) at(standard float64) (score, positive float64) {
	z := p.mean + p.deviation*standard
	return sigmoid(z), sigmoid(p.intercept + p.slope*z)
}

// truth is the quality on infinitely many rows, by integration.
func (p population) truth() Quality {
	const steps = 4000
	var cells []Cell
	for i := -steps; i <= steps; i++ {
		standard := 6 * float64(i) / steps
		score, positive := p.at(standard)
		rows := 1e5 * math.Exp(-standard*standard/2)
		cells = append(cells, Cell{
			Score: score, PredictedPositive: score >= p.threshold,
			Predictions: rows, Negatives: rows * (1 - positive), Positives: rows * positive,
		})
	}
	return Measure(cells)
}

// binned counts rows as the gateway does.
type binned [2 * ScoreBins]Cell

func (b *binned) cell(score, threshold float64) *Cell {
	bin := ScoreBin(score)
	i := 2 * bin
	if score >= threshold {
		i++
	}
	c := &b[i]
	c.Score, c.PredictedPositive = ScoreBinCenter(bin), score >= threshold
	return c
}

func (b *binned) add(score, threshold, label float64) {
	c := b.cell(score, threshold)
	c.Predictions++
	c.Positives += label
	c.Negatives += 1 - label
}

// sample draws rows with an outcome.
func (p population) sample(random *rand.Rand, rows int) []Cell {
	var b binned
	for range rows {
		score, positive := p.draw(random)
		b.add(score, p.threshold, label(random, positive))
	}
	return b[:]
}

func label(random *rand.Rand, positive float64) float64 {
	if random.Float64() < positive {
		return 1
	}
	return 0
}

// figures lists the figures by name.
func (q Quality) figures() map[string]*Figure {
	return map[string]*Figure{
		"auc": q.AUC, "log loss": q.LogLoss, "Brier": q.Brier, "calibration error": q.CalibrationError,
		"accuracy": q.Accuracy, "precision": q.Precision, "recall": q.Recall,
	}
}

func (e Estimate) figures() map[string]*Figure {
	return map[string]*Figure{
		"auc": e.AUC, "log loss": e.LogLoss, "Brier": e.Brier,
		"accuracy": e.Accuracy, "precision": e.Precision, "recall": e.Recall,
	}
}

// coverage counts how often intervals hold what they are for.
type coverage map[string][2]int

func (c coverage) add(name string, interval, truth *Figure) {
	if interval == nil || truth == nil {
		return
	}
	n := c[name]
	if interval.Low <= truth.Value && truth.Value <= interval.High {
		n[0]++
	}
	n[1]++
	c[name] = n
}

func (c coverage) share(name string) float64 { return float64(c[name][0]) / float64(c[name][1]) }
