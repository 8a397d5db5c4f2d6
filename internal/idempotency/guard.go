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

// ErrReused is returned for a key that belongs to another request.
var ErrReused = errors.New("another request was sent under this idempotency key")

// ErrUnavailable is matched by the error of Do if the store of keys does not answer. The
// request was not handled.
var ErrUnavailable = errors.New("the store of idempotency keys does not answer")

// ErrInProgress is returned while the first request with a key is being handled. It is also
// returned if the process that handled it has ended and its lease has not expired yet.
var ErrInProgress = errors.New("the first request under this idempotency key is still being handled")

// ErrFull is returned if there is no room to store the key of a request with
// Limits.Optional. The request was not handled.
var ErrFull = errors.New("there is no room to keep an idempotency key")

// Options are the settings of a guard.
type Options struct {
	TTL       time.Duration // how long a key is stored; zero: 24 h
	MaxAnswer int           // size in bytes up to which an answer is stored; zero: 256 KiB
	// MaxBytes bounds the size of all stored keys and answers; one owner may have half of
	// it. At the bound the oldest keys of the owner are removed if they are older than ten
	// minutes. Until then requests with Limits.Optional get ErrFull. Zero: 512 MiB.
	MaxBytes int64
	// Spare returns how many bytes the store may still use of its disk. It is called for
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
	faults  atomic.Int64  // calls of the store that failed since one succeeded
	skip    atomic.Int64  // time until which optional keys are not stored, in Unix nanoseconds
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
	// leaseMargin is the part of a lease after Limits.Handle, in which the answer is stored.
	leaseMargin = 5 * time.Second
	// minPause and maxPause are the times between two attempts to claim a key whose request
	// is being handled.
	minPause, maxPause = 10 * time.Millisecond, 200 * time.Millisecond
	// After skipAfter failed calls in a row, requests with Limits.Optional do not call the
	// store for skipTime, so that not each of them waits for it.
	skipAfter, skipTime = 3, time.Second
)

// Result says where the answer of Do comes from.
type Result string

// The results of Do without an error.
const (
	Handled  Result = "handled"  // from handle; it is stored if handle said so
	Replayed Result = "replayed" // from an earlier request
	Unstored Result = "unstored" // from handle; it should be stored and could not be
)

// Limits say how long Do may take.
type Limits struct {
	// Handle is the time that handle takes at most; handle must end in time. The lease is
	// longer by leaseMargin.
	Handle time.Duration
	// Store bounds each call of the store of keys; zero: 5 s.
	Store time.Duration
	// Optional means that the request can be handled without a key. It gets ErrUnavailable
	// at once while the store fails, and ErrFull if there is no room. A key that is not
	// optional is stored beyond Options.MaxBytes too: there are few of them.
	Optional bool
}

// Do returns the answer that is stored under the request's key, or calls handle
// and stores its answer if handle says so. subject is the id that the requested
// object must have: a repetition after a crash gets the same one. ctx bounds the
// wait for another goroutine or process that handles the same request. Once handle
// is called, the end of ctx does not end the call.
//
// After an error the request was not handled. Errors are ErrReused, ErrInProgress if the
// deadline of ctx has passed, context.Canceled, ErrFull, and errors that match
// ErrUnavailable.
func (g *Guard) Do(ctx context.Context, r Request, limits Limits, handle func(subject string) (answer Answer, keep bool)) (Answer, Result, error) {
	limits.Store = cmp.Or(limits.Store, leaseMargin)
	token, key, err := g.claim(ctx, &r, limits)
	if err != nil {
		g.metrics.count(r.Scope, resultOf(err))
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
	result := Handled
	switch {
	case keep && len(answer.Body) <= g.opts.MaxAnswer && g.fits(&r, answer.Bytes(), limits):
		if !g.store(after, &r, token, answer, limits) {
			result = Unstored
			g.usage.give(r.Owner, answer.Bytes())
		}
	case keep:
		result = Unstored // repetitions are handled again, with the same subject
		fallthrough
	default:
		g.release(after, &r, token, limits)
	}
	finished = true
	g.metrics.count(r.Scope, string(result))
	return answer, result, nil
}

// claim returns the key when this request has claimed it or the key has an answer.
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
	for pause := minPause; ; pause = min(2*pause, maxPause) {
		// Not with ctx: after an interrupted claim it is unknown who has the key.
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
	if limits.Optional && g.opts.Spare != nil && g.opts.Spare() < minSpare+n {
		return false
	}
	return g.usage.take(r.Owner, n, !limits.Optional)
}

// store stores the answer, and reports whether repetitions will get it.
func (g *Guard) store(ctx context.Context, r *Request, token string, a Answer, limits Limits) (stored bool) {
	err := g.ask(ctx, limits.Store, "store an answer", func(ctx context.Context) (err error) {
		stored, err = g.keys.AnswerKey(ctx, r.id(), token, a)
		return err
	})
	return stored && err == nil
}

// release ends the lease, so that a repetition can claim the key. If that fails, the lease
// expires later.
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
