package stats

// HistogramBar counts the predictions with a score of at least From and below To. The
// last bar of a histogram has the score 1 too.
type HistogramBar struct {
	From        float64 `json:"from"`
	To          float64 `json:"to"`
	Predictions int64   `json:"predictions"`
	Negatives   int64   `json:"negatives"` // those with outcome 0
	Positives   int64   `json:"positives"` // those with outcome 1
}

// histogramEdges are the bins of scores at which bars begin: tenths from 0.1 to 0.9, and
// about 1, 2 and 5 of each decade towards 0 and towards 1, as models of rare labels have
// most scores near 0.
var histogramEdges = makeHistogramEdges()

func makeHistogramEdges() []int {
	edges := []int{0}
	const fine = decades * binsPerDecade
	for decade := range decades {
		for _, step := range []int{0, 6, 14} { // 10^(6/20) is 1.995, 10^(14/20) is 5.01
			edges = append(edges, 1+decade*binsPerDecade+step)
		}
	}
	for tenth := 1; tenth <= 9; tenth++ {
		edges = append(edges, 1+fine+10*(tenth-1))
	}
	for i := 3*decades - 1; i >= 0; i-- { // the distances from 1 are those from 0
		edges = append(edges, ScoreBins-edges[1+i])
	}
	return edges
}

// Histogram returns predictions by score, of all of them, and of those in mature the
// outcomes. Empty bars before the first prediction and after the last one are left out.
func Histogram(all, mature []Cell) []HistogramBar {
	bars := make([]HistogramBar, len(histogramEdges))
	for i, bin := range histogramEdges {
		bars[i].From, bars[i].To = scoreEdges[bin], 1
		if i+1 < len(bars) {
			bars[i].To = scoreEdges[histogramEdges[i+1]]
		}
	}
	barOf := func(c Cell) *HistogramBar {
		i := len(bars) - 1
		for i > 0 && c.Score < bars[i].From {
			i--
		}
		return &bars[i]
	}
	for _, c := range all {
		barOf(c).Predictions += int64(c.Predictions)
	}
	for _, c := range mature {
		bar := barOf(c)
		bar.Negatives += int64(c.Negatives)
		bar.Positives += int64(c.Positives)
	}
	isEmpty := func(b HistogramBar) bool { return b.Predictions == 0 && b.Negatives == 0 && b.Positives == 0 }
	for len(bars) > 0 && isEmpty(bars[0]) {
		bars = bars[1:]
	}
	for len(bars) > 0 && isEmpty(bars[len(bars)-1]) {
		bars = bars[:len(bars)-1]
	}
	return bars
}

// ThresholdPoint is what a threshold would have made of the predictions with an outcome:
// a point of the receiver operating characteristic (Recall over FalsePositiveRate) and of
// the precision-recall curve.
type ThresholdPoint struct {
	Threshold         float64  `json:"threshold"` // a score from it on predicts label 1
	Recall            float64  `json:"recall"`    // share of the positives that are predicted positive
	FalsePositiveRate float64  `json:"false_positive_rate"`
	Precision         *float64 `json:"precision"`      // nil: nothing is predicted positive
	PositiveShare     float64  `json:"positive_share"` // share of all that are predicted positive
}

// Thresholds returns a point for each threshold that the bins of scores allow, from 1
// down to 0: the first predicts no positive, the last all. It is empty where Measure has
// no figures.
func Thresholds(cells []Cell) []ThresholdPoint {
	negatives, positives := labelCounts(cells)
	if insufficient(negatives, positives, "outcomes") != "" {
		return []ThresholdPoint{}
	}
	cells = byScore(cells)
	points := []ThresholdPoint{pointOf(1, 0, 0, negatives, positives)}
	var falsePositives, truePositives float64
	for i := len(cells) - 1; i >= 0; i-- {
		falsePositives += cells[i].Negatives
		truePositives += cells[i].Positives
		if i > 0 && cells[i-1].Score == cells[i].Score {
			continue
		}
		from := 0.0
		if bin := ScoreBin(cells[i].Score); i > 0 && bin >= 0 {
			from, _ = ScoreBinBounds(bin)
		}
		points = append(points, pointOf(from, falsePositives, truePositives, negatives, positives))
	}
	return points
}

// OperatingPoint returns the point of the labels that were predicted, which is exact
// where the threshold lies within a bin of scores, or was another one before. It is nil
// where Measure has no figures. threshold is the one to report.
func OperatingPoint(cells []Cell, threshold float64) *ThresholdPoint {
	negatives, positives := labelCounts(cells)
	if insufficient(negatives, positives, "outcomes") != "" {
		return nil
	}
	c := confusionOf(cells)
	p := pointOf(threshold, c.falsePositives, c.truePositives, negatives, positives)
	return &p
}

func pointOf(threshold, falsePositives, truePositives, negatives, positives float64) ThresholdPoint {
	p := ThresholdPoint{Threshold: threshold, Recall: truePositives / positives, FalsePositiveRate: falsePositives / negatives,
		PositiveShare: (falsePositives + truePositives) / (negatives + positives)}
	if predicted := falsePositives + truePositives; predicted > 0 {
		precision := truePositives / predicted
		p.Precision = &precision
	}
	return p
}
