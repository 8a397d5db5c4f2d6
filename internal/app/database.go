package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"gateway/internal/config"
	"gateway/internal/datadir"
	"gateway/internal/outage"
	"gateway/internal/postgres"
	"gateway/internal/secrets"
	"gateway/internal/store"
)

// The engines, as data dirs record them.
const (
	engineSQLite   = "sqlite"
	enginePostgres = "postgres"
)

// openDatabase opens the database: SQLite in the data dir, or the one that
// gateways share. It refuses a database that is not the one that the data dir
// belongs to, and records which that is.
func (c *components) openDatabase(ctx context.Context) error {
	engine, check, open := engineSQLite, c.dir.CheckSQLite, c.openSQLite
	if c.cfg.DBSecretID != "" {
		engine, check, open = enginePostgres, c.dir.Database, c.openPostgres
	}
	record, err := check()
	if err != nil {
		return &config.Error{Err: err}
	}
	if c.store, err = open(ctx); err != nil {
		return err
	}
	c.cleanups.add("database", c.store.Close)
	c.store.UseClock(c.now)
	if err := checkIdentity(ctx, c.store, engine, c.dir, record); err != nil {
		return err
	}
	c.cleanups.add("database check", checkPages(ctx, c.store, c.log))
	c.registry.MustRegister(databaseMetrics{c.store, c.connector})
	return nil
}

func (c *components) openSQLite(ctx context.Context) (*store.Store, error) {
	return store.OpenSQLite(ctx, c.dir.Path(datadir.SQLiteFile))
}

// openPostgres opens the database with the newest login that its secret has.
func (c *components) openPostgres(ctx context.Context) (*store.Store, error) {
	missing, err := c.cfg.DatabaseDefaults()
	if err != nil {
		return nil, &config.Error{Err: err}
	}
	parse := func(s secrets.Secret) (postgres.Server, error) { return postgresServer(s, missing) }
	secret, err := openSecret(ctx, c.secretOpener, "DB_SECRET_ID", "database", c.cfg.DBSecretID, 0, parse)
	if err != nil {
		return nil, err
	}
	// What the settings of the connection give up, as of the secret's current version.
	for _, weakness := range secret.Current().Data.Weaknesses() {
		c.log.Warn("the connection to the database is less protected than by default", "reason", weakness)
	}
	c.connector = store.NewConnector(logins{secret})
	s, err := c.awaitPostgres(ctx)
	return s, databaseError(err)
}

// postgresServer reads a version of the database secret; missing has what the
// secret may leave out.
func postgresServer(s secrets.Secret, missing secrets.Database) (postgres.Server, error) {
	d, err := secrets.ParseDatabase(missing)(s)
	if err != nil {
		return postgres.Server{}, err
	}
	server := postgres.Server{Host: d.Host, Port: d.Port, Database: d.Name,
		Username: d.Username, Password: d.Password.Reveal,
		SSLMode: d.SSLMode, SSLRootCert: d.SSLRootCert, RequireAuth: d.RequireAuth}
	return server, server.Check()
}

const (
	// databaseWait is how long after the first attempt to open the database the
	// next one is; it doubles up to maxDatabaseWait.
	databaseWait    = 250 * time.Millisecond
	maxDatabaseWait = 10 * time.Second
)

// awaitPostgres opens the database, and waits while it does not answer.
func (c *components) awaitPostgres(ctx context.Context) (*store.Store, error) {
	var opens outage.Outage
	for wait := databaseWait; ; wait = min(2*wait, maxDatabaseWait) {
		s, err := store.OpenPostgres(ctx, c.connector, store.PostgresOptions{Lifetime: c.options.databaseLifetime})
		if !store.Unavailable(err) || ctx.Err() != nil {
			if err == nil {
				opens.Succeeded(c.log.Info, "the database answers; the start goes on")
			}
			return s, err
		}
		if opens.Failed(c.log.Error, err, "the database does not answer; the start waits and tries again") {
			c.waiting()
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return nil, fmt.Errorf("%w while waiting for the database: %w", ctx.Err(), err)
		}
	}
}

// databaseError names the setting where it is why the database could not be
// opened.
func databaseError(err error) error {
	var (
		unprotected *postgres.ProtectionError
		right       *store.PermissionError
	)
	switch {
	case errors.As(err, &unprotected):
		return &config.Error{Err: fmt.Errorf("GATEWAY_DB_SECRET_ID: %w. "+
			"The secret has sslmode, sslrootcert and require_auth, or else the settings GATEWAY_DB_SSLMODE, GATEWAY_DB_SSLROOTCERT and GATEWAY_DB_REQUIRE_AUTH", err)}
	case errors.As(err, &right), errors.Is(err, store.ErrSharedSessions):
		return &config.Error{Err: fmt.Errorf("GATEWAY_DB_SECRET_ID: %w", err)}
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
	secret *secrets.Rotating[postgres.Server]
}

// Login implements store.Logins.
func (l logins) Login(ctx context.Context, refused ...string) (store.Login, bool) {
	v, ok := l.secret.After(ctx, refused...)
	return store.Login{Version: v.Version, Server: v.Data}, ok
}

// Accepted implements store.Logins.
func (l logins) Accepted(version string) { l.secret.Accepted(version) }
