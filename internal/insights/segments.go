package insights

import (
	"cmp"
	"context"
	"slices"
	"time"

	"gateway/internal/insights/stats"
)

// SegmentQuality compares scores with what happened, of the mature predictions with
// one value of a feature that have an outcome.
type SegmentQuality struct {
	Feature      string  `json:"feature"`
	Label        string  `json:"label"` // the value, or the range of values
	Outcomes     int64   `json:"outcomes"`
	Positives    int64   `json:"positives"`
	MeanScore    float64 `json:"mean_score"`
	PositiveRate float64 `json:"positive_rate"`
	Low          float64 `json:"low"` // of PositiveRate, with 95 % confidence
	High         float64 `json:"high"`
	PValue       float64 `json:"p_value"` // of the difference, if scores are the chances of label 1
	Differs      bool    `json:"differs"` // by more than chance

	chiSquare float64 // of the difference
}

// Segments is the quality of one model by the values of its features.
type Segments struct {
	Values      []SegmentQuality `json:"values"`                // those that differ most first; those with too few outcomes are left out
	Unavailable string           `json:"unavailable,omitempty"` // why there are none
}

// segments reads what the sums of a model say of its mature predictions.
func (r *Reports) segments(ctx context.Context, q Query, model string, maturity *MaturityReport, now time.Time) (*Segments, error) {
	out := &Segments{Values: []SegmentQuality{}}
	if r.options.Default != nil {
		out.Unavailable = "they compare outcomes with scores, and with GATEWAY_OUTCOME_DEFAULT a mature prediction without an outcome has one too, but its score is not counted by feature"
		return out, nil
	}
	profile, _, err := r.store.Profile(ctx, model)
	if err != nil {
		return nil, err
	}
	if profile == nil {
		out.Unavailable = "the model has no bins: it was made elsewhere, or by an earlier version of the gateway"
		return out, nil
	}
	q.Model = model
	sums, err := q.sums(ctx, r.store.Sums)
	if err != nil {
		return nil, err
	}
	mature := new(Sum)
	for i := range sums {
		if maturity.reached(sums[i].Key, now) {
			mature.Merge(&sums[i])
		}
	}
	out.Values = r.compareSegments(profile.Bins.Features, mature.Segments)
	return out, nil
}

func (r *Reports) compareSegments(features []FeatureBins, counted Counts) []SegmentQuality {
	values := []SegmentQuality{}
	var counts []stats.SegmentCount
	for i := range features {
		f := &features[i]
		if f.Personal {
			continue
		}
		for bin, c := range f.segments(counted, i) {
			if bin == defaultedBin && f.Default > 0 || c.Outcomes <= 0 {
				continue
			}
			values = append(values, SegmentQuality{Feature: f.Name, Label: r.labelOf(f, bin), Outcomes: int64(c.Outcomes), Positives: int64(c.Positives)})
			counts = append(counts, c)
		}
	}
	kept := values[:0]
	for i, s := range stats.FindSegments(counts) {
		if s == nil {
			continue
		}
		v := values[i]
		v.MeanScore, v.PValue, v.Differs, v.chiSquare = s.MeanScore, s.PValue, s.Differs, s.ChiSquare
		v.PositiveRate, v.Low, v.High = s.PositiveRate.Value, s.PositiveRate.Low, s.PositiveRate.High
		kept = append(kept, v)
	}
	slices.SortStableFunc(kept, func(a, b SegmentQuality) int {
		if a.Differs != b.Differs {
			if a.Differs {
				return -1
			}
			return 1
		}
		return cmp.Compare(b.chiSquare, a.chiSquare) // p-values are 0 where the difference is large
	})
	return kept
}

// segments returns the counts by bin, with those of the schema's default in the bin of
// its value.
func (f *FeatureBins) segments(counted Counts, feature int) []stats.SegmentCount {
	out := make([]stats.SegmentCount, f.bins())
	for bin := range out {
		to := bin
		if bin == defaultedBin && f.Default > 0 {
			to = f.Default
		}
		at := bin * segmentCells
		rows := counted.counted(feature, at+segmentRows)
		out[to].Outcomes += float64(rows)
		out[to].Positives += float64(min(rows, counted.counted(feature, at+segmentPositive)))
		out[to].Scores += float64(counted.At(feature, at+segmentScore)) / 1e6
	}
	return out
}

// labelOf names a bin as the schema writes its values.
func (r *Reports) labelOf(f *FeatureBins, bin int) string {
	if at := r.schema.Feature(f.Name); at >= 0 {
		return f.label(bin, &r.schema.Features[at])
	}
	return f.label(bin, nil)
}
