package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"gateway/internal/pgtest"
	"gateway/internal/postgres"
)

// role is a user of the test server, whose password changes.
type role struct {
	t     *testing.T
	admin *pgx.Conn
	base  postgres.Server
	name  string
}

// newRole makes a user and gives it the database.
func newRole(t *testing.T) *role {
	t.Helper()
	address := pgtest.Database(t)
	admin, err := pgx.Connect(t.Context(), address)
	must(t, err)
	u, err := url.Parse(address)
	must(t, err)
	port, err := strconv.ParseUint(u.Port(), 10, 16)
	must(t, err)
	r := &role{t: t, admin: admin, name: "u_" + strings.TrimPrefix(u.Path, "/"),
		base: postgres.Server{Host: u.Hostname(), Port: uint16(port), Database: strings.TrimPrefix(u.Path, "/"), SSLMode: "disable"}}
	r.exec(`CREATE ROLE %s LOGIN PASSWORD 'one'`, r.name)
	r.exec(`ALTER DATABASE %s OWNER TO %s`, r.base.Database, r.name)
	t.Cleanup(func() {
		r.exec(`ALTER DATABASE %s OWNER TO CURRENT_USER`, r.base.Database)
		r.exec(`DROP OWNED BY %s`, r.name)
		r.exec(`DROP ROLE %s`, r.name)
		must(t, admin.Close(context.Background()))
	})
	return r
}

func (r *role) exec(statement string, args ...any) {
	r.t.Helper()
	if _, err := r.admin.Exec(context.Background(), fmt.Sprintf(statement, args...)); err != nil {
		r.t.Errorf("%s: %v", fmt.Sprintf(statement, args...), err)
	}
}

func (r *role) password(p string) { r.exec(`ALTER ROLE %s PASSWORD '%s'`, r.name, p) }

// login is a version whose name is its password.
func (r *role) login(password string) Login {
	server := r.base
	server.Username, server.Password = r.name, func() string { return password }
	return Login{Version: password, Server: server}
}

// passwords offers passwords, the first one first.
type passwords struct {
	*role
	mu       sync.Mutex
	all      []string
	accepted []string
}

func (p *passwords) Login(_ context.Context, refused ...string) (Login, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, password := range p.all {
		if !slices.Contains(refused, password) {
			return p.login(password), true
		}
	}
	return Login{}, false
}

func (p *passwords) Accepted(version string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.accepted = append(p.accepted, version)
}

func (p *passwords) offer(all ...string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.all = all
}

// fixed is a login that does not change.
type fixed Login

func (f fixed) Login(_ context.Context, refused ...string) (Login, bool) {
	return Login(f), !slices.Contains(refused, f.Version)
}

func (fixed) Accepted(string) {}

func ping(ctx context.Context, c *Connector) error {
	db := sql.OpenDB(c)
	return errors.Join(db.PingContext(ctx), db.Close())
}

func TestAConnectorTriesWhatIsNewerThanWhatWasRefused(t *testing.T) {
	t.Parallel()
	r := newRole(t)
	logins := &passwords{role: r, all: []string{"zero", "one", "two"}}
	c := NewConnector(logins)
	must(t, ping(t.Context(), c))
	opened, retried := c.Opened()
	want(t, "connections and refusals", []int64{opened, retried}, []int64{1, 1})
	want(t, "accepted", logins.accepted, []string{"one"})

	// What was refused may be right a moment later.
	logins.offer("two")
	done := make(chan error)
	go func() { done <- ping(t.Context(), c) }()
	for retried == 1 {
		time.Sleep(time.Millisecond)
		_, retried = c.Opened()
	}
	r.password("two")
	must(t, <-done)
}

func TestAConnectorMindsItsCallersDeadline(t *testing.T) {
	t.Parallel()
	r := newRole(t)
	c := NewConnector(&passwords{role: r, all: []string{"wrong-1", "wrong-2"}})
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	err := ping(ctx, c)
	if err == nil || !refusesLogin(err) && !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want that the login was refused", err)
	}
	direct, err := c.Connect(ctx)
	if direct != nil || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("with a context that has ended: got %v", err)
	}
	ctx, cancel = context.WithCancel(t.Context())
	go func() {
		defer cancel() // once both have been refused, whatever that takes
		_, before := c.Opened()
		for now := before; now < before+3; _, now = c.Opened() {
			time.Sleep(time.Millisecond)
		}
	}()
	_, err = c.Connect(ctx)
	if err == nil || !strings.Contains(err.Error(), "every version of the secret that was tried (wrong-1, wrong-2)") || !refusesLogin(err) {
		t.Errorf("got %v, want an error that names what was tried", err)
	}
}

