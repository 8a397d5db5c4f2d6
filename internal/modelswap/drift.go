package modelswap

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"

	"gateway/internal/predict"
	"gateway/internal/schema"
)

const (
	// trafficLook is how many of the champion's newest predictions are looked at,
	// and trafficOfCaller how many of them are one caller's: the others' must not
	// be out of sight behind them.
	trafficLook, trafficOfCaller = 10_000, 2000
	// minTraffic is how many different customers there must be among them: a
	// few, or one over and over, say nothing of a distribution.
	minTraffic = 100
	// trafficChunk is how many rows the live path is asked about at a time.
	trafficChunk = 200
)

// errShifted means that the new model works, and scores quite differently.
var errShifted = errors.New("the scores of recent traffic have shifted")

// sample is what one caller asked lately: rows, each once, with what the
// champion scored.
type sample struct {
	caller string
	rows   []schema.Vector
	before []float64
}

// callerShift is how far the scores of a caller's requests moved.
type callerShift struct {
	Caller string  `json:"caller,omitzero"` // empty: the requests of all
	Rows   int     `json:"rows"`
	Shift  float64 `json:"shift"`
}

// traffic compares, over what the champion was asked lately, its scores with
// those that the live path gives now. Each caller with enough different requests
// counts once, however many it made, and the median of their shifts decides: one
// caller alone can neither hide a shift nor make one up. Too few different
// requests are no doubt.
func (x *stepRun) traffic(ctx context.Context) error {
	champion := x.r.State.Champion
	if champion == "" {
		return nil
	}
	recent, err := x.ports.Traffic.RecentPredictions(ctx, champion, trafficLook)
	if err != nil {
		return fmt.Errorf("recent predictions: %w", err)
	}
	samples, different := x.samples(recent)
	if len(samples) == 0 {
		x.note("traffic_not_compared", fmt.Sprintf("the champion has been asked about %d different customers lately; %d are due", different, minTraffic))
		return nil
	}
	var shifts []callerShift
	rows := 0
	for _, s := range samples {
		shift, err := x.shift(ctx, s)
		if err != nil {
			return err
		}
		shifts = append(shifts, callerShift{s.caller, len(s.rows), shift})
		rows += len(s.rows)
	}
	shift := medianShift(shifts)
	x.note("traffic_rows", rows)
	x.note("traffic_shift", shift)
	x.note("traffic_callers", shifts)
	if most := x.opts.MaxShift; most > 0 && !(shift <= most) { // also where it is not a number
		return fmt.Errorf("%w: by %.2f of the champion's mean score over %d requests, and %g is allowed; to deploy the model all the same, raise GATEWAY_VERIFY_MAX_SHIFT or start a renewal with --force", errShifted, shift, rows, most)
	}
	return nil
}

// shift asks the live path about a caller's rows.
func (x *stepRun) shift(ctx context.Context, s sample) (float64, error) {
	var after []float64
	for chunk := range slices.Chunk(s.rows, trafficChunk) {
		live, err := x.live(ctx, chunk)
		if err != nil {
			return 0, err
		}
		after = append(after, live...)
	}
	return scoreShift(s.before, after), nil
}

// samples parts recent predictions by caller, those with at least minTraffic
// different rows; where there is no such caller, all rows together are one, if
// they are as many. A prediction that does not hold all that a model needs,
// because features are personal and not kept, is left out.
func (x *stepRun) samples(recent []predict.Prediction) (samples []sample, different int) {
	all := sample{}
	byCaller, looked := make(map[string]*sample), make(map[string]int)
	seen, seenOf := make(map[string]bool, len(recent)), make(map[[2]string]bool, len(recent))
	for i := range recent {
		p := &recent[i]
		caller := cmp.Or(p.Caller, predict.AnonymousCaller)
		key := [2]string{caller, string(p.Features)}
		if looked[caller]++; looked[caller] > trafficOfCaller || p.Schema != x.opts.Schema.Fingerprint() || seenOf[key] {
			continue
		}
		seenOf[key] = true
		record, err := x.opts.Schema.DecodeStored(p.Features, nil)
		if err != nil || len(x.opts.Schema.Complete(record, "")) > 0 {
			continue
		}
		row := x.opts.Schema.Encode(record)
		if byCaller[caller] == nil {
			byCaller[caller] = &sample{caller: caller}
		}
		byCaller[caller].add(row, p.Score)
		if !seen[key[1]] {
			seen[key[1]] = true
			all.add(row, p.Score)
		}
	}
	for _, caller := range slices.Sorted(maps.Keys(byCaller)) {
		if s := byCaller[caller]; len(s.rows) >= minTraffic {
			samples = append(samples, *s)
		}
	}
	if len(samples) == 0 && len(all.rows) >= minTraffic {
		samples = append(samples, all)
	}
	return samples, len(all.rows)
}

func (s *sample) add(row schema.Vector, score float64) {
	s.rows, s.before = append(s.rows, row), append(s.before, score)
}

// medianShift is the median, the larger one of the middle two.
func medianShift(shifts []callerShift) float64 {
	sorted := slices.SortedFunc(slices.Values(shifts), func(a, b callerShift) int { return cmp.Compare(a.Shift, b.Shift) })
	return sorted[len(sorted)/2].Shift
}

// scoreShift is how far scores moved, as a share of the mean of those before:
// the Wasserstein distance of order 1 between the two distributions, which for
// samples of one size is the mean difference of the sorted values, divided by
// that mean. 0 means no shift; a model that gives every customer the mean score
// comes near 1 if scores differed much before. The samples are sorted in place.
func scoreShift(before, after []float64) float64 {
	slices.Sort(before)
	slices.Sort(after)
	moved, sum := 0.0, 0.0
	for i := range before {
		moved += math.Abs(after[i] - before[i])
		sum += before[i]
	}
	if sum <= 0 {
		return min(moved, 1) * math.MaxFloat64 // finite, so that the record can hold it
	}
	return moved / sum
}
