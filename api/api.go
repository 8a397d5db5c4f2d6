package api

import (
	"cmp"
	"context"
	"log/slog"
	"net/http"
	"time"

	"gateway/api/console"
	"gateway/api/edge"
	"gateway/internal/admission"
	"gateway/internal/audit"
	"gateway/internal/idempotency"
	"gateway/internal/modelswap"
	"gateway/internal/predict"

	"github.com/go-chi/chi/v5"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Deps are what the handlers call. All fields are required unless they say otherwise.
type Deps struct {
	// Edge surrounds the routes: credentials, limits, the log, errors.
	Edge     *edge.Edge
	Predict  *predict.Service
	Renewals *modelswap.Engine
	Importer *predict.Importer
	// Insights answers whether the model is still right.
	Insights Insights
	// Ledger finds predictions for the console.
	Ledger console.Ledger
	// Exports reads what operators may export.
	Exports Exports
	// KeysKept is how long an Idempotency-Key is stored.
	KeysKept time.Duration
	// Acts is the audit log.
	Acts audit.Log
	// Keys makes sure that a request with an Idempotency-Key is handled once.
	Keys *idempotency.Guard
	// Dependencies are what /readyz checks. None: the gateway is always ready.
	Dependencies []Dependency
	// Status returns further entries of /admin/status. They replace entries of the same
	// name. May be nil.
	Status func(context.Context) map[string]any
	// Settings and Secrets return what the console shows of the settings and secrets of the
	// process. Nil: nothing.
	Settings func() []console.SettingGroup
	Secrets  func() []console.Secret
	// OpenAPI is the text of openapi.yaml.
	OpenAPI []byte
	// Registry is where the metrics are registered. /metrics shows all of its metrics.
	Registry *prometheus.Registry
	Log      *slog.Logger
	// SpoolDir is the directory of the files that hold what callers of streams have not
	// read yet. The files have no name. Empty: the system's directory for temporary files.
	SpoolDir string
	// SpoolSpare returns how many bytes these files may still use of the disk. It is
	// called before each write. Nil: only MaxSpool bounds them.
	SpoolSpare func() int64
}

// Options are the settings. The zero value is usable.
type Options struct {
	// SeparateAdmin moves the operators' routes to a second handler.
	SeparateAdmin bool
	// AdminOpenMetrics makes /metrics require no token. It is for listeners that only
	// trusted clients can reach.
	AdminOpenMetrics bool
	// Version is the version that /admin/status shows. Zero: "dev".
	Version string
	// QuietReadiness keeps dependencies that fail out of the log. It is for a gateway that
	// runs for one command, where a missing model is usual.
	QuietReadiness bool
	// EndpointName is the {name} of /endpoints/{name}/invocations. Zero: ServiceEndpoint.
	EndpointName string
	// MaxBody bounds JSON bodies, in bytes. Zero: 1 MiB.
	MaxBody int64
	// MaxItems bounds the elements of one JSON list. An element takes more memory than
	// its text. Zero: 10,000.
	MaxItems int
	// MaxRow bounds a row of a stream of POST /predict/batch, in bytes. Zero: 64 KiB. An
	// import takes rows of schema.MaxRow.
	MaxRow int
	// MaxSpool bounds the files that hold what callers of streams have not read, in bytes:
	// all of them together, and those of one caller to half of it. At the bound the gateway
	// stops reading from the caller until the caller has read. Zero: 1 GiB.
	MaxSpool int64
	// PredictTimeout bounds the whole time of a prediction. Zero: 2 s.
	PredictTimeout time.Duration
	// StreamIdle is how long a stream may be idle in both directions. Zero: 30 s.
	StreamIdle time.Duration
	// StreamRate is how many bytes a second the body of a stream must bring on average.
	// Zero: 256.
	StreamRate int64
}

func readinessLog(log *slog.Logger, o Options) *slog.Logger {
	if o.QuietReadiness {
		return slog.New(slog.DiscardHandler)
	}
	return log
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

// maxImports bounds the imports of customers at the same time; one token may have half
// of them.
const maxImports = 16

// storeTimeout bounds a call of a store that no setting bounds.
const storeTimeout = 10 * time.Second

// api holds what the handlers share.
type api struct {
	d         Deps
	o         Options
	edge      *edge.Edge
	rowCost   int64 // of a prediction of a list, in bytes of memory
	spills    *spillBudget
	imports   *admission.Budget // of customers
	exports   *admission.Budget
	readiness *readiness
	known     lastKnown
	documents documents
	watches   watches
	started   time.Time
}

// New returns the handler of the public listener and that of the operators' listener.
// Without SeparateAdmin the public one has all routes and admin is nil. It registers
// metrics, so a registry takes one New.
func New(d Deps, o Options) (public, admin http.Handler) {
	a := &api{d: d, o: o.withDefaults(), edge: d.Edge,
		readiness: newReadiness(d.Dependencies, readinessLog(d.Log, o)), started: time.Now().UTC(),
		imports: admission.NewBudget(maxImports), exports: admission.NewBudget(maxExports)}
	a.spills = newSpillBudget(a.o.MaxSpool, d.SpoolSpare)
	d.Registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "gateway_spool_bytes", Help: "Bytes of streamed responses in files that callers have not read yet.",
	}, func() float64 { return float64(a.spills.budget.Held()) }))
	a.edge.CountFromZero(map[string]int{"/predict": http.StatusOK, "/predict/batch": http.StatusOK,
		edge.AWSPrefix + "{name}/invocations": http.StatusOK, "/outcomes": http.StatusAccepted})
	a.watches.look, a.rowCost = a.look, rowCost(d.Predict.Schema())
	d.Registry.MustRegister(dependencyUp{a.readiness})
	pages := a.console()
	if !o.SeparateAdmin {
		return a.edge.Handler(a.health, a.apps, a.operators, pages.Routes), nil
	}
	toConsole := func(r chi.Router) { r.Method(http.MethodGet, "/", edge.Handler(console.ToConsole)) }
	return a.edge.Handler(a.health, a.apps), a.edge.Handler(a.health, a.operators, pages.Routes, toConsole)
}

