package api_test

import (
	"bytes"
	"context"
	"errors"
	"gateway"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gateway/api"
	"gateway/api/client"
	"gateway/api/edge"
	"gateway/internal/audit/audittest"
	"gateway/internal/failure"
	"gateway/internal/idempotency"
	"gateway/internal/insights"
	"gateway/internal/insights/insightstest"
	"gateway/internal/modelswap"
	"gateway/internal/predict"
	"gateway/internal/predict/predicttest"
	"gateway/internal/schema"

	"github.com/go-json-experiment/json"
	"github.com/prometheus/client_golang/prometheus"
)

const (
	token = "an-operators-token"

	// technician is the sample customer with all features.
	technician = `{"age":34,"job":"technician","marital":"married","education":"high.school","default":"no",` +
		`"housing":"yes","loan":"no","contact":"cellular","month":"jun","day_of_week":"wed","duration":190,` +
		`"campaign":1,"pdays":3,"previous":4,"poutcome":"success","emp_var_rate":-1.7,"cons_price_idx":94.055,` +
		`"cons_conf_idx":-39.8,"euribor3m":0.715,"nr_employed":4991.6}`

	csvHeader = "age,job,marital,education,default,housing,loan,contact,month,day_of_week,duration,campaign,pdays,previous," +
		"poutcome,emp_var_rate,cons_price_idx,cons_conf_idx,euribor3m,nr_employed\n"
	csvRow = "34,technician,married,high.school,no,yes,no,cellular,jun,wed,190,1,3,4,success,-1.7,94.055,-39.8,0.715,4991.6\n"
)

// bundle is a gateway over in-memory parts, behind a real server.
type bundle struct {
	t       testing.TB
	url     string
	scorer  *predicttest.Scorer
	store   *predicttest.Store
	swap    *swapStore
	acts    *audittest.Log
	edge    edge.Deps
	deps    api.Deps
	logs    *logBuffer
	client  *client.Client
	handler http.Handler
	sums    *insightstest.Memory

	socketBuffer int // size of the buffers of connections, in bytes; 0: as the system chooses
}

// option changes a bundle's parts before they are put together.
type option func(b *bundle, o *api.Options, parts *parts)

type parts struct {
	schema    *schema.Schema
	scorer    predict.Scorer
	customers predict.Customers
	ledger    predict.Ledger
	ports     modelswap.Ports
	keys      idempotency.Keys
	edge      edge.Options
}

// setup serves an API on a port of its own.
func setup(t *testing.T, options ...option) *bundle {
	t.Helper()
	b := setupHandler(t, options...)
	server := httptest.NewUnstartedServer(b.handler)
	server.Config.ConnContext = func(ctx context.Context, conn net.Conn) context.Context {
		b.bound(conn)
		return ctx
	}
	server.Start()
	t.Cleanup(server.Close)
	b.url = server.URL
	b.client = &client.Client{BaseURL: server.URL, Token: token, HTTP: server.Client()}
	return b
}

// bound sets the size of the buffers of a connection.
func (b *bundle) bound(conn net.Conn) {
	if size := b.socketBuffer; size > 0 {
		_ = conn.(*net.TCPConn).SetReadBuffer(size)
		_ = conn.(*net.TCPConn).SetWriteBuffer(size)
	}
}

// noDocument takes the place of openapi.yaml where a test does not need it.
const noDocument = "openapi: 3.1.0\n"

