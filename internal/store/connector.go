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

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
)

const (
	// loginTime bounds the making of a connection, all tries included, where
	// the caller's own deadline is later.
	loginTime = 10 * time.Second
	// loginWait is how long after a round of refusals the next one begins; it
	// doubles up to maxLoginWait.
	loginWait    = 10 * time.Millisecond
	maxLoginWait = 200 * time.Millisecond
)

// Logins knows what to log in with. It is safe for concurrent use.
type Logins interface {
	// Login returns what to try after the versions named were refused; where
	// none is named, what to begin with. It may wait for something newer, but
	// not beyond ctx. ok is false where there is nothing else at the moment.
	Login(ctx context.Context, refused ...string) (login Login, ok bool)
	// Accepted is told which version the server took.
	Accepted(version string)
}

// Login is a server, and a user it lets in.
type Login struct {
	Version string // names the user and password
	Server  PostgresServer
}

// Connector makes connections to a PostgreSQL server whose password changes
// while we use it. User and password are asked for where a connection is born,
// so the pool need not know; a server does not end the connections of those who
// came in with an old password, and the pool retires them by age.
//
// A login that is refused is tried with something newer, again and again until
// the caller's deadline. That is safe: no statement has been sent.
type Connector struct {
	logins  Logins
	opened  atomic.Int64
	retries atomic.Int64
	retired atomic.Int64 // how often Retire was called
}

// NewConnector makes a Connector, for OpenPostgres.
func NewConnector(logins Logins) *Connector { return &Connector{logins: logins} }

// Opened returns how many connections have been made, and how many logins were
// refused on the way and tried again.
func (c *Connector) Opened() (opened, retried int64) { return c.opened.Load(), c.retries.Load() }

// Retire makes the pools drop the connections that were made before, each when
// it would be used the next time.
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
			conn, err := login.Server.connect(ctx, c.sinceNow())
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
			// Out of time in a later try: the refusal says more.
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

// refusesLogin reports whether a server turned down the user or the password.
func refusesLogin(err error) bool {
	const invalidPassword, invalidAuthorization = "28P01", "28000"
	var pg *pgconn.PgError
	return errors.As(err, &pg) && (pg.Code == invalidPassword || pg.Code == invalidAuthorization)
}
