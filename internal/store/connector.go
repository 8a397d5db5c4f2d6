package store

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"

	"gateway/internal/postgres"
)

const (
	// loginTime bounds the time to make a connection, with all attempts. The caller's
	// deadline may be earlier.
	loginTime = 10 * time.Second
	// loginWait is the pause after a round of refused logins; it doubles up to
	// maxLoginWait.
	loginWait    = 10 * time.Millisecond
	maxLoginWait = 200 * time.Millisecond
)

// Logins supplies credentials. It is safe for concurrent use.
type Logins interface {
	// Login returns the login to try after the named versions were refused, or the
	// first one if none is named. It may wait for a newer version until ctx ends. ok is
	// false if there is no other version at the moment.
	Login(ctx context.Context, refused ...string) (login Login, ok bool)
	// Accepted is called with the version that the server accepted.
	Accepted(version string)
}

// Login is a server, with the user and password for it.
type Login struct {
	Version string // of the user and password
	Server  postgres.Server
}

// Connector makes connections to a PostgreSQL server whose password may change at
// any time. It asks for user and password whenever it makes a connection. A server
// does not close connections that were made with an earlier password; the pool
// closes them by age.
//
// A refused login is retried with a newer version until the caller's deadline. That
// is safe, since no statement has been sent.
type Connector struct {
	logins  Logins
	opened  atomic.Int64
	retries atomic.Int64
	retired atomic.Int64 // how often Retire was called
}

// NewConnector makes a Connector, for OpenPostgres.
func NewConnector(logins Logins) *Connector { return &Connector{logins: logins} }

// Opened returns how many connections were made, and how many refused logins were
// retried.
func (c *Connector) Opened() (opened, retried int64) { return c.opened.Load(), c.retries.Load() }

// Retire makes the pools drop all connections made until now, each before its next
// use.
func (c *Connector) Retire() { c.retired.Add(1) }

// sinceNow returns a function that reports whether Retire was called since.
func (c *Connector) sinceNow() func() bool {
	made := c.retired.Load()
	return func() bool { return c.retired.Load() != made }
}

// Driver implements driver.Connector.
func (*Connector) Driver() driver.Driver { return stdlib.GetDefaultDriver() }

// Connect implements driver.Connector.
func (c *Connector) Connect(ctx context.Context) (driver.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, loginTime)
	defer cancel()
	var (
		refused []string // in this round
		all     []string // ever
		refusal error
	)
	for wait := loginWait; ; {
		login, ok := c.logins.Login(ctx, refused...)
		if ok {
			conn, err := dial(ctx, login.Server, c.sinceNow())
			switch {
			case err == nil:
				c.logins.Accepted(login.Version)
				c.opened.Add(1)
				return conn, nil
			case ctx.Err() == nil && refusesLogin(err):
				c.retries.Add(1)
				refused, refusal = append(refused, login.Version), err
				if !slices.Contains(all, login.Version) {
					all = append(all, login.Version)
				}
				continue
			case refusal == nil:
				return nil, err
			}
			// The time ran out in a later attempt: the refusal says more.
		}
		select {
		case <-time.After(wait):
			refused, wait = nil, min(2*wait, maxLoginWait)
		case <-ctx.Done():
			if refusal == nil {
				return nil, ctx.Err()
			}
			return nil, fmt.Errorf("the server refused the login of every version of the secret that was tried (%s): %w",
				strings.Join(all, ", "), refusal)
		}
	}
}

// dial makes a connection that is not used again once retired returns true.
func dial(ctx context.Context, server postgres.Server, retired func() bool) (driver.Conn, error) {
	cfg, err := server.Config()
	if err != nil {
		return nil, failed("address", err)
	}
	reset := func(context.Context, *pgx.Conn) error {
		if retired() {
			return driver.ErrBadConn
		}
		return nil
	}
	conn, err := stdlib.GetConnector(*cfg, stdlib.OptionResetSession(reset)).Connect(ctx)
	return conn, postgres.Protected(err)
}

// refusesLogin reports whether the server refused the user or the password.
func refusesLogin(err error) bool {
	const invalidPassword, invalidAuthorization = "28P01", "28000"
	var pg *pgconn.PgError
	return errors.As(err, &pg) && (pg.Code == invalidPassword || pg.Code == invalidAuthorization)
}