// setupHandler makes an API that is not served.
func setupHandler(t testing.TB, options ...option) *bundle {
	t.Helper()
	s := schema.Bank()
	b := &bundle{t: t, store: predicttest.NewStore(), swap: &swapStore{serving: "m1"}, acts: &audittest.Log{}, logs: newLogBuffer()}
	b.scorer = &predicttest.Scorer{Model: "m1", Schema: s.Fingerprint(), Func: func(row schema.Vector) float64 { return row[0] / 100 }}
	p := &parts{schema: s, scorer: b.scorer, customers: b.store, ledger: b.store,
		ports: modelswap.Ports{Renewals: b.swap, Models: b.swap, Schedules: b.swap, Deployer: b.swap}}
	o := api.Options{}
	b.edge = edge.Deps{Tokens: func() []edge.Token { return []edge.Token{{Name: "ops", Value: token}, {}} }}
	b.deps = api.Deps{
		Acts: b.acts, Registry: prometheus.NewRegistry(), OpenAPI: []byte(noDocument), SpoolDir: t.TempDir(),
		Log: slog.New(slog.NewJSONHandler(b.logs, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	for _, option := range options {
		option(b, &o, p)
	}
	b.edge.SignIns = edge.NewSignIns(b.acts, nil, b.deps.Log, b.deps.Registry)
	b.edge.Log, b.edge.Registry = b.deps.Log, b.deps.Registry
	b.deps.Edge = edge.New(b.edge, p.edge)
	b.deps.Predict = predict.NewService(p.schema, p.scorer, p.customers, p.ledger, b.deps.Log, b.deps.Registry)
	if p.schema != s && string(b.deps.OpenAPI) == noDocument {
		b.deps.OpenAPI = gateway.OpenAPI // whose examples are replaced
	}
	b.deps.Ledger = b.store
	if b.deps.Exports == nil {
		b.deps.Exports = b.store
	}
	b.deps.Importer = predict.NewImporter(p.schema, b.store)
	b.deps.Renewals = modelswap.New(p.ports, modelswap.Options{Schema: p.schema}, b.deps.Log, b.deps.Registry)
	b.sums = &insightstest.Memory{}
	b.deps.Insights = insights.NewReports(p.schema, b.sums, b.swap, insights.Options{})
	b.deps.Keys = idempotency.New(p.keys, idempotency.Options{}, b.deps.Log, b.deps.Registry)
	b.handler, _ = api.New(b.deps, o)
	return b
}

func withOptions(change func(*api.Options)) option {
	return func(_ *bundle, o *api.Options, _ *parts) { change(o) }
}

func withEdge(change func(*edge.Options)) option {
	return func(_ *bundle, _ *api.Options, p *parts) { change(&p.edge) }
}

func withScorer(s predict.Scorer) option {
	return func(_ *bundle, _ *api.Options, p *parts) { p.scorer = s }
}

func withPorts(p modelswap.Ports) option {
	return func(_ *bundle, _ *api.Options, parts *parts) { parts.ports = p }
}

func withKeys(keys idempotency.Keys) option {
	return func(_ *bundle, _ *api.Options, parts *parts) { parts.keys = keys }
}

// scorerFunc is a function as a model.
type scorerFunc func(ctx context.Context, rows []schema.Vector) (predict.Scores, error)

func (f scorerFunc) Score(ctx context.Context, rows []schema.Vector, _ bool) (predict.Scores, error) {
	return f(ctx, rows)
}

func halves(rows []schema.Vector) predict.Scores {
	return predict.Scores{Model: "m1", Schema: "s1", Score: slices.Repeat([]float64{.5}, len(rows)), Label: make([]int, len(rows))}
}

// noLedger discards what is recorded.
type noLedger struct{ predict.Ledger }

func (noLedger) Append(context.Context, []predict.Prediction) error { return nil }

// answer is a response whose body has been read.
type answer struct {
	t       testing.TB
	status  int
	header  http.Header
	trailer http.Header
	body    string
}

// do sends a request; headers are pairs of "Name: value".
func (b *bundle) do(method, path, body string, headers ...string) answer {
	b.t.Helper()
	req, err := http.NewRequestWithContext(b.t.Context(), method, b.url+path, strings.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Set(name, value)
	}
	res, err := b.client.HTTP.Transport.RoundTrip(req)
	if err != nil {
		b.t.Fatal(err)
	}
	return readAnswer(b.t, res)
}

func readAnswer(t testing.TB, res *http.Response) answer {
	t.Helper()
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatalf("%s %s: %v", res.Request.Method, res.Request.URL, err)
	}
	return answer{t, res.StatusCode, res.Header, res.Trailer, string(text)}
}

func (b *bundle) post(path, body string, headers ...string) answer {
	b.t.Helper()
	return b.do("POST", path, body, append([]string{"Content-Type: application/json"}, headers...)...)
}

func (b *bundle) asOperator(method, path, body string, headers ...string) answer {
	b.t.Helper()
	return b.do(method, path, body, append(headers, "Authorization: Bearer "+token)...)
}

func (a answer) want(status int) answer {
	a.t.Helper()
	if a.status != status {
		a.t.Errorf("status %d, want %d: %s", a.status, status, a.body)
	}
	return a
}

// problem checks that the response is a problem with the members that all have.
func (a answer) problem(status int) edge.Problem {
	a.t.Helper()
	a.want(status)
	var p edge.Problem
	if err := json.Unmarshal([]byte(a.body), &p, json.RejectUnknownMembers(true)); err != nil {
		a.t.Fatalf("not a problem: %v: %s", err, a.body)
	}
	if got := a.header.Get("Content-Type"); got != "application/problem+json" {
		a.t.Errorf("content type %q", got)
	}
	if p.Status != a.status || p.Title == "" || !strings.HasPrefix(p.Type, "urn:gateway:problem:") {
		a.t.Errorf("an incomplete problem: %s", a.body)
	}
	if id := a.header.Get("X-Request-Id"); id == "" || id != p.RequestID {
		a.t.Errorf("request id %q in the header and %q in the body", id, p.RequestID)
	}
	return p
}

func (a answer) decode(v any) answer {
	a.t.Helper()
	if err := json.Unmarshal([]byte(a.body), v); err != nil {
		a.t.Fatalf("%v: %s", err, a.body)
	}
	return a
}

func (a answer) lines() []string {
	return strings.Split(strings.TrimSuffix(a.body, "\n"), "\n")
}

// fields lists the violations as "field code", sorted.
func fields(p edge.Problem) string {
	var all []string
	for _, v := range p.Errors {
		all = append(all, v.Field+" "+v.Code)
	}
	slices.Sort(all)
	return strings.Join(all, ", ")
}

// logBuffer collects the log.
type logBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
	news chan struct{} // closed and replaced with each line
}

func newLogBuffer() *logBuffer { return &logBuffer{news: make(chan struct{})} }

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	close(l.news)
	l.news = make(chan struct{})
	return l.text.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// await waits until the log has some text.
func (l *logBuffer) await(t testing.TB, text string) {
	t.Helper()
	timeout := time.After(time.Minute)
	for {
		l.mu.Lock()
		found, news := strings.Contains(l.text.String(), text), l.news
		l.mu.Unlock()
		if found {
			return
		}
		select {
		case <-news:
		case <-timeout:
			t.Fatalf("no %s in the log: %s", text, l)
		}
	}
}

// swapStore holds renewals, models and the name of the serving model in memory.
// No engine runs its renewals.
type swapStore struct {
	modelswap.Deployer
	mu       sync.Mutex
	renewals []*modelswap.Renewal // newest first
	attempts []modelswap.Step
	models   []modelswap.Model
	figures  map[string]*modelswap.Figures
	serving  string
	stale    bool // another process is always faster
	err      error
	looks    atomic.Int64 // at one renewal
	listed   int          // calls of Renewals
}

// failure returns the error that all calls return.
func (s *swapStore) failure() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// asked reports whether renewals were asked for.
func (s *swapStore) asked() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.listed > 0
}

