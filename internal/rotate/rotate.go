package rotate

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"gateway/internal/secrets"
)

// Step is one of the four steps of a rotation.
type Step string

// The steps, in their order.
const (
	Create Step = "createSecret"
	Set    Step = "setSecret"
	Test   Step = "testSecret"
	Finish Step = "finishSecret"
)

// Steps returns the steps in their order.
func Steps() []Step { return []Step{Create, Set, Test, Finish} }

// Request is the request for one step.
type Request struct {
	Step    Step
	Secret  string // its id in the store
	Version Version
}

// Options are the settings of a Rotator.
type Options struct {
	// Strategy of a database; empty: by the members of the secret.
	Strategy Strategy
	// Master is the id of the secret of the user who changes the passwords of others;
	// empty: the member masterarn of the secret.
	Master string
	// Missing has the members that database secrets do not have.
	Missing secrets.Database
	// Postgres and MySQL are the servers.
	Postgres, MySQL Server
	// Manual allows a rotation that Secrets Manager has not started: the rotation of
	// the secret need not be enabled, and createSecret makes the version.
	Manual bool
	// Pause waits between attempts; nil: until the time has passed or the context ends.
	Pause func(context.Context, time.Duration) error
}

// Rotator does the steps of rotations. It is safe for concurrent use.
type Rotator struct {
	store Store
	o     Options
	log   *slog.Logger
}

