package insights_test

import (
	"context"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"gateway/internal/insights"
	"gateway/internal/insights/insightstest"
	"gateway/internal/predict"
	"gateway/internal/schema"
)

var epoch = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)

type models []insights.Model

func (m models) InsightModels(context.Context) ([]insights.Model, error) { return m, nil }

// simulation makes predictions in virtual time whose outcomes come days later.
type simulation struct {
	t      *testing.T
	rng    *rand.Rand
	memory *insightstest.Memory
	now    time.Time
	open   []outcome // that have not come yet
	truth  []outcome // of all predictions, answered or not
	// rate gives the chance of label 1 for a score.
	rate func(score float64) float64
}

type outcome struct {
	prediction *predict.Prediction
	label      int
	at         time.Time
}

func newSimulation(t *testing.T, seed uint64) *simulation {
	return &simulation{t: t, rng: rand.New(rand.NewPCG(seed, 3)), memory: &insightstest.Memory{}, now: epoch,
		rate: func(score float64) float64 { return score }}
}

// day predicts n customers, of whom a quarter never answer, and lets outcomes come.
func (s *simulation) day(n int) {
	for range n {
		score := 1 / (1 + math.Exp(2-2*s.rng.NormFloat64()))
		at := s.now.Add(time.Duration(s.rng.Int64N(int64(24 * time.Hour))))
		p := &predict.Prediction{Model: "m", CreatedAt: at, Score: score}
		if score >= 0.5 {
			p.Label = 1
		}
		s.memory.Predict(p)
		o := outcome{prediction: p, at: at.Add(time.Duration(s.rng.ExpFloat64() * float64(48*time.Hour)))}
		if s.rng.Float64() < s.rate(score) {
			o.label = 1
		}
		s.truth = append(s.truth, o)
		if s.rng.IntN(4) > 0 {
			s.open = append(s.open, o)
		}
	}
	s.now = s.now.Add(24 * time.Hour)
	waiting := s.open[:0]
	for _, o := range s.open {
		if o.at.After(s.now) {
			waiting = append(waiting, o)
			continue
		}
		s.memory.Report(insights.Outcome{Prediction: o.prediction, Label: o.label, Received: o.at})
	}
	s.open = waiting
}

func (s *simulation) quality(o insights.Options, q insights.Query) *insights.QualityReport {
	s.t.Helper()
	r := insights.NewReportsAt(schema.Bank(), s.memory, models{{Name: "m", Serving: true}}, o, func() time.Time { return s.now })
	report, err := r.Quality(context.Background(), q)
	if err != nil {
		s.t.Fatal(err)
	}
	return report
}

// trueAUC returns the AUC of all predictions made before a time, by their true labels,
// whether apps reported them or not.
func (s *simulation) trueAUC(before time.Time) float64 {
	var pos, neg []float64
	for _, o := range s.truth {
		if o.prediction.CreatedAt.Before(before) {
			if o.label == 1 {
				pos = append(pos, o.prediction.Score)
			} else {
				neg = append(neg, o.prediction.Score)
			}
		}
	}
	above := 0.0
	for _, p := range pos {
		for _, n := range neg {
			switch {
			case p > n:
				above++
			case p == n:
				above += .5
			}
		}
	}
	return above / float64(len(pos)) / float64(len(neg))
}

