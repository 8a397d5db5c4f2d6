package app

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gateway/api"
	"gateway/internal/demo"
	"gateway/internal/gatewaytest"
	"gateway/internal/modelswap"
	"gateway/internal/schema"
	"gateway/internal/testsize"
)

var rotations = flag.Int("rotations", testsize.Of(4, 50), "how often the rotation tests rotate the database's secret, for each way to do it")

// TestRotationsUnderLoadFailNothing rotates the database's secret again and
// again, and the operators' token and the apps' key with it, while apps predict
// and report outcomes, operators read their pages, and renewals run. Not one
// request may fail, no prediction be lost, no connection stay, and nothing that
// the gateway writes may hold a password, a token or a key.
func TestRotationsUnderLoadFailNothing(t *testing.T) {
	for name, turns := range map[string]bool{"a single user": false, "two users who take turns": true} {
		t.Run(name, func(t *testing.T) {
			_, url := gatewaytest.StartSecretsManager(t)
			rotateUnderLoad(t, url, turns, *rotations)
		})
	}
}

func rotateUnderLoad(t *testing.T, manager string, turns bool, times int) {
	r := newRotation(t, useSecretsManager(t, manager))
	id := "gateway/" + r.base["dbname"].(string)
	token, key := r.newValue(), r.newValue()
	r.createDatabase(id + "/database")
	r.create(id+"/admin", map[string]any{"tokens": map[string]string{"ops": token}})
	r.create(id+"/keys", map[string]any{"keys": map[string]string{"web": key}})

	cfg := newConfig(t)
	cfg.DBSecretID, cfg.AdminSecretID, cfg.APIKeysSecretID = id+"/database", id+"/admin", id+"/keys"
	cfg.Demo, cfg.SecretTTL = false, time.Second
	cfg.PredictTimeout = gatewaytest.Patience // a rotation must cost no request; how fast the machine is, is another matter
	g := startWith(t, cfg, Options{secretRefresh: 20 * time.Millisecond, databaseLifetime: time.Second})
	l := &clientele{t: t, g: g, known: customersOf(t, g)}
	l.token.Store(&token)
	l.key.Store(&key)
	g.client.Token = token
	if renewal := g.renew(t, api.RetrainRequest{}); renewal.Status != modelswap.Succeeded {
		t.Fatalf("the first renewal is %s: %s", renewal.Status, renewal.Error)
	}

	stop := l.begin(t.Context())
	gatewaytest.Eventually(t, "the load is under way", func() bool { return l.predictions.Load() > 50 })
	var before, after string
	// A few rotations may fall between two logins or into one renewal.
	seen := func() bool {
		_, retried := g.components.connector.Opened()
		return l.renewals.Load() > 0 && (turns || retried > 0)
	}
	most := max(times, 50)
	for i := 0; i < times || i < most && !seen(); i++ {
		before, after = r.database(cfg.DBSecretID, turns)
		if i%5 == 0 {
			token, key := r.token(cfg.AdminSecretID, "tokens", "ops"), r.token(cfg.APIKeysSecretID, "keys", "web")
			l.token.Store(&token)
			l.key.Store(&key)
		}
	}
	gatewaytest.Eventually(t, "both versions are named in the metrics", func() bool {
		text := l.get("/metrics")
		return strings.Contains(text, `gateway_secret_version_info{secret="database",stage="current",version="`+after+`"} 1`) &&
			strings.Contains(text, `gateway_secret_version_info{secret="database",stage="previous",version="`+before+`"} 1`)
	})
	stop()
	opened, retried := g.components.connector.Opened()
	t.Logf("%d rotations, %d requests (%d predictions), %d failed, the slowest took %v (%s); %d renewals; %d connections made, %d logins tried again",
		times, l.requests.Load(), l.predictions.Load(), l.failed.Load(), l.slowest.Round(time.Millisecond), l.slow,
		l.renewals.Load(), opened, retried)
	if opened < int64(times) || l.renewals.Load() == 0 || !turns && retried == 0 {
		t.Error("the load did not see the rotations")
	}
	l.olderTokensAreRefused(r)
	r.wantRows(l.predictions.Load())
	written := l.everythingWritten(r)
	if err := g.stop(); err != nil {
		t.Fatal(err)
	}
	gatewaytest.Eventually(t, "no connection is left over", func() bool { return r.connections() == 0 }) // a server's process ends a little later
	for name, text := range written {
		for i, value := range r.values() {
			if strings.Contains(text, value) {
				t.Errorf("value %d of %d is in the %s", i, len(r.values()), name)
			}
		}
	}
}

