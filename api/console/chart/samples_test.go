package chart

import (
	"math"
	"time"
)

var (
	nan   = math.NaN()
	start = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
)

// samples are charts as pages have them, by the name of their golden files.
func samples() map[string]Chart {
	return map[string]Chart{
		"line": sampleLine(30), "drift": sampleDrift(), "thinned": sampleLine(10_000),
		"reliability": sampleReliability(), "histogram": sampleHistogram(), "even": sampleEven(),
		"roc": sampleCurve(ROC), "precision": sampleCurve(PrecisionRecall),
		"bars": sampleBars(), "reasons": sampleReasons(),
		"gain": sampleGain(), "grid": sampleGrid(3), "attempts": sampleGrid(12),
	}
}

func sampleLine(n int) Line {
	l := Line{Title: "AUC by day", Name: "measured", Second: "estimated", YName: "AUC", Share: true, Counted: "mature outcomes"}
	for i := range n {
		wave := math.Sin(float64(i) / 4)
		p := LinePoint{Time: start.Add(time.Duration(i) * 24 * time.Hour), Value: 0.91 + 0.02*wave, Count: int64(100 + i), Second: 0.92 + 0.01*wave}
		p.Low, p.High = p.Value-0.03, p.Value+0.025
		p.Immature = i >= n-n/4
		switch {
		case i == 5 || i == 7: // a point between two gaps
			p.Value, p.Low, p.High = nan, nan, nan
		case i >= n-n/10:
			p.Value, p.Low, p.High = nan, nan, nan
		}
		l.Points = append(l.Points, p)
	}
	return l
}

func sampleDrift() Line {
	l := Line{Title: "Drift of age", Name: "PSI", YName: "PSI", Threshold: &LineThreshold{0.021, "threshold"}, Counted: "rows"}
	for i := range 48 {
		l.Points = append(l.Points, LinePoint{Time: start.Add(time.Duration(i) * time.Hour), Value: 0.002 + 0.0006*float64(i), Low: nan, High: nan, Second: nan, Count: 510})
	}
	return l
}

func sampleReliability() Reliability {
	r := Reliability{Title: "Calibration"}
	for i, n := range []int64{2010, 620, 310, 150, 90, 70, 0, 40, 30, 12} {
		from := float64(i) / 10
		b := ReliabilityBin{From: from, To: from + 0.1, Count: n, MeanScore: from + 0.04, Rate: math.Min(1, from*1.1+0.02)}
		spread := 1 / math.Sqrt(float64(max(n, 1)))
		b.Low, b.High = max(0, b.Rate-spread), min(1, b.Rate+spread)
		if n == 0 {
			b.MeanScore, b.Rate, b.Low, b.High = nan, nan, nan, nan
		}
		r.Bins = append(r.Bins, b)
	}
	return r
}

func sampleHistogram() Histogram {
	threshold := 0.5
	h := Histogram{Title: "Scores by outcome", Names: [3]string{"yes", "no", "no outcome yet"}, Threshold: &threshold}
	for i := range 20 {
		from := float64(i) / 20
		h.Bins = append(h.Bins, HistogramBin{from, from + 0.05, [3]int64{int64(3 * i), int64(400 / (i + 1)), int64(150 / (i + 1))}})
	}
	return h
}

func sampleEven() Histogram {
	threshold := 0.15
	h := Histogram{Title: "Scores by outcome", Names: [3]string{"yes", "no", "no outcome yet"}, Threshold: &threshold, Even: true}
	edges := []float64{0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95}
	for i := range len(edges) - 1 {
		h.Bins = append(h.Bins, HistogramBin{edges[i], edges[i+1], [3]int64{int64(i * i), int64(300 - 20*i), int64(100 - 5*i)}})
	}
	return h
}

func sampleCurve(kind CurveKind) Curve {
	v := Curve{Title: map[CurveKind]string{ROC: "ROC", PrecisionRecall: "Precision and recall"}[kind], Kind: kind, Threshold: 0.5, BaseRate: 0.11}
	for i := range 101 {
		t := float64(i) / 100
		p := CurvePoint{Threshold: t, Recall: 1 - t*t, FalsePositiveRate: math.Pow(1-t, 3)}
		p.Precision = 0.11 * p.Recall / (0.11*p.Recall + 0.89*p.FalsePositiveRate)
		v.Points = append(v.Points, p)
	}
	return v
}

func sampleBars() Bars {
	threshold := 0.022
	b := Bars{Title: "Drift by feature", ValueName: "PSI", Marked: "drifted"}
	for i, name := range []string{"duration", "euribor3m", "age", "contact", "a_feature_with_a_very_long_name_that_does_not_fit_into_the_picture"} {
		value := 0.05 / float64(i+1)
		b.Bars = append(b.Bars, Bar{Name: name, Value: value, Threshold: &threshold, Marked: value > threshold})
	}
	b.Bars = append(b.Bars, Bar{Name: "campaign", Value: nan, Threshold: nil, Note: "too few rows"})
	return b
}

func sampleReasons() Bars {
	b := Bars{Title: "Reasons of the prediction", ValueName: "log-odds"}
	for _, reason := range []struct {
		name  string
		value float64
	}{{"duration", 1.41}, {"euribor3m", -0.92}, {"contact", -0.31}, {"age", 0.12}, {"month", 0.02}} {
		b.Bars = append(b.Bars, Bar{Name: reason.name, Value: reason.value})
	}
	b.Bars[0].Low, b.Bars[0].High = 1.2, 1.6
	return b
}

func sampleGain() Gain {
	g := Gain{Title: "Gain in money", Unit: "EUR", Chosen: 0.3}
	for i := range 51 {
		share := float64(i) / 50
		g.Points = append(g.Points, GainPoint{Share: share, Threshold: 1 - share, Gain: 20_000*math.Sqrt(share) - 24_000*share})
	}
	return g
}

func sampleGrid(attempts int) Grid {
	g := Grid{Title: "Steps of the renewal"}
	for i, name := range []string{"export", "convert", "train", "register", "evaluate", "deploy", "verify"} {
		s := GridStep{Name: name}
		switch {
		case i < 2:
			s.Attempts = []GridAttempt{{State: Succeeded, Duration: time.Duration(i+1) * 1234 * time.Millisecond}}
		case i == 2:
			for range attempts - 1 {
				s.Attempts = append(s.Attempts, GridAttempt{State: Failed, Duration: 62 * time.Second, Note: `num_round: "0" is less than 1`})
			}
			s.Attempts = append(s.Attempts, GridAttempt{State: Running, Duration: 65 * time.Minute})
		case i == 3:
			s.Attempts = []GridAttempt{{State: Skipped, Duration: -1}}
		case i == 4:
			s.Attempts = []GridAttempt{{State: Cancelled, Duration: 3 * time.Millisecond}}
		case i == 5:
			s.Attempts = []GridAttempt{{Duration: -1}}
		}
		g.Steps = append(g.Steps, s)
	}
	return g
}