func TestAConnectorDoesNotTryAgainWhatIsNotALogin(t *testing.T) {
	t.Parallel()
	r := newRole(t)
	server := r.login("one").Server
	server.Database = "nosuch"
	c := NewConnector(fixed{Server: server})
	err := ping(t.Context(), c)
	if err == nil || !strings.Contains(err.Error(), "nosuch") || strings.Contains(err.Error(), "one ") {
		t.Errorf("got %v, want an error that names the database", err)
	}
	if _, retried := c.Opened(); retried != 0 {
		t.Errorf("it was tried %d times more", retried)
	}
	if text := fmt.Sprintf("%v %+v %#v", Login{Server: r.login("hunter2").Server}, server, r.login("hunter2").Server); strings.Contains(text, "hunter2") {
		t.Errorf("a password was printed: %s", text)
	}
}

// Connections that are open go on when the password changes, and those that
// follow have the new one, without an error.
func TestAPasswordMayChangeUnderAStoreInUse(t *testing.T) {
	t.Parallel()
	r := newRole(t)
	logins := &passwords{role: r, all: []string{"one"}}
	c := NewConnector(logins)
	s, err := OpenPostgres(t.Context(), c, PostgresOptions{Lifetime: time.Millisecond})
	must(t, err)
	defer func() { must(t, s.Close()) }()
	ctx, stop := context.WithCancel(t.Context())
	var load sync.WaitGroup
	for range 8 {
		load.Go(func() {
			for ctx.Err() == nil {
				if err := s.Ping(context.Background()); err != nil {
					t.Errorf("Ping: %v", err)
					return
				}
			}
		})
	}
	for i := range 10 {
		next := fmt.Sprint("p", i)
		opened, retried := c.Opened()
		r.password(next)
		for now := retried; now == retried; _, now = c.Opened() { // until a login was refused
			time.Sleep(time.Millisecond)
		}
		logins.offer(next)
		for now := opened; now == opened; now, _ = c.Opened() { // until a login succeeded
			time.Sleep(time.Millisecond)
		}
	}
	stop()
	load.Wait()
	if open, inUse := s.Connections(); open > postgresReaders+postgresWriters || inUse != 0 {
		t.Errorf("%d connections are open and %d in use, want at most %d and none", open, inUse, postgresReaders+postgresWriters)
	}
	opened, retried := c.Opened()
	t.Logf("%d connections, %d logins tried again", opened, retried)
}

// Of two users who take turns, the second must not come to own what the first needs.
func TestTablesBelongToTheFirstOfTwoUsers(t *testing.T) {
	t.Parallel()
	r := newRole(t)
	r.exec(`CREATE ROLE %s_clone LOGIN PASSWORD 'clone' IN ROLE %s`, r.name, r.name)
	t.Cleanup(func() { r.exec(`DROP ROLE %s_clone`, r.name) })
	s, err := OpenPostgres(t.Context(), NewConnector(fixed(r.login("one"))), PostgresOptions{})
	must(t, err)
	// As if a later version had everything to add.
	_, err = s.write.Exec(`DO $$ DECLARE name TEXT; BEGIN
FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'goose_db_version' LOOP
    EXECUTE 'DROP TABLE ' || quote_ident(name) || ' CASCADE';
END LOOP; END $$`)
	must(t, err)
	_, err = s.write.Exec(`DELETE FROM goose_db_version WHERE version_id > 0`)
	must(t, err)
	must(t, s.Close())

	clone := r.login("clone")
	clone.Server.Username += "_clone"
	s, err = OpenPostgres(t.Context(), NewConnector(fixed(clone)), PostgresOptions{})
	must(t, err)
	defer func() { must(t, s.Close()) }()
	rows, err := s.read.Query(`SELECT tablename || ' ' || tableowner FROM pg_tables WHERE schemaname = 'public' AND tableowner <> $1`, r.name)
	must(t, err)
	defer rows.Close()
	for rows.Next() {
		var text string
		must(t, rows.Scan(&text))
		t.Errorf("a table belongs to another one: %s", text)
	}
	must(t, rows.Err())
	must(t, s.Ping(t.Context()))
}
