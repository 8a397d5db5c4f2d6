package store

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gateway/internal/failure"
	"gateway/internal/predict"
)

// wantFault checks for a fault with its reason, and that the text names what it must.
func wantFault(t testing.TB, err error, reason string, named ...string) {
	t.Helper()
	var f *Fault
	if !errors.As(err, &f) || f.Reason() != reason {
		t.Errorf("got error %v, want a fault with the reason %s", err, reason)
		return
	}
	for _, name := range named {
		if !strings.Contains(err.Error(), name) {
			t.Errorf("the error %q does not name %q", err, name)
		}
	}
}

// clock sets the time of a store by hand.
func clock(s *Line) func(time.Duration) {
	now := epoch
	s.now = func() time.Time { return now }
	return func(d time.Duration) { now = now.Add(d) }
}

// testHealth: a check writes a row where no other write has shown lately that
// the database can be written.
func testHealth(t *testing.T, open opener) {
	s := open(t)
	pass := clock(s)
	writes := func(want int64) {
		t.Helper()
		must(t, s.Check(t.Context()))
		if got := begunOf(s, urgent); got != want {
			t.Errorf("%d write transactions, want %d", got, want)
		}
	}
	writes(1)
	writes(1)
	pass(probeEvery - time.Second)
	writes(1)
	pass(time.Second)
	writes(2)
	pass(probeEvery - time.Second)
	putMany(t, s, "c", fewRows)
	pass(time.Second)
	writes(3)
	wantKind(t, s.Append(t.Context(), []predict.Prediction{{ID: "p", CreatedAt: epoch, Label: 7}}), failure.Invalid, "a value cannot be stored")
	writes(4)
}

// A check while another one writes its row waits for the result. A check whose write
// shows nothing leaves the database in doubt.
func TestChecksWaitForTheProbe(t *testing.T) {
	t.Parallel()
	s := openAt(t, filepath.Join(t.TempDir(), "gateway.db"))
	pass := clock(s)
	must(t, s.Check(t.Context()))
	pass(probeEvery)
	s.health.probing <- struct{}{} // a probe under way
	ended, end := context.WithCancel(t.Context())
	end()
	if err := s.Check(ended); !errors.Is(err, context.Canceled) {
		t.Errorf("beside a probe under way, got %v", err)
	}
	<-s.health.probing
	must(t, s.turns.begin(t.Context(), urgent)) // so that the write of a probe has to wait
	for range 2 {
		brief, end := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer end()
		if err := s.Check(brief); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("with a write that shows nothing, got %v", err)
		}
	}
	s.turns.end(urgent)
	must(t, s.Check(t.Context()))
}

