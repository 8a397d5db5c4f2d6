package insights

import (
	"math"

	"gateway/internal/insights/stats"
	"gateway/internal/schema"
)

// Holdout is what is kept of the held-out rows that a model was evaluated on.
type Holdout struct {
	Rows      int64   `json:"rows"`
	Positives int64   `json:"positives"`
	MeanScore float64 `json:"mean_score"`
	// Scores has a row for each predicted label p and label y, 2p+y: the rows by the bin
	// of their score, as text of Counts.
	Scores string `json:"scores"`
	// LogOdds has, by feature and bin, the mean log-odds of the scores of the rows in the
	// bin, less that of all rows. A bin without rows has 0.
	LogOdds [][]float64 `json:"log_odds"`
}

// NewHoldout makes a Holdout of scored rows with labels. A score from threshold on
// predicts label 1.
func NewHoldout(s *schema.Schema, bins *Bins, rows []schema.Vector, scores, labels []float64, threshold float64) *Holdout {
	h := &Holdout{Rows: int64(len(rows))}
	c, err := bins.compile(s)
	if err != nil {
		c = &compiled{bins: &Bins{}} // the scores alone
	}
	first := firstColumns(s)
	sums, counts := make([][]float64, len(c.index)), make([][]float64, len(c.index))
	for i := range c.index {
		sums[i], counts[i] = make([]float64, c.bins.Features[i].bins()), make([]float64, c.bins.Features[i].bins())
	}
	var byScore Counts
	var sum, logOdds float64
	for k, row := range rows {
		predicted := 0
		if scores[k] >= threshold {
			predicted = 1
		}
		if bin := stats.ScoreBin(scores[k]); bin >= 0 {
			byScore.Add(2*predicted+int(labels[k]), bin, 1)
		}
		h.Positives += int64(labels[k])
		sum += scores[k]
		z := logit(scores[k])
		logOdds += z
		for i, at := range c.index {
			if at >= 0 {
				bin := c.vectorBin(i, &s.Features[at], row[first[at]:])
				sums[i][bin] += z
				counts[i][bin]++
			}
		}
	}
	n := math.Max(1, float64(len(rows)))
	h.MeanScore, h.Scores = sum/n, string(byScore.AppendText(nil))
	for i := range sums {
		for bin := range sums[i] {
			if counts[i][bin] > 0 {
				sums[i][bin] = sums[i][bin]/counts[i][bin] - logOdds/n
			}
		}
	}
	h.LogOdds = sums
	return h
}

// vectorBin returns the bin of feature i by its encoded columns. They do not tell an
// unlisted category from the one that replaced it, nor a default from a given value.
func (c *compiled) vectorBin(i int, f *schema.Feature, columns schema.Vector) int {
	x, missing := f.Decode(columns)
	switch {
	case missing:
		return missingBin
	case f.Type == schema.Category:
		return valueBin(int(x))
	}
	return c.bins.Features[i].numberBin(x)
}

// firstColumns returns, by feature, the index of its first encoded column.
func firstColumns(s *schema.Schema) []int {
	first, column := make([]int, len(s.Features)), 0
	for i := range s.Features {
		first[i] = column
		column += s.Features[i].Width()
	}
	return first
}

// logit returns the log-odds of a score, which is kept from 0 and 1.
func logit(score float64) float64 {
	const least = 1e-6
	score = min(1-least, max(least, score))
	return math.Log(score / (1 - score))
}
