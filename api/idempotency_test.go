package api_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"gateway/api"
	"gateway/api/edge"
	"gateway/internal/failure"
	"gateway/internal/idempotency"
	"gateway/internal/modelswap"
	"gateway/internal/pgtest"
	"gateway/internal/predict"
	"gateway/internal/schema"
	"gateway/internal/store"
	"gateway/internal/testsize"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Run(m)) }

// sqliteKeys is a store of keys in a file.
func sqliteKeys(t *testing.T) *store.Store {
	t.Helper()
	s, err := store.OpenSQLite(t.Context(), filepath.Join(t.TempDir(), "gateway.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// database is a Postgres that replicas share.
type database struct {
	t   *testing.T
	cfg *pgx.ConnConfig
	sql *sql.DB
}

func newDatabase(t *testing.T) *database {
	t.Helper()
	cfg, err := pgx.ParseConfig(pgtest.Database(t))
	if err != nil {
		t.Fatal(err)
	}
	d := &database{t, cfg, stdlib.OpenDB(*cfg)}
	t.Cleanup(func() { d.sql.Close() })
	return d
}

// replica is a gateway with a store of its own on the database.
func (d *database) replica(options ...option) *bundle {
	d.t.Helper()
	s, err := store.OpenPostgres(d.t.Context(), stdlib.GetConnector(*d.cfg), store.PostgresOptions{})
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { s.Close() })
	line, err := s.OpenLine(d.t.Context(), "bank")
	if err != nil {
		d.t.Fatal(err)
	}
	return setup(d.t, append([]option{func(b *bundle, _ *api.Options, p *parts) {
		p.customers, p.ledger, p.keys = s, line, s
		p.ports = modelswap.Ports{Renewals: line, Models: line, Deployer: b.swap}
	}}, options...)...)
}

func (d *database) count(query string) (n int) {
	d.t.Helper()
	if err := d.sql.QueryRowContext(d.t.Context(), query).Scan(&n); err != nil {
		d.t.Fatal(err)
	}
	return n
}

func withKey(key string) string { return "Idempotency-Key: " + key }

// keyedRoutes has a good request for each route that takes a key, and another one.
var keyedRoutes = []struct{ path, body, other string }{
	{"/predict", `{"features":` + technician + `}`, `{"features":` + technician + `} `},
	{"/outcomes", `{"customer_id":"10042","outcome":1}`, `{"customer_id":"10042","outcome":0}`},
	{"/admin/retrain", `{"reason":"new campaign"}`, ``},
}

func TestARepetitionGetsTheSameAnswer(t *testing.T) {
	b := setup(t, withKeys(sqliteKeys(t)))
	b.store10042()
	for _, route := range keyedRoutes {
		t.Run(route.path, func(t *testing.T) {
			b := *b
			b.t = t
			send := func(body string, headers ...string) answer {
				return b.asOperator("POST", route.path, body, append([]string{asJSON}, headers...)...)
			}
			first := send(route.body, withKey("k"))
			if first.status >= 300 || first.header.Get("Idempotent-Replayed") != "" || first.header.Get("Idempotent-Unstored") != "" {
				t.Fatalf("%d %v %s", first.status, first.header, first.body)
			}
			for _, key := range []string{"k", `"k"`} {
				again := send(route.body, withKey(key), "X-Request-Id: again")
				if again.status != first.status || again.body != first.body {
					t.Errorf("%d %s, want %d %s", again.status, again.body, first.status, first.body)
				}
				if again.header.Get("X-Request-Id") != "again" || again.header.Get("Idempotent-Replayed") != "true" {
					t.Errorf("headers %v", again.header)
				}
				for _, h := range []string{"X-Request-Id", "Idempotent-Replayed", "Date"} {
					again.header.Del(h)
					first.header.Del(h)
				}
				if diff := cmp.Diff(first.header, again.header); diff != "" {
					t.Error(diff)
				}
			}
			if p := send(route.other, withKey("k")).problem(409); p.Type != "urn:gateway:problem:idempotency-key-reused" {
				t.Errorf("another body: %s", p.Type)
			}
			b.logs.await(t, `"idempotency":"replayed"`)
		})
	}
	if n := len(b.store.Predictions()); n != 1 {
		t.Errorf("%d predictions were made, want 1", n)
	}
	if n := len(b.swap.renewals); n != 1 {
		t.Errorf("%d renewals were made, want 1", n)
	}
}

// TestARepetitionSaysWhyThereAreNoReasons: the header is of the stored response.
func TestARepetitionSaysWhyThereAreNoReasons(t *testing.T) {
	b := setup(t, withKeys(sqliteKeys(t)))
	b.scorer.Change = func(s *predict.Scores) { s.Unexplained = "the artifact is of another kind" }
	const body = `{"explain":true,"features":` + technician + `}`
	first := b.post("/predict", body, withKey("k")).want(200)
	b.scorer.Change = nil
	const unasked = `{"features":` + technician + `}`
	again := b.post("/predict", body, withKey("k")).want(200)
	if got := again.header.Values(api.ExplainUnavailable); again.header.Get("Idempotent-Replayed") != "true" || again.body != first.body ||
		len(got) != 1 || got[0] != "the artifact is of another kind" {
		t.Errorf("%v %s", again.header, again.body)
	}
	plain := b.post("/predict", unasked, withKey("k2")).want(200)
	if again := b.post("/predict", unasked, withKey("k2")).want(200); again.body != plain.body || again.header.Get(api.ExplainUnavailable) != "" {
		t.Errorf("not asked for: %v %s", again.header, again.body)
	}
}

func TestKeysThatAreNone(t *testing.T) {
	b := setup(t, withKeys(sqliteKeys(t)))
	for _, key := range []string{"", " ", "a b", "a,b", `"a`, strings.Repeat("k", 256)} {
		for _, route := range keyedRoutes {
			req, err := http.NewRequestWithContext(t.Context(), "POST", b.url+route.path, strings.NewReader(route.body))
			if err != nil {
				t.Fatal(err)
			}
			req.Header = http.Header{"Content-Type": {"application/json"}, "Authorization": {"Bearer " + token}, "Idempotency-Key": {key}}
			res, err := b.client.HTTP.Transport.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			if p := readAnswer(t, res).problem(400); !strings.Contains(p.Detail, "Idempotency-Key") {
				t.Errorf("key %q: %s", key, p.Detail)
			}
		}
	}
	req, _ := http.NewRequestWithContext(t.Context(), "POST", b.url+"/predict", strings.NewReader("{}"))
	req.Header = http.Header{"Content-Type": {"application/json"}, "Idempotency-Key": {"a", "b"}}
	res, err := b.client.HTTP.Transport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	readAnswer(t, res).problem(400)
	if len(b.swap.renewals) > 0 {
		t.Error("a renewal was made all the same")
	}
}

func TestOtherRoutesPassOverAKey(t *testing.T) {
	b := setup(t) // without a store of keys, which would panic if it were asked
	b.post("/predict/batch", `{"instances":[{"features":`+technician+`}]}`, withKey("a b")).want(200)
	b.do("GET", "/livez", "", withKey("")).want(200)
	b.post("/predict", `{"features":`+technician+`}`).want(200) // nor does a request without one ask it
}

// TestWhichAnswersAreKept sends each request twice, and changes the model and the
// store in between.
func TestWhichAnswersAreKept(t *testing.T) {
	now := time.Now().UTC()
	for _, test := range []struct {
		name, path, body string
		headers          []string
		before, between  func(b *bundle)
		first, second    int
		replayed         bool
	}{
		{name: "JSON that is broken", path: "/predict", body: `{`, first: 400, second: 400, replayed: true},
		{name: "a feature that is wrong", path: "/predict", body: `{"features":{"age":"old"}}`, first: 422, second: 422, replayed: true},
		{name: "an outcome that is wrong", path: "/outcomes", body: `{"outcome":2}`, first: 422, second: 422, replayed: true},
		{name: "an override that is wrong", path: "/admin/retrain", body: `{"overrides":{"gate":"wide"}}`, first: 422, second: 422, replayed: true},
		{name: "a list of which some are unknown", path: "/outcomes", body: `{"outcomes":[{"customer_id":"10042","outcome":1}]}`,
			between: func(b *bundle) { b.store10042() }, first: 202, second: 202, replayed: true},
		{name: "an unknown customer", path: "/predict", body: `{"customer_id":"10042"}`,
			between: func(b *bundle) { b.store10042() }, first: 404, second: 200},
		{name: "an outcome of an unknown customer", path: "/outcomes", body: `{"customer_id":"10042","outcome":1}`,
			between: func(b *bundle) { b.store10042() }, first: 404, second: 202},
		{name: "another renewal that runs", path: "/admin/retrain", body: `{}`,
			before: func(b *bundle) {
				if _, err := b.client.Retrain(b.t.Context(), api.RetrainRequest{}); err != nil {
					b.t.Fatal(err)
				}
			},
			between: func(b *bundle) {
				b.save(b.swap.renewals[0].ID, func(r *modelswap.Renewal) { r.Status, r.FinishedAt = modelswap.Succeeded, &now })
			}, first: 409, second: 202},
		{name: "a model that fails", path: "/predict", body: `{"features":` + technician + `}`,
			before:  func(b *bundle) { b.scorer.Fail(failure.Errorf(failure.BadModel, "the model failed")) },
			between: func(b *bundle) { b.scorer.Fail(nil) }, first: 502, second: 200},
		{name: "no model", path: "/predict", body: `{"features":` + technician + `}`,
			before:  func(b *bundle) { b.scorer.Fail(failure.Errorf(failure.Unavailable, "no model serves yet")) },
			between: func(b *bundle) { b.scorer.Fail(nil) }, first: 503, second: 200},
		{name: "a model that is slow", path: "/predict", body: `{"features":` + technician + `}`,
			before:  func(b *bundle) { b.scorer.Fail(context.DeadlineExceeded) },
			between: func(b *bundle) { b.scorer.Fail(nil) }, first: 504, second: 200},
		{name: "a fault of ours", path: "/predict", body: `{"features":` + technician + `}`,
			before:  func(b *bundle) { b.scorer.Fail(errTest) },
			between: func(b *bundle) { b.scorer.Fail(nil) }, first: 500, second: 200},
		{name: "a body that is too large", path: "/predict", body: `{"customer_id":"` + strings.Repeat("1", 9000) + `"}`, first: 413, second: 413},
		{name: "a media type that is wrong", path: "/predict", body: `{`, headers: []string{"Content-Type: text/plain"}, first: 415, second: 415},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := setup(t, withKeys(sqliteKeys(t)), withOptions(func(o *api.Options) { o.MaxBody = 8192 }))
			headers := append([]string{asJSON, withKey("k")}, test.headers...)
			if test.before != nil {
				test.before(b)
			}
			first := b.asOperator("POST", test.path, test.body, headers...).want(test.first)
			if test.between != nil {
				test.between(b)
			}
			second := b.asOperator("POST", test.path, test.body, headers...).want(test.second)
			if got := second.header.Get("Idempotent-Replayed") == "true"; got != test.replayed {
				t.Errorf("replayed: %v", got)
			}
			if test.replayed && first.body != second.body {
				t.Errorf("%s and %s", first.body, second.body)
			}
			if first.header.Get("Idempotent-Unstored") != "" {
				t.Error("an answer that is not to be kept says that it was not")
			}
			if test.first != 413 {
				p := b.asOperator("POST", test.path, test.body+" ", headers...).problem(409)
				if p.Type != "urn:gateway:problem:idempotency-key-reused" {
					t.Errorf("another body: %s", p.Type)
				}
			}
		})
	}
}

