package api

import (
	"cmp"
	"context"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"gateway/internal/admission"
	"gateway/internal/audit"
	"gateway/internal/idempotency"
	"gateway/internal/modelswap"
	"gateway/internal/predict"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Deps is what the handlers call. All of it is required unless said.
type Deps struct {
	Predict  *predict.Service
	Renewals *modelswap.Engine
	Importer *predict.Importer
	// Exports is what operators may take out of the stores.
	Exports Exports
	// KeysKept is how long an Idempotency-Key is kept.
	KeysKept time.Duration
	// Acts is the audit log.
	Acts audit.Log
	// SignIns counts failed sign-ins and tells the addresses of clients.
	SignIns *SignIns
	// Keys handles each request with an Idempotency-Key once.
	Keys *idempotency.Guard
	// Tokens returns the operators' tokens that are valid now. It is asked on
	// every request, so it must be cheap. No tokens, no operators.
	Tokens func() []Token
	// APIKeys returns the apps' keys that are valid now, in the same way. Nil: the
	// apps' routes are open to everyone.
	APIKeys func() []Token
	// RenewTokens and RenewAPIKeys look for newer ones, before one is refused that
	// is not among the valid. They must bound how often they really look. May be
	// nil.
	RenewTokens, RenewAPIKeys func(context.Context)
	// Dependencies are what /readyz looks at. None: it is always ready.
	Dependencies []Dependency
	// Status returns further entries of /admin/status. They win over the
	// gateway's own of the same name. May be nil.
	Status func(context.Context) map[string]any
	// OpenAPI is the text of openapi.yaml.
	OpenAPI []byte
	// Limit is how many requests of apps are handled at once. Nil: one with
	// Options.MaxInFlight and no queue behind it.
	Limit *admission.Limit
	// Registry is where the metrics are registered and what /metrics shows.
	Registry *prometheus.Registry
	Log      *slog.Logger
	// Tracer gives requests a span. Nil: they have none.
	Tracer Tracer
	// SpoolDir is where the backlog of streamed answers goes, in files without
	// a name. Empty: the system's directory for temporary files.
	SpoolDir string
	// SpoolSpare tells how many bytes of the disk of SpoolDir may be used for
	// that. It is asked before each write. Nil: as many as MaxSpool says.
	SpoolSpare func() int64
}

// Options are the settings. The zero value is a sensible gateway.
type Options struct {
	// SeparateAdmin moves the operators' routes to a handler of their own.
	SeparateAdmin bool
	// AdminOpenMetrics leaves /metrics without a token, for listeners that only
	// the trusted can reach.
	AdminOpenMetrics bool
	// Version is what /admin/status calls this build. Zero: "dev".
	Version string
	// EndpointName is the name under which /endpoints/{name}/invocations
	// answers. Zero: ServiceEndpoint.
	EndpointName string
	// MaxBody bounds JSON bodies, in bytes. Zero: 1 MiB.
	MaxBody int64
	// MaxItems bounds the elements of one JSON list, which cost more memory
	// than text. Zero: 10,000.
	MaxItems int
	// MaxRow bounds a row of a stream, in bytes. Zero: 64 KiB.
	MaxRow int
	// MaxSpool bounds the files that hold what callers of streams have not read,
	// in bytes: all of them together, and those of one caller to half of it.
	// Beyond it the gateway reads no more from a caller until it has read. Zero:
	// 1 GiB.
	MaxSpool int64
	// PredictTimeout is a prediction's whole time, and that of each chunk of a
	// stream. Zero: 2 s.
	PredictTimeout time.Duration
	// StreamIdle is how long a stream may stand still in both directions. Zero: 30 s.
	StreamIdle time.Duration
	// StreamRate is how many bytes a second the body of a stream must bring in the
	// long run. Zero: 256.
	StreamRate int64
	// MaxInFlight is how many requests of apps are handled at once, where there
	// is no Deps.Limit; more are refused with 503. Zero: 1,024.
	MaxInFlight int
	// KeyRate is how many requests a second each key may make, and in one burst.
	// Zero: any number.
	KeyRate float64
	// CORSOrigins are the web origins whose pages may call the apps' routes;
	// "*" is every one. Zero: none.
	CORSOrigins []string
}

func (o Options) withDefaults() Options {
	o.Version = cmp.Or(o.Version, "dev")
	o.EndpointName = cmp.Or(o.EndpointName, "ServiceEndpoint")
	o.MaxBody = cmp.Or(o.MaxBody, 1<<20)
	o.MaxItems = cmp.Or(o.MaxItems, 10_000)
	o.MaxRow = cmp.Or(o.MaxRow, 64<<10)
	o.MaxSpool = cmp.Or(o.MaxSpool, 1<<30)
	o.PredictTimeout = cmp.Or(o.PredictTimeout, 2*time.Second)
	o.StreamIdle = cmp.Or(o.StreamIdle, 30*time.Second)
	o.StreamRate = cmp.Or(o.StreamRate, 256)
	return o
}

// maxImports bounds the imports of customers that are under way, and those of
// one token to half of it.
const maxImports = 16

// storeTimeout bounds one question to a store that no setting bounds.
const storeTimeout = 10 * time.Second

// api holds what the handlers share.
type api struct {
	d         Deps
	o         Options
	metrics   *metrics
	limit     *admission.Limit
	rowCost   int64 // of a prediction of a list, in bytes of memory
	spools    *spoolRoom
	imports   *admission.Budget // of customers
	exports   *admission.Budget // places
	readiness *readiness
	known     lastKnown
	documents documents
	shutdowns shutdowns
	watches   watches
	started   time.Time
}

// New returns the handler of the public listener and that of the operators'.
// Without SeparateAdmin the public one carries everything and admin is nil. It
// registers the metrics, so a registry takes one New.
func New(d Deps, o Options) (public, admin http.Handler) {
	a := &api{d: d, o: o.withDefaults(), metrics: newMetrics(d.Registry),
		readiness: newReadiness(d.Dependencies, d.Log), started: time.Now().UTC(),
		imports: admission.NewBudget(maxImports), exports: admission.NewBudget(maxExports)}
	a.spools = newSpoolRoom(a.o.MaxSpool, d.SpoolSpare)
	d.Registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "gateway_spool_bytes", Help: "Streamed answers in files of the data dir that callers have not read yet, in bytes.",
	}, func() float64 { return float64(a.spools.budget.Held()) }))
	if a.limit = d.Limit; a.limit == nil {
		a.limit = admission.NewLimit(admission.Options{Ceiling: o.MaxInFlight}, d.Registry)
	}
	a.metrics.begin()
	a.watches.look, a.rowCost = a.look, rowCost(d.Predict.Schema())
	d.Registry.MustRegister(dependencyUp{a.readiness})
	if !o.SeparateAdmin {
		return a.router(a.health, a.apps, a.operators), nil
	}
	return a.router(a.health, a.apps), a.router(a.health, a.operators)
}

