// Package modelswaptest has in-memory back ends for tests of the engine. They
// keep what the ports promise, count the effects that cost money, and can be
// told to fail.
package modelswaptest

import (
	"context"
	"encoding/json"
	"slices"
	"sync"
	"testing/fstest"
	"time"

	"gateway/internal/failure"
	"gateway/internal/modelswap"
	"gateway/internal/predict"
	"gateway/internal/schema"
)

// Backend fills every port of an engine in memory. Its fields may be set
// before the engine runs.
type Backend struct {
	Schema    *schema.Schema
	Customers []predict.Customer
	// Score is how the model called name scores a row; nil scores by the first column.
	Score func(name string, row schema.Vector) float64
	// Live overrides what the live path answers, for tests of `verify`.
	Live func(predict.Scores) predict.Scores
	// Platform are models that the platform has and that no renewal made.
	Platform map[string]modelswap.Model
	// Learned is what the platform tells about the inside of every model.
	Learned modelswap.LearnedFigures
	// Changing tells whether a change of what serves is under way; nil: never.
	Changing func() bool
	// Before is called before each call of a port, with its name; an error
	// fails the call.
	Before func(call string) error
	// New is what OutcomesAfter answers; nil: what Outcomes let come in.
	New *modelswap.NewOutcomes

	mu       sync.Mutex
	calls    map[string]int
	renewals map[string][]byte
	states   map[string]modelswap.State
	statuses map[string]modelswap.Status // of the renewals
	revision map[string]int64
	lease    map[string]lease
	cancel   map[string]bool
	frozen   map[string]chan struct{}
	attempts map[string][]modelswap.Step
	order    []string
	models   map[string]modelswap.Model
	schedule modelswap.Schedule
	outcomes int64
	traffic  []predict.Prediction
	files    fstest.MapFS
	jobs     map[string]modelswap.TrainingStatus
	serving  modelswap.Serving
	holder   modelswap.Fence // of the newest change or hold of serving
	final    chan *modelswap.Renewal
}

// lease says who holds a renewal, until when, and when it is due.
type lease struct {
	owner        string
	until, wakes time.Time
}

// New makes a back end for a schema with customers.
func New(schema *schema.Schema, customers []predict.Customer) *Backend {
	return &Backend{Schema: schema, Customers: customers,
		calls: map[string]int{}, renewals: map[string][]byte{}, states: map[string]modelswap.State{}, statuses: map[string]modelswap.Status{},
		revision: map[string]int64{}, lease: map[string]lease{}, cancel: map[string]bool{}, frozen: map[string]chan struct{}{},
		attempts: map[string][]modelswap.Step{}, models: map[string]modelswap.Model{}, files: fstest.MapFS{},
		jobs: map[string]modelswap.TrainingStatus{}, final: make(chan *modelswap.Renewal, 100)}
}

// Ports returns the back end as an engine wants it.
func (b *Backend) Ports() modelswap.Ports {
	return modelswap.Ports{Renewals: b, Models: b, Schedules: b, Traffic: b, Exporter: b, Files: b, Trainer: b, Deployer: b, Scorer: live{b}}
}

// Final delivers each renewal that has come to its end.
func (b *Backend) Final() <-chan *modelswap.Renewal { return b.final }

// Calls tells how often a port was called, failed calls not counted.
func (b *Backend) Calls(call string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.calls[call]
}

// Serve makes a model serve, as if an earlier renewal had deployed it.
func (b *Backend) Serve(m modelswap.Model) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.models[m.Name] = m
	b.serve(m.Name, time.Now().UnixMicro())
}

// ServeUnrecorded makes a model of Platform serve, as an operator can by hand.
func (b *Backend) ServeUnrecorded(model string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.serve(model, time.Now().UnixMicro())
}

func (b *Backend) serve(model string, version int64) {
	if b.serving.Model != model {
		b.serving.Model, b.serving.Version = model, max(b.serving.Version+1, version)
	}
}

// Lose forgets all training jobs, as a restart does.
func (b *Backend) Lose() {
	b.mu.Lock()
	defer b.mu.Unlock()
	clear(b.jobs)
}