func TestKeysOfTwoTokensAreTwo(t *testing.T) {
	b := setup(t, withKeys(sqliteKeys(t)), func(b *bundle, _ *api.Options, _ *parts) {
		b.edge.Tokens = func() []edge.Token { return []edge.Token{{Name: "ann", Value: "a"}, {Name: "bob", Value: "b"}} }
	})
	bad := `{"reason":1}`
	b.do("POST", "/admin/retrain", bad, asJSON, withKey("k"), "Authorization: Bearer a").problem(422)
	b.do("POST", "/admin/retrain", "", asJSON, withKey("k"), "Authorization: Bearer b").want(202)
	b.do("POST", "/admin/retrain", "", asJSON, withKey("k"), "Authorization: Bearer a").problem(409)
	b.do("POST", "/admin/retrain", bad, asJSON, withKey("k")).problem(401)
}

// TestReplicasHandleARequestOnce sends each request a hundred times at once, to
// two gateways on one Postgres.
func TestReplicasHandleARequestOnce(t *testing.T) {
	d := newDatabase(t)
	patient := withOptions(func(o *api.Options) { o.PredictTimeout = time.Minute })
	replicas := []*bundle{d.replica(patient), d.replica(patient)}
	if _, err := d.sql.ExecContext(t.Context(), `INSERT INTO customers (id, features, demo, outcome) VALUES ('10042', '{}', 0, 0)`); err != nil {
		t.Fatal(err)
	}
	for _, route := range keyedRoutes {
		t.Run(route.path, func(t *testing.T) {
			var all sync.WaitGroup
			answers := make([]answer, 100)
			for i := range answers {
				b := *replicas[i%2]
				b.t = t
				all.Go(func() { answers[i] = b.asOperator("POST", route.path, route.body, asJSON, withKey("k")) })
			}
			all.Wait()
			handled := 0
			for _, a := range answers {
				if a.status >= 300 || a.body != answers[0].body || a.header.Get("Location") != answers[0].header.Get("Location") {
					t.Errorf("%d %s, and another one is %d %s", a.status, a.body, answers[0].status, answers[0].body)
				}
				if a.header.Get("Idempotent-Replayed") == "" {
					handled++
				}
			}
			if handled != 1 {
				t.Errorf("it was handled %d times", handled)
			}
		})
	}
	for _, table := range []string{"predictions", "outcomes", "renewals"} {
		if n := d.count(`SELECT count(*) FROM ` + table); n != 1 {
			t.Errorf("there are %d %s, want 1", n, table)
		}
	}
}

