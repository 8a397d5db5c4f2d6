package store

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gateway/internal/failure"
	"gateway/internal/pgtest"
	"gateway/internal/predict"
)

// opener makes a new, empty store that is closed when the test ends.
type opener func(t testing.TB) *Line

// conformance is what every engine must pass.
var conformance = []struct {
	name string
	test func(t *testing.T, open opener)
}{
	{"store", testStore},
	{"customers", testCustomers},
	{"streaming customers", testEachCustomer},
	{"ledger", testLedger},
	{"retention", testRetention},
	{"the clock", testClock},
	{"outcomes", testOutcomes},
	{"labels", testLabels},
	{"superseded", testSuperseded},
	{"labels for a store elsewhere", testPushedLabels},
	{"evidence", testEvidence},
	{"outcomes that may be learned from", testOutcomesAfter},
	{"renewals", testRenewals},
	{"steps", testSteps},
	{"leases", testLeases},
	{"cancelling", testCancelling},
	{"attempts", testAttempts},
	{"models", testModels},
	{"artifacts", testArtifacts},
	{"serving", testServing},
	{"removing artifacts", testRemovingArtifacts},
	{"schedules", testSchedules},
	{"acts", testActs},
	{"recent predictions", testRecentPredictions},
	{"idempotency keys", testIdempotencyKeys},
	{"everything at once", testConcurrent},
	{"health", testHealth},
	{"outcomes of unknown customers", testUnknownOutcomes},
	{"pages", testPages},
	{"finding predictions", testFind},
	{"lists in pieces", testListsInPieces},
	{"bulk in pieces", testBulkInPieces},
	{"urgent beside lists", testUrgentBesideLists},
	{"sums", testSums},
	{"profiles", testProfiles},
	{"lines", testLines},
	{"plans of a line's queries", testPlansOfLines},
}

func TestMain(m *testing.M) { os.Exit(pgtest.Run(m)) }

func TestSQLite(t *testing.T) {
	t.Parallel()
	testEngine(t, openTestSQLite)
}

func TestPostgres(t *testing.T) {
	t.Parallel()
	testEngine(t, openTestPostgres)
}

func testEngine(t *testing.T, open opener) {
	for _, c := range conformance {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.test(t, open)
		})
	}
}

// onLine opens the line that most tests use.
func onLine(s *Store, err error) (*Line, error) {
	if err != nil {
		return nil, err
	}
	l, err := s.OpenLine(context.Background(), "bank")
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return l, nil
}

// openTestSQLite opens a database that has its tables and its line already, as at
// a second start. The migrations take longer than most tests, so that they are run
// once and the file is copied.
func openTestSQLite(t testing.TB) *Line {
	t.Helper()
	file, err := migratedFile()
	must(t, err)
	path := filepath.Join(t.TempDir(), "gateway.db")
	must(t, os.WriteFile(path, file, 0o600))
	return openAt(t, path)
}

// migratedFile returns the content of a database after its first start.
var migratedFile = sync.OnceValues(func() (file []byte, err error) {
	dir, err := os.MkdirTemp("", "store-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	path := filepath.Join(dir, "gateway.db")
	first, err := onLine(OpenSQLite(context.Background(), path))
	if err != nil {
		return nil, err
	}
	if err := first.Close(); err != nil {
		return nil, err
	}
	return os.ReadFile(path)
})

func openAt(t testing.TB, path string) *Line {
	t.Helper()
	s, err := onLine(OpenSQLite(context.Background(), path))
	if err != nil {
		t.Fatalf("OpenSQLite: %v", err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return s
}

func testStore(t *testing.T, open opener) {
	t.Run("a healthy store answers a ping", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		if err := s.Ping(t.Context()); err != nil {
			t.Errorf("Ping: %v", err)
		}
	})
	t.Run("a ping does not wait for the writer", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		tx := holdWriter(t, s)
		if err := s.Ping(t.Context()); err != nil {
			t.Errorf("Ping: %v", err)
		}
		must(t, tx.Rollback())
	})
	t.Run("closing twice is fine, and a closed store answers with errors", func(t *testing.T) {
		t.Parallel()
		ctx := t.Context()
		s := open(t)
		must(t, s.Close())
		must(t, s.Close())
		_, _, putErr := s.PutCustomers(ctx, []predict.Customer{{ID: "c"}})
		_, recordErr := s.RecordOutcomes(ctx, []predict.Outcome{{CustomerID: "c"}})
		_, featuresErr := s.Features(ctx, []string{"a", "b"})
		for name, err := range map[string]error{
			"Ping": s.Ping(ctx), "PutCustomers": putErr, "RecordOutcomes": recordErr, "Features": featuresErr,
			"Append": s.Append(ctx, []predict.Prediction{newPrediction("p")}),
		} {
			if err == nil {
				t.Errorf("%s on a closed store: got no error", name)
			}
		}
	})
	t.Run("a context that has ended is recognised in every error", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, _, putErr := s.PutCustomers(ctx, []predict.Customer{{ID: "c"}})
		_, recordErr := s.RecordOutcomes(ctx, []predict.Outcome{{CustomerID: "c"}})
		_, featuresErr := s.Features(ctx, []string{"a"})
		_, renewalsErr := s.Renewals(ctx, 1, "")
		for name, err := range map[string]error{
			"Ping": s.Ping(ctx), "PutCustomers": putErr, "RecordOutcomes": recordErr, "Features": featuresErr,
			"Renewals":     renewalsErr,
			"EachCustomer": s.EachCustomer(ctx, func(predict.Customer) error { return nil }),
		} {
			if !errors.Is(err, context.Canceled) {
				t.Errorf("%s: got %v, want context.Canceled", name, err)
			}
		}
	})
}

