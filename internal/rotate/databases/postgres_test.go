package databases

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"gateway/internal/pgtest"
	"gateway/internal/rotate"
	"gateway/internal/secrets"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Run(m)) }

// hard is a password with every character that could end a literal or a connection string.
const hard = `p'a"s\s$1@x%20;--/:`

// world is a database with a user app, a master who is no superuser, and the superuser's
// connection.
type world struct {
	t                 *testing.T
	super             *pgx.Conn
	app, master, base secrets.Database
}

func newWorld(t *testing.T) *world {
	t.Helper()
	address := pgtest.Database(t)
	u, err := url.Parse(address)
	must(t, err)
	port, err := strconv.ParseUint(u.Port(), 10, 16)
	must(t, err)
	w := &world{t: t, base: secrets.Database{Host: u.Hostname(), Port: uint16(port), Name: strings.TrimPrefix(u.Path, "/"), RequireAuth: "scram-sha-256"}}
	w.super, err = pgx.Connect(t.Context(), address)
	must(t, err)
	t.Cleanup(func() { _ = w.super.Close(context.Background()) })
	w.app, w.master = w.user("app", "first"), w.user("master", "of passwords")
	w.sql(`CREATE ROLE "%s" LOGIN PASSWORD 'first'`, w.app.Username)
	w.sql(`CREATE ROLE "%s" LOGIN CREATEROLE PASSWORD 'of passwords'`, w.master.Username)
	w.sql(`GRANT "%s" TO "%s" WITH ADMIN OPTION`, w.app.Username, w.master.Username)
	w.sql(`ALTER DATABASE "%s" OWNER TO "%s"`, w.base.Name, w.app.Username)
	t.Cleanup(func() {
		w.sql(`ALTER DATABASE "%s" OWNER TO CURRENT_USER`, w.base.Name)
		for _, kind := range []string{"app", "app_clone", "owner", "master"} {
			name := w.user(kind, "").Username
			w.sql(`DO $$ BEGIN IF EXISTS (SELECT FROM pg_roles WHERE rolname = '%[1]s') THEN DROP OWNED BY "%[1]s" CASCADE; DROP ROLE "%[1]s"; END IF; END $$`, name)
		}
	})
	return w
}

// user is a user of this database; roles belong to the whole server.
func (w *world) user(kind, password string) secrets.Database {
	d := w.base
	d.Username, d.Password = w.base.Name+" "+kind, secrets.New(password)
	return d
}

func (w *world) sql(format string, args ...any) {
	w.t.Helper()
	if _, err := w.super.Exec(context.Background(), fmt.Sprintf(format, args...)); err != nil {
		w.t.Errorf(format+": %v", append(args, err)...)
	}
}

func (w *world) logsIn(as secrets.Database, want bool) {
	w.t.Helper()
	_, err := Postgres{}.Login(w.t.Context(), as)
	if want && err != nil || !want && !errors.Is(err, rotate.ErrLogin) {
		w.t.Errorf("login of %s: got %v, want success: %v", as.Username, err, want)
	}
}

func (w *world) do(as secrets.Database, statements ...string) {
	w.t.Helper()
	err := Postgres{}.do(w.t.Context(), as, func(conn *pgx.Conn) error { return execute(w.t.Context(), conn, statements...) })
	if err != nil {
		w.t.Errorf("%s: %v", as.Username, err)
	}
}