// dying is the store of keys of a process that is killed after it handled a
// request: it stores no answer and releases no key.
type dying struct{ idempotency.Keys }

var errKilled = errors.New("the process is dead")

func (dying) AnswerKey(context.Context, string, string, idempotency.Answer) (bool, error) {
	return false, errKilled
}
func (dying) ReleaseKey(context.Context, string, string) error { return errKilled }

// TestTheSuccessorOfADeadProcessFindsWhatItMade ends a gateway after it handled a
// request and before it answered. Another gateway finds the renewal and the
// prediction, and makes no second one.
func TestTheSuccessorOfADeadProcessFindsWhatItMade(t *testing.T) {
	d := newDatabase(t)
	dead := d.replica(func(_ *bundle, _ *api.Options, p *parts) { p.keys = dying{p.keys} })
	alive := d.replica(withOptions(func(o *api.Options) { o.PredictTimeout = time.Minute }))
	send := func(b *bundle, route int) answer {
		t.Helper()
		return b.asOperator("POST", keyedRoutes[route].path, keyedRoutes[route].body, asJSON, withKey("k"))
	}
	var prediction, prediction2 api.Prediction
	var renewal, renewal2 modelswap.Renewal
	lost := send(dead, 0).want(200).decode(&prediction) // its caller never gets this
	send(dead, 2).want(202).decode(&renewal)
	if lost.header.Get("Idempotent-Unstored") != "true" {
		t.Error("it does not say that the answer was not kept")
	}

	// The leases run out.
	if _, err := d.sql.ExecContext(t.Context(), `UPDATE idempotency_keys SET lease_until = 1`); err != nil {
		t.Fatal(err)
	}
	// The renewal ends, and another one runs by then.
	if _, err := d.sql.ExecContext(t.Context(), `UPDATE renewals SET status = 'failed'`); err != nil {
		t.Fatal(err)
	}
	alive.asOperator("POST", "/admin/retrain", "").want(202)

	send(alive, 0).want(200).decode(&prediction2)
	if a := send(alive, 2).want(202).decode(&renewal2); a.header.Get("Location") != "/admin/renewals/"+renewal.ID || renewal2.Status != modelswap.Failed {
		t.Errorf("%v %s", a.header, a.body)
	}
	if prediction2.PredictionID != prediction.PredictionID || renewal2.ID != renewal.ID {
		t.Errorf("got prediction %s and renewal %s, want %s and %s", prediction2.PredictionID, renewal2.ID, prediction.PredictionID, renewal.ID)
	}
	if n := d.count(`SELECT count(*) FROM predictions`); n != 1 {
		t.Errorf("there are %d predictions", n)
	}
	if n := d.count(`SELECT count(*) FROM renewals`); n != 2 {
		t.Errorf("there are %d renewals, want the one and the other one", n)
	}
}