// customersOf puts a few customers into the store, and returns their ids.
func customersOf(t *testing.T, g *gatewayUnderTest) []string {
	t.Helper()
	few, err := demo.Customers(schema.Bank(), 400, 1)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := g.components.store.PutCustomers(t.Context(), few); err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, c := range few {
		ids = append(ids, c.ID)
	}
	return ids
}

// clientele is clients of all kinds.
type clientele struct {
	t          *testing.T
	g          *gatewayUnderTest
	known      []string // ids of customers
	token, key atomic.Pointer[string]

	requests, predictions, failed, renewals atomic.Int64

	mu      sync.Mutex
	waiting map[string]int // requests without an answer yet, by their credential
	bodies  bytes.Buffer   // of answers
	slowest time.Duration
	slow    string // the request that was slowest
}

const (
	predictors, reporters, operators = 32, 8, 12
	think                            = 200 * time.Millisecond // between two requests of a client
)

// begin starts the clients; stop ends them and waits for their last answers.
func (l *clientele) begin(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var clients sync.WaitGroup
	client := func(do func(i int)) {
		clients.Go(func() {
			tick := time.NewTicker(think)
			defer tick.Stop()
			for i := 0; ctx.Err() == nil; i++ {
				do(i)
				select {
				case <-tick.C:
				case <-ctx.Done():
				}
			}
		})
	}
	for c := range predictors {
		client(func(i int) { l.predict(c + i) })
	}
	for c := range reporters {
		client(func(i int) {
			p := l.predict(c + 7*i)
			l.send("POST", "/outcomes", map[string]any{"prediction_id": p, "outcome": i % 2}, http.StatusAccepted)
		})
	}
	pages := []string{"/admin/status", "/admin/renewals", "/metrics", "/admin/models", "/readyz"}
	for c := range operators {
		client(func(i int) { l.get(pages[(c+i)%len(pages)]) })
	}
	clients.Go(func() {
		for ctx.Err() == nil && l.renew() {
		}
	})
	return func() { cancel(); clients.Wait() }
}

func (l *clientele) predict(i int) (id string) {
	body := map[string]any{"customer_id": l.known[i%len(l.known)]}
	if i%2 == 0 {
		body["features"] = gatewaytest.Sample()
	}
	var p api.Prediction
	text := l.send("POST", "/predict", body, http.StatusOK)
	if json.Unmarshal([]byte(text), &p) == nil && p.PredictionID != "" {
		l.predictions.Add(1)
	}
	return p.PredictionID
}

// renew starts a renewal and follows it to its end.
func (l *clientele) renew() bool {
	var r modelswap.Renewal
	text := l.send("POST", "/admin/retrain", map[string]any{"force": true}, http.StatusAccepted)
	for err := json.Unmarshal([]byte(text), &r); err == nil && !r.Status.Final(); err = json.Unmarshal([]byte(text), &r) {
		time.Sleep(think)
		text = l.get("/admin/renewals/" + r.ID)
	}
	if r.Status != modelswap.Succeeded {
		l.fail("a renewal is %s: %s", r.Status, r.Error)
		return false
	}
	l.renewals.Add(1)
	return true
}

func (l *clientele) get(path string) string { return l.send("GET", path, nil, http.StatusOK) }

// send sends a request with the token or key of the moment, and wants a status.
func (l *clientele) send(method, path string, body any, want int) string {
	credential := l.take(strings.HasPrefix(path, "/admin") || path == "/metrics")
	defer l.give(credential)
	return l.sendAs(credential, method, path, body, want)
}

// take returns the token, or the key, of the moment and counts a request with it.
func (l *clientele) take(token bool) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	credential := *l.key.Load()
	if token {
		credential = *l.token.Load()
	}
	if l.waiting == nil {
		l.waiting = map[string]int{}
	}
	l.waiting[credential]++
	return credential
}

func (l *clientele) give(credential string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waiting[credential]--
}

// upToDate reports whether no request waits for an answer that has another credential than
// those of the moment.
func (l *clientele) upToDate() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for credential, requests := range l.waiting {
		if requests > 0 && credential != *l.key.Load() && credential != *l.token.Load() {
			return false
		}
	}
	return true
}