// router makes a handler of some groups of routes. What surrounds every
// request is listed from the outside in.
func (a *api) router(groups ...func(chi.Router)) http.Handler {
	r := chi.NewRouter()
	if a.d.Tracer != nil {
		r.Use(a.traced)
	}
	r.Use(recovered) // panics become problems
	r.Use(secured)   // headers
	r.Use(cors(a.o.CORSOrigins))
	r.Use(middleware.GetHead) // HEAD works wherever GET does
	r.NotFound(handler(a.notFound).ServeHTTP)
	r.MethodNotAllowed(handler(a.methodNotAllowed).ServeHTTP)
	for _, group := range groups {
		group(r)
	}
	return observed{r, a} // id, event, metrics: sees all that is answered
}

func (a *api) health(r chi.Router) {
	r.Method(http.MethodGet, "/livez", handler(a.live))
	r.Method(http.MethodGet, "/readyz", handler(a.ready))
	r.Method(http.MethodGet, "/healthz", handler(a.ready))
}

func (a *api) apps(r chi.Router) {
	schema := newStatic("application/schema+json", a.d.Predict.Schema().JSONSchema())
	schema.fingerprint = a.d.Predict.Schema().Fingerprint()
	document, err := documentOf(a.d.OpenAPI, a.d.Predict.Schema())
	if err != nil {
		panic(err) // the document is part of the program, and a test reads it
	}
	openAPI := newStatic("application/yaml", document)
	r.Group(func(r chi.Router) {
		r.Use(a.wantsKey())
		predictions := r.With(a.limited(admission.Prediction))
		predictions.Method(http.MethodPost, "/predict", a.keyed(a.o.predictKeys(), a.predict))
		predictions.Method(http.MethodPost, "/predict/batch", handler(a.predictBatch))
		predictions.Method(http.MethodPost, invocationsPrefix+"{name}/invocations", handler(a.invocations))
		r.With(a.limited(admission.Outcome)).Method(http.MethodPost, "/outcomes", a.keyed(outcomeKeys, a.outcomes))
		r.Method(http.MethodGet, "/schema", handler(schema.serve))
	})
	// The same everywhere, and for browsers, which have no key.
	r.Method(http.MethodGet, "/openapi.yaml", handler(openAPI.serve))
	r.Method(http.MethodGet, "/", handler(a.toDocs))
	r.Method(http.MethodGet, "/docs", handler(a.toDocs))
	r.Method(http.MethodGet, docsPattern, a.docs())
}

