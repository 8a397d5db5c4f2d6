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
	// Contributions has, by feature and bin, the mean contribution of the feature to the
	// log-odds of the rows in the bin, less that of all rows; nil if the model is not
	// explained. MeanContributions has, by feature, the mean of the absolute contributions.
	Contributions     [][]float64 `json:"contributions,omitempty"`
	MeanContributions []float64   `json:"mean_contributions,omitempty"`
}

// NewHoldout makes a Holdout of scored rows with labels. A score from threshold on
// predicts label 1.
func NewHoldout(s *schema.Schema, bins *Bins, rows []schema.Vector, scores, labels []float64, threshold float64) *Holdout {
	h := &Holdout{Rows: int64(len(rows))}
	c, err := bins.compile(s)
	if err != nil {
		c = &compiled{bins: &Bins{}} // the scores alone
	}
	logOdds := c.newBinMeans(s)
	var byScore Counts
	var sum float64
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
		logOdds.add(row, func(int) float64 { return z })
	}
	n := math.Max(1, float64(len(rows)))
	h.MeanScore, h.Scores = sum/n, string(byScore.AppendText(nil))
	h.LogOdds = logOdds.means()
	return h
}

// Explain adds what the features contribute to the log-odds of some of the rows that the
// Holdout is of: those at the positions at, by feature of the schema. It does nothing if
// there are none, or if the bins are of another schema.
func (h *Holdout) Explain(s *schema.Schema, bins *Bins, rows []schema.Vector, at []int, contributions [][]float64) {
	c, err := bins.compile(s)
	if err != nil || len(at) == 0 {
		return
	}
	means := c.newBinMeans(s)
	h.MeanContributions = make([]float64, len(c.index))
	for k, i := range at {
		means.add(rows[i], func(feature int) float64 { return contributions[k][feature] })
		for j := range c.bins.Features {
			of := s.Feature(c.bins.Features[j].Name)
			h.MeanContributions[j] += math.Abs(contributions[k][of]) / float64(len(at))
		}
	}
	h.Contributions = means.means()
}

// binMeans computes means by feature and bin, less the mean of all rows.
type binMeans struct {
	*compiled
	schema       *schema.Schema
	first        []int
	sums, counts [][]float64
}

func (c *compiled) newBinMeans(s *schema.Schema) *binMeans {
	m := &binMeans{compiled: c, schema: s, first: firstColumns(s)}
	for i := range c.index {
		m.sums, m.counts = append(m.sums, make([]float64, c.bins.Features[i].bins())), append(m.counts, make([]float64, c.bins.Features[i].bins()))
	}
	return m
}

// add adds a row with the values of its features.
func (m *binMeans) add(row schema.Vector, value func(feature int) float64) {
	for i, at := range m.index {
		if at >= 0 {
			bin := m.vectorBin(i, &m.schema.Features[at], row[m.first[at]:])
			m.sums[i][bin] += value(at)
			m.counts[i][bin]++
		}
	}
}

// means returns the means. A bin without rows has 0.
func (m *binMeans) means() [][]float64 {
	for i, sums := range m.sums {
		all, rows := sum(sums), sum(m.counts[i])
		for bin := range sums {
			if m.counts[i][bin] > 0 {
				sums[bin] = sums[bin]/m.counts[i][bin] - all/rows
			}
		}
	}
	return m.sums
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