func (b *Backend) before(call string) error {
	if b.Before != nil {
		if err := b.Before(call); err != nil {
			return err
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.calls[call]++
	return nil
}

// InsertRenewal implements modelswap.Renewals.
func (b *Backend) InsertRenewal(_ context.Context, r *modelswap.Renewal) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.insert(r)
}

func (b *Backend) insert(r *modelswap.Renewal) error {
	if b.renewals[r.ID] != nil {
		return failure.Errorf(failure.Conflict, "renewal %s exists already", r.ID)
	}
	if err := b.onlyOne(r.ID); err != nil {
		return err
	}
	r.Revision = 1
	b.order = append(b.order, r.ID)
	return b.put(r)
}

// onlyOne returns a Conflict while a renewal other than id is unfinished.
func (b *Backend) onlyOne(id string) error {
	for _, other := range b.order {
		if status := b.statuses[other]; other != id && !status.Final() {
			return failure.Errorf(failure.Conflict, "renewal %s is still %s", other, status)
		}
	}
	return nil
}

// ClaimRenewal implements modelswap.Renewals.
func (b *Backend) ClaimRenewal(_ context.Context, owner, schema string, d time.Duration) (*modelswap.Renewal, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	for _, id := range b.order {
		if b.statuses[id].Final() {
			continue
		}
		r, err := b.get(id)
		if err != nil {
			return nil, err
		}
		l := b.lease[id]
		if now.Before(l.wakes) || (l.owner != owner && now.Before(l.until)) {
			continue
		}
		if s := r.State.Schema; s != "" && s != schema && now.Sub(later(l.until, l.wakes, r.CreatedAt)) < modelswap.Stranded {
			continue
		}
		b.revision[id]++
		b.lease[id] = lease{owner: owner, until: now.Add(d)}
		return b.get(id)
	}
	return nil, nil
}

// later returns the last of the times.
func later(times ...time.Time) time.Time { return slices.MaxFunc(times, time.Time.Compare) }

// ExtendLease implements modelswap.Renewals. A frozen owner hangs in it.
func (b *Backend) ExtendLease(ctx context.Context, id, owner string, d time.Duration) (bool, error) {
	b.mu.Lock()
	frozen := b.frozen[owner]
	b.mu.Unlock()
	if frozen != nil {
		select {
		case <-frozen:
		case <-ctx.Done():
			return false, ctx.Err()
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	l := b.lease[id]
	if l.owner != owner {
		return false, modelswap.ErrStale
	}
	l.until = time.Now().Add(d)
	b.lease[id] = l
	if b.cancel[id] {
		b.calls["cancel seen"]++
	}
	return b.cancel[id], nil
}

// RequestCancel implements modelswap.Renewals.
func (b *Backend) RequestCancel(_ context.Context, id string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	r, err := b.get(id)
	if err != nil {
		return err
	}
	if r.Status.Final() {
		return failure.Errorf(failure.Conflict, "renewal %s is %s", id, r.Status)
	}
	b.cancel[id] = true
	l := b.lease[id]
	l.wakes = time.Time{}
	b.lease[id] = l
	return nil
}

// Attempts implements modelswap.Renewals.
func (b *Backend) Attempts(_ context.Context, id string) ([]modelswap.Step, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.attempts[id]), nil
}

// Freeze keeps the owner of a renewal from extending its lease, which expires as if
// the process were stopped; thaw ends that.
func (b *Backend) Freeze() (thaw func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	frozen := make(chan struct{})
	for id, l := range b.lease {
		b.frozen[l.owner] = frozen
		l.until = time.Time{}
		b.lease[id] = l
	}
	return sync.OnceFunc(func() { close(frozen) })
}

func (b *Backend) put(r *modelswap.Renewal) error {
	text, err := json.Marshal(r)
	b.renewals[r.ID], b.states[r.ID], b.statuses[r.ID], b.revision[r.ID] = text, r.State, r.Status, r.Revision
	for _, step := range r.Steps {
		if step.Attempt == 0 {
			continue
		}
		all := b.attempts[r.ID]
		same := func(s modelswap.Step) bool { return s.Name == step.Name && s.Attempt == step.Attempt }
		if i := slices.IndexFunc(all, same); i >= 0 {
			if step.StartedAt != nil { // else it waits for its next attempt
				all[i] = step
			}
		} else {
			b.attempts[r.ID] = append(all, step)
		}
	}
	return err
}

// UpdateRenewal implements modelswap.Renewals.
func (b *Backend) UpdateRenewal(_ context.Context, r *modelswap.Renewal) error {
	if err := b.before("UpdateRenewal"); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.revision[r.ID] != r.Revision {
		return modelswap.ErrStale
	}
	if !r.Status.Final() {
		if err := b.onlyOne(r.ID); err != nil {
			return err
		}
	}
	if b.statuses[r.ID].Final() && !r.Status.Final() {
		delete(b.cancel, r.ID) // it was resumed
	}
	r.Revision++
	if err := b.put(r); err != nil {
		return err
	}
	l := b.lease[r.ID]
	l.wakes = r.WakeAt
	if r.Released || r.Status.Final() {
		l.owner, l.until = "", time.Time{}
	}
	b.lease[r.ID] = l
	if r.Status.Final() {
		b.final <- r
	}
	return nil
}

// Renewal implements modelswap.Renewals.
func (b *Backend) Renewal(_ context.Context, id string) (*modelswap.Renewal, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.get(id)
}

func (b *Backend) get(id string) (*modelswap.Renewal, error) {
	text, ok := b.renewals[id]
	if !ok {
		return nil, failure.Errorf(failure.NotFound, "there is no renewal %q", id)
	}
	r := &modelswap.Renewal{}
	if err := json.Unmarshal(text, r); err != nil {
		return nil, err
	}
	r.State, r.Revision, r.Cancelling = b.states[id], b.revision[id], b.cancel[id]
	return r, nil
}

// Renewals implements modelswap.Renewals.
func (b *Backend) Renewals(ctx context.Context, limit int, _ string) ([]*modelswap.Renewal, error) {
	var all []*modelswap.Renewal
	b.mu.Lock()
	order := slices.Clone(b.order)
	b.mu.Unlock()
	for _, id := range slices.Backward(order) {
		r, err := b.Renewal(ctx, id)
		if err != nil {
			return nil, err
		}
		if all = append(all, r); len(all) == limit {
			break
		}
	}
	return all, nil
}
