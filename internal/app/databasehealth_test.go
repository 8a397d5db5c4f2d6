package app

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"gateway/api"
	"gateway/internal/config"
	"gateway/internal/gatewaytest"
)

// database is what /readyz says of the database, which never makes it a 503 by
// itself.
func (g *gatewayUnderTest) database(t *testing.T) api.Condition {
	t.Helper()
	res, err := http.Get(g.url + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var ready api.Readiness
	if err := json.NewDecoder(res.Body).Decode(&ready); err != nil {
		t.Fatal(err)
	}
	c := ready.Dependencies["database"]
	if c.Detail != "" {
		t.Errorf("/readyz tells everyone %q", c.Detail)
	}
	return c
}

func (g *gatewayUnderTest) hasDatabase(t *testing.T, state, reason string) {
	t.Helper()
	gatewaytest.Eventually(t, "the database is "+state+" "+reason, func() bool {
		c := g.database(t)
		return c.State == state && c.Reason == reason
	})
}

// TestAPostgresThatTakesNoWritesIsDegraded does to the database what a failover
// does to the connections that a gateway has, and starts another gateway on it.
func TestAPostgresThatTakesNoWritesIsDegraded(t *testing.T) {
	cfg := newConfig(t)
	cfg.Demo = false
	cfg.DBSecretID = "file:" + gatewaytest.DatabaseSecret(t)
	g := start(t, cfg)
	g.hasDatabase(t, "ok", "")
	admin := adminOf(t, cfg)
	run := func(statement string) {
		t.Helper()
		if _, err := admin.Exec(t.Context(), statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
	name := pgx.Identifier{admin.Config().Database}.Sanitize()
	run(`ALTER DATABASE ` + name + ` SET default_transaction_read_only = on`)
	run(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`)
	g.hasDatabase(t, "degraded", "read_only")
	if m := gaugeOf(t, g, "gateway_dependency_up", `dependency="database"`); m != 0 {
		t.Errorf("gateway_dependency_up is %v", m)
	}
	page, err := g.client.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	text, _ := json.Marshal(page["dependencies"])
	if !strings.Contains(string(text), "is read-only") {
		t.Errorf("the status page does not say why: %s", text)
	}

	second := newConfig(t)
	second.Demo, second.DBSecretID = false, cfg.DBSecretID
	other := start(t, second)
	// A check whose time ran out does not know the reason yet.
	if c := other.database(t); c.State != "degraded" {
		t.Errorf("at the start of another gateway the database is %+v", c)
	}
	other.hasDatabase(t, "degraded", "read_only")

	run(`SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE`)
	run(`ALTER DATABASE ` + name + ` RESET default_transaction_read_only`)
	g.hasDatabase(t, "ok", "") // long before connections are five minutes old
	other.hasDatabase(t, "ok", "")
}

// adminOf is a connection to the gateway's database.
func adminOf(t *testing.T, cfg config.Config) *pgx.Conn {
	t.Helper()
	text, err := os.ReadFile(strings.TrimPrefix(cfg.DBSecretID, "file:"))
	if err != nil {
		t.Fatal(err)
	}
	var s struct {
		Host, Username, Password, Dbname string
		Port                             uint16
	}
	if err := json.Unmarshal(text, &s); err != nil {
		t.Fatal(err)
	}
	c, err := pgx.ParseConfig("sslmode=disable")
	if err != nil {
		t.Fatal(err)
	}
	c.Host, c.Port, c.User, c.Password, c.Database = s.Host, s.Port, s.Username, s.Password, s.Dbname
	conn, err := pgx.ConnectConfig(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(t.Context()) })
	return conn
}

// gaugeOf reads a gauge of /metrics.
func gaugeOf(t *testing.T, g *gatewayUnderTest, name, labels string) (value float64) {
	t.Helper()
	families, err := g.components.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			var all []string
			for _, l := range m.GetLabel() {
				all = append(all, l.GetName()+`="`+l.GetValue()+`"`)
			}
			if f.GetName() == name && strings.Contains(strings.Join(all, ","), labels) {
				return m.GetGauge().GetValue()
			}
		}
	}
	t.Fatalf("there is no metric %s with %s", name, labels)
	return 0
}

// TestADamagedDatabaseIsNoticedAtTheStart overwrites pages in the middle of the
// file of a gateway that was stopped.
func TestADamagedDatabaseIsNoticedAtTheStart(t *testing.T) {
	cfg := newConfig(t)
	g := startPrepared(t, cfg, demonstrated)
	g.hasDatabase(t, "ok", "")
	if m := gaugeOf(t, g, "gateway_database_damaged", ""); m != 0 {
		t.Errorf("gateway_database_damaged is %v", m)
	}
	if err := g.stop(); err != nil {
		t.Fatal(err)
	}
	path := cfg.DataDir + "/gateway.db"
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	const page = 4096
	size, err := file.Seek(0, io.SeekEnd)
	if err != nil || size < 200*page {
		t.Fatalf("the file has %d bytes (%v)", size, err)
	}
	if _, err := file.WriteAt(bytes.Repeat([]byte{0xa5}, 2*page), size/page/2*page); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}

	g = start(t, cfg)
	if c := g.database(t); c.State != "degraded" || c.Reason != "damaged" {
		t.Errorf("the database is %+v", c)
	}
	if m := gaugeOf(t, g, "gateway_database_damaged", ""); m != 1 {
		t.Errorf("gateway_database_damaged is %v", m)
	}
	if log := g.logs.String(); !strings.Contains(log, path+" has damaged pages; stop the gateway and restore a backup") {
		t.Errorf("the log does not say what is damaged and what to do: %s", log)
	}
}