func (l *clientele) sendAs(credential, method, path string, body any, want int) string {
	l.requests.Add(1)
	text, err := json.Marshal(body)
	if err != nil {
		l.t.Error(err)
	}
	req, err := http.NewRequest(method, l.g.url+path, bytes.NewReader(text))
	if err != nil {
		l.t.Error(err)
		return ""
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+credential)
	defer func(start time.Time) {
		l.mu.Lock()
		defer l.mu.Unlock()
		if took := time.Since(start); took > l.slowest {
			l.slowest, l.slow = took, method+" "+path
		}
	}(time.Now())
	res, err := l.g.client.HTTP.Do(req)
	if err != nil {
		l.fail("%s %s: %v", method, path, err)
		return ""
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	l.keep(answer)
	if err != nil || res.StatusCode != want {
		l.fail("%s %s: status %d, want %d (%v): %s", method, path, res.StatusCode, want, err, answer)
		return ""
	}
	return string(answer)
}

// keep keeps answers to be searched.
func (l *clientele) keep(answer []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.bodies.Len() < 64<<20 {
		fmt.Fprintf(&l.bodies, "%s\n", answer)
	}
}

// fail reports a failure, the first few in words.
func (l *clientele) fail(format string, args ...any) {
	if l.failed.Add(1) <= 10 {
		l.t.Errorf(format, args...)
	} else {
		l.t.Fail()
	}
}

// olderTokensAreRefused tries tokens and keys of all ages: of those that the
// rotations made, the newest two of each are valid. The newest comes first: the gateway
// reads the secret for a token that it does not know, and then has no older one.
func (l *clientele) olderTokensAreRefused(r *rotation) {
	token, key := r.token(l.g.cfg.AdminSecretID, "tokens", "ops"), r.token(l.g.cfg.APIKeysSecretID, "keys", "web")
	for i, want := range []int{http.StatusOK, http.StatusOK, http.StatusForbidden} {
		l.sendAs([]string{token, *l.token.Load(), r.values()[0]}[i], "GET", "/admin/models", nil, want)
		l.sendAs([]string{key, *l.key.Load(), r.values()[1]}[i], "GET", "/schema", nil, want)
	}
	l.token.Store(&token)
	l.key.Store(&key)
	l.send("POST", "/predict", map[string]any{"features": map[string]any{"age": "old"}}, http.StatusUnprocessableEntity)
}

// wantRows waits until all predictions are in the ledger, each once.
func (r *rotation) wantRows(predictions int64) {
	r.t.Helper()
	gatewaytest.Eventually(r.t, "every prediction is in the ledger", func() bool { return r.count(`SELECT count(DISTINCT id) FROM predictions`) >= predictions })
	if rows := r.count(`SELECT count(*) FROM predictions`); rows != predictions {
		r.t.Errorf("the ledger has %d rows, want one for each of %d predictions", rows, predictions)
	}
}

func (r *rotation) count(query string) (n int64) {
	r.t.Helper()
	if err := r.admin.QueryRow(context.Background(), query).Scan(&n); err != nil {
		r.t.Errorf("%s: %v", query, err)
	}
	return n
}

// connections counts those to the database that are not the test's.
func (r *rotation) connections() int64 {
	return r.count(`SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`)
}

// everythingWritten is what the gateway has written, by where to.
func (l *clientele) everythingWritten(r *rotation) map[string]string {
	l.t.Helper()
	written := map[string]string{"metrics": l.get("/metrics"), "status": l.get("/admin/status"), "log": l.g.logs.String(), "database": r.dump()}
	l.mu.Lock()
	written["answers"] = l.bodies.String()
	l.mu.Unlock()
	err := filepath.WalkDir(l.g.cfg.DataDir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		written["file "+entry.Name()] += string(text)
		return err
	})
	if err != nil {
		l.t.Error(err)
	}
	for name, text := range written {
		if text == "" && !strings.HasPrefix(name, "file") {
			l.t.Errorf("the %s is empty", name)
		}
	}
	return written
}

// dump is every row of every table, as text.
func (r *rotation) dump() string {
	r.t.Helper()
	rows, err := r.admin.Query(context.Background(), `SELECT query_to_xml('SELECT * FROM ' || quote_ident(tablename), true, false, '')::text
FROM pg_tables WHERE schemaname = 'public'`)
	if err != nil {
		r.t.Fatal(err)
	}
	defer rows.Close()
	var all strings.Builder
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			r.t.Fatal(err)
		}
		all.WriteString(text)
	}
	if err := rows.Err(); err != nil {
		r.t.Fatal(err)
	}
	return all.String()
}
