package modelswap

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"

	"gateway/internal/learn"
)

type metrics struct {
	renewals        *prometheus.CounterVec
	stepSeconds     *prometheus.HistogramVec
	working         *prometheus.GaugeVec
	lastSuccess     prometheus.Gauge
	modelCreated    prometheus.Gauge
	quality         *prometheus.GaugeVec
	fall            prometheus.Gauge
	nextRun         prometheus.Gauge
	outcomesWaiting prometheus.Gauge
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		renewals: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gateway_renewals_total",
			Help: "Renewals that ended in this process, by result.",
		}, []string{"status"}),
		stepSeconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "gateway_renewal_step_seconds",
			Help:    "Duration of the steps of renewals in seconds, waiting included.",
			Buckets: prometheus.ExponentialBuckets(0.01, 4, 10),
		}, []string{"step"}),
		working: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "gateway_renewal_step",
			Help: "1 for the current step of the unfinished renewal, in any process; 0 for the others.",
		}, []string{"step"}),
		lastSuccess: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "gateway_renewal_last_success_timestamp_seconds",
			Help: "Unix time at which a renewal last succeeded; 0 if none of the newest has.",
		}),
		modelCreated: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "gateway_model_created_timestamp_seconds",
			Help: "Unix time at which the serving model was made.",
		}),
		quality: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "gateway_gate_metric",
			Help: "Metrics of the newest comparison on held-out rows, by role (challenger, champion) and metric.",
		}, []string{"role", "metric"}),
		fall: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "gateway_champion_auc_fall",
			Help: "Decrease of the serving model's AUC from its first comparison to the newest one; 0 where it did not fall or is unknown.",
		}),
		nextRun: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "gateway_schedule_next_timestamp_seconds",
			Help: "Unix time at which the schedule starts the next renewal; 0 for never.",
		}),
		outcomesWaiting: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "gateway_schedule_outcomes_waiting",
			Help: "Outcomes received since the last renewal that outcomes started; 0 where outcomes start none.",
		}),
	}
	for _, end := range []Status{Succeeded, Failed, Rejected, Cancelled} {
		m.renewals.WithLabelValues(string(end)) // Starting from 0 makes the first one visible as an increase.
	}
	m.showStep("")
	reg.MustRegister(m.renewals, m.stepSeconds, m.working, m.lastSuccess, m.modelCreated, m.quality, m.fall, m.nextRun, m.outcomesWaiting)
	return m
}

// compared sets the metrics of a comparison.
func (m *metrics) compared(found Metrics) {
	for role, figures := range map[string]*learn.Metrics{"challenger": found.Challenger, "champion": found.Champion} {
		if figures == nil {
			m.quality.DeletePartialMatch(prometheus.Labels{"role": role})
			continue
		}
		for name, value := range map[string]float64{"auc": figures.AUC, "log_loss": figures.LogLoss, "accuracy": figures.Accuracy,
			"f1": figures.F1, "calibration": figures.Calibration, "positive_rate": figures.PositiveRate, "rows": float64(figures.Rows)} {
			m.quality.WithLabelValues(role, name).Set(value)
		}
	}
}

// measureEvery is the number of ticks of keepTime between two calls of
// measureState.
const measureEvery = 5

// measureState sets the gauges from the store, so that every replica and every
// new process reports the same values.
func (e *Engine) measureState(ctx context.Context) error {
	const look = 20
	newest, err := e.ports.Renewals.Renewals(ctx, look, "")
	if err != nil {
		return err
	}
	at := StepName("")
	compared, succeeded := false, false
	for _, r := range newest {
		if s := r.Current(); s != nil && !r.Status.Final() {
			at = s.Name
		}
		if !compared && r.Metrics.Challenger != nil {
			compared = true
			e.metrics.compared(r.Metrics)
		}
		if !succeeded && r.Status == Succeeded && r.FinishedAt != nil {
			succeeded = true
			e.metrics.lastSuccess.Set(float64(r.FinishedAt.Unix()))
		}
	}
	e.metrics.showStep(at)
	switch m, err := e.servingModel(ctx); {
	case err != nil:
		return err
	case m != nil:
		e.metrics.modelCreated.Set(float64(m.CreatedAt.Unix()))
		e.metrics.fall.Set(aucFall(m, newest))
	default: // It may have been deployed by hand.
		if err := e.adopt(ctx); err != nil {
			return err
		}
	}
	s, err := e.ports.Schedules.Schedule(ctx)
	if err == nil && s.Line != "" {
		e.metrics.nextRun.Set(float64(s.Next.Unix()))
	}
	return err
}

// aucFall returns how much the AUC of a model decreased from its first
// comparison, as a challenger, to the newest one that it was the champion of.
// Each is computed on held-out rows of its time.
func aucFall(m *Model, newest []*Renewal) float64 {
	if m.Metrics == nil {
		return 0
	}
	for _, r := range newest {
		if r.State.Champion == m.Name && r.Metrics.Champion != nil {
			return max(0, m.Metrics.AUC-r.Metrics.Champion.AUC)
		}
	}
	return 0
}

// showStep marks the current step in the metric; empty for none.
func (m *metrics) showStep(at StepName) {
	for _, name := range Order() {
		value := 0.0
		if name == at {
			value = 1
		}
		m.working.WithLabelValues(string(name)).Set(value)
	}
}
