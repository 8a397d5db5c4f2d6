package insights

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"gateway/internal/insights/stats"
	"gateway/internal/outage"
)

const (
	// watchEvery is how often a Watch looks.
	watchEvery = time.Minute
	// alarmWindow is the time whose predictions raise an alarm of drift.
	alarmWindow = 7 * 24 * time.Hour
)

// Floor is the worst value of a figure that is no alarm. The zero Floor is none.
type Floor struct {
	Figure string // as in JSON: auc, log_loss and so on
	Value  float64
}

// figure returns the figure that the floor is about.
func (f Floor) figure(m *ModelQuality) *stats.Figure {
	for name, figure := range m.figures() {
		if name == f.Figure {
			return figure
		}
	}
	return nil
}

// broken reports whether a value is worse than the floor. Of losses and errors that is
// a larger one.
func (f Floor) broken(value float64) bool {
	switch f.Figure {
	case "log_loss", "brier", "calibration_error":
		return value > f.Value
	}
	return value < f.Value
}

// figures are the figures of a model by their names in JSON.
func (m *ModelQuality) figures() map[string]*stats.Figure {
	return figuresOf(stats.Quality{AUC: m.AUC, LogLoss: m.LogLoss, Brier: m.Brier, CalibrationError: m.CalibrationError,
		Accuracy: m.Accuracy, Precision: m.Precision, Recall: m.Recall})
}

func figuresOf(q stats.Quality) map[string]*stats.Figure {
	return map[string]*stats.Figure{"auc": q.AUC, "log_loss": q.LogLoss, "brier": q.Brier, "calibration_error": q.CalibrationError,
		"accuracy": q.Accuracy, "precision": q.Precision, "recall": q.Recall}
}

// ParseFloor reads a floor such as auc:0.85; empty text is none.
func ParseFloor(text string) (Floor, error) {
	if text == "" {
		return Floor{}, nil
	}
	fault := errors.New("must be a figure and a number from 0 on, such as auc:0.85; figures are auc, log_loss, brier, calibration_error, accuracy, precision and recall")
	name, number, _ := strings.Cut(text, ":")
	if _, known := (&ModelQuality{}).figures()[name]; !known {
		return Floor{}, fault
	}
	limit, err := strconv.ParseFloat(number, 64)
	if err != nil || !(limit >= 0) || limit > 1 && name != "log_loss" || math.IsInf(limit, 0) {
		return Floor{}, fault
	}
	return Floor{name, limit}, nil
}

// Alarm is a reason to renew the model that serves.
type Alarm struct {
	Model  string
	Drift  bool // it is about the data; else about the quality
	Reason string
}

// WatchOptions say what is an alarm.
type WatchOptions struct {
	Drift   bool
	Quality Floor
}

// Watch looks at the model that serves once a minute, for metrics and alarms. It is safe
// for concurrent use.
type Watch struct {
	reports *Reports
	options WatchOptions
	log     *slog.Logger
	looks   outage.Outage

	quality  *prometheus.GaugeVec
	outcomes prometheus.Gauge
	psi      *prometheus.GaugeVec
	alarms   prometheus.Gauge

	mu    sync.Mutex
	alarm *Alarm
}

// NewWatch returns a Watch. It registers its metrics with reg.
func NewWatch(r *Reports, o WatchOptions, log *slog.Logger, reg prometheus.Registerer) *Watch {
	w := &Watch{reports: r, options: o, log: log,
		quality: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "gateway_quality",
			Help: "Figures of the serving model over the mature predictions of the last 30 days. auc_low and auc_high bound the AUC; held_out_auc is that on held-out rows, estimated_auc that expected before outcomes.",
		}, []string{"model", "metric"}),
		outcomes: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "gateway_quality_outcomes",
			Help: "Predictions of the serving model of the last 30 days whose outcome is known.",
		}),
		psi: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "gateway_drift_psi",
			Help: "Population stability index of each feature over the last 7 days, against the training data of the serving model.",
		}, []string{"feature"}),
		alarms: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "gateway_drift_alarm",
			Help: "1 if a feature or the score has drifted over the last 7 days, else 0.",
		}),
	}
	reg.MustRegister(w.quality, w.outcomes, w.psi, w.alarms)
	return w
}

// Run looks until ctx ends.
func (w *Watch) Run(ctx context.Context) {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		err := w.Look(ctx)
		if ctx.Err() != nil {
			return
		}
		w.looks.Record(w.log, err, "cannot compute the quality and drift of the model; its metrics keep their last values; trying again",
			"the quality and drift of the model are computed again")
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// Alarm returns the present alarm, nil for none.
func (w *Watch) Alarm() *Alarm {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.alarm
}

// Look computes the figures of the model that serves. Without one it does nothing.
func (w *Watch) Look(ctx context.Context) error {
	models, err := w.reports.models.InsightModels(ctx)
	if err != nil {
		return err
	}
	serving := ""
	for _, m := range models {
		if m.Serving {
			serving = m.Name
		}
	}
	if serving == "" {
		return nil
	}
	quality, err := w.reports.Quality(ctx, Query{Model: serving})
	if err != nil {
		return err
	}
	drift, err := w.reports.Drift(ctx, Query{Model: serving, From: w.reports.now().Add(-alarmWindow)})
	if err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.show(&quality.Models[0], drift)
	w.alarm = w.options.alarm(&quality.Models[0], drift)
	return nil
}

// show sets the gauges.
func (w *Watch) show(q *ModelQuality, d *DriftReport) {
	w.quality.Reset()
	set := func(name string, value *float64) {
		if value != nil {
			w.quality.WithLabelValues(q.Model, name).Set(*value)
		}
	}
	for name, f := range q.figures() {
		set(name, value(f))
	}
	if q.AUC != nil {
		set("auc_low", &q.AUC.Low)
		set("auc_high", &q.AUC.High)
	}
	if q.Holdout != nil {
		set("held_out_auc", q.Holdout.AUC)
	}
	set("estimated_auc", q.Estimated.AUC)
	w.outcomes.Set(float64(q.Outcomes))
	w.psi.Reset()
	for _, f := range d.Features {
		if f.PSI != nil {
			w.psi.WithLabelValues(f.Feature).Set(*f.PSI)
		}
	}
	w.alarms.Set(0)
	if d.Alarm {
		w.alarms.Set(1)
	}
}

// alarm returns the alarm of a report, nil for none.
func (o WatchOptions) alarm(q *ModelQuality, d *DriftReport) *Alarm {
	if f := o.Quality.figure(q); f != nil && o.Quality.broken(f.Value) {
		return &Alarm{Model: q.Model, Reason: fmt.Sprintf("%s is %.4g (%.4g to %.4g) over %d mature outcomes, the limit is %g",
			o.Quality.Figure, f.Value, f.Low, f.High, f.Count, o.Quality.Value)}
	}
	if !o.Drift || !d.Alarm {
		return nil
	}
	for _, f := range d.Features {
		if f.Drifted {
			return &Alarm{Model: d.Model, Drift: true, Reason: fmt.Sprintf("%s has drifted: PSI %.3g over %d predictions, the threshold is %.3g", f.Feature, *f.PSI, d.Window.Rows, *f.Threshold)}
		}
	}
	return &Alarm{Model: d.Model, Drift: true, Reason: fmt.Sprintf("the score has drifted: PSI %.3g over %d predictions, the threshold is %.3g", *d.Score.PSI, d.Window.Rows, *d.Score.Threshold)}
}