// busyKeys is a store of keys that another process has claimed.
type busyKeys struct{ idempotency.Keys }

func (busyKeys) ClaimKey(_ context.Context, c idempotency.Claim) (idempotency.Key, error) {
	return idempotency.Key{Fingerprint: c.Fingerprint}, nil
}

func TestARequestThatIsBeingHandledIsNotHandledTwice(t *testing.T) {
	b := setup(t, withKeys(busyKeys{}), withOptions(func(o *api.Options) { o.PredictTimeout = 50 * time.Millisecond }))
	if a := b.post("/predict", keyedRoutes[0].body, withKey("k")); a.problem(409).Type != edge.TypeInProgress || a.header.Get("Retry-After") != "1" {
		t.Errorf("%v %s", a.header, a.body)
	}
	if n := len(b.store.Predictions()); n > 0 {
		t.Errorf("%d predictions were made", n)
	}
}

// brokenKeys is a store of keys that does not answer.
type brokenKeys struct{ idempotency.Keys }

func (brokenKeys) ClaimKey(ctx context.Context, _ idempotency.Claim) (idempotency.Key, error) {
	<-ctx.Done() // as a database that is stopped in the middle
	return idempotency.Key{}, ctx.Err()
}

func TestPredictionsGoOnWithoutAStoreOfKeys(t *testing.T) {
	b := setup(t, withKeys(brokenKeys{}), withOptions(func(o *api.Options) { o.PredictTimeout = time.Second }))
	b.store10042()
	for range 5 {
		a := b.post("/predict", keyedRoutes[0].body, withKey("k")).want(200)
		if a.header.Get("Idempotent-Unstored") != "true" {
			t.Error("it does not say that the answer is not kept")
		}
	}
	b.post("/outcomes", keyedRoutes[1].body, withKey("k")).want(202)
	if a := b.post("/predict", `{"customer_id":"nobody"}`, withKey("k")); a.problem(404).Status != 404 || a.header.Get("Idempotent-Unstored") != "" {
		t.Errorf("headers %v", a.header)
	}
}

