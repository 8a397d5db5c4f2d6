package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gateway/internal/failure"
	"gateway/internal/modelswap"
	"gateway/internal/predict"
)

func TestSQLiteFilesAreTheOwnersOnly(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "gateway.db")
	s := openAt(t, path)
	must(t, s.Append(t.Context(), []predict.Prediction{newPrediction("p")}))
	for _, suffix := range []string{"", "-wal", "-shm"} {
		info, err := os.Stat(path + suffix)
		must(t, err)
		want(t, "mode of gateway.db"+suffix, info.Mode(), os.FileMode(0o600))
	}
}

func TestSQLiteKeepsEverythingWhenReopened(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "gateway.db")
	s := openAt(t, path)
	must(t, s.Append(t.Context(), []predict.Prediction{predictionFor("p", "c", epoch)}))
	record(t, s, ofPrediction("p", 1, 5))
	r := fullRenewal()
	must(t, s.InsertRenewal(t.Context(), r))
	customers := allCustomers(t, s)
	must(t, s.Close())
	if _, err := os.Stat(path + "-wal"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the log after Close: got %v, want it gone", err)
	}

	s = openAt(t, path)
	want(t, "customers", allCustomers(t, s), customers)
	want(t, "renewal", readRenewal(t, s, r.ID), r)
	wantKind(t, s.InsertRenewal(t.Context(), newRenewal("other", modelswap.Queued, 9)), failure.Conflict,
		"renewal full is still running")
	want(t, "next sequence number", record(t, s, ofPrediction("p", 0, 6))[0].Duplicate, false)
	want(t, "outcome", allCustomers(t, s)["c"].Outcome, int64(2))
}

// In virtual time only the rests take any.
func TestAFewRowsAreBroughtToSQLiteGently(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := openAt(t, filepath.Join(t.TempDir(), "gateway.db"))
		for _, tt := range []struct {
			rows  int
			rests time.Duration
		}{{1, 0}, {restAfter, 0}, {restAfter + 1, 1}, {GentleRows, GentleRows/restAfter - 1}, {GentleRows + 1, 0}} {
			var rows []predict.Prediction
			for i := range tt.rows {
				rows = append(rows, newPrediction(fmt.Sprint(tt.rows, "-", i)))
			}
			start := time.Now()
			must(t, s.Append(t.Context(), rows))
			want(t, fmt.Sprint("time of ", tt.rows, " rows"), time.Since(start), tt.rests*restTime)
		}
		must(t, s.Close())
	})
}

func TestSQLiteTakesAnyPath(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	for _, path := range []string{"relative.db", "a b?c=d&e%20f#g.db", filepath.Join(dir, "é+😀.db")} {
		s := openAt(t, path)
		must(t, s.Append(t.Context(), []predict.Prediction{newPrediction("p")}))
		must(t, s.Close())
		if _, err := os.Stat(path); err != nil {
			t.Error(err)
		}
	}
	files, err := filepath.Glob("*")
	must(t, err)
	want(t, "files", len(files), 3)
}

func TestSQLiteRefusesWhatItCannotOpen(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	t.Run("a database of a newer version", func(t *testing.T) {
		t.Parallel()
		path := filepath.Join(t.TempDir(), "gateway.db")
		s := openAt(t, path)
		_, err := s.write.Exec(`INSERT INTO goose_db_version (version_id, is_applied) VALUES (999, 1)`)
		must(t, err)
		must(t, s.Close())
		_, err = OpenSQLite(ctx, path)
		if !errors.Is(err, ErrNewer) {
			t.Fatalf("got %v, want ErrNewer", err)
		}
		wanted := "store: migrate: the database was made by a newer version of the gateway: " +
			"its tables are of version 999, and this one knows them up to "
		if !strings.HasPrefix(err.Error(), wanted) {
			t.Errorf("got %q, want it to begin with %q", err, wanted)
		}
	})
	t.Run("a file that is no database", func(t *testing.T) {
		t.Parallel()
		path := filepath.Join(t.TempDir(), "gateway.db")
		text := strings.Repeat("customer_id,age\n", 100)
		must(t, os.WriteFile(path, []byte(text), 0o600))
		if _, err := OpenSQLite(ctx, path); err == nil {
			t.Error("got no error")
		}
		now, err := os.ReadFile(path)
		must(t, err)
		want(t, "file", string(now), text)
	})
	t.Run("a folder that does not exist", func(t *testing.T) {
		t.Parallel()
		if _, err := OpenSQLite(ctx, filepath.Join(t.TempDir(), "none", "gateway.db")); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("got %v, want os.ErrNotExist", err)
		}
	})
}

