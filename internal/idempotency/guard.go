package idempotency

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"gateway/internal/failure"
	"gateway/internal/outage"
)

// ErrReused is returned for a key that another request has already.
var ErrReused = errors.New("another request was sent under this idempotency key")

// ErrUnavailable is matched by errors of a store of keys that does not answer.
// Nothing was done then.
var ErrUnavailable = errors.New("the store of idempotency keys does not answer")

// ErrInProgress is returned where the first request under a key is still being
// handled, or its handler has died and its lease has not run out yet.
var ErrInProgress = errors.New("the first request under this idempotency key is still being handled")

// ErrFull is returned where there is no room to keep what a request with
// Limits.Optional needs. Nothing was done then.
var ErrFull = errors.New("there is no room to keep an idempotency key")

// Options are the settings of a guard.
type Options struct {
	TTL       time.Duration // how long a key lasts; zero: 24 h
	MaxAnswer int           // bytes of an answer that is kept; zero: 256 KiB
	// MaxBytes bounds what is kept in all, and for one owner to half of it. Beyond
	// it the oldest keys of that owner are removed, after ten minutes at the
	// earliest; until then requests with Limits.Optional are refused with ErrFull.
	// Zero: 512 MiB.
	MaxBytes int64
	// Spare returns how many bytes of its disk the store may use. It is asked for
	// each request with Limits.Optional. Nil: any number.
	Spare func() int64
}

// Guard handles each request once for each key. It is safe for concurrent use.
type Guard struct {
	keys    Keys
	opts    Options
	log     *slog.Logger
	metrics *metrics
	usage   *usage
	calls   outage.Outage // of the store
	faults  atomic.Int64  // of the store, since it last answered
	skip    atomic.Int64  // until when those who can do without do not ask it, in Unix nanoseconds
}

// New makes a guard. Its metrics are registered with reg.
func New(keys Keys, opts Options, log *slog.Logger, reg prometheus.Registerer) *Guard {
	opts.TTL = cmp.Or(opts.TTL, 24*time.Hour)
	opts.MaxAnswer = cmp.Or(opts.MaxAnswer, 256<<10)
	opts.MaxBytes = cmp.Or(opts.MaxBytes, 512<<20)
	g := &Guard{keys: keys, opts: opts, log: log, usage: newUsage(opts.MaxBytes)}
	g.metrics = newMetrics(reg, g)
	return g
}

const (
	// leaseMargin is what a lease leaves, beyond the time for handling, to store
	// the answer.
	leaseMargin = 5 * time.Second
	// Between looks at a request that another one handles.
	firstPause, maxPause = 10 * time.Millisecond, 200 * time.Millisecond
	// After skipAfter faults in a row, those who can do without the store do not
	// ask it for skipTime, so that not each of them waits for it anew.
	skipAfter, skipTime = 3, time.Second
)

// Outcome says how Do came to its answer.
type Outcome string

// The outcomes of Do that come without an error.
const (
	Handled  Outcome = "handled"  // now, and it is kept unless handle said otherwise
	Replayed Outcome = "replayed" // it is that of an earlier request
	Unstored Outcome = "unstored" // now, and it could not be kept
)

// Limits say how long Do may take.
type Limits struct {
	// Handle bounds handle, which must keep to it. The lease is as long and a
	// little longer.
	Handle time.Duration
	// Store bounds each question to the store of keys; zero: 5 s.
	Store time.Duration
	// Optional says that the caller would rather do without the guard than wait
	// for a store that has just failed, or have others' keys removed for its own.
	// Keys of other callers are kept in any case: they are few.
	Optional bool
}

