package console

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"gateway/api/edge"
	"gateway/internal/admission"
	"gateway/internal/audit"
	"gateway/internal/insights"
	"gateway/internal/modelswap"
	"gateway/internal/predict"

	"github.com/go-chi/chi/v5"
)

// Deps are what the pages show and change. All fields are required.
type Deps struct {
	Edge     *edge.Edge
	Predict  *predict.Service
	Renewals *modelswap.Engine
	Insights Insights
	Ledger   Ledger
	Acts     audit.Log
	// Status returns what the overview shows of the process.
	Status func(context.Context) Status
	// Settings and Secrets return the settings in force and the states of the secrets.
	Settings func() []SettingGroup
	Secrets  func() []Secret
	Log      *slog.Logger
}

// Insights answers whether the model is still right. *insights.Reports is one.
type Insights interface {
	Quality(ctx context.Context, q insights.Query) (*insights.QualityReport, error)
	Drift(ctx context.Context, q insights.Query) (*insights.DriftReport, error)
	Correlations(ctx context.Context) (*insights.CorrelationReport, error)
}

// Status is the state of the process and of what it needs.
type Status struct {
	Version      string
	StartedAt    time.Time
	Dependencies []Dependency   // by name
	Details      map[string]any // the entries of /admin/status that the wiring adds: outbox, secrets, warnings …
	Limit        admission.LimitStatus
}

// Dependency is something that the gateway needs. State is ok, degraded or unavailable.
type Dependency struct {
	Name, State, Reason, Detail string
	Since                       *time.Time // of a state that is not ok
}

const (
	// maxReads bounds the pages that read at the same time; further ones wait.
	maxReads = 2
	// readTimeout bounds the time in which a page waits and reads.
	readTimeout = 10 * time.Second
	// maxForm bounds the body of a form, in bytes.
	maxForm = 256 << 10
)

// Console has the pages.
type Console struct {
	d         Deps
	templates templates
	assets    *assets
	origins   *http.CrossOriginProtection
	reads     chan struct{} // has an element for each page that reads
	streams   chan struct{} // has an element for each stream of events
	tail      tail
}

// New returns the console.
func New(d Deps) *Console {
	files := newAssets()
	c := &Console{d: d, templates: parseTemplates(), assets: files, origins: http.NewCrossOriginProtection(),
		reads: make(chan struct{}, maxReads), streams: make(chan struct{}, maxStreams)}
	c.tail.find = c.findForTail
	return c
}

// Routes adds the routes of the console.
func (c *Console) Routes(r chi.Router) {
	r.Route("/console", func(r chi.Router) {
		r.Use(c.surround)
		r.Method(http.MethodGet, "/assets/{name}", c.handler(c.assets.serve))
		r.Method(http.MethodGet, "/sign-in", c.handler(c.signInForm))
		r.Method(http.MethodPost, "/sign-in", c.handler(c.signIn))
		r.Group(func(r chi.Router) {
			r.Use(c.signedIn)
			r.Method(http.MethodPost, "/sign-out", c.handler(c.signOut))
			r.Method(http.MethodGet, "/events", c.handler(c.events))
			r.Method(http.MethodGet, "/tail", c.handler(c.tailEvents))
			r.NotFound(c.handler(noPage).ServeHTTP)
			c.pages(r)
		})
	})
}

// pages adds the pages and what they can do.
func (c *Console) pages(r chi.Router) {
	c.page(r, "/", c.overview)
	c.page(r, "/quality", c.quality)
	c.page(r, "/drift", c.drift)
	c.page(r, "/models", c.models)
	c.page(r, "/models/{name}", c.model)
	c.action(r, "/models/{name}/rollback", c.rollback())
	c.page(r, "/renewals", c.renewals)
	c.action(r, "/renewals", c.retrain())
	c.page(r, "/renewals/{id}", c.renewal)
	c.action(r, "/renewals/{id}/resume", c.resume())
	c.action(r, "/renewals/{id}/cancel", c.cancel())
	c.page(r, "/predictions", c.predictions)
	c.page(r, "/predictions/{id}", c.prediction)
	c.action(r, "/predictions/{id}/outcome", c.reportOutcome())
	c.try(r)
	c.page(r, "/settings", c.settings)
	c.page(r, "/audit", c.audit)
}

func noPage(http.ResponseWriter, *http.Request) error {
	return edge.Refuse(edge.NotFound, "the console has no such page")
}

// ToConsole redirects to the console, from a path of the same folder.
func ToConsole(w http.ResponseWriter, _ *http.Request) error {
	w.Header().Set("Location", "console/") // relative, so that it is right behind a path of a proxy
	w.WriteHeader(http.StatusTemporaryRedirect)
	return nil
}

// contentPolicy allows files of the console alone.
const contentPolicy = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; " +
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// surround sets the headers of all responses, and refuses forms of other origins.
func (c *Console) surround(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path+"/" == prefix { // the router takes it for the console itself, where relative links would be wrong
			_ = ToConsole(w, r)
			return
		}
		h := w.Header()
		h.Set("Content-Security-Policy", contentPolicy)
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		if err := c.origins.Check(r); err != nil {
			c.fail(w, r, &edge.Refusal{Reason: edge.Forbidden, Detail: "the form was sent by a page of another origin", Err: err})
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		next.ServeHTTP(w, r)
	})
}

// handler returns a handler whose errors become pages.
func (c *Console) handler(h edge.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := h(w, r); err != nil {
			c.fail(w, r, err)
		}
	})
}

// read waits until the page may read, for at most readTimeout. The caller must call done.
func (c *Console) read(r *http.Request) (reading *http.Request, done func(), err error) {
	ctx, cancel := context.WithTimeout(r.Context(), readTimeout)
	select {
	case c.reads <- struct{}{}:
		return r.WithContext(ctx), func() { cancel(); <-c.reads }, nil
	case <-ctx.Done():
		cancel()
		return nil, nil, &edge.Refusal{Reason: edge.Unavailable, Detail: "other pages are being read; try again", RetryAfter: time.Second, Err: ctx.Err()}
	}
}