func (s *swapStore) InsertRenewal(_ context.Context, r *modelswap.Renewal) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, old := range s.renewals {
		if !old.Status.Final() {
			return failure.Errorf(failure.Conflict, "renewal %s is not finished", old.ID)
		}
	}
	r.Revision = 1
	s.renewals = append([]*modelswap.Renewal{copyOf(r)}, s.renewals...)
	return s.err
}

func (s *swapStore) UpdateRenewal(_ context.Context, r *modelswap.Renewal) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, old := range s.renewals {
		if old.ID == r.ID && old.Revision == r.Revision && !s.stale {
			r.Revision++
			s.renewals[i] = copyOf(r)
			return s.err
		}
	}
	return modelswap.ErrStale
}

func (s *swapStore) RequestCancel(_ context.Context, id string) error {
	return s.change(id, func(r *modelswap.Renewal) error {
		if r.Status.Final() {
			return failure.Errorf(failure.Conflict, "renewal %s is %s", id, r.Status)
		}
		r.Cancelling = true
		return nil
	})
}

// change changes a renewal as its owner does, without a new revision.
func (s *swapStore) change(id string, do func(r *modelswap.Renewal) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return s.err
	}
	for _, r := range s.renewals {
		if r.ID == id {
			return do(r)
		}
	}
	return failure.Errorf(failure.NotFound, "there is no renewal with this id")
}

