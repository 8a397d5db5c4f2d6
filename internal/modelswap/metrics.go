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
			Help: "Renewals that ended in this process, by how.",
		}, []string{"status"}),
		stepSeconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "gateway_renewal_step_seconds",
			Help:    "How long the steps of renewals took, waiting included.",
			Buckets: prometheus.ExponentialBuckets(0.01, 4, 10),
		}, []string{"step"}),
		working: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "gateway_renewal_step",
			Help: "1 for the step at which the unfinished renewal is, whichever process works on it; 0 for the others.",
		}, []string{"step"}),
		lastSuccess: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "gateway_renewal_last_success_timestamp_seconds",
			Help: "When a renewal last succeeded; 0 if none of the newest has.",
		}),
		modelCreated: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "gateway_model_created_timestamp_seconds",
			Help: "When the model that serves was made; its age is the model's age.",
		}),
		quality: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "gateway_gate_metric",
			Help: "What the newest comparison on held-out rows found, by role (challenger, champion) and metric.",
		}, []string{"role", "metric"}),
		fall: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "gateway_champion_auc_fall",
			Help: "How much lower the AUC of the model that serves was in the newest comparison than in its first; 0 where it is not lower, or not known.",
		}),
		nextRun: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "gateway_schedule_next_timestamp_seconds",
			Help: "When the schedule starts the next renewal; 0 for never.",
		}),
		outcomesWaiting: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "gateway_schedule_outcomes_waiting",
			Help: "Outcomes that no renewal has taken up, where enough of them start one.",
		}),
	}
	for _, end := range []Status{Succeeded, Failed, Rejected, Cancelled} {
		m.renewals.WithLabelValues(string(end)) // from 0 on, so that the first one is an increase
	}
	m.showStep("")
	reg.MustRegister(m.renewals, m.stepSeconds, m.working, m.lastSuccess, m.modelCreated, m.quality, m.fall, m.nextRun, m.outcomesWaiting)
	return m
}

// compared shows the figures of a comparison.
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

// measureEvery is how many looks of keepTime lie between two of measureState.
const measureEvery = 5

// measureState shows what is in the store, so that every replica tells the
// same, and a new process what happened before it.
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
	default: // it may have been put there by hand
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

// aucFall is how much lower the AUC of a model was in the newest comparison that
// it was the champion of than in its first, as a challenger. Both are found on
// held-out rows of the time.
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

// showStep shows which step is being worked on; empty for none.
func (m *metrics) showStep(at StepName) {
	for _, name := range Order() {
		value := 0.0
		if name == at {
			value = 1
		}
		m.working.WithLabelValues(string(name)).Set(value)
	}
}
