package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/pressly/goose/v3"

	"gateway/internal/failure"
	"gateway/internal/modelswap"
	"gateway/internal/predict"
)

func openLine(t testing.TB, s *Store, name string) *Line {
	t.Helper()
	l, err := s.OpenLine(t.Context(), name)
	must(t, err)
	return l
}

func testLines(t *testing.T, open opener) {
	ctx := context.Background()
	both := func(t *testing.T) (bank, telco *Line) {
		bank = open(t)
		return bank, openLine(t, bank.Store, "telco")
	}
	t.Run("a line keeps its number, and has its rows at the next opening", func(t *testing.T) {
		t.Parallel()
		bank, telco := both(t)
		must(t, telco.InsertModel(ctx, modelswap.Model{Name: "m", CreatedAt: at(0)}, modelswap.Fence{}))
		again := openLine(t, bank.Store, "telco")
		want(t, "numbers", []int64{bank.id, telco.id, again.id}, []int64{1, 2, 2})
		want(t, "names", []string{bank.Name(), again.Name()}, []string{"bank", "telco"})
		want(t, "model", readModel(t, again, "m").Name, "m")
		others, err := telco.OtherLines(ctx)
		must(t, err)
		want(t, "other lines", others, []string{"bank"})
		if _, err := bank.OpenLine(ctx, ""); err == nil {
			t.Error("a line without a name was opened")
		}
	})
	t.Run("many that open the same new lines get the same numbers", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		names := []string{"a", "b", "c", "d"}
		numbers := make([]int64, 4*len(names))
		var all sync.WaitGroup
		for i := range numbers {
			all.Go(func() {
				l, err := s.OpenLine(ctx, names[i%len(names)])
				if err != nil {
					t.Error(err)
					return
				}
				numbers[i] = l.id
			})
		}
		all.Wait()
		seen := map[int64]bool{s.id: true}
		for i, number := range numbers[:len(names)] {
			if seen[number] {
				t.Errorf("number %d is that of two lines", number)
			}
			seen[number] = true
			for j := i; j < len(numbers); j += len(names) {
				want(t, "number of "+names[i], numbers[j], number)
			}
		}
	})
	t.Run("a line sees no models of another one", func(t *testing.T) {
		t.Parallel()
		bank, telco := both(t)
		for _, name := range []string{"b1", "b2"} {
			must(t, bank.InsertModel(ctx, modelswap.Model{Name: name, CreatedAt: at(0), Schema: "s"}, modelswap.Fence{}))
		}
		must(t, bank.MarkServing(ctx, "b1", at(5)))
		must(t, telco.InsertModel(ctx, modelswap.Model{Name: "t", CreatedAt: at(1), Schema: "s"}, modelswap.Fence{}))
		must(t, telco.MarkServing(ctx, "t", at(2))) // before the other line's, of the same schema
		for _, c := range []struct {
			line  *Line
			names []string
		}{{bank, []string{"b2", "b1"}}, {telco, []string{"t"}}} {
			models, err := c.line.Models(ctx)
			must(t, err)
			names := []string{}
			for _, m := range models {
				names = append(names, m.Name)
			}
			want(t, "models of "+c.line.Name(), names, c.names)
		}
		want(t, "retired by the other line", readModel(t, bank, "b1").RetiredAt, (*time.Time)(nil))
		_, err := telco.Model(ctx, "b1")
		wantKind(t, err, failure.NotFound, `there is no model "b1"`)
		wantKind(t, telco.MarkServing(ctx, "b1", at(9)), failure.NotFound, `there is no model "b1"`)
		wantKind(t, telco.MarkRemoved(ctx, "b1", at(9)), failure.NotFound, `there is no model "b1"`)
		wantKind(t, telco.InsertModel(ctx, modelswap.Model{Name: "b1", CreatedAt: at(9)}, modelswap.Fence{}), failure.Conflict, "there is a model b1 of another schema")
		want(t, "model", readModel(t, bank, "b1").CreatedAt, at(0))
	})
	t.Run("nor its artifacts, nor what serves", func(t *testing.T) {
		t.Parallel()
		bank, telco := both(t)
		must(t, bank.PutArtifact(ctx, "b", []byte(`{}`)))
		must(t, telco.PutArtifact(ctx, "t", []byte(`{}`)))
		wantKind(t, telco.PutArtifact(ctx, "b", []byte(`{}`)), failure.Conflict, "model b has another artifact already")
		_, err := telco.Artifact(ctx, "b")
		wantKind(t, err, failure.NotFound, `there is no artifact "b"`)
		serve(t, bank, "e", "s", "b")
		now, err := telco.Serving(ctx, "e", "s")
		must(t, err)
		want(t, "serving at first", now, modelswap.Serving{})
		_, err = telco.SetServing(ctx, "e", "s", modelswap.Change{Model: "b"})
		wantKind(t, err, failure.NotFound, `there is no artifact "b"`)
		must(t, telco.HoldServing(ctx, "e", "s", modelswap.Change{Model: "t", By: modelswap.Fence{Renewal: "r", Revision: 1}}))
		serve(t, telco, "e", "s", "t")
		now, err = bank.Serving(ctx, "e", "s")
		must(t, err)
		want(t, "serving", now.Model, "b")
		must(t, telco.RemoveArtifact(ctx, "unknown"))
		wantKind(t, telco.RemoveArtifact(ctx, "t"), failure.Conflict, "model t serves")
		must(t, bank.PutArtifact(ctx, "idle", []byte(`{}`)))
		must(t, telco.RemoveArtifact(ctx, "idle"))
		if _, err := bank.Artifact(ctx, "idle"); err != nil {
			t.Errorf("another line removed the artifact: %v", err)
		}
	})
	t.Run("nor its renewals, and each has one unfinished", func(t *testing.T) {
		t.Parallel()
		bank, telco := both(t)
		for i := range 3 {
			must(t, bank.InsertRenewal(ctx, newRenewal(fmt.Sprint("old", i), modelswap.Failed, i)))
		}
		running := newRenewal("b", modelswap.Running, 10)
		running.Steps[0] = modelswap.Step{Name: modelswap.Export, Status: modelswap.StepRunning, Attempt: 1, StartedAt: ptr(at(11))}
		must(t, bank.InsertRenewal(ctx, running))
		none, err := telco.ClaimRenewal(ctx, "a", "", time.Minute)
		must(t, err)
		if none != nil {
			t.Fatalf("claimed the renewal %s of another line", none.ID)
		}
		must(t, telco.InsertRenewal(ctx, newRenewal("t", modelswap.Queued, 5)))
		wantKind(t, telco.InsertRenewal(ctx, newRenewal("t2", modelswap.Queued, 6)), failure.Conflict, "renewal t is still queued")
		wantKind(t, bank.InsertRenewal(ctx, newRenewal("b2", modelswap.Queued, 6)), failure.Conflict, "renewal b is still running")
		for _, c := range []struct {
			line   *Line
			before string
			ids    []string
		}{
			{bank, "", []string{"b", "old2", "old1", "old0"}}, {bank, "old2", []string{"old1", "old0"}},
			{telco, "", []string{"t"}}, {telco, "t", []string{}},
		} {
			page, err := c.line.Renewals(ctx, 10, c.before)
			must(t, err)
			want(t, fmt.Sprintf("renewals of %s before %q", c.line.Name(), c.before), ids(page), c.ids)
		}
		_, readErr := telco.Renewal(ctx, "b")
		_, pageErr := telco.Renewals(ctx, 10, "b")
		_, attemptsErr := telco.Attempts(ctx, "b")
		for name, err := range map[string]error{"Renewal": readErr, "Renewals": pageErr, "Attempts": attemptsErr, "RequestCancel": telco.RequestCancel(ctx, "b")} {
			t.Log(name)
			wantKind(t, err, failure.NotFound, `there is no renewal "b"`)
		}
		wantStale(t, "another line's save", telco.UpdateRenewal(ctx, readRenewal(t, bank, "b")))
		wantStale(t, "another line's model", telco.InsertModel(ctx, modelswap.Model{Name: "m"}, modelswap.Fence{Renewal: "b", Revision: 1}))
		claimed := claim(t, bank, "a")
		want(t, "claimed", claimed.ID, "b")
		_, err = telco.ExtendLease(ctx, "b", "a", time.Minute)
		wantStale(t, "another line's lease", err)
		want(t, "claimed", claim(t, telco, "a").ID, "t")
	})
	t.Run("nor its schedule", func(t *testing.T) {
		t.Parallel()
		bank, telco := both(t)
		must(t, bank.SaveSchedule(ctx, modelswap.Schedule{Line: "b"}, newRenewal("b", modelswap.Queued, 0)))
		schedule, err := telco.Schedule(ctx)
		must(t, err)
		want(t, "at first", schedule, modelswap.Schedule{})
		must(t, telco.SaveSchedule(ctx, modelswap.Schedule{Line: "t"}, newRenewal("t", modelswap.Queued, 0)))
		must(t, telco.SaveSchedule(ctx, modelswap.Schedule{Line: "t2", Revision: 1}, nil))
		for line, wanted := range map[*Line]modelswap.Schedule{bank: {Line: "b", Revision: 1}, telco: {Line: "t2", Revision: 2}} {
			schedule, err := line.Schedule(ctx)
			must(t, err)
			want(t, "schedule of "+line.Name(), schedule, wanted)
		}
		want(t, "renewal", readRenewal(t, telco, "t").Status, modelswap.Queued)
	})
	t.Run("nor its ledger", func(t *testing.T) {
		t.Parallel()
		bank, telco := both(t)
		one := func(id string) predict.Prediction {
			p := newPrediction(id)
			p.Model = "m"
			return p
		}
		must(t, bank.Append(ctx, []predict.Prediction{one("b1"), one("b2"), one("b4")}))
		must(t, telco.Append(ctx, []predict.Prediction{one("b3"), one("b5"), one("b4")})) // a known id is ignored
		for line, wanted := range map[*Line][]string{bank: {"b1", "b2", "b4"}, telco: {"b3", "b5"}} {
			page, err := line.PredictionsAfter(ctx, "", 10)
			must(t, err)
			recent, err := line.RecentPredictions(ctx, "m", 10)
			must(t, err)
			var all, newest []string
			for _, p := range page {
				all = append(all, p.ID)
			}
			for i := range recent {
				newest = append(newest, recent[len(recent)-1-i].ID)
			}
			want(t, "ledger of "+line.Name(), all, wanted)
			want(t, "recent predictions of "+line.Name(), newest, wanted)
		}
	})
	t.Run("customers are shared, and an outcome meets the predictions of its line", func(t *testing.T) {
		t.Parallel()
		bank, telco := both(t)
		put(t, bank, predict.Customer{ID: "c", Features: []byte(`{}`)})
		must(t, bank.Append(ctx, []predict.Prediction{predictionFor("b", "c", at(1)), predictionFor("only", "other", at(1)), newPrediction("anonymous")}))
		must(t, telco.Append(ctx, []predict.Prediction{predictionFor("t", "c", at(2))}))
		got := record(t, bank, ofCustomer("c", 1, 10))
		want(t, "matched", []any{got[0].PredictionID, got[0].Model}, []any{"b", "model of b"})
		got = record(t, telco, ofCustomer("c", 0, 20))
		want(t, "matched", got[0].PredictionID, "t")
		unmatched := []predict.Outcome{ofPrediction("b", 1, 30), ofCustomer("other", 1, 30), ofCustomer("anonymous", 1, 30)}
		want(t, "of another line, one by one and in a list", append(record(t, telco, unmatched[0]), record(t, telco, unmatched...)...), make([]predict.Match, 4))
		for id, label := range map[string]int{"b": 1, "t": 0} {
			row, _ := readLedger(t, bank, id)
			want(t, "outcome of "+id, row.Outcome, ptr(label))
		}
	})
	t.Run("removal by age is of all lines", func(t *testing.T) {
		t.Parallel()
		bank, telco := both(t)
		must(t, bank.Append(ctx, []predict.Prediction{newPrediction("b")}))
		must(t, telco.Append(ctx, []predict.Prediction{newPrediction("t")}))
		removed, err := telco.RemovePredictions(ctx, epoch.Add(time.Second), 10)
		must(t, err)
		want(t, "removed", removed, int64(2))
	})
}

