package insights

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"gateway/internal/insights/stats"
)

// QualityReport says how good predictions were, by the outcomes that became known.
type QualityReport struct {
	Maturity       MaturityReport `json:"maturity"`
	NoOutcomeMeans *int           `json:"no_outcome_means"` // label of a mature prediction without an outcome; nil: it is left out
	Threshold      float64        `json:"threshold"`        // the score from which label 1 is predicted now
	Models         []ModelQuality `json:"models"`           // the one that serves first
}

// MaturityReport says from which age on predictions count.
type MaturityReport struct {
	After         *string  `json:"after"`          // as a duration; nil: it is not known yet
	Source        string   `json:"source"`         // MaturityLearned and so on
	AnsweredShare *float64 `json:"answered_share"` // share of predictions that get an outcome; nil: unknown
	Unknown       string   `json:"unknown,omitempty"`

	after time.Duration
	known bool
}

// Sources of a maturity.
const (
	MaturityLearned = "learned" // from the delays of outcomes
	MaturitySet     = "set"     // by GATEWAY_OUTCOME_MATURITY
	MaturityUnknown = "unknown" // too few outcomes to learn it from
)

// ModelQuality is the quality of one model. A figure is nil where too few outcomes
// carry it; Insufficient has the reason.
type ModelQuality struct {
	Model       string `json:"model"`
	Serving     bool   `json:"serving"`
	Predictions int64  `json:"predictions"`
	Mature      int64  `json:"mature"`    // predictions that are old enough to count
	Outcomes    int64  `json:"outcomes"`  // predictions with an outcome, of any age
	Positives   int64  `json:"positives"` // of these, with label 1

	AUC              *stats.Figure `json:"auc"`
	LogLoss          *stats.Figure `json:"log_loss"`
	Brier            *stats.Figure `json:"brier"`
	CalibrationError *stats.Figure `json:"calibration_error"`
	Accuracy         *stats.Figure `json:"accuracy"`
	Precision        *stats.Figure `json:"precision"`
	Recall           *stats.Figure `json:"recall"`
	Insufficient     string        `json:"insufficient,omitempty"`

	Holdout     *HoldoutQuality        `json:"holdout"` // nil: the model was not evaluated
	Estimated   EstimatedQuality       `json:"estimated"`
	Calibration []stats.CalibrationRow `json:"calibration"`
	Series      []QualityPoint         `json:"series"`
	Curves      *Curves                `json:"curves,omitempty"`   // nil: not asked for
	Segments    *Segments              `json:"segments,omitempty"` // nil: not asked for, or another model's
}

// Curves are what charts of scores show. Outcomes are those of mature predictions.
// Thresholds is empty, and Operating nil, where the model's figures are.
type Curves struct {
	Histogram  []stats.HistogramBar   `json:"histogram"`  // its Predictions are those of any age
	Thresholds []stats.ThresholdPoint `json:"thresholds"` // from 1 down to 0
	Operating  *stats.ThresholdPoint  `json:"operating"`  // what the predicted labels were, at the threshold of now
}

// HoldoutQuality is the quality on the rows that were held out of training.
type HoldoutQuality struct {
	AUC     *float64 `json:"auc"`
	LogLoss *float64 `json:"log_loss"`
}

// EstimatedQuality is the quality that is expected of all predictions by their scores
// alone, before there are outcomes. It cannot see that the same features have come to
// mean another label.
type EstimatedQuality struct {
	AUC          *float64            `json:"auc"`
	LogLoss      *float64            `json:"log_loss"`
	Brier        *float64            `json:"brier"`
	Accuracy     *float64            `json:"accuracy"`
	Precision    *float64            `json:"precision"`
	Recall       *float64            `json:"recall"`
	Bands        map[string]Interval `json:"bands"` // in which figures will lie once all outcomes are known, in 95 of 100 cases
	Insufficient string              `json:"insufficient,omitempty"`
}

// Interval has the bounds of a figure.
type Interval struct {
	Low  float64 `json:"low"`
	High float64 `json:"high"`
}

// QualityPoint is the quality of the predictions of one bucket.
type QualityPoint struct {
	Start            time.Time `json:"start"`
	Predictions      int64     `json:"predictions"`
	Mature           int64     `json:"mature"`
	Outcomes         int64     `json:"outcomes"`
	Positives        int64     `json:"positives"`
	AUC              *float64  `json:"auc"`
	AUCLow           *float64  `json:"auc_low"`
	AUCHigh          *float64  `json:"auc_high"`
	LogLoss          *float64  `json:"log_loss"`
	EstimatedAUC     *float64  `json:"estimated_auc"`
	EstimatedLogLoss *float64  `json:"estimated_log_loss"`

	// Figures are all figures of the bucket by their names, and Bands the intervals of the
	// estimated ones; nil: not asked for.
	Figures map[string]*stats.Figure `json:"figures,omitempty"`
	Bands   map[string]Interval      `json:"estimated_bands,omitempty"`
}

