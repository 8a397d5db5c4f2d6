package pgtest

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// shared is the server of this test binary.
var shared struct {
	running atomic.Bool // Run has been called
	once    sync.Once
	server  *server // nil where TEST_PG_URL names one
	url     *url.URL
	err     error

	databases atomic.Int64 // made so far

	prepare     sync.Once
	prepared    string // database that Prepared copies
	preparedErr error
}

// Run runs the tests and stops the server, if they started one. It returns the
// exit code; TestMain must call it.
func Run(m *testing.M) int {
	shared.running.Store(true)
	code := m.Run()
	if shared.prepared != "" {
		if err := drop(shared.prepared); err != nil {
			fmt.Fprintln(os.Stderr, "pgtest:", err)
		}
	}
	if shared.server != nil {
		if err := shared.server.stop(); err != nil {
			fmt.Fprintln(os.Stderr, "pgtest:", err)
			code = max(code, 1)
		}
	}
	return code
}

// Database makes a new, empty database, which is dropped when the test ends,
// and returns its URL.
func Database(t testing.TB) string {
	t.Helper()
	needServer(t)
	return database(t, empty)
}

// Prepared is Database, but with what prepare put into the database that it was
// given. It is called once for a test binary, whichever test comes first, and
// must leave no connection open.
func Prepared(t testing.TB, prepare func(url string) error) string {
	t.Helper()
	needServer(t)
	shared.prepare.Do(func() {
		var name string
		if name, shared.preparedErr = create(empty); shared.preparedErr == nil {
			shared.prepared = name
			shared.preparedErr = prepare(urlOf(name))
		}
	})
	if shared.preparedErr != nil {
		t.Fatalf("pgtest: %v", shared.preparedErr)
	}
	return database(t, shared.prepared)
}

// needServer starts the server, unless it runs, or skips the test.
func needServer(t testing.TB) {
	t.Helper()
	if !shared.running.Load() {
		t.Fatal("pgtest: TestMain must call pgtest.Run")
	}
	shared.once.Do(func() { shared.server, shared.url, shared.err = theServer() })
	switch {
	case errors.Is(shared.err, errNoBinaries) && os.Getenv("CI") != "true":
		t.Skipf("pgtest: %v", shared.err)
	case shared.err != nil:
		t.Fatalf("pgtest: %v", shared.err)
	}
}

func database(t testing.TB, template string) string {
	t.Helper()
	name, err := create(template)
	if err != nil {
		t.Fatalf("pgtest: %v", err)
	}
	t.Cleanup(func() {
		if err := drop(name); err != nil {
			t.Errorf("pgtest: %v", err)
		}
	})
	return urlOf(name)
}

// empty is the template of every server from which any locale can be made.
const empty = "template0"

// create makes a database like template and returns its name.
func create(template string) (string, error) {
	// Several test binaries may share the server that TEST_PG_URL names.
	name := fmt.Sprintf("pgtest_%d_%d", os.Getpid(), shared.databases.Add(1))
	statement := `CREATE DATABASE ` + name + ` TEMPLATE ` + template + ` ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C'`
	if shared.server != nil {
		statement += shared.server.strategy()
	}
	return name, execute(statement)
}

// drop removes a database and ends its connections.
func drop(name string) error { return execute(`DROP DATABASE ` + name + ` WITH (FORCE)`) }

func urlOf(name string) string {
	u := *shared.url
	u.Path = "/" + name
	return u.String()
}

func theServer() (*server, *url.URL, error) {
	if given := os.Getenv("TEST_PG_URL"); given != "" {
		u, err := url.Parse(given)
		return nil, u, err
	}
	bin, err := binaries()
	if err != nil {
		return nil, nil, err
	}
	s, err := start(bin)
	if err != nil {
		return nil, nil, err
	}
	return s, s.url(), nil
}

// execute runs a statement as the owner of the server.
func execute(statement string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	conn, err := pgx.Connect(ctx, shared.url.String())
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, statement)
	return err
}
