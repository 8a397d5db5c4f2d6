package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"gateway/internal/datadir"
	"gateway/internal/outage"
	"gateway/internal/secrets"
	"gateway/internal/store"
)

// The engines, as data dirs record them.
const (
	engineSQLite   = "sqlite"
	enginePostgres = "postgres"
)

// openDatabase opens the database: SQLite in the data dir, or the one that
// gateways share. connector is nil for SQLite. It refuses a database that is not
// the one that the data dir belongs to, and records which that is.
func openDatabase(ctx context.Context, cfg Config, dir *datadir.Dir, v *secretOpener, log *slog.Logger) (s *store.Store, connector *store.Connector, err error) {
	engine, check := engineSQLite, dir.CheckSQLite
	if cfg.DBSecretID != "" {
		engine, check = enginePostgres, dir.Database
	}
	record, err := check()
	if err != nil {
		return nil, nil, &settingError{err}
	}
	if cfg.DBSecretID == "" {
		s, err = store.OpenSQLite(ctx, dir.Path(datadir.SQLiteFile))
	} else {
		s, connector, err = openPostgres(ctx, cfg, v, log)
	}
	if err != nil {
		return nil, nil, err
	}
	if err := checkIdentity(ctx, s, engine, dir, record); err != nil {
		return nil, nil, errors.Join(err, s.Close())
	}
	return s, connector, nil
}

func openPostgres(ctx context.Context, cfg Config, v *secretOpener, log *slog.Logger) (s *store.Store, connector *store.Connector, err error) {
	missing, err := cfg.databaseDefaults()
	if err != nil {
		return nil, nil, &settingError{err}
	}
	parse := func(s secrets.Secret) (store.PostgresServer, error) {
		d, err := secrets.ParseDatabase(missing)(s)
		if err != nil {
			return store.PostgresServer{}, err
		}
		server := store.PostgresServer{Host: d.Host, Port: d.Port, Database: d.Name,
			Username: d.Username, Password: d.Password.Reveal,
			SSLMode: d.SSLMode, SSLRootCert: d.SSLRootCert, RequireAuth: d.RequireAuth}
		return server, server.Check()
	}
	secret, err := openSecret(ctx, v, "DB_SECRET_ID", "database", cfg.DBSecretID, 0, parse)
	if err != nil {
		return nil, nil, err
	}
	for _, weakness := range databaseWarnings(secret) {
		log.Warn("the connection to the database is less protected than by default", "reason", weakness)
	}
	connector = store.NewConnector(logins{secret})
	s, err = awaitPostgres(ctx, cfg, connector, log)
	return s, connector, databaseError(err)
}

const (
	// databaseWait is how long after the first attempt to open the database the
	// next one is; it doubles up to maxDatabaseWait.
	databaseWait    = 250 * time.Millisecond
	maxDatabaseWait = 10 * time.Second
)

// awaitPostgres opens the database, and waits while it does not answer.
func awaitPostgres(ctx context.Context, cfg Config, connector *store.Connector, log *slog.Logger) (*store.Store, error) {
	var opens outage.Outage
	for wait := databaseWait; ; wait = min(2*wait, maxDatabaseWait) {
		s, err := store.OpenPostgres(ctx, connector, store.PostgresOptions{Lifetime: cfg.dbLifetime})
		if !store.Unavailable(err) || ctx.Err() != nil {
			if err == nil {
				opens.Succeeded(log.Info, "the database answers; the start goes on")
			}
			return s, err
		}
		if opens.Failed(log.Error, err, "the database does not answer; the start waits and tries again") && cfg.waiting != nil {
			cfg.waiting()
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return nil, fmt.Errorf("%w while waiting for the database: %w", ctx.Err(), err)
		}
	}
}

// databaseWarnings says what the settings of the connection give up, as of the
// secret's current version.
func databaseWarnings(secret *secrets.Rotating[store.PostgresServer]) []string {
	return secret.Current().Data.Weaknesses()
}

// databaseError names the setting where it is why the database could not be
// opened.
func databaseError(err error) error {
	var (
		unprotected *store.ProtectionError
		right       *store.PermissionError
	)
	switch {
	case errors.As(err, &unprotected):
		return &settingError{fmt.Errorf("GATEWAY_DB_SECRET_ID: %w. "+
			"The secret has sslmode, sslrootcert and require_auth, or else the settings GATEWAY_DB_SSLMODE, GATEWAY_DB_SSLROOTCERT and GATEWAY_DB_REQUIRE_AUTH", err)}
	case errors.As(err, &right), errors.Is(err, store.ErrSharedSessions):
		return &settingError{fmt.Errorf("GATEWAY_DB_SECRET_ID: %w", err)}
	}
	return err
}

// checkedAtStart is how large an SQLite file may be to be checked before the
// gateway serves. A larger one is checked while it does.
const checkedAtStart = 64 << 20

