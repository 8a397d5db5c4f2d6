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

// Options are the settings of a Store. The zero value has defaults.
type Options struct {
	// TTL is how long a value may be used before it is read again. Zero: 5 min.
	TTL time.Duration
	// Timeout is for one read with the retries of the source. Zero: 10 s.
	Timeout time.Duration
	// Refresh is the minimum time between two reads that are made because a value
	// was refused. It doubles, up to twenty times itself, while they return nothing
	// new. Zero: 250 ms.
	Refresh time.Duration
	// Waiting, if not nil, is called each time Open has to wait for a secret.
	Waiting func()
}

const (
	firstWait = time.Second // after a failed read; doubles with each further one
	maxWait   = 30 * time.Second
)

// Store keeps secrets up to date. It is safe for concurrent use.
type Store struct {
	o       Options
	log     *slog.Logger
	metrics *metrics
	ctx     context.Context // of all reads; Close ends it
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

// Close stops all reads. The values can still be used.
func (s *Store) Close() error {
	s.end()
	s.looks.Wait()
	return nil
}

// State is the state of a secret for operators.
type State struct {
	Name     string           `json:"name"` // its purpose: database, admin, …
	ID       string           `json:"id"`   // in its source
	Versions map[Stage]string `json:"versions"`
	// ReadAt is when its source last answered with a valid value.
	ReadAt time.Time `json:"read_at"`
	Age    float64   `json:"age_seconds"`
	// FailingSince is when reads began to fail; nil if the last one succeeded.
	FailingSince *time.Time `json:"failing_since,omitempty"`
	Error        string     `json:"error,omitempty"`
}

// States returns the states of all secrets, sorted by name.
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

// Check returns an error while the last read of a secret failed. Its last value is still in
// use.
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

// Declared identifies a secret and its source.
type Declared struct {
	Name   string // its purpose, for logs and metrics: database, admin, …
	ID     string // in its source
	Source Source
	// Grace is how long, after a rotation, Valid returns the previous version.
	Grace time.Duration
}

// Open reads a secret and keeps it up to date until the store is closed. parse parses the
// value; its errors must not repeat any part of it. Logs and errors do not show a name in
// Secrets Manager before a secret with this name was found, because the name may be a secret
// in the wrong setting.
//
// If the source does not answer, Open waits until it does or ctx ends. It returns an error
// at once if waiting does not help: the secret does not exist, may not be read, or cannot be
// parsed.
func Open[T any](ctx context.Context, s *Store, d Declared, parse func(Secret) (T, error)) (*Rotating[T], error) {
	r := &Rotating[T]{store: s, d: d, parse: parse, log: s.log.With("secret", d.Name, "id", d.ID)}
	place, log := "the "+d.Name+" secret", s.log.With("secret", d.Name)
	if mayShow(d.ID) {
		place, log = d.ID, r.log
	}
	var last error // of the last attempt before ctx ended
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

// shorten returns d less up to a quarter at random, so that several gateways do not read at
// the same time.
func shorten(d time.Duration) time.Duration {
	return d - time.Duration(rand.Int64N(int64(d)/4+1)) //nolint:gosec // chance, no secret
}
