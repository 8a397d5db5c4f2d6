package chart

import (
	"encoding/binary"
	"math"
	"testing"
	"time"
)

// FuzzCharts draws charts of arbitrary values: no kind panics, each picture is
// well-formed and obeys the content security policy, each row of a table is whole.
func FuzzCharts(f *testing.F) {
	f.Add("AUC by day", []byte("0123456789abcdef0123456789abcdef"))
	f.Add("<&>\"'\x00", []byte{0x7f, 0xf0, 0, 0, 0, 0, 0, 0, 0x7f, 0xf8, 0, 0, 0, 0, 0, 1, 0x3f, 0xf0, 0, 0, 0, 0, 0, 0})
	f.Add("", []byte{})
	f.Fuzz(func(t *testing.T, text string, data []byte) {
		for _, chart := range fuzzed(text, &values{data: data}) {
			checkPicture(t, "a", string(chart.SVG("a")))
			checkTable(t, chart.Table())
		}
	})
}

// values reads values from bytes.
type values struct{ data []byte }

func (v *values) whole() int64 {
	var eight [8]byte
	n := copy(eight[:], v.data)
	v.data = v.data[n:]
	return int64(binary.BigEndian.Uint64(eight[:]))
}

// number is any number, or one between 0 and 1.
func (v *values) number() float64 {
	n := v.whole()
	if n%2 == 0 {
		return math.Float64frombits(uint64(n))
	}
	return math.Abs(float64(n)) / math.MaxInt64
}

func (v *values) optional() *float64 {
	n := v.number()
	if n < 0.5 {
		return nil
	}
	return &n
}

// fuzzed returns a chart of each kind.
func fuzzed(text string, v *values) []Chart {
	line := Line{text, text, text, text, v.whole()%2 == 0, nil, nil, text, text, text}
	reliability, histogram := Reliability{Title: text}, Histogram{Title: text, Names: [3]string{text, text, "c"}, Threshold: v.optional(), Even: v.whole()%2 == 0}
	curve, bars := Curve{Title: text, Kind: CurveKind(v.whole()), Threshold: v.number(), BaseRate: v.number()}, Bars{Title: text, ValueName: text, Marked: text}
	gain, grid := Gain{Title: text, Unit: text, Chosen: v.number()}, Grid{Title: text}
	if threshold := v.optional(); threshold != nil {
		line.Threshold = &LineThreshold{*threshold, text}
	}
	if v.whole()%2 == 0 {
		curve.Chosen = &CurvePoint{v.number(), v.number(), v.number(), v.number()}
	}
	for len(v.data) > 0 {
		line.Points = append(line.Points, LinePoint{time.Unix(v.whole()>>(v.whole()&63), 0), v.number(), v.number(), v.number(), v.number(), v.whole(), v.whole()%2 == 0})
		reliability.Bins = append(reliability.Bins, ReliabilityBin{v.number(), v.number(), v.whole(), v.number(), v.number(), v.number(), v.number()})
		histogram.Bins = append(histogram.Bins, HistogramBin{v.number(), v.number(), [3]int64{v.whole(), v.whole(), v.whole()}})
		curve.Points = append(curve.Points, CurvePoint{v.number(), v.number(), v.number(), v.number()})
		bars.Bars = append(bars.Bars, Bar{text, v.number(), v.number(), v.number(), v.optional(), v.whole()%2 == 0, text})
		gain.Points = append(gain.Points, GainPoint{v.number(), v.number(), v.number()})
		attempt := GridAttempt{State(v.whole()), time.Duration(v.whole()), text}
		if n := len(grid.Steps); n > 0 && v.whole()%2 == 0 {
			grid.Steps[n-1].Attempts = append(grid.Steps[n-1].Attempts, attempt)
		} else {
			grid.Steps = append(grid.Steps, GridStep{text, []GridAttempt{attempt}})
		}
	}
	return []Chart{line, reliability, histogram, curve, bars, gain, grid}
}