// TestQualityOfASimulation runs sixty days. No figure is shown before it is mature, the
// maturity is learned, and the interval has the truth.
func TestQualityOfASimulation(t *testing.T) {
	s := newSimulation(t, 1)
	learned := insights.Options{Maturity: -1}
	s.day(150)
	first := s.quality(learned, insights.Query{})
	if m := first.Models[0]; first.Maturity.Source != insights.MaturityUnknown || m.AUC != nil || m.Mature != 0 || m.Insufficient == "" || m.Outcomes == 0 {
		t.Errorf("after a day: %+v %+v", first.Maturity, m)
	}
	if e := first.Models[0].Estimated; e.AUC == nil {
		t.Errorf("there is no estimate on the first day: %+v", e)
	}
	for range 59 {
		s.day(150)
	}
	report := s.quality(learned, insights.Query{From: epoch})
	m := report.Models[0]
	if report.Maturity.Source != insights.MaturityLearned || report.Maturity.AnsweredShare == nil || math.Abs(*report.Maturity.AnsweredShare-.75) > .03 {
		t.Fatalf("maturity is %+v", report.Maturity)
	}
	after, err := time.ParseDuration(*report.Maturity.After)
	if err != nil || after < 4*24*time.Hour || after > 12*24*time.Hour { // 95 % of exponential delays of 2 days: 6 days
		t.Errorf("predictions are mature after %s", *report.Maturity.After)
	}
	truth := s.trueAUC(s.now.Add(-after))
	if m.AUC == nil || truth < m.AUC.Low || truth > m.AUC.High || m.AUC.High-m.AUC.Low > .05 {
		t.Errorf("the AUC is %+v, in truth %.4f", m.AUC, truth)
	}
	if m.Estimated.AUC == nil || math.Abs(*m.Estimated.AUC-truth) > .02 {
		t.Errorf("the estimated AUC is %v, in truth %.4f", *m.Estimated.AUC, truth)
	}
	checkCurves(t, s, learned, m)
	last := m.Series[len(m.Series)-1]
	if len(m.Series) != 60 || last.AUC != nil || last.Mature != 0 || last.Predictions != 150 {
		t.Errorf("%d points, the last is %+v", len(m.Series), last)
	}
	if m.Mature == 0 || m.Mature > m.Predictions-int64(after/(24*time.Hour)-1)*150 {
		t.Errorf("%d of %d predictions are mature after %v", m.Mature, m.Predictions, after)
	}
}

// checkCurves holds the curves of a model to its figures.
func checkCurves(t *testing.T, s *simulation, o insights.Options, plain insights.ModelQuality) {
	t.Helper()
	if plain.Curves != nil || plain.Series[0].Figures != nil || plain.Series[0].Bands != nil {
		t.Errorf("there are curves that the query did not ask for: %+v", plain.Curves)
	}
	m := s.quality(o, insights.Query{From: epoch, Curves: true}).Models[0]
	var predictions, outcomes int64
	for _, bar := range m.Curves.Histogram {
		predictions += bar.Predictions
		outcomes += bar.Negatives + bar.Positives
	}
	if predictions != m.Predictions || outcomes != m.AUC.Count || outcomes == 0 {
		t.Errorf("the histogram has %d predictions and %d outcomes, there are %d and %d", predictions, outcomes, m.Predictions, m.AUC.Count)
	}
	if at := m.Curves.Operating; at.Recall != m.Recall.Value || *at.Precision != m.Precision.Value || at.Threshold != 0.5 || len(m.Curves.Thresholds) < 50 {
		t.Errorf("the operating point is %+v of %d", at, len(m.Curves.Thresholds))
	}
	first, last := m.Series[0], m.Series[len(m.Series)-1]
	if len(first.Figures) != 7 || first.Figures["auc"].Value != *first.AUC || first.Figures["log_loss"].Value != *first.LogLoss || len(first.Bands) != 6 {
		t.Errorf("the first day has %v and %v", first.Figures, first.Bands)
	}
	if len(last.Figures) != 0 || last.Bands["auc"].Low >= *last.EstimatedAUC || last.Bands["auc"].High <= *last.EstimatedAUC {
		t.Errorf("the last day, which is not mature, has %v, and %v for %v", last.Figures, last.Bands, *last.EstimatedAUC)
	}
}

