package app

import (
	"context"
	"fmt"
	"strings"

	"gateway/internal/config"
	"gateway/internal/insights"
	"gateway/internal/modelswap"
	"gateway/internal/schema"
)

// openInsights makes what counts the predictions of the model and their outcomes.
func (m *Model) openInsights(c *components) {
	m.binner = insights.NewBinner(m.schema, m.line)
	m.keeper = insights.NewKeeper(m.line, m.binner, c.log)
}

// openReports makes what answers from the counts.
func (m *Model) openReports(c *components) error {
	options, err := reportOptions(c.cfg, m.schema)
	if err != nil {
		return &config.Error{Err: err}
	}
	floor, err := insights.ParseFloor(c.cfg.Retrain.Quality)
	if err != nil {
		return &config.Error{Err: fmt.Errorf("GATEWAY_RETRAIN_QUALITY: %w", err)}
	}
	m.reports = insights.NewReportsAt(m.schema, m.line, insightModels{m}, options, c.now)
	m.watch = insights.NewWatch(m.reports, insights.WatchOptions{Drift: c.cfg.Retrain.Drift, Quality: floor}, c.log, c.registry)
	return nil
}

// alarm is the present alarm for the engine.
func (m *Model) alarm() *modelswap.Alarm {
	a := m.watch.Alarm()
	if a == nil {
		return nil
	}
	trigger := modelswap.TriggerQuality
	if a.Drift {
		trigger = modelswap.TriggerDrift
	}
	return &modelswap.Alarm{Trigger: trigger, Model: a.Model, Reason: a.Reason}
}

func reportOptions(cfg config.Config, s *schema.Schema) (o insights.Options, err error) {
	if o.Maturity, err = cfg.Outcome.MaturityAge(); err != nil {
		return o, err
	}
	if text := strings.TrimSpace(cfg.Outcome.Default); text != "" {
		label, ok := s.Label.FromText(text)
		if !ok {
			return o, fmt.Errorf("GATEWAY_OUTCOME_DEFAULT: %q is no spelling of the label %s in the schema", text, s.Label.Name)
		}
		o.Default = &label
	}
	return o, nil
}

// insightModels are the models of the engine as insights needs them.
type insightModels struct{ *Model }

// InsightModels implements insights.Models.
func (m insightModels) InsightModels(ctx context.Context) ([]insights.Model, error) {
	models, err := m.engine.Models(ctx)
	if err != nil {
		return nil, err
	}
	all := make([]insights.Model, len(models))
	for i, one := range models {
		all[i] = insights.Model{Name: one.Name, Serving: one.Serving}
		if one.Metrics != nil {
			all[i].AUC, all[i].LogLoss = &one.Metrics.AUC, &one.Metrics.LogLoss
		}
	}
	return all, nil
}