// TestMigrateToLines opens a database without lines: the first line that is opened
// has all of its rows, and those that gateways of the version before go on to
// insert; a second line has none.
func TestMigrateToLines(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	const prediction = `INSERT INTO predictions (id, created_at, features, score, label, model, schema, latency_us) VALUES ('%s', 1, '{}', 0.5, 1, 'm', 's', 1)`
	const renewal = `INSERT INTO renewals (id, revision, status, cause, reason, overrides, force, created_at, metrics, state, error)
VALUES ('%s', 1, '%s', 'manual', '', '{}', 0, 0, '{}', '{}', '')`
	const model = `INSERT INTO models (name, renewal, algorithm, schema, data, row_count, created_at, watermark) VALUES ('bank-20261101-101010-%s', 'r', 'xgboost', 's', '', 1, 5, 0)`
	exec := func(db *sql.DB, statement string, args ...any) error {
		_, err := db.Exec(fmt.Sprintf(statement, args...))
		return err
	}
	fromVersion(t, 12, func(t *testing.T, old *sql.DB) {
		must(t, exec(old, prediction, "p1"))
		must(t, exec(old, renewal, "r1", "running"))
		must(t, exec(old, model, "m1"))
		must(t, exec(old, `INSERT INTO artifacts (name, body, created_at) VALUES ('m1', '{}', 5), ('m2', '{}', 5)`))
		must(t, exec(old, `INSERT INTO serving (endpoint, model, changed_at, schema) VALUES ('e s', 'm1', 6, 's'), ('f', 'm2', 6, '')`))
		must(t, exec(old, `INSERT INTO schedules (kind, revision, state) VALUES ('model', 3, '{"line":"0 2 * * *"}')`))
	}, func(t *testing.T, bank *Line) {
		telco := openLine(t, bank.Store, "telco")
		// What the version before goes on to do beside this one.
		must(t, exec(bank.write, prediction, "p2"))
		must(t, exec(bank.write, model, "m2"))
		if err := exec(bank.write, renewal, "r2", "queued"); violationOf(err) != uniqueViolation {
			t.Errorf("a second unfinished renewal got %v, want a violation", err)
		}
		must(t, exec(bank.write, renewal, "r3", "failed"))
		must(t, exec(bank.write, `INSERT INTO schedules (kind, revision, state) VALUES ('model', 1, '{}') ON CONFLICT (kind) DO NOTHING`))
		must(t, exec(bank.write, `UPDATE schedules SET revision = revision + 1, state = '{"line":"0 3 * * *"}' WHERE kind = 'model' AND revision = 3`))
		must(t, exec(bank.write, `INSERT INTO serving (endpoint, model, changed_at, schema) VALUES ('e s', 'm2', 7, 's') ON CONFLICT (endpoint) DO NOTHING`))

		for line, wanted := range map[*Line][]int{bank: {2, 2, 2}, telco: {0, 0, 0}} {
			predictions, err1 := line.PredictionsAfter(ctx, "", 10)
			renewals, err2 := line.Renewals(ctx, 10, "")
			models, err3 := line.Models(ctx)
			must(t, errors.Join(err1, err2, err3))
			want(t, "predictions, renewals and models of "+line.Name(), []int{len(predictions), len(renewals), len(models)}, wanted)
		}
		schedule, err := bank.Schedule(ctx)
		must(t, err)
		want(t, "schedule", schedule, modelswap.Schedule{Line: "0 3 * * *", Revision: 4})
		for endpoint, wanted := range map[string]string{"e": "m1", "f": "m2"} {
			now, err := bank.Serving(ctx, endpoint, "s")
			must(t, err)
			want(t, "serving at "+endpoint, now.Model, wanted)
			now, err = telco.Serving(ctx, endpoint, "s")
			must(t, err)
			want(t, "serving in the other line", now, modelswap.Serving{})
		}
		must(t, telco.PutArtifact(ctx, "t", []byte(`{}`)))
		wantChanged(t, telco.HoldServing(ctx, "f", "s", modelswap.Change{Model: "t", Over: modelswap.Serving{Model: "m2", Version: 6}}),
			"another gateway changed the serving model from m2 to none meanwhile")
		serve(t, telco, "f", "s", "t")
		now, err := bank.Serving(ctx, "f", "s")
		must(t, err)
		want(t, "serving beside the other line", now.Model, "m2")
		want(t, "claimed", claim(t, bank, "a").ID, "r1")
	})
}

