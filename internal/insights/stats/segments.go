package stats

import "math"

// SegmentCount counts the predictions of a segment, such as those with one value of a
// feature, that have an outcome.
type SegmentCount struct {
	Outcomes  float64
	Positives float64
	Scores    float64 // the sum of their scores
}

// A Segment compares the scores of a segment with what happened.
type Segment struct {
	MeanScore    float64
	PositiveRate Figure // with the interval of Wilson
	ChiSquare    float64
	PValue       float64
	Differs      bool // by more than chance and by MinSegmentDifference
}

const (
	// FalseSegmentRate is the expected share of false discoveries among the segments that
	// are said to differ.
	FalseSegmentRate = 0.01
	// MinSegmentDifference is the least difference between rate and mean score that counts,
	// however many outcomes show it.
	MinSegmentDifference = 0.02
)

// FindSegments compares segments. An element is nil where the segment has fewer than
// MinOutcomes outcomes, or fewer than MinOfEitherLabel are expected of either label.
//
// If scores are the chances of label 1, the number of positives has the variance
// Σ p(1−p), which is at most n·m(1−m) with the mean m. So (positives − Σ p)² / (n·m(1−m))
// is at most a chi-square variable with one degree of freedom: a group of the test of
// Hosmer and Lemeshow (Communications in Statistics 9(10), 1980), by a feature in place of
// the score. Benjamini and Hochberg's procedure bounds the false discoveries.
func FindSegments(counts []SegmentCount) []*Segment {
	out := make([]*Segment, len(counts))
	var pValues []float64
	for i, c := range counts {
		if out[i] = c.compare(); out[i] != nil {
			pValues = append(pValues, out[i].PValue)
		}
	}
	level := discoveryLevel(pValues, FalseSegmentRate)
	for _, s := range out {
		if s != nil {
			s.Differs = s.PValue <= level && math.Abs(s.PositiveRate.Value-s.MeanScore) >= MinSegmentDifference
		}
	}
	return out
}

func (c SegmentCount) compare() *Segment {
	if c.Outcomes < MinOutcomes || min(c.Scores, c.Outcomes-c.Scores) < MinOfEitherLabel {
		return nil
	}
	mean := c.Scores / c.Outcomes
	excess := c.Positives - c.Scores
	chiSquare := excess * excess / (c.Scores * (1 - mean))
	return &Segment{
		MeanScore:    mean,
		PositiveRate: *wilson(c.Positives, c.Outcomes),
		ChiSquare:    chiSquare,
		PValue:       chiSquareTail(chiSquare, 1),
	}
}