func TestNoRenewalWithoutAStoreOfKeys(t *testing.T) {
	b := setup(t, withKeys(failingKeys{}))
	if a := b.asOperator("POST", "/admin/retrain", "", withKey("k")); a.problem(503).Status != 503 || a.header.Get("Retry-After") != "1" {
		t.Errorf("headers %v", a.header)
	}
	if len(b.swap.renewals) > 0 {
		t.Error("a renewal was made that a repetition would not find")
	}
	b.logs.await(t, `"msg":"the store of idempotency keys does not answer`)
}

// failingKeys is a store of keys that cannot be reached.
type failingKeys struct{ idempotency.Keys }

func (failingKeys) ClaimKey(context.Context, idempotency.Claim) (idempotency.Key, error) {
	return idempotency.Key{}, errTest
}

func TestACallerWhoLeftGetsItsAnswerLater(t *testing.T) {
	entered, release := make(chan struct{}, 2), make(chan struct{})
	b := setup(t, withKeys(sqliteKeys(t)), withScorer(scorerFunc(func(ctx context.Context, rows []schema.Vector) (predict.Scores, error) {
		entered <- struct{}{}
		select {
		case <-release:
			return halves(rows), nil
		case <-ctx.Done():
			return predict.Scores{}, ctx.Err()
		}
	})), withOptions(func(o *api.Options) { o.PredictTimeout = time.Minute }))
	noticed := make(chan struct{}) // that the caller has left
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		context.AfterFunc(r.Context(), func() { close(noticed) })
		b.handler.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	ctx, leave := context.WithCancel(t.Context())
	gone := make(chan error, 1)
	go func() {
		req, _ := http.NewRequestWithContext(ctx, "POST", server.URL+"/predict", strings.NewReader(keyedRoutes[0].body))
		req.Header = http.Header{"Content-Type": {"application/json"}, "Idempotency-Key": {"l"}}
		_, err := b.client.HTTP.Transport.RoundTrip(req)
		gone <- err
	}()
	<-entered
	leave()
	if err := <-gone; !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
	<-noticed
	close(release)
	again := b.post("/predict", keyedRoutes[0].body, withKey("l")).want(200)
	if again.header.Get("Idempotent-Replayed") != "true" {
		t.Error("the prediction was made again")
	}
	if predictions := b.store.Predictions(); len(predictions) != 1 || !strings.Contains(again.body, predictions[0].ID) {
		t.Errorf("%d predictions, and the answer is %s", len(predictions), again.body)
	}
}