// holdWriter writes something until the transaction ends.
func holdWriter(t testing.TB, s *Line) *sql.Tx {
	t.Helper()
	tx, err := s.write.BeginTx(context.Background(), nil)
	must(t, err)
	_, err = holdSequence(context.Background(), tx)
	must(t, err)
	return tx
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// want compares; what says what is compared.
func want(t testing.TB, what string, got, want any, options ...cmp.Option) {
	t.Helper()
	if diff := cmp.Diff(want, got, options...); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// wantKind checks for an error that callers can act on, with its exact detail.
func wantKind(t testing.TB, err error, kind failure.Kind, detail string) {
	t.Helper()
	var e *failure.Error
	if !errors.As(err, &e) || e.Kind != kind || e.Detail != detail {
		t.Errorf("got error %v, want kind %v with detail %q", err, kind, detail)
	}
}

// epoch is a time with all the digits that are kept.
var epoch = time.Date(2026, 11, 23, 10, 0, 0, 123456000, time.UTC)

func ptr[T any](v T) *T { return &v }

func newPrediction(id string) predict.Prediction {
	return predict.Prediction{
		ID: id, CreatedAt: epoch, Features: []byte(`{"age":34,"of":"` + id + `"}`), Score: 0.7528127431869507, Label: 1,
		Model: "m1", Schema: "s1", Latency: 1500 * time.Microsecond,
	}
}

func predictionFor(id, customer string, at time.Time) predict.Prediction {
	p := newPrediction(id)
	p.CustomerID, p.CreatedAt, p.Model = customer, at, "model of "+id
	return p
}

// ledgerRow is what the ledger holds of a prediction.
type ledgerRow struct {
	Prediction predict.Prediction
	Outcome    *int
	OutcomeAt  *time.Time
}

func readLedger(t testing.TB, s *Line, id string) (ledgerRow, bool) {
	t.Helper()
	var r ledgerRow
	p := &r.Prediction
	var created, latency int64
	var outcome, outcomeAt sql.Null[int64]
	err := s.read.QueryRow(`
SELECT id, coalesce(customer_id, ''), created_at, coalesce(caller, ''), features, personal, score, label, model, schema,
    latency_us, outcome, outcome_at
FROM predictions WHERE id = $1`, id).Scan(&p.ID, &p.CustomerID, &created, &p.Caller, &p.Features, &p.Personal, &p.Score,
		&p.Label, &p.Model, &p.Schema, &latency, &outcome, &outcomeAt)
	if errors.Is(err, sql.ErrNoRows) {
		return r, false
	}
	must(t, err)
	p.CreatedAt, p.Latency = fromMicros(created), time.Duration(latency)*time.Microsecond
	r.Outcome, r.OutcomeAt = fromLabel(outcome), optionalTime(outcomeAt)
	return r, true
}

func countRows(t testing.TB, s *Line, table string) (n int) {
	t.Helper()
	must(t, s.read.QueryRow(`SELECT count(*) FROM `+table).Scan(&n))
	return n
}

// allCustomers leaves out the evidence, which evidence_test.go is about.
func allCustomers(t testing.TB, s *Line) map[string]predict.Customer {
	t.Helper()
	all := make(map[string]predict.Customer)
	must(t, s.EachCustomer(t.Context(), func(c predict.Customer) error {
		c.Evidence = predict.Evidence{}
		all[c.ID] = c
		return nil
	}))
	return all
}
