package app

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"

	"gateway/api"
	"gateway/api/client"
	"gateway/internal/config"
	"gateway/internal/gatewaytest"
	"gateway/internal/modelswap"
	"gateway/internal/pgtest"
	"gateway/internal/testsize"
)

func TestMain(m *testing.M) {
	// auto, the default, takes seconds. Tests that are about it ask for it.
	_ = os.Setenv("GATEWAY_TRAINING_ALGORITHM", "linear-learner")
	code := pgtest.Run(m)
	prepared.Remove()
	os.Exit(code)
}

// newConfig returns the settings of a gateway on a free port with a data dir of its own.
func newConfig(t *testing.T) config.Config {
	t.Helper()
	t.Setenv("GATEWAY_DATA_DIR", t.TempDir())
	t.Setenv("GATEWAY_ADDR", "127.0.0.1:0")
	cfg, err := config.Load()
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// demoSize is how many customers the demo generates, of the product's 6000.
var demoSize = testsize.Of(1500, demoCustomers)

// gatewayUnderTest runs in this process.
type gatewayUnderTest struct {
	*App
	url    string // of the listener for operators
	client *client.Client
	stop   func() error
	logs   *gatewaytest.Buffer
}

func start(t *testing.T, cfg config.Config) *gatewayUnderTest {
	t.Helper()
	return startWith(t, cfg, Options{})
}

// startWith is start with options besides the log.
func startWith(t *testing.T, cfg config.Config, o Options) *gatewayUnderTest {
	t.Helper()
	logs := &gatewaytest.Buffer{}
	o.DemoCustomers = demoSize
	o.Log = slog.New(slog.NewJSONHandler(logs, nil))
	a, err := Open(t.Context(), cfg, o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- a.Serve(ctx) }()
	stop := sync.OnceValue(func() error { cancel(); return <-served })
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Errorf("stopping: %v", err)
		}
	})
	token, err := ReadAdminToken(cfg)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{MaxIdleConnsPerHost: 100}
	t.Cleanup(transport.CloseIdleConnections)
	return &gatewayUnderTest{App: a, url: a.URL(), stop: stop, logs: logs,
		client: &client.Client{BaseURL: a.URL(), Token: token, HTTP: &http.Client{Transport: transport}}}
}

// ready waits until /readyz is 200.
func (g *gatewayUnderTest) ready(t *testing.T) {
	t.Helper()
	gatewaytest.Eventually(t, "/readyz is 200", func() bool {
		res, err := http.Get(g.url + "/readyz")
		if err != nil {
			return false
		}
		defer res.Body.Close()
		_, _ = io.Copy(io.Discard, res.Body)
		return res.StatusCode == http.StatusOK
	})
}

// renew starts a renewal and waits for its end.
func (g *gatewayUnderTest) renew(t *testing.T, req api.RetrainRequest) *modelswap.Renewal {
	t.Helper()
	r, err := g.client.Retrain(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	return g.finished(t, r.ID)
}

func (g *gatewayUnderTest) finished(t *testing.T, id string) (r *modelswap.Renewal) {
	t.Helper()
	gatewaytest.Eventually(t, "the renewal has ended", func() bool {
		var err error
		if r, err = g.client.Renewal(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		return r.Status.Final()
	})
	return r
}

// importFile imports a file of customers.
func (g *gatewayUnderTest) importFile(t *testing.T, path string) {
	t.Helper()
	in, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	report, err := g.client.Import(t.Context(), "text/csv", in, client.ImportOptions{Strict: true}, nil)
	if err != nil || report.Imported != report.Rows || report.Rows == 0 {
		t.Fatalf("imported %+v (%v)", report, err)
	}
}

// secretOf writes the secret of a test's database into a file, and returns
// the file's id as a secret.
func secretOf(t *testing.T, address string, more map[string]any) (id string) {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	password, _ := u.User.Password()
	secret := map[string]any{"engine": "postgres", "host": u.Hostname(), "port": u.Port(), "username": u.User.Username(),
		"password": password, "dbname": strings.TrimPrefix(u.Path, "/")}
	for name, value := range more {
		secret[name] = value
	}
	text, err := json.Marshal(secret)
	if err != nil {
		t.Fatal(err)
	}
	return "file:" + gatewaytest.WriteFile(t, "db.json", string(text))
}