// Labels that are inverted from a day on lower the measured quality, and leave the
// estimate as it is.
func TestConceptDrift(t *testing.T) {
	s := newSimulation(t, 2)
	for range 20 {
		s.day(150)
	}
	s.rate = func(score float64) float64 { return 1 - score }
	changed := s.now
	for range 25 {
		s.day(150)
	}
	report := s.quality(insights.Options{Maturity: 6 * 24 * time.Hour}, insights.Query{From: changed})
	m := report.Models[0]
	if m.AUC == nil || m.AUC.High > .5 || *m.Estimated.AUC < .7 {
		t.Errorf("AUC %+v, estimated %v", m.AUC, *m.Estimated.AUC)
	}
}

// Where apps report the yes alone, no outcome means no once a prediction is mature.
func TestNoOutcomeMeansNo(t *testing.T) {
	s := newSimulation(t, 4)
	for i := range 100 {
		p := &predict.Prediction{Model: "m", CreatedAt: epoch.Add(time.Duration(i) * time.Minute), Score: float64(i) / 100, Label: i / 50}
		s.memory.Predict(p)
		if i >= 90 {
			s.memory.Report(insights.Outcome{Prediction: p, Label: 1, Received: p.CreatedAt.Add(time.Hour)})
		}
	}
	s.now = epoch.Add(48 * time.Hour)
	no := 0
	set := insights.Options{Maturity: 24 * time.Hour}
	if m := s.quality(set, insights.Query{From: epoch}).Models[0]; m.AUC != nil || m.Insufficient == "" {
		t.Errorf("ten yes and nothing else have an AUC: %+v", m)
	}
	set.Default = &no
	report := s.quality(set, insights.Query{From: epoch})
	m := report.Models[0]
	if m.AUC == nil || math.Abs(m.AUC.Value-1) > 1e-9 || m.AUC.Count != 100 || m.Outcomes != 10 || *report.NoOutcomeMeans != 0 {
		t.Errorf("got AUC %+v, %d outcomes", m.AUC, m.Outcomes)
	}
	if m.Accuracy.Value != .6 || m.Recall.Value != 1 || m.Precision.Value != .2 {
		t.Errorf("accuracy %v, precision %v, recall %v", m.Accuracy.Value, m.Precision.Value, m.Recall.Value)
	}
	set.Maturity = 72 * time.Hour
	if m := s.quality(set, insights.Query{From: epoch}).Models[0]; m.AUC != nil || m.Mature != 0 {
		t.Errorf("before they are mature: %+v", m)
	}
	set.Maturity = 24 * time.Hour
	if _, err := s.memory.Fold(context.Background(), insights.Minute, insights.Hour, s.now); err != nil {
		t.Fatal(err)
	}
	if again := s.quality(set, insights.Query{From: epoch}).Models[0]; math.Abs(again.AUC.Value-1) > 1e-9 || again.Mature != 100 {
		t.Errorf("folded into hours: AUC %+v, %d mature", again.AUC, again.Mature)
	}
}

// A figure does not change when sums become coarser.
func TestFoldingChangesNoFigure(t *testing.T) {
	s := newSimulation(t, 5)
	for range 50 {
		s.day(60)
	}
	o, q := insights.Options{Maturity: -1}, insights.Query{From: epoch, Bucket: insights.Day}
	before := s.quality(o, q)
	ctx := context.Background()
	for _, f := range []struct {
		fine, coarse insights.Period
		before       time.Time
	}{{insights.Minute, insights.Hour, insights.Hour.Start(s.now.Add(-time.Hour))}, {insights.Hour, insights.Day, insights.Day.Start(s.now.Add(-35 * 24 * time.Hour))}} {
		if _, err := s.memory.Fold(ctx, f.fine, f.coarse, f.before); err != nil {
			t.Fatal(err)
		}
	}
	after := s.quality(o, q)
	if b, a := before.Models[0], after.Models[0]; *before.Maturity.After != *after.Maturity.After || b.Mature != a.Mature || *b.AUC != *a.AUC || *b.LogLoss != *a.LogLoss {
		t.Errorf("before %+v, after %+v", b, a)
	}
}
