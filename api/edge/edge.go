package edge

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"gateway/internal/admission"
	"gateway/internal/failure"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"
	"github.com/prometheus/client_golang/prometheus"
)

// Deps are what an Edge calls. Log and Registry are required.
type Deps struct {
	// Tokens returns the operators' tokens that are valid now. It is called for
	// every request, so it must be cheap. Nil: no token is valid.
	Tokens func() []Token
	// APIKeys returns the apps' keys that are valid now, in the same way. Nil: the
	// apps' routes need no key.
	APIKeys func() []Token
	// RenewTokens and RenewAPIKeys read newer ones. They are called before an unknown
	// token or key is refused, and must bound how often they really read. May be nil.
	RenewTokens, RenewAPIKeys func(context.Context)
	// SignIns counts failed sign-ins and returns the addresses of clients. It is
	// required where there are tokens, keys, or a limit per caller.
	SignIns *SignIns
	// Limit bounds how many requests of apps are handled at once. Nil: a limit of
	// Options.MaxInFlight, without a queue behind it.
	Limit *admission.Limit
	// Now is the clock of the audit log. Nil: time.Now.
	Now func() time.Time
	// Tracer gives requests a span. Nil: they have none.
	Tracer Tracer
	// Registry is where the metrics of requests are registered.
	Registry *prometheus.Registry
	Log      *slog.Logger
}

// Options are the settings of an Edge. The zero value is usable.
type Options struct {
	// MaxInFlight is how many requests of apps are handled at once if there is no
	// Deps.Limit; further ones get 503. Zero: 1,024.
	MaxInFlight int
	// KeyRate is how many requests a second each API key may make. As many may come
	// at once. Zero: any number.
	KeyRate float64
	// CORSOrigins are the web origins whose pages may call the apps' routes; "*"
	// stands for all origins. Empty: none.
	CORSOrigins []string
}

// Edge surrounds the routes of all listeners of a process.
type Edge struct {
	d         Deps
	o         Options
	limit     *admission.Limit
	metrics   *metrics
	rates     *keyRates
	shutdowns shutdowns
}

// New makes an Edge. It registers metrics, so there is one Edge for a registry.
func New(d Deps, o Options) *Edge {
	if d.Now == nil {
		d.Now = time.Now
	}
	e := &Edge{d: d, o: o, limit: d.Limit, metrics: newMetrics(d.Registry), rates: newKeyRates(o.KeyRate)}
	if e.limit == nil {
		e.limit = admission.NewLimit(admission.Options{Ceiling: o.MaxInFlight}, d.Registry)
	}
	return e
}

// Limit returns what bounds the requests of apps.
func (e *Edge) Limit() *admission.Limit { return e.limit }

// Handler returns the handler of a listener, with the routes that the functions add.
// Middleware is listed from the outside in.
func (e *Edge) Handler(routes ...func(chi.Router)) http.Handler {
	r := chi.NewRouter()
	if e.d.Tracer != nil {
		r.Use(e.traced)
	}
	r.Use(recovered)
	r.Use(securityHeaders)
	r.Use(cors(e.o.CORSOrigins))
	r.Use(middleware.GetHead) // HEAD wherever there is GET
	r.NotFound(Handler(notFound).ServeHTTP)
	r.MethodNotAllowed(Handler(methodNotAllowed).ServeHTTP)
	for _, add := range routes {
		add(r)
	}
	return observed{r, e}
}

// observed is a router around which each request gets its id, its Request and its
// context. When the request is over, it is counted and logged.
type observed struct {
	chi.Router
	edge *Edge
}

// ServeHTTP implements http.Handler.
func (o observed) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start := time.Now()
	x := newExchange(w, r, start, o.Router)
	w.Header()["X-Request-Id"] = x.idHeader[:]
	o.edge.metrics.inFlight.Inc()
	returned := false
	defer func() {
		o.edge.metrics.inFlight.Dec()
		if !returned && x.err == nil {
			x.err = http.ErrAbortHandler
		}
		o.edge.finish(x, r.Method, time.Since(start))
		x.freeMemory(w)
	}()
	o.Router.ServeHTTP(&x.response, r.WithContext(&x.context))
	returned = true
}

// Handler is a handler that returns an error if it fails. The error is answered by
// [Fail].
type Handler func(http.ResponseWriter, *http.Request) error

// ServeHTTP implements http.Handler.
func (h Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if err := h(w, r); err != nil {
		Fail(w, r, err)
	}
}

func notFound(http.ResponseWriter, *http.Request) error {
	return Refuse(NotFound, "there is no such route")
}

// methodNotAllowed names the methods that the path has.
func methodNotAllowed(_ http.ResponseWriter, r *http.Request) error {
	routes := chi.RouteContext(r.Context()).Routes
	var allowed []string
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
		if routes.Find(chi.NewRouteContext(), method, r.URL.Path) == "" {
			continue
		}
		allowed = append(allowed, method)
		if method == http.MethodGet {
			allowed = append(allowed, http.MethodHead)
		}
	}
	if len(allowed) == 0 { // the router has neither the method nor the path
		return Refuse(NotFound, "there is no such route")
	}
	list := strings.Join(allowed, ", ")
	return &Refusal{Reason: MethodNotAllowed, Allow: list, Detail: "this route takes " + list}
}

// RequestID returns the id of a request: the caller's, or one that is generated.
func RequestID(r *http.Request) (id string, generated bool) {
	if id := callersID(r); id != "" {
		return id, false
	}
	return failure.NewID(), true
}

// callersID returns the header X-Request-Id if it has at most 128 visible ASCII
// characters, else "". Other text could break log lines, or headers of later hops.
func callersID(r *http.Request) string {
	const maxLength = 128
	id := r.Header.Get("X-Request-Id")
	if len(id) > maxLength {
		return ""
	}
	for i := range len(id) {
		if id[i] <= ' ' || id[i] > '~' {
			return ""
		}
	}
	return id
}
