package secrets

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"gateway/internal/outage"
)

// Options are the settings of a Store. The zero value is a sensible one.
type Options struct {
	// TTL is how long a value may be used before it is read again. Zero: 5 min.
	TTL time.Duration
	// Timeout bounds one read, retries of the source included. Zero: 10 s.
	Timeout time.Duration
	// Refresh is the minimum time between two reads that are made because a value
	// was refused. It doubles, up to twenty times itself, while they return nothing
	// new. Zero: 250 ms.
	Refresh time.Duration
	// Waiting is called whenever Open has to wait for a secret. May be nil.
	Waiting func()
}

const (
	firstWait = time.Second // how long after a failed look the next one is; it doubles
	maxWait   = 30 * time.Second
)

// Store keeps secrets up to date. It is safe for concurrent use.
type Store struct {
	o       Options
	log     *slog.Logger
	metrics *metrics
	ctx     context.Context // of all looks; ended by Close
	end     context.CancelFunc
	looks   sync.WaitGroup

	mu  sync.Mutex
	all []watched
}

// watched is a Rotating of any type.
type watched interface{ state() State }

// NewStore makes a Store without secrets. Its metrics are registered with reg.
func NewStore(o Options, log *slog.Logger, reg prometheus.Registerer) *Store {
	o.TTL = cmp.Or(o.TTL, 5*time.Minute)
	o.Timeout = cmp.Or(o.Timeout, 10*time.Second)
	o.Refresh = cmp.Or(o.Refresh, 250*time.Millisecond)
	s := &Store{o: o, log: log}
	s.ctx, s.end = context.WithCancel(context.Background())
	s.metrics = newMetrics(reg, s)
	return s
}

// Close ends all looks. The values stay as they are.
func (s *Store) Close() error {
	s.end()
	s.looks.Wait()
	return nil
}

// State is what operators may know of a secret.
type State struct {
	Name     string           `json:"name"` // what it is for
	ID       string           `json:"id"`   // where it is
	Versions map[Stage]string `json:"versions"`
	// ReadAt is when its source last answered.
	ReadAt time.Time `json:"read_at"`
	Age    float64   `json:"age_seconds"`
	// FailingSince is when its source ceased to answer, or to make sense.
	FailingSince *time.Time `json:"failing_since,omitempty"`
	Error        string     `json:"error,omitempty"`
}

// States tells the state of every secret, by name.
func (s *Store) States() []State {
	s.mu.Lock()
	all := slices.Clone(s.all)
	s.mu.Unlock()
	states := make([]State, 0, len(all))
	for _, one := range all {
		states = append(states, one.state())
	}
	slices.SortFunc(states, func(a, b State) int { return strings.Compare(a.Name, b.Name) })
	return states
}

// Check fails while a secret cannot be read, although its last value serves.
func (s *Store) Check(context.Context) error {
	var faults []error
	for _, state := range s.States() {
		if state.FailingSince != nil {
			faults = append(faults, fmt.Errorf("secret %s (%s) cannot be read since %s: %s",
				state.Name, state.ID, state.FailingSince.Format(time.RFC3339), state.Error))
		}
	}
	return errors.Join(faults...)
}

// Declared says which secret is wanted.
type Declared struct {
	Name   string // what it is for, in logs and metrics: database, admin, …
	ID     string // how its source knows it
	Source Source
	// Grace is how long, after a rotation, Valid returns the previous version.
	Grace time.Duration
}

// Open reads a secret and keeps it up to date from then on. parse understands
// its value; its errors must not repeat any of it. A name is not shown before a
// secret was found under it, since it may be a secret in the wrong setting.
//
// Where the source does not answer, or does not make sense, Open waits until it
// does or ctx ends. It fails at once where waiting is of no use: there is no
// such secret, it may not be read, or parse does not understand it.
func Open[T any](ctx context.Context, s *Store, d Declared, parse func(Secret) (T, error)) (*Rotating[T], error) {
	r := &Rotating[T]{store: s, d: d, parse: parse, log: s.log.With("secret", d.Name, "id", d.ID)}
	place, log := "the "+d.Name+" secret", s.log.With("secret", d.Name)
	if mayShow(d.ID) {
		place, log = d.ID, r.log
	}
	var last error // that was not for want of time
	var reads outage.Outage
	for wait := firstWait; ; wait = min(2*wait, maxWait, s.o.TTL) {
		err := withoutID(d.ID, r.firstLook(ctx))
		switch {
		case err == nil:
			reads.Succeeded(r.log.Info, "the secret can be read; the start goes on")
			s.mu.Lock()
			s.all = append(s.all, r)
			s.mu.Unlock()
			s.looks.Go(r.keep)
			return r, nil
		case ctx.Err() != nil:
			return nil, fmt.Errorf("%s: %w while waiting for it: %w", place, ctx.Err(), cmp.Or(last, err))
		case errors.Is(err, ErrNotFound), errors.Is(err, ErrRefused), errors.Is(err, errForm):
			return nil, fmt.Errorf("%s: %w", place, err)
		}
		reads.Failed(log.Error, err, "cannot read a secret; the start waits and tries again")
		last = err
		if s.o.Waiting != nil {
			s.o.Waiting()
		}
		select {
		case <-ctx.Done():
		case <-time.After(shorten(wait)):
		}
	}
}

// shorten takes up to a quarter off, so that many gateways do not ask at once.
func shorten(d time.Duration) time.Duration {
	return d - time.Duration(rand.Int64N(int64(d)/4+1)) //nolint:gosec // chance, no secret
}