func (s *swapStore) Renewal(_ context.Context, id string) (found *modelswap.Renewal, err error) {
	s.looks.Add(1)
	err = s.change(id, func(r *modelswap.Renewal) error {
		found = copyOf(r)
		return nil
	})
	return found, err
}

func (s *swapStore) Renewals(_ context.Context, limit int, before string) ([]*modelswap.Renewal, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []*modelswap.Renewal
	s.listed++
	for _, r := range s.renewals {
		list = append(list, copyOf(r))
	}
	if before != "" {
		i := slices.IndexFunc(list, func(r *modelswap.Renewal) bool { return r.ID == before })
		list = list[i+1:]
	}
	return list[:min(limit, len(list))], s.err
}

func (s *swapStore) Attempts(context.Context, string) ([]modelswap.Step, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.attempts), s.err
}

func copyOf(r *modelswap.Renewal) *modelswap.Renewal {
	c := *r
	c.Steps = slices.Clone(r.Steps)
	return &c
}

// setErr makes every later call fail, or none.
func (s *swapStore) setErr(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

func (s *swapStore) Models(context.Context) ([]modelswap.Model, error) {
	return slices.Clone(s.models), s.err
}

func (s *swapStore) Serving(context.Context) (modelswap.Serving, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return modelswap.Serving{Model: s.serving}, s.err
}

func (s *swapStore) DescribeModel(_ context.Context, name string) (modelswap.Model, error) {
	return modelswap.Model{}, failure.Errorf(failure.NotFound, "there is no model %q", name)
}

func (s *swapStore) DeployModel(_ context.Context, c modelswap.Change) (int64, error) {
	s.serving = c.Model
	return 0, s.err
}

func (s *swapStore) ClaimRenewal(context.Context, string, string, time.Duration) (*modelswap.Renewal, error) {
	return nil, nil
}
func (s *swapStore) ExtendLease(context.Context, string, string, time.Duration) (bool, error) {
	return false, nil
}
func (s *swapStore) InsertModel(context.Context, modelswap.Model, modelswap.Fence) error { return nil }
func (s *swapStore) Model(context.Context, string) (*modelswap.Model, error) {
	return nil, errors.New("not asked for here")
}
func (s *swapStore) InsightModels(context.Context) ([]insights.Model, error) {
	auc := 0.9
	return []insights.Model{{Name: "m1", Serving: true, AUC: &auc}, {Name: "m0"}}, s.failure()
}
func (s *swapStore) Figures(_ context.Context, name string) (*modelswap.Figures, error) {
	return s.figures[name], s.err
}
func (s *swapStore) Schedule(context.Context) (modelswap.Schedule, error) {
	return modelswap.Schedule{Line: "0 2 * * *", Next: time.Date(2030, 1, 1, 2, 0, 0, 0, time.UTC)}, s.err
}
func (s *swapStore) NewestOutcome(context.Context) (int64, error) { return 0, s.err }
func (s *swapStore) RaiseOutcomes(context.Context, int64) error {
	return errors.New("not asked for here")
}
func (s *swapStore) OutcomesAfter(context.Context, int64, time.Time, bool) (modelswap.NewOutcomes, error) {
	return modelswap.NewOutcomes{}, s.err
}
func (s *swapStore) SaveSchedule(context.Context, modelswap.Schedule, *modelswap.Renewal) error {
	return errors.New("not asked for here")
}

func (s *swapStore) MarkRemoved(context.Context, string, time.Time) error { return nil }
func (s *swapStore) MarkServing(context.Context, string, time.Time) error { return nil }
