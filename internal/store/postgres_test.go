package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"

	"gateway/internal/failure"
	"gateway/internal/modelswap"
	"gateway/internal/pgtest"
	"gateway/internal/predict"
	"gateway/internal/testsize"
)

// openTestPostgres opens a database that has its tables already, like a replica
// that is not the first.
func openTestPostgres(t testing.TB) *Line {
	t.Helper()
	s, err := openURL(t, pgtest.Prepared(t, func(url string) error {
		s, err := connect(url)
		if err != nil {
			return err
		}
		return s.Close()
	}))
	must(t, err)
	return s
}

func connect(url string) (*Line, error) {
	config, err := pgx.ParseConfig(url)
	if err != nil {
		return nil, err
	}
	return onLine(OpenPostgres(context.Background(), stdlib.GetConnector(*config), PostgresOptions{}))
}

// openURL may be called from any goroutine.
func openURL(t testing.TB, url string) (*Line, error) {
	s, err := connect(url)
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return s, nil
}

// replicas opens one database several times, at the same moment.
func replicas(t *testing.T, n int) []*Line {
	t.Helper()
	url := pgtest.Database(t)
	stores, errs := make([]*Line, n), make([]error, n)
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { stores[i], errs[i] = openURL(t, url) })
	}
	all.Wait()
	must(t, errors.Join(errs...))
	return stores
}

func TestPostgresReplicasStartTogether(t *testing.T) {
	t.Parallel()
	start := time.Now()
	stores := replicas(t, 6)
	t.Logf("6 replicas were ready after %v", time.Since(start))
	must(t, stores[0].Append(t.Context(), []predict.Prediction{newPrediction("p")}))
	want(t, "rows that another replica sees", countRows(t, stores[5], "predictions"), 1)
}

func TestPostgresReplicasShareRenewals(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	stores := replicas(t, 3)
	var all sync.WaitGroup
	stored, claimed := make(chan string, 60), make(chan string, 60)
	for i := range 60 {
		all.Go(func() {
			s, id := stores[i%len(stores)], fmt.Sprint(i)
			var conflict *failure.Error
			switch err := s.InsertRenewal(ctx, newRenewal(id, modelswap.Queued, i)); {
			case err == nil:
				stored <- id
			case !errors.As(err, &conflict) || !strings.HasSuffix(conflict.Detail, " is still queued"):
				t.Errorf("InsertRenewal: got %v, want a conflict that names the other", err)
			}
			r, err := s.ClaimRenewal(ctx, id, "", time.Minute)
			if err != nil {
				t.Errorf("ClaimRenewal: %v", err)
			}
			if r != nil {
				claimed <- r.ID
			}
		})
	}
	all.Wait()
	want(t, "stored and claimed", []int{len(stored), len(claimed)}, []int{1, 1})
	want(t, "claimed renewal", <-claimed, <-stored)
}

// Without an order between them, two imports that take the same customers in
// opposite orders wait for each other, until PostgreSQL ends one of them.
func TestPostgresImportsFollowEachOther(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	stores := replicas(t, 2)
	const n = 1000
	forward, backward := make([]predict.Customer, n), make([]predict.Customer, n)
	for i := range n {
		c := predict.Customer{ID: fmt.Sprintf("%05d", i), Features: []byte(`{}`)}
		forward[i], backward[n-1-i] = c, c
	}
	put(t, stores[0], forward...)
	var all sync.WaitGroup
	for i, customers := range [][]predict.Customer{forward, backward} {
		all.Go(func() {
			for range testsize.Of(2, 3) {
				inserted, updated, err := stores[i].PutCustomers(ctx, customers)
				if err != nil || inserted != 0 || updated != n {
					t.Errorf("PutCustomers: inserted %d, updated %d, error %v", inserted, updated, err)
				}
			}
		})
	}
	all.Wait()
}

// Two processes may append the same predictions in different orders. PostgreSQL
// must not have to end one of them, which it would once they wait for each other.
func TestPostgresAppendsOfTheSamePredictions(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	stores := replicas(t, 2)
	const n = 1000
	rounds := testsize.Of(2, 5)
	for round := range rounds {
		forward := make([]predict.Prediction, n)
		for i := range forward {
			forward[i] = newPrediction(fmt.Sprintf("%d-%04d", round, i))
		}
		backward := slices.Clone(forward)
		slices.Reverse(backward)
		var all sync.WaitGroup
		for i, predictions := range [][]predict.Prediction{forward, backward} {
			all.Go(func() {
				given := slices.Clone(predictions)
				if err := stores[i].Append(ctx, predictions); err != nil {
					t.Errorf("Append: %v", err)
				}
				want(t, "the caller's own order", predictions, given)
			})
		}
		all.Wait()
	}
	want(t, "rows", countRows(t, stores[0], "predictions"), rounds*n)
}

func TestPostgresConnectionsMayBreak(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	stores := replicas(t, 2)
	s, admin := stores[0], stores[1]
	must(t, s.Append(ctx, []predict.Prediction{newPrediction("before")}))
	_, err := admin.write.Exec(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()`)
	must(t, err)
	// A call finds out that its connection is broken, and the next one has another.
	append := func(ctx context.Context) error { return s.Append(ctx, []predict.Prediction{newPrediction("after")}) }
	for name, call := range map[string]func(context.Context) error{"read": s.Ping, "written": append} {
		for tries := 1; call(ctx) != nil; tries++ {
			if tries > postgresReaders {
				t.Fatalf("nothing can be %s any more", name)
			}
		}
	}
	want(t, "rows", countRows(t, s, "predictions"), 2)
}

func TestPostgresRefusesWhatItCannotOpen(t *testing.T) {
	t.Parallel()
	t.Run("a database of a newer version", func(t *testing.T) {
		t.Parallel()
		url := pgtest.Database(t)
		s, err := openURL(t, url)
		must(t, err)
		_, err = s.write.Exec(`INSERT INTO goose_db_version (version_id, is_applied) VALUES (999, true)`)
		must(t, err)
		if _, err := openURL(t, url); !errors.Is(err, ErrNewer) {
			t.Errorf("got %v, want ErrNewer", err)
		}
	})
	t.Run("a server that is not there", func(t *testing.T) {
		t.Parallel()
		_, err := openURL(t, "postgres://nobody@127.0.0.1:1/none?sslmode=disable&connect_timeout=5")
		if err == nil || !strings.HasPrefix(err.Error(), "store: connect: ") || !Unavailable(err) {
			t.Errorf("got %v, want an error that says what failed", err)
		}
	})
}

func TestPostgresRefusesTextItCannotKeep(t *testing.T) {
	t.Parallel()
	s := openTestPostgres(t)
	for _, id := range []string{"a\x00b", "\xff"} {
		_, _, err := s.PutCustomers(t.Context(), []predict.Customer{{ID: id}})
		wantKind(t, err, failure.Invalid, "a value cannot be stored")
	}
}
