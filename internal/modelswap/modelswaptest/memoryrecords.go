package modelswaptest

import (
	"context"
	"maps"
	"slices"
	"time"

	"gateway/internal/failure"
	"gateway/internal/modelswap"
	"gateway/internal/predict"
)

// InsertModel implements modelswap.Models.
func (b *Backend) InsertModel(_ context.Context, m modelswap.Model, by modelswap.Fence) error {
	if err := b.before("InsertModel"); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if by != (modelswap.Fence{}) && b.revision[by.Renewal] != by.Revision {
		return modelswap.ErrStale
	}
	if old, ok := b.models[m.Name]; ok {
		m.DeployedAt, m.RetiredAt = old.DeployedAt, old.RetiredAt
	}
	b.models[m.Name] = m
	return nil
}

// Model implements modelswap.Models.
func (b *Backend) Model(_ context.Context, name string) (*modelswap.Model, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	m, ok := b.models[name]
	if !ok {
		return nil, failure.Errorf(failure.NotFound, "there is no model %q", name)
	}
	return &m, nil
}

// Figures implements modelswap.Models.
func (b *Backend) Figures(_ context.Context, name string) (*modelswap.Figures, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.models[name].Figures, nil
}

// Models implements modelswap.Models.
func (b *Backend) Models(context.Context) ([]modelswap.Model, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Collect(maps.Values(b.models)), nil
}

// MarkServing implements modelswap.Models.
func (b *Backend) MarkServing(_ context.Context, name string, at time.Time) error {
	if err := b.before("MarkServing"); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, m := range b.models {
		if m.Name != name && m.Schema == b.models[name].Schema && m.DeployedAt != nil && m.DeployedAt.After(at) {
			return modelswap.ErrStale
		}
	}
	m := b.models[name]
	for other, o := range b.models {
		if other != name && o.Schema == m.Schema && o.DeployedAt != nil && o.RetiredAt == nil {
			o.RetiredAt = &at
			b.models[other] = o
		}
	}
	m.DeployedAt, m.RetiredAt = &at, nil
	b.models[name] = m
	return nil
}

// MarkRemoved implements modelswap.Models.
func (b *Backend) MarkRemoved(_ context.Context, name string, at time.Time) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	m := b.models[name]
	m.RemovedAt = &at
	b.models[name] = m
	return nil
}

// Outcomes lets n outcomes come in.
func (b *Backend) Outcomes(n int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.outcomes += n
}

// Ask lets recent traffic be these predictions.
func (b *Backend) Ask(predictions []predict.Prediction) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.traffic = predictions
}

// Schedule implements modelswap.Schedules.
func (b *Backend) Schedule(context.Context) (modelswap.Schedule, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.schedule, nil
}

// SaveSchedule implements modelswap.Schedules.
func (b *Backend) SaveSchedule(_ context.Context, s modelswap.Schedule, r *modelswap.Renewal) error {
	if err := b.before("SaveSchedule"); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if s.Revision != b.schedule.Revision {
		return modelswap.ErrStale
	}
	if r != nil {
		if err := b.insert(r); err != nil {
			return err
		}
	}
	s.Revision++
	b.schedule = s
	return nil
}

// NewestOutcome implements modelswap.Schedules.
func (b *Backend) NewestOutcome(context.Context) (int64, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.outcomes, nil
}

// RaiseOutcomes implements modelswap.Schedules.
func (b *Backend) RaiseOutcomes(_ context.Context, above int64) error {
	if err := b.before("RaiseOutcomes"); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.outcomes = max(b.outcomes, above)
	return nil
}

// OutcomesAfter implements modelswap.Schedules: every outcome counts, unless New
// says otherwise.
func (b *Backend) OutcomesAfter(_ context.Context, after int64, _ time.Time, _ bool) (modelswap.NewOutcomes, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.New != nil {
		return *b.New, nil
	}
	return modelswap.NewOutcomes{Settled: max(0, b.outcomes-after)}, nil
}

// RecentPredictions implements modelswap.Traffic.
func (b *Backend) RecentPredictions(context.Context, string, int) ([]predict.Prediction, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.traffic, nil
}
