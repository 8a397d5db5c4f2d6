package stats

import (
	"math/rand/v2"
	"slices"
)

// Calibration gives the rate of positives for a score. A nil Calibration gives the
// score itself, and so does one without points.
type Calibration struct {
	Scores  []float64 `json:"scores,omitempty"` // rising
	Rates   []float64 `json:"rates,omitempty"`  // not falling, one a score
	HeldOut float64   `json:"held_out"`         // the rows by which it was judged
}

// Rate returns the rate of positives among rows with a score: between the points it is
// interpolated, outside of them it is that of the nearest.
func (c *Calibration) Rate(score float64) float64 {
	if c == nil || len(c.Scores) == 0 {
		return score
	}
	return interpolate(c.Scores, c.Rates, score)
}

// Recalibrate fits a Calibration to rows with a label that the model has not learned
// from, by isotonic regression (Zadrozny and Elkan, KDD 2002). It has no points, so that
// scores stay as they are, unless this lowers the expected calibration error of rows
// that it is not fitted to, by five-fold cross-validation. (To ask for an error that is
// significant as well would leave moderate ones, which put estimates outside of their
// bands.) It is nil with fewer rows than Measure needs. Rows of one cell are alike, so
// they are divided by drawing from the counts. Draws are the same each time.
func Recalibrate(heldOut []Cell) *Calibration {
	negatives, positives := labelCounts(heldOut)
	if insufficient(negatives, positives, "rows") != "" {
		return nil
	}
	const folds = 5
	parts := divide(heldOut, folds)
	var before, after []Cell
	for i := range parts {
		fitted := fitCalibration(slices.Concat(slices.Concat(parts[:i]...), slices.Concat(parts[i+1:]...)))
		for _, c := range parts[i] {
			before = append(before, c)
			c.Score = fitted.Rate(c.Score)
			after = append(after, c)
		}
	}
	out := &Calibration{}
	errorBefore, _ := expectedCalibrationError(equalGroups(before))
	errorAfter, _ := expectedCalibrationError(equalGroups(after))
	if errorAfter < errorBefore {
		out = fitCalibration(heldOut)
	}
	out.HeldOut = negatives + positives
	return out
}

// fitCalibration fits to cells with at least one outcome.
func fitCalibration(cells []Cell) *Calibration {
	c := &Calibration{}
	var positives, weights []float64
	for _, cell := range byScore(cells) {
		if last := len(c.Scores) - 1; last < 0 || c.Scores[last] != cell.Score {
			c.Scores, positives, weights = append(c.Scores, cell.Score), append(positives, 0), append(weights, 0)
		}
		positives[len(positives)-1] += cell.Positives
		weights[len(weights)-1] += cell.outcomes()
	}
	rates := make([]float64, len(positives))
	for i := range rates {
		rates[i] = positives[i] / weights[i]
	}
	c.Rates = isotonic(withOneMore(c.Scores, isotonic(rates, weights), weights), weights)
	return c
}

// withOneMore returns the rates of blocks, points with the same rate, as if each had one
// row more, whose label is its mean score. Without it the lowest block would often have
// the rate 0 and the highest 1, by chance, and their labels would seem to be certain.
func withOneMore(scores, rates, weights []float64) []float64 {
	out := make([]float64, len(rates))
	for begin := 0; begin < len(rates); {
		end, weight, sum := begin, 0.0, 0.0
		for ; end < len(rates) && rates[end] == rates[begin]; end++ {
			weight += weights[end]
			sum += weights[end] * scores[end]
		}
		for i := begin; i < end; i++ {
			out[i] = (rates[i]*weight + sum/weight) / (weight + 1)
		}
		begin = end
	}
	return out
}

// divide gives each row of cells to one of several parts, by chance, but the same each time.
func divide(cells []Cell, count int) [][]Cell {
	random := rand.New(rand.NewPCG(1, 1))
	parts := make([][]Cell, count)
	for i := range parts {
		parts[i] = slices.Clone(cells)
		for j := range parts[i] {
			parts[i][j].Negatives, parts[i][j].Positives = 0, 0
		}
	}
	for j, c := range cells {
		for range int(c.Negatives) {
			parts[random.IntN(count)][j].Negatives++
		}
		for range int(c.Positives) {
			parts[random.IntN(count)][j].Positives++
		}
	}
	return parts
}