// Quality returns the quality by model. A model without predictions in the window is
// left out, unless the query names it.
func (r *Reports) Quality(ctx context.Context, q Query) (*QualityReport, error) {
	now := r.now()
	q, err := q.complete(now)
	if err != nil {
		return nil, err
	}
	models, err := r.models.InsightModels(ctx)
	if err != nil {
		return nil, err
	}
	if q.Model != "" {
		if _, err := r.model(ctx, q.Model); err != nil {
			return nil, err
		}
	}
	maturity, err := r.maturity(ctx, now)
	if err != nil {
		return nil, err
	}
	sums, err := q.sums(ctx, r.store.QualitySums)
	if err != nil {
		return nil, err
	}
	all := byModel(sums, q.Bucket)
	mature := byModel(slices.DeleteFunc(sums, func(s Sum) bool { return !maturity.reached(s.Key, now) }), q.Bucket)
	report := &QualityReport{Maturity: maturity, NoOutcomeMeans: r.options.Default, Threshold: r.schema.DecisionThreshold(), Models: []ModelQuality{}}
	names := []string{}
	for name := range all {
		names = append(names, name)
	}
	if q.Model != "" && len(names) == 0 {
		names = append(names, q.Model)
	}
	sortModels(names, models)
	for _, name := range names {
		one, err := r.modelQuality(ctx, q, name, models, all[name], mature[name])
		if err != nil {
			return nil, err
		}
		if q.Segments && (one.Serving || q.Model != "") {
			if one.Segments, err = r.segments(ctx, q, name, &maturity, now); err != nil {
				return nil, err
			}
		}
		if !maturity.known {
			one.Insufficient = "it is not known yet how long outcomes take: " + maturity.Unknown + "; GATEWAY_OUTCOME_MATURITY sets it"
		}
		report.Models = append(report.Models, *one)
	}
	return report, nil
}

func (r *Reports) modelQuality(ctx context.Context, q Query, name string, models []Model, all, mature map[time.Time]*Sum) (*ModelQuality, error) {
	calibration, err := r.calibration(ctx, name)
	if err != nil {
		return nil, err
	}
	whole, judged := total(all), total(mature)
	out := &ModelQuality{Model: name, Predictions: whole.Rows, Mature: judged.Rows, Series: []QualityPoint{}}
	out.Outcomes, out.Positives = whole.outcomes()
	for _, m := range models {
		if m.Name == name {
			out.Serving = m.Serving
			if m.AUC != nil || m.LogLoss != nil {
				out.Holdout = &HoldoutQuality{m.AUC, m.LogLoss}
			}
		}
	}
	measured := stats.Measure(r.judged(judged))
	out.AUC, out.LogLoss, out.Brier, out.CalibrationError = measured.AUC, measured.LogLoss, measured.Brier, measured.CalibrationError
	out.Accuracy, out.Precision, out.Recall = measured.Accuracy, measured.Precision, measured.Recall
	out.Insufficient, out.Calibration = measured.Insufficient, measured.Calibration
	out.Estimated = estimated(stats.Expect(whole.cells(), calibration))
	if q.Curves {
		out.Curves = r.curves(whole.cells(), r.judged(judged))
	}
	for _, bucket := range inOrder(all) {
		out.Series = append(out.Series, r.point(q, bucket, mature[bucket.Key.Start], calibration))
	}
	return out, nil
}

func (r *Reports) curves(all, mature []stats.Cell) *Curves {
	return &Curves{Histogram: stats.Histogram(all, mature), Thresholds: stats.Thresholds(mature), Operating: stats.OperatingPoint(mature, r.schema.DecisionThreshold())}
}

// judged returns the cells of a mature sum, with the label that no outcome stands for.
func (r *Reports) judged(s *Sum) []stats.Cell {
	if r.options.Default == nil {
		return s.cells()
	}
	return stats.WithDefault(s.cells(), *r.options.Default == 1)
}

func (r *Reports) point(q Query, all, mature *Sum, calibration *stats.Calibration) QualityPoint {
	p := QualityPoint{Start: all.Key.Start, Predictions: all.Rows}
	p.Outcomes, p.Positives = all.outcomes()
	if mature != nil {
		p.Mature = mature.Rows
		measured := stats.Measure(r.judged(mature))
		if measured.AUC != nil {
			p.AUC, p.AUCLow, p.AUCHigh = &measured.AUC.Value, &measured.AUC.Low, &measured.AUC.High
		}
		p.LogLoss = value(measured.LogLoss)
		if q.Curves {
			p.Figures = known(measured)
		}
	}
	e := stats.Expect(all.cells(), calibration)
	p.EstimatedAUC, p.EstimatedLogLoss = value(e.AUC), value(e.LogLoss)
	if q.Curves {
		p.Bands = estimated(e).Bands
	}
	return p
}