// A failover, as a pool sees it: sessions end, and new ones take no writes. The
// connections to such a server are not kept until they are old.
func TestPostgresThatTakesNoWrites(t *testing.T) {
	t.Parallel()
	r := newRole(t)
	s, err := onLine(OpenPostgres(t.Context(), NewConnector(fixed(r.login("one"))), PostgresOptions{}))
	must(t, err)
	t.Cleanup(func() { must(t, s.Close()) })
	pass := clock(s)
	put(t, s, predict.Customer{ID: "c", Features: []byte(`{}`)})
	must(t, s.Check(t.Context()))

	r.exec(`ALTER ROLE %s SET default_transaction_read_only = on`, r.name)
	r.exec(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '%s'`, r.name)
	pass(probeEvery)
	for range 3 { // a look may meet a session that has ended
		_ = s.Check(t.Context())
		pass(probeAgain)
	}
	wantFault(t, s.Check(t.Context()), readOnly, "is read-only", "25006")
	if _, err := s.Features(t.Context(), []string{"c"}); err != nil {
		t.Errorf("a read-only server is not read: %v", err)
	}
	if _, err := s.RecordOutcomes(t.Context(), []predict.Outcome{ofCustomer("c", 1, 0)}); !isReadOnly(err) {
		t.Errorf("got %v, want an error that says that it is read-only", err)
	}

	r.exec(`ALTER ROLE %s RESET default_transaction_read_only`, r.name) // for new sessions
	pass(retireEvery)
	_, _ = s.RecordOutcomes(t.Context(), []predict.Outcome{ofCustomer("c", 1, 0)}) // it may meet an old one
	record(t, s, ofCustomer("c", 1, 0))
	must(t, s.Check(t.Context()))
	var states int
	must(t, s.read.QueryRow(`SELECT count(*) FROM pg_stat_activity WHERE usename = current_user AND current_setting('transaction_read_only') = 'on'`).Scan(&states))
	want(t, "reading sessions that take no writes", states, 0)
}

// What the user may not do shows at the start.
func TestPostgresUsersWhoCannotWrite(t *testing.T) {
	for _, c := range []struct{ name, grant, reason string }{
		{"a reader's endpoint", `ALTER ROLE %[1]s_reader SET default_transaction_read_only = on; GRANT %[1]s TO %[1]s_reader`, readOnly},
		{"a user with SELECT alone", `GRANT SELECT ON ALL TABLES IN SCHEMA public TO %[1]s_reader`, noPermission},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := newRole(t)
			s, err := onLine(OpenPostgres(t.Context(), NewConnector(fixed(r.login("one"))), PostgresOptions{}))
			must(t, err)
			_, err = s.Identity(t.Context(), "")
			must(t, err)
			must(t, s.Close())
			r.exec(`CREATE ROLE %[1]s_reader LOGIN PASSWORD 'reader'`, r.name)
			t.Cleanup(func() {
				r.exec(`DROP OWNED BY %s_reader`, r.name)
				r.exec(`DROP ROLE %s_reader`, r.name)
			})
			r.exec(c.grant, r.name)
			reader := r.login("reader")
			reader.Server.Username += "_reader"
			s, err = onLine(OpenPostgres(t.Context(), NewConnector(fixed(reader)), PostgresOptions{}))
			must(t, err)
			defer func() { must(t, s.Close()) }()
			_, err = s.Identity(t.Context(), "") // only reads, and commits
			must(t, err)
			wantFault(t, s.Check(t.Context()), c.reason)
		})
	}
}

func TestSQLiteFileThatWasMoved(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "gateway.db")
	s := openAt(t, path)
	pass := clock(s)
	must(t, s.Check(t.Context()))
	for name, replace := range map[string]func() error{
		"moved":    func() error { return nil },
		"replaced": func() error { return os.WriteFile(path, nil, 0o600) },
	} {
		must(t, os.Rename(path, path+".elsewhere"))
		must(t, replace())
		pass(time.Second)
		wantFault(t, s.Check(t.Context()), moved, path)
		if err := s.Append(t.Context(), []predict.Prediction{newPrediction(name)}); err == nil {
			t.Errorf("%s: a row was written to a file that no start finds", name)
		}
		must(t, os.Rename(path+".elsewhere", path))
		pass(time.Second)
		must(t, s.Check(t.Context()))
		must(t, s.Append(t.Context(), []predict.Prediction{newPrediction(name)}))
	}
}

func TestSQLiteFullDiskShowsInTheCheck(t *testing.T) {
	t.Parallel()
	s := openTestSQLite(t)
	pass := clock(s)
	must(t, s.Check(t.Context()))
	var pages int
	must(t, s.write.QueryRow(`PRAGMA max_page_count = 1`).Scan(&pages))
	large := newPrediction("large")
	large.Features = []byte(`{"x":"` + strings.Repeat("x", 100000) + `"}`)
	if err := s.Append(t.Context(), []predict.Prediction{large}); err == nil {
		t.Fatal("the disk is not full")
	}
	s.health.probed = s.now()
	wantFault(t, s.Check(t.Context()), diskFull)
	must(t, s.write.QueryRow(`PRAGMA max_page_count = 100000`).Scan(&pages))
	pass(probeAgain)
	must(t, s.Check(t.Context()))
}

// damagedDatabase makes a database of some hundred pages and overwrites bytes.
func damagedDatabase(t *testing.T, from, to int) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "gateway.db")
	s, err := onLine(OpenSQLite(t.Context(), path))
	must(t, err)
	putMany(t, s, strings.Repeat("customer", 10), 2000)
	must(t, s.QuickCheck(t.Context()))
	must(t, s.Close())
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	must(t, err)
	_, err = file.WriteAt(bytes.Repeat([]byte{0xa5}, to-from), int64(from))
	must(t, errors.Join(err, file.Close()))
	return path
}

func TestSQLiteDamagedPages(t *testing.T) {
	t.Parallel()
	path := damagedDatabase(t, 60*4096, 62*4096)
	s := openAt(t, path)
	must(t, s.Check(t.Context()))
	want(t, "damaged before the check", s.Damaged(), false)
	wantFault(t, s.QuickCheck(t.Context()), damaged, path, "restore a backup")
	wantFault(t, s.Check(t.Context()), damaged, path)
	want(t, "damaged", s.Damaged(), true)
	must(t, s.Append(t.Context(), []predict.Prediction{newPrediction("p")})) // what is sound goes on
	wantFault(t, s.Check(t.Context()), damaged, path)
}

func TestSQLiteDamagedFromTheStart(t *testing.T) {
	t.Parallel()
	path := damagedDatabase(t, 0, 4096)
	_, err := OpenSQLite(t.Context(), path)
	wantFault(t, err, damaged, path, "restore a backup")
}

// A backup as docs/operations.md has it: by another connection, while the store
// is written to.
func TestSQLiteBackup(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "gateway.db")
	s := openAt(t, path)
	putMany(t, s, "before", 1000)
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
				putMany(t, s, fmt.Sprint("meanwhile-", i), 100)
			}
		}
	}()
	other, err := sql.Open("sqlite", path)
	must(t, err)
	backup := path + ".backup"
	_, err = other.Exec(`VACUUM INTO ?`, backup)
	must(t, errors.Join(err, other.Close()))
	close(stop)
	<-stopped
	must(t, s.Check(t.Context()))

	restored := openAt(t, backup)
	must(t, restored.QuickCheck(t.Context()))
	n, all := countRows(t, restored, "customers"), countRows(t, s, "customers")
	if n < 1000 || n > all {
		t.Errorf("the backup has %d customers, of 1000 before it and %d after it", n, all)
	}
	put(t, restored, predict.Customer{ID: "c", Features: []byte(`{}`)})
	record(t, restored, ofCustomer("c", 1, 0))
}
