package modelswap

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"gateway/internal/predict"
)

const (
	// trafficLook is how many of the champion's newest predictions are looked at.
	trafficLook = 2000
	// leastTraffic is how many different customers there must be among them: a
	// few, or one over and over, say nothing of a distribution.
	leastTraffic = 100
	// trafficChunk is how many rows the live path is asked about at a time.
	trafficChunk = 200
)

// errShifted means that the new model works, and scores quite differently.
var errShifted = errors.New("the scores of recent traffic have shifted")

// traffic compares, over what the champion was asked lately, its scores with
// those that the live path gives now. Too few different requests are no doubt.
func (x *run) traffic(ctx context.Context) error {
	champion := x.r.State.Champion
	if champion == "" {
		return nil
	}
	recent, err := x.ports.Traffic.RecentPredictions(ctx, champion, trafficLook)
	if err != nil {
		return fmt.Errorf("recent predictions: %w", err)
	}
	rows, before := x.distinct(recent)
	if len(rows) < leastTraffic {
		x.note("traffic_not_compared", fmt.Sprintf("the champion has been asked about %d different customers lately; %d are due", len(rows), leastTraffic))
		return nil
	}
	var after []float64
	for chunk := range slices.Chunk(rows, trafficChunk) {
		live, err := x.live(ctx, chunk)
		if err != nil {
			return err
		}
		after = append(after, live...)
	}
	shift := scoreShift(before, after)
	x.note("traffic_rows", len(rows))
	x.note("traffic_shift", shift)
	if most := x.opts.MaxShift; most > 0 && !(shift <= most) { // also where it is not a number
		return fmt.Errorf("%w: by %.2f of the champion's mean score over %d requests, and %g is allowed", errShifted, shift, len(rows), most)
	}
	return nil
}

// distinct returns the rows that were asked about, each once, with what the
// champion scored. A prediction that does not hold all that a model needs,
// because features are personal and not kept, is left out.
func (x *run) distinct(recent []predict.Prediction) (rows []predict.Vector, scores []float64) {
	seen := make(map[string]bool, len(recent))
	for i := range recent {
		p := &recent[i]
		if p.Schema != x.opts.Schema.Fingerprint() || seen[string(p.Features)] {
			continue
		}
		seen[string(p.Features)] = true
		record, err := x.opts.Schema.DecodeStored(p.Features)
		if err != nil || len(x.opts.Schema.Complete(record, "")) > 0 {
			continue
		}
		rows = append(rows, x.opts.Schema.Encode(record))
		scores = append(scores, p.Score)
	}
	return rows, scores
}

// scoreShift is how far scores moved, as a share of the mean of those before:
// the Wasserstein distance of order 1 between the two distributions, which for
// samples of one size is the mean difference of the sorted values, divided by
// that mean. 0 is not at all; a model that gives everybody the mean score,
// where scores differ much, comes near 1. The samples are sorted in place.
func scoreShift(before, after []float64) float64 {
	slices.Sort(before)
	slices.Sort(after)
	moved, sum := 0.0, 0.0
	for i := range before {
		moved += math.Abs(after[i] - before[i])
		sum += before[i]
	}
	return moved / sum
}