// TestTheWayBack runs the statements that docs/operations.md has for going back from
// each version: they leave the tables of the version before with all rows, and a
// later upgrade has them again.
func TestTheWayBack(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/operations.md")
	must(t, err)
	for _, version := range []int64{13, 14, 15, 16} {
		statements := regexp.MustCompile(fmt.Sprintf(`    BEGIN;\n(    .*\n)*    DELETE FROM goose_db_version WHERE version_id = %d;\n    COMMIT;\n`, version)).Find(text)
		if statements == nil {
			t.Fatalf("docs/operations.md has no statements for going back from version %d", version)
		}
		t.Run(fmt.Sprint(version), func(t *testing.T) {
			fromMigrated(t, version-1, func(t *testing.T, db *sql.DB, migrations *goose.Provider) {
				before := tables(t, db)
				_, err := db.Exec(`INSERT INTO models (name, renewal, algorithm, schema, data, row_count, created_at, watermark) VALUES ('m', 'r', 'xgboost', 's', '', 1, 5, 0)`)
				must(t, err)
				_, err = migrations.UpTo(t.Context(), version)
				must(t, err)
				if diff := cmp.Diff(before, tables(t, db)); diff == "" {
					t.Fatal("the version has the tables of the one before")
				}
				_, err = db.Exec(string(statements))
				must(t, err)
				want(t, "tables", tables(t, db), before)
				now, err := migrations.GetDBVersion(t.Context())
				must(t, err)
				want(t, "version", now, version-1)
			}, func(t *testing.T, bank *Line) {
				want(t, "model", readModel(t, bank, "m").Name, "m")
			})
		})
	}
}