func TestNeitherKeysNorFeaturesAreStored(t *testing.T) {
	d := newDatabase(t)
	b := d.replica()
	b.post("/predict", `{"explain":true,"features":`+technician+`}`, withKey("anna@example.org")).want(200)
	var row string
	if err := d.sql.QueryRowContext(t.Context(), `SELECT CAST(k AS TEXT) FROM idempotency_keys k`).Scan(&row); err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{"anna", "technician", "4991.6"} {
		if strings.Contains(row, secret) || strings.Contains(b.logs.String(), secret) {
			t.Errorf("%s is stored or logged: %s\n%s", secret, row, b.logs)
		}
	}
}

func TestPagesMaySeeWhatBecameOfTheirKey(t *testing.T) {
	b := setup(t, withKeys(sqliteKeys(t)), withEdge(func(o *edge.Options) { o.CORSOrigins = []string{"https://shop.example"} }))
	b.post("/predict", keyedRoutes[0].body, withKey("k"), "Origin: https://shop.example").want(200)
	again := b.post("/predict", keyedRoutes[0].body, withKey("k"), "Origin: https://shop.example").want(200)
	if again.header.Get("Access-Control-Allow-Origin") != "https://shop.example" || again.header.Get("Idempotent-Replayed") != "true" {
		t.Errorf("headers %v", again.header)
	}
	for _, header := range []string{"Idempotent-Replayed", "Idempotent-Unstored", "Retry-After"} {
		if !strings.Contains(again.header.Get("Access-Control-Expose-Headers"), header) {
			t.Errorf("%s is not exposed", header)
		}
	}
}

func TestTheClientSendsAKey(t *testing.T) {
	b := setup(t, withKeys(sqliteKeys(t)))
	b.store10042()
	client := b.client.WithIdempotencyKey("k")
	var first []any
	for i := range 2 {
		p, err1 := client.Predict(t.Context(), api.PredictionRequest{CustomerID: "10042"})
		m, err2 := client.Outcome(t.Context(), api.Outcome{CustomerID: "10042", Outcome: 1})
		r, err3 := client.Retrain(t.Context(), api.RetrainRequest{})
		if err := errors.Join(err1, err2, err3); err != nil {
			t.Fatal(err)
		}
		all := []any{p, m, r.ID}
		if i == 0 {
			first = all
		}
		if diff := cmp.Diff(first, all); diff != "" {
			t.Error(diff)
		}
	}
	var problem *edge.Problem
	if _, err := client.Outcomes(t.Context(), []api.Outcome{{CustomerID: "10042", Outcome: 1}}); !errors.As(err, &problem) || problem.Status != 409 {
		t.Errorf("got %v", err)
	}
	if _, err := b.client.Retrain(t.Context(), api.RetrainRequest{}); !errors.As(err, &problem) || !strings.Contains(fmt.Sprint(problem), first[2].(string)) {
		t.Errorf("the client without a key got %v", err)
	}
}

// TestKeysKeepLittle: 26 KiB of outcomes were answered with 3.3 MiB once, which
// the database kept for a day.
func TestKeysKeepLittle(t *testing.T) {
	keys := sqliteKeys(t)
	b := setup(t, withKeys(keys))
	list := `{"outcomes":[` + strings.Repeat(`{},`, testsize.Of(2_999, 8_999)) + `{}]}`
	for i := range testsize.Of(2, 5) {
		key := withKey(fmt.Sprint(i))
		first := b.post("/outcomes", list, key).want(202)
		again := b.post("/outcomes", list, key).want(202)
		kept := first.header.Get("Idempotent-Unstored") == ""
		if large := len(first.body) > 256<<10; kept == large {
			t.Errorf("an answer of %d bytes is kept: %v", len(first.body), kept)
		}
		if replayed := again.header.Get("Idempotent-Replayed") != ""; replayed != kept {
			t.Errorf("a repetition of an answer that is kept (%v) is a replay: %v", kept, replayed)
		}
	}
	held, err := keys.KeyUsage(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for owner, n := range held {
		if n > 5*(257<<10) || !strings.HasPrefix(owner, "network ") {
			t.Errorf("%s has %d bytes", owner, n)
		}
	}
}