// checkPages looks for damaged pages in an SQLite database. stop ends the
// check and waits for it.
func checkPages(ctx context.Context, s *store.Store, log *slog.Logger) (stop func() error) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var running sync.WaitGroup
	stop = func() error {
		cancel()
		running.Wait()
		return nil
	}
	size := s.Size()
	if size == 0 { // it is new, or PostgreSQL
		return stop
	}
	running.Go(func() {
		start := time.Now()
		switch err := s.QuickCheck(ctx); {
		case err == nil:
			log.Info("checked the pages of the database file", "bytes", size, "took", time.Since(start).Round(time.Millisecond))
		case ctx.Err() == nil:
			log.Error("the check of the database file failed; the gateway goes on with what can be read", "error", err)
		}
	})
	if size <= checkedAtStart {
		running.Wait()
	}
	return stop
}

// logins are the versions of a database secret, as package store wants them.
type logins struct {
	secret *secrets.Rotating[store.PostgresServer]
}

// Login implements store.Logins.
func (l logins) Login(ctx context.Context, refused ...string) (store.Login, bool) {
	v, ok := l.secret.After(ctx, refused...)
	return store.Login{Version: v.Version, Server: v.Data}, ok
}

// Accepted implements store.Logins.
func (l logins) Accepted(version string) { l.secret.Accepted(version) }

// databaseDefaults are what a database secret may leave out.
func (c *Config) databaseDefaults() (secrets.Database, error) {
	d := secrets.Database{Name: c.DBName, SSLMode: c.DBSslmode, SSLRootCert: cmp.Or(c.DBSslrootcert, os.Getenv("PGSSLROOTCERT")), RequireAuth: c.DBRequireAuth}
	var err error
	if d.Host, d.Port, err = secrets.ParseHost(c.DBHost); err != nil {
		return d, fmt.Errorf("GATEWAY_DB_HOST: %w", err)
	}
	if strings.Contains(d.Name, "://") {
		return d, errors.New("GATEWAY_DB_NAME: must be the name of a database, not a URL")
	}
	return d, nil
}

// validateProtection checks the settings of the connection to the database.
func (c *Config) validateProtection(fault func(name, format string, args ...any)) {
	for _, setting := range []struct {
		name   string
		server store.PostgresServer
	}{
		{"DB_SSLMODE", store.PostgresServer{SSLMode: c.DBSslmode}},
		{"DB_SSLROOTCERT", store.PostgresServer{SSLRootCert: c.DBSslrootcert}},
		{"DB_REQUIRE_AUTH", store.PostgresServer{RequireAuth: c.DBRequireAuth}},
	} {
		if err := setting.server.CheckProtection(); err != nil {
			fault(setting.name, "%v", err)
		}
	}
}

// databaseMetrics shows the connections to the database, and its write
// transactions.
type databaseMetrics struct {
	store     *store.Store
	connector *store.Connector // nil for SQLite
}

var (
	connectionsDesc = prometheus.NewDesc("gateway_database_connections",
		"Connections to the database that are open, by whether they are in use or idle.", []string{"state"}, nil)
	openedDesc = prometheus.NewDesc("gateway_database_connections_opened_total",
		"Connections to the database that were made, each with the credentials of its day.", nil, nil)
	retriedDesc = prometheus.NewDesc("gateway_database_login_retries_total",
		"Logins that the database refused and that were tried again with another version of the secret.", nil, nil)
)

var (
	transactionsDesc = prometheus.NewDesc("gateway_database_transactions_total",
		"Write transactions that began, by class: urgent (single outcomes, idempotency keys, operators, renewals), "+
			"lists (pieces of lists of outcomes), bulk (pieces of imports, of the outbox and of what is removed).", []string{"class"}, nil)
	damagedDesc = prometheus.NewDesc("gateway_database_damaged",
		"1 if damage was found in the database since the start, 0 if not.", nil, nil)
	waitingDesc = prometheus.NewDesc("gateway_database_transactions_waiting",
		"Write transactions that wait for their turn, by class. Urgent ones come first, then lists, then bulk.", []string{"class"}, nil)
)

// Describe implements prometheus.Collector.
func (databaseMetrics) Describe(ch chan<- *prometheus.Desc) {
	ch <- connectionsDesc
	ch <- openedDesc
	ch <- retriedDesc
	ch <- transactionsDesc
	ch <- waitingDesc
	ch <- damagedDesc
}

// Collect implements prometheus.Collector.
func (m databaseMetrics) Collect(ch chan<- prometheus.Metric) {
	open, inUse := m.store.Connections()
	ch <- prometheus.MustNewConstMetric(connectionsDesc, prometheus.GaugeValue, float64(inUse), "in_use")
	ch <- prometheus.MustNewConstMetric(connectionsDesc, prometheus.GaugeValue, float64(open-inUse), "idle")
	for _, w := range m.store.Writes() {
		ch <- prometheus.MustNewConstMetric(transactionsDesc, prometheus.CounterValue, float64(w.Begun), w.Class)
		ch <- prometheus.MustNewConstMetric(waitingDesc, prometheus.GaugeValue, float64(w.Waiting), w.Class)
	}
	damaged := 0.0
	if m.store.Damaged() {
		damaged = 1
	}
	ch <- prometheus.MustNewConstMetric(damagedDesc, prometheus.GaugeValue, damaged)
	if m.connector == nil {
		return
	}
	opened, retried := m.connector.Opened()
	ch <- prometheus.MustNewConstMetric(openedDesc, prometheus.CounterValue, float64(opened))
	ch <- prometheus.MustNewConstMetric(retriedDesc, prometheus.CounterValue, float64(retried))
}
