package edge

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"gateway/internal/admission"
	"gateway/internal/callctx"
	"gateway/internal/failure"

	"github.com/go-chi/chi/v5"
)

// Request is the state of one HTTP request. Handlers fill in the exported fields.
// The log line is made of most of them, so none holds a feature value, a path or a
// query: each of these may be personal.
type Request struct {
	ID          string // X-Request-Id: the caller's, or one that the gateway generated
	GeneratedID bool   // the gateway generated the id
	Start       time.Time
	Rows        int    // rows that were asked about or sent
	Model       string // that made the predictions
	Idempotency string // result of the Idempotency-Key; empty without one
	Token       string // name of the operator's token, once it was found valid

	// Call is what the calls of the model learn of the request. Call.Caller is the
	// name of the app's API key, once it was found valid.
	Call callctx.Info

	// Target and Subject are not logged. Target is the renewal or model that an
	// operator changed. Subject is the id that the thing which the request creates
	// must have; empty: a new one.
	Target, Subject string

	trace    string // id of the trace; empty without one
	permit   permit
	memory   admission.Memory
	deadline callctx.Deadline // of the prediction
	timed    bool             // deadline has been started
	problem  *Problem         // that was answered, or would have been
	err      error
	stack    []byte // of a panic
	response response
}

// exchange is what a request costs: one allocation.
type exchange struct {
	Request
	context  requestContext
	idHeader [1]string
}

func newExchange(w http.ResponseWriter, r *http.Request, start time.Time, routes chi.Routes) *exchange {
	x := &exchange{}
	x.ID, x.GeneratedID = RequestID(r)
	x.Start, x.response.ResponseWriter, x.idHeader[0] = start, w, x.ID
	x.context.Context, x.context.request = r.Context(), &x.Request
	x.context.route.Routes = routes
	return x
}

type requestKey struct{}

// Of returns the state of the request that a context belongs to. For a context
// outside of a request it returns a new Request.
func Of(ctx context.Context) *Request {
	if q, ok := ctx.Value(requestKey{}).(*Request); ok {
		return q
	}
	return &Request{}
}

// Identified returns the request with a state that has its id, for a handler that is not
// behind [Edge.Handler].
func Identified(r *http.Request) *http.Request {
	q := &Request{}
	q.ID, q.GeneratedID = RequestID(r)
	return r.WithContext(context.WithValue(r.Context(), requestKey{}, q))
}

// Failed notes why the request failed, for the log and the metrics.
func (q *Request) Failed(p *Problem, err error) { q.problem, q.err = p, err }

// Begun reports whether part of the response has been sent.
func (q *Request) Begun() bool { return q.response.status != 0 }

// Status returns the status of the response, for the log, the metrics and the audit
// log. It is 499 if the caller left before it was sent.
func (q *Request) Status() int {
	switch {
	case q.problem != nil && (q.problem.Status == statusCallerGone || !q.Begun()):
		return q.problem.Status
	case !q.Begun():
		return http.StatusOK
	}
	return q.response.status
}

// errorText returns the error as the log has it. Of violations it has the codes only,
// because their details repeat what the caller sent.
func (q *Request) errorText() string {
	const maxCodes = 5
	var known *failure.Error
	if !errors.As(q.err, &known) || known.Kind != failure.Invalid || len(known.Violations)+known.Omitted == 0 {
		return q.err.Error()
	}
	codes := make([]string, 0, maxCodes+1)
	for _, v := range known.Violations {
		if len(codes) == maxCodes {
			codes = append(codes, "…")
			break
		}
		codes = append(codes, v.Code)
	}
	return fmt.Sprintf("invalid: %d violations [%s]", len(known.Violations)+known.Omitted, strings.Join(codes, " "))
}

// response is the server's http.ResponseWriter. It notes status and size.
type response struct {
	http.ResponseWriter
	status int
	bytes  int64
	permit *admission.Permit // of the request, given back when the response begins; nil: it needs none
}

// WriteHeader notes the status. Interim responses (1xx) do not count.
func (w *response) WriteHeader(status int) {
	if w.status == 0 && status >= 200 {
		w.begin(status)
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *response) begin(status int) {
	w.status = status
	if w.permit != nil {
		w.permit.Leave()
	}
}

func (w *response) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.begin(http.StatusOK)
	}
	n, err := w.ResponseWriter.Write(p)
	w.bytes += int64(n)
	return n, err
}

// Unwrap lets http.ResponseController reach the connection.
func (w *response) Unwrap() http.ResponseWriter { return w.ResponseWriter }