// operators' routes are a router of their own, so that the token is wanted for
// all that begins with /admin, also for what does not exist.
func (a *api) operators(r chi.Router) {
	token := a.authorized(credentialSet{a.d.Tokens, a.d.RenewTokens})
	r.Route("/admin", func(r chi.Router) {
		r.Use(token)
		r.Group(func(r chi.Router) {
			r.Use(a.audited)
			r.Method(http.MethodPost, "/retrain", a.keyed(retrainKeys, a.retrain))
			r.Method(http.MethodPost, "/renewals/{id}/resume", handler(a.resume))
			r.Method(http.MethodPost, "/renewals/{id}/cancel", handler(a.cancel))
			r.Method(http.MethodPost, "/rollback", handler(a.rollback))
			r.Method(http.MethodPost, "/customers", handler(a.customers))
			r.Method(http.MethodGet, "/customers", handler(a.exportCustomers))
			r.Method(http.MethodGet, "/predictions", handler(a.exportPredictions))
			r.Method(http.MethodGet, "/training-data", handler(a.exportTrainingData))
		})
		r.Method(http.MethodGet, "/renewals", handler(a.renewals))
		r.Method(http.MethodGet, "/renewals/{id}", handler(a.renewal))
		r.Method(http.MethodGet, "/renewals/{id}/events", handler(a.renewalEvents))
		r.Method(http.MethodGet, "/models", handler(a.models))
		r.Method(http.MethodGet, "/status", handler(a.status))
		r.Method(http.MethodGet, "/audit", handler(a.audit))
	})
	r.Route("/debug/pprof", func(r chi.Router) {
		r.Use(token)
		a.profiles(r)
	})
	show := promhttp.HandlerFor(a.d.Registry, promhttp.HandlerOpts{ErrorHandling: promhttp.PanicOnError}) // so that a fault is a problem
	if !a.o.AdminOpenMetrics {
		show = token(show)
	}
	r.Method(http.MethodGet, "/metrics", show)
}

// handler either answers or returns an error, which becomes a problem.
type handler func(http.ResponseWriter, *http.Request) error

// ServeHTTP implements http.Handler.
func (h handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if err := h(w, r); err != nil {
		fail(w, r, err)
	}
}

func (a *api) notFound(http.ResponseWriter, *http.Request) error {
	return refuse(notFound, "there is no such route")
}

// methodNotAllowed finds the methods that the path does have.
func (a *api) methodNotAllowed(_ http.ResponseWriter, r *http.Request) error {
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
	if len(allowed) == 0 { // a method that the router does not know, on a path that it does not know either
		return refuse(notFound, "there is no such route")
	}
	list := strings.Join(allowed, ", ")
	return &refusal{reason: methodNotAllowed, allow: list, detail: "this route takes " + list}
}