// tables describes the columns and indexes of a database, without their order.
func tables(t *testing.T, db *sql.DB) (all []string) {
	t.Helper()
	rows, err := db.Query(`SELECT sql FROM sqlite_master WHERE sql IS NOT NULL`)
	if err != nil { // PostgreSQL
		rows, err = db.Query(`
SELECT concat_ws(' ', table_name, column_name, data_type, is_nullable, column_default) FROM information_schema.columns WHERE table_schema = 'public'
UNION ALL SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'`)
	}
	must(t, err)
	defer rows.Close()
	for rows.Next() {
		var text string
		must(t, rows.Scan(&text))
		all = append(all, strings.Join(strings.Fields(text), " "))
	}
	must(t, rows.Err())
	slices.Sort(all)
	return all
}

// The rows of earlier versions are left to the line that their newest model is
// named after, whichever is opened first.
func TestRowsWithoutALineWaitForTheirs(t *testing.T) {
	t.Parallel()
	fromVersion(t, 12, func(t *testing.T, old *sql.DB) {
		_, err := old.Exec(`INSERT INTO models (name, renewal, algorithm, schema, data, row_count, created_at, watermark)
VALUES ('bank-20261101-101010-0000abcd', 'r', 'xgboost', 's', '', 1, 5, 0), ('tel-co-20261102-101010-0000abcd', 'r', 'xgboost', 's', '', 1, 6, 0)`)
		must(t, err)
	}, func(t *testing.T, bank *Line) {
		others, err := bank.OtherLines(t.Context())
		must(t, err)
		want(t, "other lines", others, []string{""})
		must(t, bank.InsertModel(t.Context(), modelswap.Model{Name: "bank-20261103-101010-0000abcd", CreatedAt: at(0)}, modelswap.Fence{}))
		want(t, "numbers", []int64{bank.id, openLine(t, bank.Store, "tel").id, openLine(t, bank.Store, "tel_co").id, openLine(t, bank.Store, "x").id}, []int64{2, 3, 1, 4})
	})
}

