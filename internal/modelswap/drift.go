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
	// maxTraffic predictions of the champion, the newest, are compared; at most
	// maxTrafficOfCaller of them come from one caller, so that a busy caller does
	// not push out the others.
	maxTraffic, maxTrafficOfCaller = 10_000, 2000
	// minTraffic is the minimum number of different customers among them. Fewer do
	// not show a distribution.
	minTraffic = 100
	// trafficChunk is the number of rows in one call of the live path.
	trafficChunk = 200
)

// errShifted means that the new model works but its scores differ from the
// champion's by more than Options.MaxShift.
var errShifted = errors.New("the scores of recent traffic have shifted")

// sample holds the recent requests of one caller: distinct rows with the
// champion's scores.
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

// traffic compares the champion's scores of recent requests with the scores that
// the live path gives now. Each caller with enough different requests has one
// shift, however many requests it made, and the median of the shifts decides. So
// one caller alone can neither hide a shift nor cause one. With too few different
// requests nothing is compared and the result is nil.
func (x *stepRun) traffic(ctx context.Context) error {
	champion := x.r.State.Champion
	if champion == "" {
		return nil
	}
	recent, err := x.ports.Traffic.RecentPredictions(ctx, champion, maxTraffic)
	if err != nil {
		return fmt.Errorf("recent predictions: %w", err)
	}
	samples, different := x.samples(recent)
	if len(samples) == 0 {
		x.note("traffic_not_compared", fmt.Sprintf("the champion has been asked about %d different customers lately; at least %d are needed", different, minTraffic))
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

// shift scores a caller's rows on the live path and compares.
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

// samples groups recent predictions by caller and keeps callers with at least
// minTraffic different rows. If there is no such caller, all rows together form
// one sample, if they are that many. The ledger has the defaults and nulls that
// a row was scored with. Predictions without all features, because personal ones
// are not stored, are left out.
func (x *stepRun) samples(recent []predict.Prediction) (samples []sample, different int) {
	all := sample{}
	byCaller, looked := make(map[string]*sample), make(map[string]int)
	seen, seenOf := make(map[string]bool, len(recent)), make(map[[2]string]bool, len(recent))
	for i := range recent {
		p := &recent[i]
		caller := cmp.Or(p.Caller, predict.AnonymousCaller)
		key := [2]string{caller, string(p.Features)}
		if looked[caller]++; looked[caller] > maxTrafficOfCaller || p.Schema != x.opts.Schema.Fingerprint() || seenOf[key] {
			continue
		}
		seenOf[key] = true
		record, err := x.opts.Schema.DecodeStored(p.Features, nil)
		if err != nil || x.opts.Schema.Incomplete(record) {
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

// medianShift returns the median; of an even number, the larger of the middle
// two.
func medianShift(shifts []callerShift) float64 {
	sorted := slices.SortedFunc(slices.Values(shifts), func(a, b callerShift) int { return cmp.Compare(a.Shift, b.Shift) })
	return sorted[len(sorted)/2].Shift
}

// scoreShift returns how far scores moved, relative to the mean of the earlier
// ones: the Wasserstein distance of order 1 between the two distributions,
// divided by that mean. For two samples of the same size the distance is the mean
// absolute difference of the sorted values. 0 means no shift; a model that scores
// every customer with the mean comes near 1 if scores varied much before. The
// samples are sorted in place.
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
