package app

import (
	"database/sql"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"gateway/api"
	"gateway/api/edge"
	"gateway/internal/gatewaytest"
	"gateway/internal/pgtest"
)

// mistreated is a gateway under load on a database that fails.
type mistreated struct {
	*gatewayUnderTest
	server *pgtest.Server
	owner  *sql.DB // of the database
	load   *gatewaytest.Load
	t      *testing.T
}

// role makes, or makes again, the user that the gateway is.
func (m *mistreated) role() {
	m.t.Helper()
	for _, statement := range []string{
		`CREATE ROLE gateway LOGIN PASSWORD 'gateway-password'`,
		`GRANT ALL ON ALL TABLES IN SCHEMA public TO gateway`,
		`GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO gateway`,
	} {
		if _, err := m.owner.Exec(statement); err != nil {
			m.t.Fatal(err)
		}
	}
}

func (m *mistreated) dropRole() {
	m.t.Helper()
	for _, statement := range []string{
		`DROP OWNED BY gateway`, `DROP ROLE gateway`,
		`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND usename IS DISTINCT FROM current_user`,
	} {
		if _, err := m.owner.Exec(statement); err != nil {
			m.t.Fatal(err)
		}
	}
}

// databaseAs writes the secret of the server's database for a user.
func databaseAs(t *testing.T, address, user, password string) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(u.Port())
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(map[string]any{"engine": "postgres", "host": u.Hostname(), "port": port, "username": user,
		"password": password, "dbname": strings.TrimPrefix(u.Path, "/"), "sslmode": "disable"})
	if err != nil {
		t.Fatal(err)
	}
	return gatewaytest.WriteFile(t, "database.json", string(text))
}

// newMistreated starts a gateway with a model on a server whose disk has size bytes.
func newMistreated(t *testing.T, size int) *mistreated {
	m := &mistreated{t: t, server: pgtest.New(t, size)}
	var err error
	if m.owner, err = sql.Open("pgx", m.server.URL()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.owner.Close() })
	cfg := newConfig(t)
	cfg.Demo = false
	u, _ := url.Parse(m.server.URL())
	password, _ := u.User.Password()
	// The owner makes the tables; the gateway then works as a user of its own.
	cfg.DBSecretID = "file:" + databaseAs(t, m.server.URL(), u.User.Username(), password)
	first := start(t, cfg)
	first.model(t)
	if err := first.stop(); err != nil {
		t.Fatal(err)
	}
	m.role()
	cfg.DBSecretID = "file:" + databaseAs(t, m.server.URL(), "gateway", "gateway-password")
	m.gatewayUnderTest = start(t, cfg)
	m.ready(t)
	const perSecond = 1000 // which the database can take, so that it catches up
	m.load = gatewaytest.StartPaced(m.url, 4, perSecond, false)
	return m
}

// readiness is what /readyz says.
func (m *mistreated) readiness() (status int, r api.Readiness) {
	m.t.Helper()
	res, err := http.Get(m.url + "/readyz")
	if err != nil {
		m.t.Fatal(err)
	}
	defer res.Body.Close()
	if err := json.NewDecoder(res.Body).Decode(&r); err != nil {
		m.t.Fatal(err)
	}
	return res.StatusCode, r
}

// outage lets the database fail and come back. Meanwhile predictions go on and
// /readyz is 200 and says degraded; afterwards what waited is drained.
func (m *mistreated) outage(what string, fail, heal func()) {
	m.t.Helper()
	const more = 300
	fail()
	gatewaytest.Eventually(m.t, what+": /readyz says that the ledger is degraded", func() bool {
		status, r := m.readiness()
		if status != http.StatusOK {
			m.t.Fatalf("%s: /readyz is %d", what, status)
		}
		return r.Status == "degraded" && r.Dependencies["ledger"].State == "degraded"
	})
	before := m.load.N.Load()
	gatewaytest.Eventually(m.t, what+": predictions go on", func() bool { return m.load.N.Load() > before+more })
	waiting := m.components.outbox.Stats().Rows
	if waiting < more {
		m.t.Errorf("%s: %d rows wait, want those that were predicted meanwhile", what, waiting)
	}
	heal()
	gatewaytest.Eventually(m.t, what+": the ledger has recovered", func() bool {
		_, r := m.readiness()
		return r.Status == "ok" && m.components.outbox.Stats().Rows < waiting
	})
	m.t.Logf("%s: %d rows waited, %d predictions so far, %d failed", what, waiting, m.load.N.Load(), m.load.Failed.Load())
}