func TestSQLiteSettings(t *testing.T) {
	t.Parallel()
	s := openTestSQLite(t)
	for name, wanted := range map[string]string{
		"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1", "busy_timeout": "5000",
	} {
		var got string
		must(t, s.write.QueryRow(`PRAGMA `+name).Scan(&got))
		want(t, name, got, wanted)
	}
	if _, err := s.read.Exec(`DELETE FROM predictions`); err == nil {
		t.Error("a write on a reading connection: got no error")
	}
}

func TestSQLiteWritersHoldTheLockFromTheStart(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "gateway.db")
	tx := holdWriter(t, openAt(t, path))
	// As a transaction that reads first and is refused its later write could
	// not simply be tried again.
	other, err := sql.Open("sqlite", dsn(path, url.Values{"_txlock": {"immediate"}, "_pragma": {"busy_timeout(0)"}}))
	must(t, err)
	defer other.Close()
	if _, err := other.Begin(); err == nil || !strings.Contains(err.Error(), "locked") {
		t.Errorf("a second writer: got %v, want it locked out", err)
	}
	must(t, tx.Rollback())
	second, err := other.Begin()
	must(t, err)
	must(t, second.Rollback())
}

func TestTimesAreReadBackInUTC(t *testing.T) {
	t.Parallel()
	for _, us := range []int64{0, micros(time.Time{}), micros(epoch)} {
		if got := fromMicros(us); got.Location() != time.UTC || micros(got) != us {
			t.Errorf("fromMicros(%d): got %v", us, got)
		}
	}
	want(t, "the zero time is kept", fromMicros(micros(time.Time{})).IsZero(), true)
}

// A full disk is imitated by the limit that SQLite itself has for its files.
func TestSQLiteFullDisk(t *testing.T) {
	t.Parallel()
	s := openTestSQLite(t)
	ctx := t.Context()
	must(t, s.Append(ctx, []predict.Prediction{newPrediction("before")}))
	var pages int
	must(t, s.write.QueryRow(`PRAGMA max_page_count = 1`).Scan(&pages)) // it becomes what there is
	large := newPrediction("large")
	large.Features = []byte(`{"x":"` + strings.Repeat("x", 100000) + `"}`)
	for range 10 {
		err := s.Append(ctx, []predict.Prediction{large})
		var e *failure.Error
		if err == nil || errors.As(err, &e) || !strings.Contains(err.Error(), "full") {
			t.Errorf("got %v, want an error of ours that says what is full", err)
		}
	}
	must(t, s.Ping(ctx))
	want(t, "rows", countRows(t, s, "predictions"), 1)
	must(t, s.write.QueryRow(`PRAGMA max_page_count = 100000`).Scan(&pages))
	must(t, s.Append(ctx, []predict.Prediction{large}))
}

// What Append leaves to Flush, all others do not.
func TestOnlyAppendIsNotFlushed(t *testing.T) {
	s := openTestSQLite(t)
	ctx := t.Context()
	const normal, full = 1, 2 // PRAGMA synchronous
	level := func(q interface {
		QueryRowContext(context.Context, string, ...any) *sql.Row
	},
	) (level int) {
		t.Helper()
		must(t, q.QueryRowContext(ctx, "PRAGMA synchronous").Scan(&level))
		return level
	}
	fault := errors.New("a fault")
	for _, fails := range []error{nil, fault} {
		err := s.inTurn(ctx, writing{operation: "test", unflushed: true}, func(tx *sql.Tx) error {
			if got := level(tx); got != normal {
				t.Errorf("in Append the level is %d, want %d", got, normal)
			}
			return fails
		})
		if !errors.Is(err, fails) {
			t.Errorf("got %v, want %v", err, fails)
		}
		if got := level(s.write); got != full {
			t.Errorf("after an Append that ends with %v the level is %d, want %d", fails, got, full)
		}
	}
	bad := predictionFor(failure.NewID(), "10042", epoch)
	bad.Caller, bad.Label = "shop", 2
	if err := s.Append(ctx, []predict.Prediction{bad}); err == nil {
		t.Error("a label of 2 was stored")
	}
	before := flushedAt(t, s)
	must(t, s.Append(ctx, []predict.Prediction{predictionFor(failure.NewID(), "10042", epoch)}))
	must(t, s.inWrite(ctx, "test", func(tx *sql.Tx) error {
		if got := level(tx); got != full {
			t.Errorf("in another transaction the level is %d, want %d", got, full)
		}
		return nil
	}))
	must(t, s.Flush(ctx))
	if flushedAt(t, s) == before {
		t.Error("Flush wrote nothing that could be flushed")
	}
}

// flushedAt is what Flush leaves.
func flushedAt(t *testing.T, s *Line) int64 {
	t.Helper()
	value, err := s.Mark(t.Context(), flushedMark)
	must(t, err)
	return value
}