// known returns the figures that are not nil, by their names.
func known(q stats.Quality) map[string]*stats.Figure {
	all := figuresOf(q)
	maps.DeleteFunc(all, func(_ string, f *stats.Figure) bool { return f == nil })
	return all
}

func value(f *stats.Figure) *float64 {
	if f == nil {
		return nil
	}
	return &f.Value
}

func estimated(e stats.Estimate) EstimatedQuality {
	out := EstimatedQuality{Bands: map[string]Interval{}, Insufficient: e.Insufficient}
	for _, f := range []struct {
		name string
		from *stats.Figure
		to   **float64
	}{
		{"auc", e.AUC, &out.AUC}, {"log_loss", e.LogLoss, &out.LogLoss}, {"brier", e.Brier, &out.Brier},
		{"accuracy", e.Accuracy, &out.Accuracy}, {"precision", e.Precision, &out.Precision}, {"recall", e.Recall, &out.Recall},
	} {
		if *f.to = value(f.from); f.from != nil {
			out.Bands[f.name] = Interval{f.from.Low, f.from.High}
		}
	}
	return out
}

// calibrationOf is the calibration of a model, which its held-out rows give.
type calibrationOf struct{ *stats.Calibration }

// calibration returns the calibration of a model; nil: its scores stand as they are.
func (r *Reports) calibration(ctx context.Context, model string) (*stats.Calibration, error) {
	if c, ok := r.calibrations.Load(model); ok {
		return c.(calibrationOf).Calibration, nil
	}
	_, held, err := r.store.Profile(ctx, model)
	if held == nil || err != nil {
		return nil, err // it may be evaluated yet
	}
	outcomes, err := ParseCounts(held.Scores)
	if err != nil {
		return nil, err
	}
	c := stats.Recalibrate((&Sum{Outcomes: outcomes}).cells())
	r.calibrations.Store(model, calibrationOf{c})
	return c, nil
}

const (
	// learnFrom is how far back outcomes teach how long they take.
	learnFrom = 400 * 24 * time.Hour
	// matureShare is the share of outcomes that must have come.
	matureShare = 0.95
)

// maturity returns the age from which predictions count. It is that of all models,
// since outcomes do not depend on them.
func (r *Reports) maturity(ctx context.Context, now time.Time) (MaturityReport, error) {
	sums, err := r.store.DelaySums(ctx, Day.Start(now.Add(-learnFrom)), now.Add(clockSkew))
	if err != nil {
		return MaturityReport{}, err
	}
	if r.options.Maturity >= 0 {
		m := MaturityReport{Source: MaturitySet, after: r.options.Maturity, known: true}
		m.setAfter()
		var answered, rows int64
		for _, sum := range mergeKeys(sums, now) {
			if m.reached(sum.Key, now) {
				answered, rows = answered+sum.answered(), rows+sum.Rows
			}
		}
		if rows > 0 {
			share := float64(answered) / float64(rows)
			m.AnsweredShare = &share
		}
		return m, nil
	}
	learned := stats.LearnMaturity(delays(sums, now), matureShare)
	m := MaturityReport{Source: MaturityLearned, after: learned.After, known: learned.Known, Unknown: learned.Unknown}
	if learned.Known {
		m.AnsweredShare = &learned.AnsweredShare
		m.setAfter()
	} else {
		m.Source = MaturityUnknown
	}
	return m, nil
}

func (m *MaturityReport) setAfter() {
	text := m.after.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	m.After = &text
}

// reached reports whether the predictions of a sum are mature. Those of a minute are
// when its first one is, and others when their last one is.
func (m *MaturityReport) reached(k Key, now time.Time) bool {
	if !m.known {
		return false
	}
	k = k.coarser(now)
	end := k.Start
	if k.Period != Minute {
		end = end.Add(time.Duration(k.Period))
	}
	return !end.After(now.Add(-m.after))
}

// mergeKeys adds sums of the same period.
func mergeKeys(sums []Sum, now time.Time) map[Key]*Sum {
	all := make(map[Key]*Sum)
	for i := range sums {
		key := sums[i].Key.coarser(now)
		if all[key] == nil {
			all[key] = &Sum{Key: key}
		}
		all[key].Merge(&sums[i])
	}
	return all
}

// delays counts predictions with an outcome by its delay, and those without by their
// age: that of the middle of their period.
func delays(sums []Sum, now time.Time) []stats.DelayCount {
	counts := make([]stats.DelayCount, stats.DelayBins)
	for _, sum := range mergeKeys(sums, now) {
		answered := int64(0)
		for bin := range counts {
			n, p := sum.Delays.At(0, bin), sum.Delays.At(1, bin)
			counts[bin].Negatives += float64(n)
			counts[bin].Positives += float64(p)
			answered += n + p
		}
		age := max(0, now.Sub(sum.Key.Start.Add(time.Duration(sum.Key.Period)/2)))
		counts[stats.DelayBin(age)].Waiting += float64(max(0, sum.Rows-answered))
	}
	return counts
}