// settle ends the load and holds the ledger against it.
func (m *mistreated) settle() {
	m.t.Helper()
	answered := m.load.End()
	if n := m.load.Failed.Load(); n > 0 {
		m.t.Errorf("%d predictions failed, the first with %s", n, m.load.First)
	}
	m.drained(m.t)
	if s := m.components.outbox.Stats(); s.Dropped+s.SetAside > 0 {
		m.t.Errorf("stats are %+v, want nothing dropped and nothing set aside", s)
	}
	ledger := gatewaytest.InLedger(m.t, "pgx", m.server.URL())
	gatewaytest.WantOnce(m.t, answered, ledger)
	if len(ledger) != len(answered) {
		m.t.Errorf("the ledger has %d rows, want those %d that were answered", len(ledger), len(answered))
	}
	m.t.Logf("%d predictions, each once in the ledger", len(answered))
}

// TestTheDatabaseFailsUnderLoad stops a real Postgres, freezes it, takes the
// gateway's role away and restarts it, all under load.
func TestTheDatabaseFailsUnderLoad(t *testing.T) {
	m := newMistreated(t, 0)
	p, err := m.client.Predict(t.Context(), api.PredictionRequest{Features: gatewaytest.Sample()})
	if err != nil {
		t.Fatal(err)
	}
	m.load.Add(p.PredictionID)
	outcome := api.Outcome{PredictionID: p.PredictionID, Outcome: 1}

	m.outage("stopped", func() {
		m.server.Stop()
		_, err := m.client.Outcome(t.Context(), outcome)
		var problem *edge.Problem
		if !errors.As(err, &problem) || problem.Status != http.StatusServiceUnavailable {
			t.Errorf("an outcome while the database is down: %v, want 503", err)
		}
		status, err := http.NewRequest(http.MethodGet, m.url+"/admin/status", nil)
		if err != nil {
			t.Fatal(err)
		}
		status.Header.Set("Authorization", "Bearer "+m.client.Token)
		res, err := http.DefaultClient.Do(status)
		if err != nil || res.StatusCode != http.StatusOK {
			t.Fatalf("/admin/status: %v, %v", res, err)
		}
		var page struct {
			Outbox struct{ Rows, Bytes int64 }
		}
		if err := json.NewDecoder(res.Body).Decode(&page); err != nil || page.Outbox.Rows == 0 || page.Outbox.Bytes == 0 {
			t.Errorf("/admin/status says %+v (%v)", page, err)
		}
		_ = res.Body.Close()
	}, m.server.Start)
	match, err := m.client.Outcome(t.Context(), outcome)
	if err != nil || match.Duplicate {
		t.Errorf("the outcome sent again: %+v (%v), want it to be new", match, err)
	}
	m.outage("frozen", m.server.Pause, m.server.Resume)
	m.outage("role dropped", m.dropRole, m.role)

	// A restart may be over before anybody has noticed it.
	m.server.Stop()
	m.server.Start()
	before := m.load.N.Load()
	gatewaytest.Eventually(t, "restarted: predictions go on", func() bool { return m.load.N.Load() > before+300 })
	m.settle()
}

// TestTheDatabasesDiskIsFull fills the disk of a real Postgres under load.
func TestTheDatabasesDiskIsFull(t *testing.T) {
	m := newMistreated(t, 160<<20)
	var free func()
	m.outage("disk full", func() { free = m.server.Fill() }, func() {
		free()
		alive := m.server.Alive()
		t.Logf("the server is alive after its disk was full: %v", alive)
		if !alive { // it may have given up, as it does where its log has no room
			m.server.Stop()
			m.server.Start()
		}
	})
	m.settle()
}
