package console

import (
	"slices"

	"gateway/api/console/chart"
	"gateway/internal/insights"
)

// maxSegments bounds the rows of the table of segments.
const maxSegments = 200

// segmentsPart is the quality by value of a feature.
type segmentsPart struct {
	Values      []insights.SegmentQuality
	All         int      // number of values, also of those left out
	Features    []string // that have segments
	Unavailable string
	Chart       *drawing
}

// newSegmentsPart shows the segments of one feature, or those that differ most of all.
func newSegmentsPart(s *insights.Segments, v *insightView) *segmentsPart {
	p := &segmentsPart{Unavailable: s.Unavailable}
	for _, one := range s.Values {
		if !slices.Contains(p.Features, one.Feature) {
			p.Features = append(p.Features, one.Feature)
		}
		if v.Feature == "" || one.Feature == v.Feature {
			p.Values = append(p.Values, one)
		}
	}
	slices.Sort(p.Features)
	p.All = len(p.Values)
	p.Values = p.Values[:min(len(p.Values), maxSegments)]
	if p.Unavailable == "" {
		p.Chart = draw("segments", segmentsChart(p.Values))
	}
	return p
}

func segmentsChart(values []insights.SegmentQuality) chart.Bars {
	b := chart.Bars{Title: "Rate of positives less mean score, by value", ValueName: "difference", Marked: "differs by more than chance",
		Below: "fewer positives than expected", Above: "more", Empty: "No value of a feature has enough mature outcomes."}
	for _, s := range values {
		b.Bars = append(b.Bars, chart.Bar{Name: s.Feature + " " + s.Label, Value: s.PositiveRate - s.MeanScore,
			Low: s.Low - s.MeanScore, High: s.High - s.MeanScore, Marked: s.Differs, Note: count(s.Outcomes) + " outcomes"})
	}
	return b
}
