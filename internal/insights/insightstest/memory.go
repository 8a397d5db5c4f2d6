package insightstest

import (
	"context"
	"sync"
	"time"

	"gateway/internal/insights"
	"gateway/internal/predict"
)

var _ insights.Store = (*Memory)(nil)

// Memory is the sums of a line in memory. Its fields may be set before it is used.
type Memory struct {
	Profiles map[string]*insights.Profile // by model
	Holdouts map[string]*insights.Holdout
	Newest   string // model of the newest profile
	Err      error  // that every call returns

	mu   sync.Mutex
	sums map[insights.Key]*insights.Sum
}

// Predict counts a prediction.
func (m *Memory) Predict(p *predict.Prediction) { m.sum(p).CountPrediction(p) }

// Report counts an outcome.
func (m *Memory) Report(x insights.Outcome) { m.sum(x.Prediction).CountOutcome(x) }

func (m *Memory) sum(p *predict.Prediction) *insights.Sum {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.sums == nil {
		m.sums = make(map[insights.Key]*insights.Sum)
	}
	key := insights.MinuteOf(p.Model, p.CreatedAt)
	if m.sums[key] == nil {
		m.sums[key] = &insights.Sum{Key: key}
	}
	return m.sums[key]
}

// Sums implements insights.Store.
func (m *Memory) Sums(_ context.Context, model string, from, to time.Time) ([]insights.Sum, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var all []insights.Sum
	for key, s := range m.sums {
		if (model == "" || key.Model == model) && !key.Start.Before(from) && key.Start.Before(to) {
			var one insights.Sum
			one.Merge(s)
			one.Key = key
			all = append(all, one)
		}
	}
	return all, m.Err
}

// QualitySums implements insights.Store.
func (m *Memory) QualitySums(ctx context.Context, model string, from, to time.Time) ([]insights.Sum, error) {
	all, err := m.Sums(ctx, model, from, to)
	for i := range all {
		all[i] = insights.Sum{Key: all[i].Key, Rows: all[i].Rows, Scores: all[i].Scores, Outcomes: all[i].Outcomes}
	}
	return all, err
}

// DelaySums implements insights.Store.
func (m *Memory) DelaySums(ctx context.Context, from, to time.Time) ([]insights.Sum, error) {
	all, err := m.Sums(ctx, "", from, to)
	for i := range all {
		all[i] = insights.Sum{Key: all[i].Key, Rows: all[i].Rows, Delays: all[i].Delays}
	}
	return all, err
}

// Fold implements insights.Store: it folds all at once.
func (m *Memory) Fold(_ context.Context, fine, coarse insights.Period, before time.Time) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for key, s := range m.sums {
		if key.Period != fine || !key.Start.Before(before) {
			continue
		}
		to := insights.Key{Model: key.Model, Period: coarse, Start: coarse.Start(key.Start)}
		if m.sums[to] == nil {
			m.sums[to] = &insights.Sum{Key: to}
		}
		m.sums[to].Merge(s)
		delete(m.sums, key)
	}
	return false, m.Err
}

// MergeParts implements insights.Store.
func (m *Memory) MergeParts(context.Context) (int, bool, error) { return 0, false, m.Err }

// Uncounted implements insights.Store.
func (m *Memory) Uncounted(context.Context, int) ([]predict.Prediction, error) { return nil, m.Err }

// CountUncounted implements insights.Store.
func (m *Memory) CountUncounted(context.Context, []predict.Prediction) error { return m.Err }

// Profile implements insights.Store.
func (m *Memory) Profile(_ context.Context, model string) (*insights.Profile, *insights.Holdout, error) {
	return m.Profiles[model], m.Holdouts[model], m.Err
}

// NewestProfile implements insights.Store.
func (m *Memory) NewestProfile(context.Context) (string, *insights.Profile, error) {
	return m.Newest, m.Profiles[m.Newest], m.Err
}
