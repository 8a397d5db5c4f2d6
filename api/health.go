package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"sync"
	"time"

	"gateway/api/edge"
	"gateway/internal/failure"
	"gateway/internal/outage"
)

// Dependency is something that the gateway needs. Check returns an error if it does not
// work. Check should be cheap, and must be safe for concurrent use.
type Dependency struct {
	Name     string
	Required bool // if it fails, the gateway is unavailable; else the gateway is degraded
	Check    func(context.Context) error
}

// Readiness is the body of /readyz.
type Readiness struct {
	Status       string               `json:"status"` // ok, degraded or unavailable
	Dependencies map[string]Condition `json:"dependencies"`
}

// Condition is the state of a dependency. If the state is not ok, it has the time since
// when, and the cause.
type Condition struct {
	State  string     `json:"state"`
	Since  *time.Time `json:"since,omitzero"`
	Reason string     `json:"reason,omitzero"` // one word, if the error of Check has a method Reason
	Detail string     `json:"detail,omitzero"` // the error; on /readyz only the detail of a failure.Error

	public string // Detail on /readyz
}

const (
	stateOK          = "ok"
	stateDegraded    = "degraded"
	stateUnavailable = "unavailable"
)

const (
	readyCache   = time.Second // how long the result of the checks is used
	checkTimeout = time.Second // of the check of one dependency
)

var errSilent = errors.New("no answer in time")

// readiness checks all dependencies, at most once in readyCache, and logs what changes.
type readiness struct {
	log  *slog.Logger
	deps []*watched

	mu     sync.Mutex
	last   Readiness
	at     time.Time     // of last; zero before the first check
	flight chan struct{} // closed when the running check ends; nil if none is running
}

// watched is a dependency with what is known of it. Only the look that is
// under way touches it.
type watched struct {
	Dependency
	checks  outage.Outage
	pending chan error // a check that has not returned; it is not begun again
}

func newReadiness(deps []Dependency, log *slog.Logger) *readiness {
	r := &readiness{log: log}
	for _, d := range deps {
		r.deps = append(r.deps, &watched{Dependency: d})
	}
	return r
}

// detailed returns the newest conditions, with all details.
func (r *readiness) detailed(ctx context.Context) (map[string]Condition, error) {
	now, err := r.get(ctx)
	return now.Dependencies, err
}

// get returns the newest result. If it is too old, the caller starts a check or
// waits for the one under way. A check continues when its caller has left, because
// others wait for it.
func (r *readiness) get(ctx context.Context) (Readiness, error) {
	r.mu.Lock()
	if !r.at.IsZero() && time.Since(r.at) < readyCache {
		defer r.mu.Unlock()
		return r.last, nil
	}
	if r.flight == nil {
		r.flight = make(chan struct{})
		go r.look(context.WithoutCancel(ctx), r.flight)
	}
	flight := r.flight
	r.mu.Unlock()
	select {
	case <-flight:
	case <-ctx.Done():
		return Readiness{}, ctx.Err()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.last, nil
}

func (r *readiness) look(ctx context.Context, flight chan struct{}) {
	var all sync.WaitGroup
	for _, d := range r.deps {
		all.Go(func() { d.look(ctx, r.log) })
	}
	all.Wait()
	now := Readiness{Status: stateOK, Dependencies: make(map[string]Condition, len(r.deps))}
	for _, d := range r.deps {
		c := d.condition()
		now.Dependencies[d.Name] = c
		if c.State == stateUnavailable || now.Status == stateOK {
			now.Status = c.State
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last, r.at, r.flight = now, time.Now(), nil
	close(flight)
}

// look checks the dependency. It logs when checks begin to fail, when they fail for
// another reason, and when they succeed again.
func (d *watched) look(ctx context.Context, log *slog.Logger) {
	before := d.checks.Err()
	err := d.check(ctx)
	if err == nil {
		d.checks.Succeeded(log.Info, "a dependency works again", "dependency", d.Name)
		return
	}
	const failed = "a dependency failed; the next request for readiness checks it again"
	begun := d.checks.Failed(log.Error, err, failed, "dependency", d.Name, "state", d.failedState())
	if !begun && reasonOf(err) != reasonOf(before) {
		log.Error(failed, "dependency", d.Name, "state", d.failedState(), "error", err)
	}
}

// failedState is the state of the dependency when a check fails.
func (d *watched) failedState() string {
	if d.Required {
		return stateUnavailable
	}
	return stateDegraded
}

func (d *watched) condition() Condition {
	err := d.checks.Err()
	if err == nil {
		return Condition{State: stateOK}
	}
	since := d.checks.Since()
	return Condition{State: d.failedState(), Since: &since, Reason: reasonOf(err), Detail: err.Error(), public: publicDetail(err)}
}

// reasonOf returns the word of an error with a method Reason, and "" for other errors.
func reasonOf(err error) string {
	var r interface{ Reason() string }
	if errors.As(err, &r) {
		return r.Reason()
	}
	return ""
}

// publicDetail returns the detail of a failure.Error. Other errors may name machines and
// users, so their text is for the log and operators only.
func publicDetail(err error) string {
	var known *failure.Error
	if errors.As(err, &known) {
		return known.Detail
	}
	return ""
}

// check calls Check and waits for at most checkTimeout, even if Check ignores its context.
// Such a call goes on, and no second one is started meanwhile.
func (d *watched) check(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	if d.pending == nil {
		d.pending = make(chan error, 1)
		go func(result chan<- error) {
			defer cancel()
			defer func() {
				if cause := recover(); cause != nil {
					result <- fmt.Errorf("panic: %v", cause)
				}
			}()
			result <- d.Check(ctx)
		}(d.pending)
	} else {
		defer cancel()
	}
	select {
	case err := <-d.pending:
		d.pending = nil
		return err
	case <-ctx.Done():
	}
	select {
	case err := <-d.pending: // Check ended with its context
		d.pending = nil
		return err
	default:
		return errSilent
	}
}

// live answers that the process runs. It checks nothing.
func (a *api) live(w http.ResponseWriter, _ *http.Request) error {
	return edge.WriteJSON(w, http.StatusOK, map[string]string{"status": stateOK})
}

// ready answers whether the gateway can predict. The route requires no credential, so the
// response has reasons of one word, and those details only that callers of a prediction
// may see. The log and /admin/status have all details.
func (a *api) ready(w http.ResponseWriter, r *http.Request) error {
	now, err := a.readiness.get(r.Context())
	if err != nil {
		return err
	}
	now.Dependencies = maps.Clone(now.Dependencies)
	for name, c := range now.Dependencies {
		c.Detail = c.public
		now.Dependencies[name] = c
	}
	go a.remember(context.WithoutCancel(r.Context()))
	status := http.StatusOK
	if now.Status == stateUnavailable {
		status = http.StatusServiceUnavailable
	}
	return edge.WriteJSON(w, status, now)
}
