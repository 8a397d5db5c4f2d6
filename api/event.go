package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"gateway/internal/admission"
	"gateway/internal/callctx"
	"gateway/internal/failure"

	"github.com/go-chi/chi/v5"
)

// event is what one request leaves in the log: filled in on the way, written
// once at the end. It holds no feature value, no path and no query, for each
// of these may be personal.
//
// It is the request's context too, and holds the router's part of that, so
// that a request costs one copy of itself and not three.
type event struct {
	context.Context // the server's: ends when the caller leaves
	route           chi.Context
	deadline        callctx.Deadline // of its prediction
	call            callctx.Info

	id      string
	fresh   bool // the id is new, not the caller's
	start   time.Time
	trace   string // id of the trace that it is part of, where there are traces
	rows    int    // rows that were asked about or sent
	model   string // that answered
	token   string // name of the operator's token, once it was found valid
	target  string // renewal or model that an operator's act was about
	subject string // id that what is asked for must bear; empty: a new one
	// idempotency is what became of a request with an Idempotency-Key.
	idempotency string
	place       place // among the requests that are handled at once
	memory      admission.Memory
	problem     *Problem
	err         error
	stack       []byte // of a panic
	out         recorder
	idHeader    [1]string
}

type eventKey struct{}

// eventOf returns the request's event. Outside of a request, as in tests of
// single functions, it returns a new one.
func eventOf(ctx context.Context) *event {
	if e, ok := ctx.Value(eventKey{}).(*event); ok {
		return e
	}
	return &event{}
}

func (e *event) failed(p *Problem, err error) { e.problem, e.err = p, err }

// begun reports whether part of the answer is on its way already.
func (e *event) begun() bool { return e.out.status != 0 }

// status is what the log and the metrics say became of the request.
func (e *event) status() int {
	switch {
	case e.problem != nil && (e.problem.Status == statusCallerGone || e.out.status == 0):
		return e.problem.Status
	case e.out.status == 0:
		return http.StatusOK
	}
	return e.out.status
}

// reason is the error in words for the log. Of violations it gives the codes:
// their details repeat what the caller sent.
func (e *event) reason() string {
	var p *failure.Error
	if errors.As(e.err, &p) && p.Kind == failure.Invalid && len(p.Violations)+p.Omitted > 0 {
		codes := make([]string, 0, len(p.Violations))
		for _, v := range p.Violations {
			if len(codes) == 5 {
				codes = append(codes, "…")
				break
			}
			codes = append(codes, v.Code)
		}
		return fmt.Sprintf("invalid: %d violations [%s]", len(p.Violations)+p.Omitted, strings.Join(codes, " "))
	}
	return e.err.Error()
}

// observed is a router that gives every request its id and its event, counts
// it, and logs it once when it is over, whatever happened to it.
type observed struct {
	chi.Router
	a *api
}

// ServeHTTP implements http.Handler.
func (o observed) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start := time.Now()
	e := &event{Context: r.Context(), id: givenID(r), start: start, out: recorder{ResponseWriter: w}}
	if e.id == "" {
		e.id, e.fresh = failure.NewID(), true
	}
	e.route.Routes = o.Router
	e.idHeader[0] = e.id
	w.Header()["X-Request-Id"] = e.idHeader[:]
	o.a.metrics.inFlight.Inc()
	returned := false
	defer func() {
		o.a.metrics.inFlight.Dec()
		if !returned && e.err == nil {
			e.err = http.ErrAbortHandler
		}
		o.a.finish(e, r.Method, time.Since(start))
		e.freeMemory(w)
	}()
	o.Router.ServeHTTP(&e.out, r.WithContext(e))
	returned = true
}

func (a *api) finish(e *event, method string, took time.Duration) {
	route, method, status := patternOf(&e.route), knownMethod(method), e.status()
	a.metrics.count(route, method, status, took)
	if e.call.Caller != "" {
		a.metrics.countKey(e.call.Caller, status)
	}
	level := slog.LevelInfo
	switch {
	case isProbe(route):
		// Asked every few seconds; what changes is logged where it is noticed.
		level = slog.LevelDebug
	case status >= 500 || e.stack != nil || e.problem != nil && e.problem.Status >= 500:
		level = slog.LevelError
	}
	if !a.d.Log.Enabled(e, level) {
		return
	}
	attrs := make([]slog.Attr, 0, 12)
	attrs = append(attrs,
		slog.String("request_id", e.id),
		slog.String("method", method),
		slog.String("route", route),
		slog.Int("status", status),
		slog.Int64("latency_us", took.Microseconds()), // the handler makes JSON of a float by reflection
		slog.Int64("bytes", e.out.bytes))
	if e.trace != "" {
		attrs = append(attrs, slog.String("trace_id", e.trace))
	}
	if e.rows > 0 {
		attrs = append(attrs, slog.Int("rows", e.rows))
	}
	if e.model != "" {
		attrs = append(attrs, slog.String("model", e.model))
	}
	if e.idempotency != "" {
		attrs = append(attrs, slog.String("idempotency", e.idempotency))
	}
	if e.call.Caller != "" {
		attrs = append(attrs, slog.String("api_key", e.call.Caller))
	}
	if e.token != "" {
		attrs = append(attrs, slog.String("token", e.token))
	}
	if e.err != nil {
		attrs = append(attrs, slog.String("error", e.reason()))
	}
	if e.stack != nil {
		attrs = append(attrs, slog.String("stack", string(e.stack)))
	}
	// Not by Logger, which looks up the caller's line for each record.
	record := slog.NewRecord(e.start.Add(took), level, "request", 0)
	record.AddAttrs(attrs...)
	_ = a.d.Log.Handler().Handle(e, record)
}

// routeOf returns the pattern that matched: a closed set, unlike the path.
func routeOf(r *http.Request) string { return patternOf(chi.RouteContext(r.Context())) }

func patternOf(route *chi.Context) string {
	pattern := route.RoutePattern()
	if pattern == "" || strings.HasSuffix(pattern, "/*") && pattern != docsPattern {
		return "unmatched"
	}
	return pattern
}

func isProbe(route string) bool {
	return route == "/livez" || route == "/readyz" || route == "/healthz" || route == "/metrics"
}

func knownMethod(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch,
		http.MethodDelete, http.MethodOptions:
		return method
	}
	return "other"
}

// recorder notes what is sent.
type recorder struct {
	http.ResponseWriter
	status int
	bytes  int64
	place  *admission.Permit // of the request, given back when the answer begins; nil: it needs none
}

// WriteHeader notes the status. Interim answers (1xx) do not count.
func (w *recorder) WriteHeader(status int) {
	if w.status == 0 && status >= 200 {
		w.begin(status)
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *recorder) begin(status int) {
	w.status = status
	if w.place != nil {
		w.place.Leave()
	}
}

func (w *recorder) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.begin(http.StatusOK)
	}
	n, err := w.ResponseWriter.Write(p)
	w.bytes += int64(n)
	return n, err
}

// Unwrap lets http.ResponseController reach the connection.
func (w *recorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }
