package insights

import (
	"cmp"
	"math"
	"time"
	"unicode/utf8"

	"gateway/internal/insights/stats"
	"gateway/internal/predict"
)

// Period is the width of the periods in which predictions are counted.
type Period time.Duration

// The periods. Minutes become hours, and hours days, once they are old.
const (
	Minute = Period(time.Minute)
	Hour   = Period(time.Hour)
	Day    = Period(24 * time.Hour)
)

// Start returns the beginning, in UTC, of the period that a time is in.
func (p Period) Start(t time.Time) time.Time { return t.UTC().Truncate(time.Duration(p)) }

// Key names what is counted together: the predictions that a model made in a period.
type Key struct {
	Model  string
	Period Period
	Start  time.Time
}

// Compare orders keys by model, period and start.
func (k Key) Compare(other Key) int {
	return cmp.Or(cmp.Compare(k.Model, other.Model), cmp.Compare(k.Period, other.Period), k.Start.Compare(other.Start))
}

// MinuteOf returns the key of the minute of a prediction.
func MinuteOf(model string, at time.Time) Key { return Key{model, Minute, Minute.Start(at)} }

// Sum is what is counted of the predictions of a model and a period, or a part of it.
type Sum struct {
	Key      Key
	Rows     int64
	Features Counts // a row for each feature of Bins: predictions by bin
	Scores   Counts // a row for each predicted label: predictions by the bin of their score; then scoreSum
	Outcomes Counts // row 2p+y: predictions of predicted label p with outcome y, by the bin of their score
	Delays   Counts // a row for each label: by the bin of the delay of their first outcome, which had that label
	Segments Counts // a row for each feature, segmentCells columns for each of its bins
}

// scoreSum is the row of Sum.Scores with one number: the sum of the scores, in
// millionths.
const scoreSum = 2

// The columns of a bin in Sum.Segments.
const (
	segmentRows     = iota // predictions with an outcome
	segmentPositive        // of these, with outcome 1
	segmentScore           // the sum of their scores, in millionths
	segmentCells
)

// Outcome is the outcome of a prediction that is counted, or a change of it.
type Outcome struct {
	Prediction *predict.Prediction // its score, label, bins and time
	Label      int
	Former     *int      // the label that this one replaces; nil: the first
	Received   time.Time // when the gateway had the first outcome
}

// CountPrediction adds a prediction.
func (s *Sum) CountPrediction(p *predict.Prediction) {
	s.Rows++
	if bin := stats.ScoreBin(p.Score); bin >= 0 {
		s.Scores.Add(p.Label, bin, 1)
	}
	s.Scores.Add(scoreSum, 0, millionths(p.Score))
	s.Features.addBins(p.Bins)
}

// addBins adds one to each bin. It is a loop of its own, without eachBin, because each
// prediction pays for it.
func (c *Counts) addBins(bins []byte) {
	for feature, b := range bins {
		bin := int(b) - firstBin
		switch {
		case b >= utf8.RuneSelf:
			eachBin(bins[feature:], func(i, bin int) { c.Add(feature+i, bin, 1) })
			return
		case bin < 0: // notCounted
		case feature < len(*c) && bin < len((*c)[feature]):
			(*c)[feature][bin]++
		default:
			c.Add(feature, bin, 1)
		}
	}
}

// CountOutcome adds an outcome. One that replaces another takes that one back.
func (s *Sum) CountOutcome(x Outcome) {
	if x.Former == nil {
		s.Delays.Add(x.Label, stats.DelayBin(x.Received.Sub(x.Prediction.CreatedAt)), 1)
	} else {
		s.countOutcome(x.Prediction, *x.Former, -1)
	}
	s.countOutcome(x.Prediction, x.Label, 1)
}

func (s *Sum) countOutcome(p *predict.Prediction, label int, n int64) {
	if bin := stats.ScoreBin(p.Score); bin >= 0 {
		s.Outcomes.Add(2*p.Label+label, bin, n)
	}
	eachBin(p.Bins, func(feature, bin int) {
		at := bin * segmentCells
		s.Segments.Add(feature, at+segmentRows, n)
		s.Segments.Add(feature, at+segmentPositive, n*int64(label))
		s.Segments.Add(feature, at+segmentScore, n*millionths(p.Score))
	})
}

// Reset makes s a sum of nothing, and keeps its memory.
func (s *Sum) Reset(k Key) {
	s.Key, s.Rows = k, 0
	for _, c := range []Counts{s.Features, s.Scores, s.Outcomes, s.Delays, s.Segments} {
		c.Reset()
	}
}

// Merge adds the counts of other.
func (s *Sum) Merge(other *Sum) {
	s.Rows += other.Rows
	s.Features.Merge(other.Features)
	s.Scores.Merge(other.Scores)
	s.Outcomes.Merge(other.Outcomes)
	s.Delays.Merge(other.Delays)
	s.Segments.Merge(other.Segments)
}

// millionths returns a score as a whole number, so that sums do not depend on their
// order. A score beyond 0 and 1, which a foreign model may have, counts as the nearer.
func millionths(score float64) int64 { return int64(math.Round(1e6 * min(1, max(0, score)))) }

// The text of bins has one character for each feature: notCounted, or firstBin plus
// the number of the bin. It is valid UTF-8 and has no character that needs an escape
// in JSON or SQL.
const (
	firstBin   = '0'
	notCounted = '-'
)

func eachBin(bins []byte, fn func(feature, bin int)) {
	for feature := 0; len(bins) > 0; feature++ {
		r, size := rune(bins[0]), 1
		if r >= utf8.RuneSelf {
			r, size = utf8.DecodeRune(bins)
		}
		bins = bins[size:]
		if r >= firstBin && r != utf8.RuneError {
			fn(feature, int(r-firstBin))
		}
	}
}