// Do returns the answer that is stored under the request's key, or calls handle
// and stores its answer if handle says so. subject is the id that the requested
// object must have: a repetition after a crash gets the same one. ctx bounds the
// wait for another goroutine or process that handles the same request. Once handle
// is called, the end of ctx does not end the call.
//
// Errors are ErrReused, ErrInProgress where ctx's time ran out, context.Canceled,
// ErrFull and what matches ErrUnavailable: then nothing was done.
func (g *Guard) Do(ctx context.Context, r Request, limits Limits, handle func(subject string) (answer Answer, keep bool)) (Answer, Outcome, error) {
	limits.Store = cmp.Or(limits.Store, leaseMargin)
	token, key, err := g.claim(ctx, &r, limits)
	if err != nil {
		g.metrics.count(r.Scope, outcomeOf(err))
		return Answer{}, "", err
	}
	if key.Answer != nil {
		g.metrics.count(r.Scope, string(Replayed))
		return *key.Answer, Replayed, nil
	}
	// The result is stored even if the caller has left.
	after := context.WithoutCancel(ctx)
	finished := false
	defer func() {
		if !finished { // a panic
			g.release(after, &r, token, limits)
		}
	}()
	answer, keep := handle(key.Subject)
	outcome := Handled
	switch {
	case keep && len(answer.Body) <= g.opts.MaxAnswer && g.fits(&r, answer.Bytes(), limits):
		if !g.store(after, &r, token, answer, limits) {
			outcome = Unstored
			g.usage.give(r.Owner, answer.Bytes())
		}
	case keep:
		outcome = Unstored // repetitions are handled anew, under the same subject
		fallthrough
	default:
		g.release(after, &r, token, limits)
	}
	finished = true
	g.metrics.count(r.Scope, string(outcome))
	return answer, outcome, nil
}

// claim returns the key once it is ours or has an answer.
func (g *Guard) claim(ctx context.Context, r *Request, limits Limits) (token string, key Key, err error) {
	if limits.Optional && time.Now().UnixNano() < g.skip.Load() {
		return "", Key{}, ErrUnavailable
	}
	if !g.fits(r, KeyBytes, limits) {
		return "", Key{}, ErrFull
	}
	defer func() {
		if err != nil || !key.Claimed {
			g.usage.give(r.Owner, KeyBytes)
		}
	}()
	c := Claim{ID: r.id(), Owner: r.Owner, Fingerprint: r.fingerprint(), Subject: failure.NewID(), Token: failure.NewID(),
		Lease: limits.Handle + leaseMargin, TTL: max(g.opts.TTL, limits.Handle+leaseMargin)}
	for pause := firstPause; ; pause = min(2*pause, maxPause) {
		// Not under ctx: after an interrupted claim the owner of the key is unknown.
		err := g.ask(context.WithoutCancel(ctx), limits.Store, "claim a key", func(ctx context.Context) (err error) {
			key, err = g.keys.ClaimKey(ctx, c)
			return err
		})
		switch {
		case err != nil:
			return "", Key{}, err
		case key.Fingerprint != c.Fingerprint:
			return "", Key{}, ErrReused
		case key.Claimed || key.Answer != nil:
			return c.Token, key, nil
		}
		timer := time.NewTimer(pause/2 + rand.N(pause/2))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				return "", Key{}, ErrInProgress
			}
			return "", Key{}, ctx.Err()
		}
	}
}

// fits charges the owner for n bytes, and reports whether there is room for them.
func (g *Guard) fits(r *Request, n int64, limits Limits) bool {
	if limits.Optional && g.opts.Spare != nil && g.opts.Spare() < spareMin+n {
		return false
	}
	return g.usage.take(r.Owner, n, !limits.Optional)
}

// store reports whether repetitions will get the answer.
func (g *Guard) store(ctx context.Context, r *Request, token string, a Answer, limits Limits) (stored bool) {
	err := g.ask(ctx, limits.Store, "store an answer", func(ctx context.Context) (err error) {
		stored, err = g.keys.AnswerKey(ctx, r.id(), token, a)
		return err
	})
	return stored && err == nil
}

// release lets the next one handle the request. If that fails, the lease runs out.
func (g *Guard) release(ctx context.Context, r *Request, token string, limits Limits) {
	_ = g.ask(ctx, limits.Store, "release a key", func(ctx context.Context) error {
		return g.keys.ReleaseKey(ctx, r.id(), token)
	})
}

// ask calls the store, within limit, and logs when calls begin to fail and when they
// succeed again. Its errors match ErrUnavailable, unless ctx ended first.
func (g *Guard) ask(ctx context.Context, limit time.Duration, operation string, question func(ctx context.Context) error) error {
	bounded, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	err := question(bounded)
	switch {
	case err == nil:
		if g.calls.Succeeded(g.log.Info, "the store of idempotency keys answers again") {
			g.faults.Store(0)
		}
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	}
	if g.faults.Add(1) >= skipAfter {
		g.skip.Store(time.Now().Add(skipTime).UnixNano())
	}
	g.calls.Failed(g.log.Error, err, "the store of idempotency keys does not answer; predictions and outcomes are handled without their keys, other requests with a key are refused", "operation", operation)
	return errors.Join(ErrUnavailable, err)
}