// New makes a Rotator of the secrets in a store.
func New(store Store, o Options, log *slog.Logger) *Rotator {
	if o.Pause == nil {
		o.Pause = pause
	}
	return &Rotator{store, o, log}
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Do does a step. It changes nothing if the step was done before. Its error names the step
// and contains no password.
func (r *Rotator) Do(ctx context.Context, req Request) error {
	if !slices.Contains(Steps(), req.Step) {
		return fmt.Errorf("the step is none of createSecret, setSecret, testSecret and finishSecret")
	}
	run := &run{Rotator: r, req: req, log: r.log.With("step", string(req.Step), "version", req.Version.Token)}
	if err := run.do(ctx); err != nil {
		return fmt.Errorf("%s: %w", req.Step, err)
	}
	return nil
}

// Unfinished returns the token of a rotation that has begun and not ended, or nothing.
func (r *Rotator) Unfinished(ctx context.Context, id string) (token string, err error) {
	d, err := r.store.Describe(ctx, id)
	if err != nil {
		return "", err
	}
	if pending := d.holder(Pending); pending != d.current() {
		return pending, nil
	}
	return "", nil
}

// run is one call of Do.
type run struct {
	*Rotator
	req Request
	log *slog.Logger
}

func (r *run) do(ctx context.Context) error {
	d, err := r.describe(ctx)
	if err != nil {
		return err
	}
	if slices.Contains(d.Labels[r.req.Version.Token], Current) {
		r.log.Info("the version is the current one already; nothing to do")
		return nil
	}
	switch r.req.Step {
	case Create:
		return r.create(ctx, d)
	case Set:
		return r.with(ctx, func(c credential, v values) error { return c.set(ctx, v) })
	case Test:
		return r.with(ctx, func(c credential, v values) error { return c.test(ctx, v) })
	default:
		return r.finish(ctx, d)
	}
}

// describe reads the versions of the secret until the version of the token is there: it may
// become visible some time after Secrets Manager has made it.
func (r *run) describe(ctx context.Context) (d Description, err error) {
	err = r.until(ctx, func() (again bool, err error) {
		if d, err = r.store.Describe(ctx, r.req.Secret); err != nil {
			return false, err
		}
		if !d.Rotates && !r.o.Manual {
			return false, errors.New("the rotation of the secret is not enabled")
		}
		labels, known := d.Labels[r.req.Version.Token]
		switch {
		case slices.Contains(labels, Current), slices.Contains(labels, Pending):
			return false, nil
		case r.o.Manual && r.req.Step == Create:
			return false, nil
		case !known:
			return true, errors.New("the secret has no version of this token")
		}
		return true, errors.New("the version of this token is not labelled AWSPENDING")
	})
	return d, err
}

const (
	// visible is how often something is looked for that may not be visible yet, after
	// pauses of firstPause and twice as long each time: 6.2 s in all.
	visible    = 6
	firstPause = 200 * time.Millisecond
)

// until calls try until it wants no other attempt, or has failed often enough.
func (r *run) until(ctx context.Context, try func() (again bool, err error)) error {
	wait := firstPause
	for attempt := 1; ; attempt++ {
		again, err := try()
		if err == nil || !again || attempt == visible {
			return err
		}
		r.log.Info("not visible yet; trying again", "reason", err.Error(), "wait", wait)
		if stop := r.o.Pause(ctx, wait); stop != nil {
			return fmt.Errorf("%w while waiting: %w", stop, err)
		}
		wait *= 2
	}
}

func (r *run) create(ctx context.Context, d Description) error {
	current, err := r.store.Get(ctx, r.req.Secret, "", Current)
	if err != nil {
		return err
	}
	c, err := r.credential(current)
	if err != nil {
		return err
	}
	version := r.req.Version
	if d.holder(Pending) != version.Token { // a rotation by hand, which begins here
		version.Begins, version.Before = true, d.holder(Pending)
	} else if done, err := r.hasPending(ctx); done || err != nil {
		return err
	}
	next, err := c.next(current)
	if err != nil {
		return err
	}
	switch err := r.store.Put(ctx, r.req.Secret, version, next); {
	case errors.Is(err, ErrOtherValue): // made by an earlier call, and not visible a moment ago
		r.log.Info("the pending version exists already; nothing to do")
	case err != nil:
		return err
	default:
		r.log.Info("made the pending version", c.attributes(next)...)
	}
	return nil
}

// hasPending reports whether the pending version has a value.
func (r *run) hasPending(ctx context.Context) (bool, error) {
	switch _, err := r.store.Get(ctx, r.req.Secret, r.req.Version.Token, Pending); {
	case errors.Is(err, secrets.ErrNotFound):
		return false, nil
	case err != nil:
		return false, err
	}
	r.log.Info("the pending version exists already; nothing to do")
	return true, nil
}

// values are the versions of a secret.
type values struct {
	current, pending secrets.Secret
	previous         *secrets.Secret // nil: there is none
}

// with reads the versions of the secret for a step.
func (r *run) with(ctx context.Context, do func(credential, values) error) error {
	var v values
	err := r.until(ctx, func() (again bool, err error) {
		v.pending, err = r.store.Get(ctx, r.req.Secret, r.req.Version.Token, Pending)
		return errors.Is(err, secrets.ErrNotFound), err
	})
	if err != nil {
		return err
	}
	if v.current, err = r.store.Get(ctx, r.req.Secret, "", Current); err != nil {
		return err
	}
	switch previous, err := r.store.Get(ctx, r.req.Secret, "", Previous); {
	case err == nil:
		v.previous = &previous
	case !errors.Is(err, secrets.ErrNotFound):
		return err
	}
	c, err := r.credential(v.current)
	if err != nil {
		return err
	}
	return do(c, v)
}

func (r *run) finish(ctx context.Context, d Description) error {
	before := d.current()
	if err := r.store.Promote(ctx, r.req.Secret, r.req.Version.Token, before); err != nil {
		// The answer to an attempt that took effect may have been lost.
		if now, again := r.store.Describe(ctx, r.req.Secret); again != nil || now.current() != r.req.Version.Token {
			return err
		}
	}
	r.log.Info("the pending version is the current one", "before", before)
	return nil
}

// credential is what a secret holds.
type credential interface {
	// next returns the value of the version that follows current.
	next(current secrets.Secret) (secrets.Secret, error)
	// set makes the pending version accepted.
	set(ctx context.Context, v values) error
	// test checks that the pending version is accepted.
	test(ctx context.Context, v values) error
	// attributes describe a version for the log.
	attributes(value secrets.Secret) []any
}

// credential returns what a secret holds, by its members.
func (r *run) credential(current secrets.Secret) (credential, error) {
	form, err := parseForm(current)
	if err != nil {
		if strings.HasPrefix(r.req.Secret, secrets.FilePrefix) {
			return r.oneToken(current)
		}
		return nil, err
	}
	_, tokens := form.find("tokens")
	_, keys := form.find("keys")
	switch {
	case tokens && keys:
		return nil, errors.New(`the secret has both "tokens" and "keys"`)
	case (tokens || keys) && r.o.Manual && (r.o.Strategy != "" || r.o.Master != ""):
		return nil, errors.New("strategies and masters are for databases, and the secret has tokens or keys")
	case tokens:
		return named{"tokens", secrets.ParseTokens, r}, nil
	case keys:
		return named{"keys", secrets.ParseKeys, r}, nil
	}
	return r.database(form, current)
}