// testPlansOfLines: a line's queries read an index in its order, and sort nothing.
func testPlansOfLines(t *testing.T, open opener) {
	s := open(t)
	for _, c := range []struct {
		query, index string // of SQLite, whose primary keys have indexes by number, and of PostgreSQL
		args         []any
	}{
		{predictionsAfterSQL, "predictions_pkey", []any{"", s.id, 100}},
		{recentSQL, "predictions_pkey", []any{s.id, recentLook, "m", 5}},
		{newestPredictionSQL, "predictions_of_customer", []any{"c", s.id}},
		{newestRenewalsSQL, "renewals_by_age", []any{s.id, 10}},
		{unfinishedSQL, "renewals_one_unfinished", []any{s.id}},
		{claimRenewalSQL, "renewals_one_unfinished", []any{"owner", 1, 2, 3, "s", 4, s.id}},
	} {
		text := plan(t, s, literal(c.query, c.args...))
		sqlite := strings.Replace(c.index, "predictions_pkey", "sqlite_autoindex_predictions_1", 1)
		if !strings.Contains(text, c.index) && !strings.Contains(text, sqlite) {
			t.Errorf("the plan does not use %s:%s\n%s", c.index, c.query, text)
		}
	}
}

// literal puts values in the place of a query's parameters.
func literal(query string, args ...any) string {
	for i := len(args); i > 0; i-- {
		value := fmt.Sprint(args[i-1])
		if text, ok := args[i-1].(string); ok {
			value = "'" + text + "'"
		}
		query = strings.ReplaceAll(query, fmt.Sprint("$", i), value)
	}
	return query
}