func with(d secrets.Database, password string) secrets.Database {
	d.Password = secrets.New(password)
	return d
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestPasswordsArriveAsVerifiers(t *testing.T) {
	w := newWorld(t)
	must(t, Postgres{}.SetPassword(t.Context(), w.app, w.app.Username, secrets.New(hard)))
	w.logsIn(w.app, false)
	w.logsIn(with(w.app, hard), true)
	must(t, Postgres{}.SetPassword(t.Context(), w.master, w.app.Username, secrets.New("by-the-master")))
	w.logsIn(with(w.app, hard), false)
	w.logsIn(with(w.app, "by-the-master"), true)
	var stored string
	must(t, w.super.QueryRow(t.Context(), `SELECT rolpassword FROM pg_authid WHERE rolname = $1`, w.app.Username).Scan(&stored))
	if !strings.HasPrefix(stored, "SCRAM-SHA-256$4096:") {
		t.Errorf("the server stores %q", stored)
	}
}

func TestTwinsCanWorkWithWhatTheOtherMade(t *testing.T) {
	for _, owner := range []string{"app", "owner"} {
		t.Run("owner "+owner, func(t *testing.T) {
			w := newWorld(t)
			if owner == "app" {
				w.do(w.app, `CREATE TABLE before_all (n int)`)
			} else {
				w.sql(`CREATE ROLE "%[1]s owner"; GRANT "%[1]s owner" TO "%[1]s master" WITH ADMIN OPTION; ALTER DATABASE "%[1]s" OWNER TO "%[1]s owner"`, w.base.Name)
			}
			twins := rotate.Twins{Next: w.user("app_clone", "").Username, Other: w.app.Username, Owner: w.user(owner, "").Username}
			second := w.user("app_clone", "second")
			for range 2 { // again is the same
				must(t, Postgres{}.SetTwin(t.Context(), w.master, twins, second.Password))
			}
			w.logsIn(w.app, true)
			role, err := Postgres{}.Login(t.Context(), second)
			must(t, err)
			if role != twins.Owner {
				t.Errorf("the clone has the rights of %q, want %q", role, twins.Owner)
			}
			w.do(second, `CREATE TABLE of_second (n int)`, `CREATE SEQUENCE s`)
			w.do(w.app, `ALTER TABLE of_second ADD m int`, `INSERT INTO of_second VALUES (nextval('s'), 1)`, `CREATE TABLE of_first (n int)`)
			twins.Next, twins.Other = twins.Other, twins.Next
			third := with(w.app, "third")
			must(t, Postgres{}.SetTwin(t.Context(), w.master, twins, third.Password))
			w.logsIn(w.app, false)
			w.logsIn(second, true)
			w.do(second, `ALTER TABLE of_first ADD m int`, `DROP TABLE of_first`)
			w.do(third, `DROP TABLE of_second`, `DROP SEQUENCE s`)
			if owner == "app" {
				w.do(second, `DROP TABLE before_all`)
			}
		})
	}
}

// AWS's template leaves tables that belong to the clone.
func TestTablesOfTheCloneAreNamedBeforeAnythingIsChanged(t *testing.T) {
	w := newWorld(t)
	clone := w.user("app_clone", "old")
	w.sql(`CREATE ROLE "%s" LOGIN PASSWORD 'old'; GRANT CREATE ON DATABASE "%s" TO "%[1]s"`, clone.Username, w.base.Name)
	w.do(clone, `CREATE SCHEMA theirs`, `CREATE TABLE theirs.t (n int)`)
	twins := rotate.Twins{Next: clone.Username, Other: w.app.Username, Owner: w.app.Username}
	err := Postgres{}.SetTwin(t.Context(), w.master, twins, secrets.New("new"))
	want := fmt.Sprintf(`REASSIGN OWNED BY "%s" TO "%s"`, clone.Username, w.app.Username)
	first := fmt.Sprintf(`GRANT "%s" TO "%s"; `, w.app.Username, clone.Username) // a clone in use keeps its rights
	if err == nil || !strings.Contains(err.Error(), first+want) {
		t.Fatalf("got %v, want %s", err, first+want)
	}
	w.logsIn(clone, true)
	w.sql("%s", want)
	must(t, Postgres{}.SetTwin(t.Context(), w.master, twins, secrets.New("new")))
	w.logsIn(with(clone, "new"), true)
}

func TestAWrongNetworkIsNoWrongPassword(t *testing.T) {
	w := newWorld(t)
	closed := w.app
	closed.Port = 1
	_, err := Postgres{}.Login(t.Context(), closed)
	if !errors.Is(err, rotate.ErrUnreachable) || errors.Is(err, rotate.ErrLogin) {
		t.Errorf("a closed port: got %v", err)
	}
	// A load balancer whose targets are gone accepts connections and closes them.
	balancer, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer balancer.Close()
	go func() {
		for {
			conn, err := balancer.Accept()
			if err != nil {
				return
			}
			_ = conn.Close()
		}
	}()
	gone := w.app
	gone.Port = uint16(balancer.Addr().(*net.TCPAddr).Port)
	if _, err := (Postgres{}).Login(t.Context(), gone); !errors.Is(err, rotate.ErrUnreachable) {
		t.Errorf("a connection that is closed: got %v", err)
	}
	plain := w.app
	plain.SSLMode = "verify-full"
	if _, err := (Postgres{}).Login(t.Context(), plain); !errors.Is(err, rotate.ErrProtection) || errors.Is(err, rotate.ErrLogin) {
		t.Errorf("a server without TLS: got %v", err)
	}
	asleep := w.app
	asleep.Name = "missing"
	if _, err := (Postgres{}).Login(t.Context(), asleep); err == nil || errors.Is(err, rotate.ErrLogin) || errors.Is(err, rotate.ErrUnreachable) {
		t.Errorf("a database that does not exist: got %v", err)
	}
	w.sql(`ALTER ROLE "%s" NOLOGIN`, w.app.Username)
	if _, err := (Postgres{}).Login(t.Context(), w.app); err == nil || errors.Is(err, rotate.ErrLogin) {
		t.Errorf("a user who may not log in: got %v", err)
	}
}
