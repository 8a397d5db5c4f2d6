package stats

// A Cell counts the predictions of one score bin and one predicted label. The
// predicted label is kept beside the bin because a threshold may lie within a
// bin, and may have been another one before.
type Cell struct {
	Score             float64 // their mean, or ScoreBinCenter
	PredictedPositive bool
	Predictions       float64 // with and without an outcome
	Negatives         float64 // those whose outcome is the negative label
	Positives         float64 // those whose outcome is the positive label
}

func (c Cell) outcomes() float64 { return c.Negatives + c.Positives }

// WithDefault returns cells in which each prediction without an outcome counts
// as one with the given label. It is for mature predictions, where apps report
// one label alone.
func WithDefault(cells []Cell, positive bool) []Cell {
	out := make([]Cell, len(cells))
	for i, c := range cells {
		missing := max(0, c.Predictions-c.outcomes())
		if positive {
			c.Positives += missing
		} else {
			c.Negatives += missing
		}
		out[i] = c
	}
	return out
}