// health adds the routes of probes, which are on both listeners.
func (a *api) health(r chi.Router) {
	r.Method(http.MethodGet, "/livez", edge.Handler(a.live))
	r.Method(http.MethodGet, "/readyz", edge.Handler(a.ready))
	r.Method(http.MethodGet, "/healthz", edge.Handler(a.ready))
}

// apps adds the routes of apps, and the documentation.
func (a *api) apps(r chi.Router) {
	schema := newStatic("application/schema+json", a.d.Predict.Schema().JSONSchema())
	schema.fingerprint = a.d.Predict.Schema().Fingerprint()
	document, err := documentOf(a.d.OpenAPI, a.d.Predict.Schema())
	if err != nil {
		panic(err) // the document is part of the program, and a test reads it
	}
	openAPI := newStatic("application/yaml", document)
	r.Group(func(r chi.Router) {
		r.Use(a.edge.RequireKey)
		predictions := r.With(a.edge.Limited(admission.Prediction))
		predictions.Method(http.MethodPost, "/predict", a.keyed(a.o.predictKeys(), a.predict))
		predictions.Method(http.MethodPost, "/predict/batch", edge.Handler(a.predictBatch))
		predictions.Method(http.MethodPost, edge.AWSPrefix+"{name}/invocations", edge.Handler(a.invocations))
		r.With(a.edge.Limited(admission.Outcome)).Method(http.MethodPost, "/outcomes", a.keyed(outcomeKeys, a.outcomes))
		r.Method(http.MethodGet, "/schema", edge.Handler(schema.serve))
	})
	// Browsers read these, and have no key.
	r.Method(http.MethodGet, "/openapi.yaml", edge.Handler(openAPI.serve))
	r.Method(http.MethodGet, "/", edge.Handler(a.toDocs))
	r.Method(http.MethodGet, "/docs", edge.Handler(a.toDocs))
	r.Method(http.MethodGet, edge.DocsPattern, a.docs())
}

// operators adds the operators' routes. Those below /admin and /debug/pprof are routers
// of their own, so that the token is required for unknown paths there too.
func (a *api) operators(r chi.Router) {
	r.Route("/admin", func(r chi.Router) {
		r.Use(a.edge.RequireToken)
		r.Group(func(r chi.Router) {
			r.Use(a.audited)
			r.Method(http.MethodPost, "/retrain", a.keyed(retrainKeys, a.retrain))
			r.Method(http.MethodPost, "/renewals/{id}/resume", edge.Handler(a.resume))
			r.Method(http.MethodPost, "/renewals/{id}/cancel", edge.Handler(a.cancel))
			r.Method(http.MethodPost, "/rollback", edge.Handler(a.rollback))
			r.Method(http.MethodPost, "/customers", edge.Handler(a.customers))
			r.Method(http.MethodGet, "/customers", edge.Handler(a.exportCustomers))
			r.Method(http.MethodGet, "/predictions", edge.Handler(a.exportPredictions))
			r.Method(http.MethodGet, "/training-data", edge.Handler(a.exportTrainingData))
		})
		r.Method(http.MethodGet, "/renewals", edge.Handler(a.renewals))
		r.Method(http.MethodGet, "/renewals/{id}", edge.Handler(a.renewal))
		r.Method(http.MethodGet, "/renewals/{id}/events", edge.Handler(a.renewalEvents))
		r.Method(http.MethodGet, "/models", edge.Handler(a.models))
		r.Method(http.MethodGet, "/models/{name}", edge.Handler(a.model))
		r.Method(http.MethodGet, "/insights/quality", edge.Handler(a.quality))
		r.Method(http.MethodGet, "/insights/drift", edge.Handler(a.drift))
		r.Method(http.MethodGet, "/insights/correlations", edge.Handler(a.correlations))
		r.Method(http.MethodGet, "/status", edge.Handler(a.status))
		r.Method(http.MethodGet, "/audit", edge.Handler(a.audit))
	})
	r.Route("/debug/pprof", func(r chi.Router) {
		r.Use(a.edge.RequireToken)
		a.profiles(r)
	})
	show := promhttp.HandlerFor(a.d.Registry, promhttp.HandlerOpts{ErrorHandling: promhttp.PanicOnError}) // an error becomes a problem
	if !a.o.AdminOpenMetrics {
		show = a.edge.RequireToken(show)
	}
	r.Method(http.MethodGet, "/metrics", show)
}
