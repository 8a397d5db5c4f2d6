package predict_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gateway/internal/failure"
	"gateway/internal/predict"
	"gateway/internal/predict/predicttest"
	"gateway/internal/schema"
)

// watched is a store that notes the size of each call.
type watched struct {
	*predicttest.Store
	calls []string
	left  int // good PutCustomers calls until one fails; below zero: for ever
}

var errFull = errors.New("the disk is full")

// partial stores only the first two customers of a call, and says so.
type partial struct{ *predicttest.Store }

func (p partial) PutCustomers(ctx context.Context, customers []predict.Customer) (int, int, error) {
	inserted, updated, err := p.Store.PutCustomers(ctx, customers[:2])
	return inserted, updated, errors.Join(err, errFull)
}

// What a store kept of a call that failed is in the report.
func TestImportReportsWhatAFailedCallStored(t *testing.T) {
	s := parse(t, small)
	report, err := predict.NewImporter(s, partial{predicttest.NewStore()}).Import(t.Context(), csvOf(t, s, rows(3)), predict.ImportOptions{})
	if !errors.Is(err, errFull) {
		t.Errorf("got %v, want %v", err, errFull)
	}
	if got, want := report, (predict.ImportReport{Rows: 3, Imported: 2, Inserted: 2, Labelled: 1, Positive: 1, Numbered: 2}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func (w *watched) PutCustomers(ctx context.Context, customers []predict.Customer) (int, int, error) {
	w.calls = append(w.calls, fmt.Sprint("put ", len(customers)))
	if w.left == 0 {
		return 0, 0, errFull
	}
	w.left--
	return w.Store.PutCustomers(ctx, customers)
}

func (w *watched) RemoveDemo(ctx context.Context) (int64, error) {
	w.calls = append(w.calls, "remove demo")
	return w.Store.RemoveDemo(ctx)
}

// newWatched returns a store that holds two generated customers.
func newWatched(t testing.TB) *watched {
	t.Helper()
	w := &watched{Store: predicttest.NewStore(), left: -1}
	demo := []predict.Customer{{ID: "10001", Features: []byte(`{}`), Demo: true}, {ID: "10002", Features: []byte(`{}`), Demo: true}}
	if _, _, err := w.Store.PutCustomers(t.Context(), demo); err != nil {
		t.Fatal(err)
	}
	return w
}

// rows writes n sound rows, every second one labelled.
func rows(n int) string {
	var b strings.Builder
	b.WriteString("age,job,y\n")
	for i := range n {
		fmt.Fprintf(&b, "%d,admin.,%s\n", 20+i%80, []string{"1", ""}[i%2])
	}
	return b.String()
}

func sums(t testing.TB, r predict.ImportReport) {
	t.Helper()
	if r.Rows != r.Imported+r.Failed || r.Imported != r.Inserted+r.Updated || r.Labelled > r.Imported {
		t.Errorf("the report does not add up: %+v", r)
	}
}

func TestImport(t *testing.T) {
	s, store := parse(t, small), newWatched(t)
	var bad []predict.BadRow
	report, err := predict.NewImporter(s, store).Import(t.Context(), csvOf(t, s,
		"age,job,y\n34,admin.,yes\n16,admin.,\n35,pilot,\n,admin.,1\n36,services,no\n"),
		predict.ImportOptions{BadRow: func(b predict.BadRow) { bad = append(bad, b) }})
	if err != nil {
		t.Fatal(err)
	}
	want := predict.ImportReport{Rows: 5, Imported: 3, Inserted: 3, Failed: 2, Labelled: 2, Positive: 1, Numbered: 3, DemoRemoved: 2}
	if report != want {
		t.Errorf("got %+v, want %+v", report, want)
	}
	sums(t, report)
	wantBad := []predict.BadRow{
		{Line: 3, Errors: []failure.Violation{{Field: "age", Code: "out_of_range", Detail: `must be at least 17, not "16"`}}},
		{Line: 5, Errors: []failure.Violation{{Field: "age", Code: "missing", Detail: "is required and has no default"}}},
	}
	if diff := cmp.Diff(wantBad, bad); diff != "" {
		t.Errorf("bad rows (-want +got):\n%s", diff)
	}
	// Rows are numbered by their place in the table, bad ones included, and
	// defaults are stored.
	for id, features := range map[string]string{
		"1": `{"age":34,"job":"admin.","month":"apr","rate":1.5}`,
		"3": `{"age":35,"job":"unknown","month":"apr","rate":1.5}`,
		"5": `{"age":36,"job":"services","month":"apr","rate":1.5}`,
	} {
		if c, _ := store.Customer(id); string(c.Features) != features || c.Demo {
			t.Errorf("customer %s: %s", id, c.Features)
		}
	}
	if c, _ := store.Customer("1"); c.Label == nil || *c.Label != 1 {
		t.Error("customer 1 has lost the label")
	}
	if c, _ := store.Customer("3"); c.Label != nil {
		t.Error("customer 3 has a label")
	}
}

func TestImportTwiceUpdatesTheSameCustomers(t *testing.T) {
	s, store := parse(t, small), newWatched(t)
	importer := predict.NewImporter(s, store)
	if importer.Schema() != s {
		t.Error("another schema")
	}
	for i, want := range []predict.ImportReport{
		{Rows: 10, Imported: 10, Inserted: 10, Labelled: 5, Positive: 5, Numbered: 10, DemoRemoved: 2},
		{Rows: 10, Imported: 10, Updated: 10, Labelled: 5, Positive: 5, Numbered: 10},
	} {
		report, err := importer.Import(t.Context(), csvOf(t, s, rows(10)), predict.ImportOptions{})
		if err != nil || report != want {
			t.Errorf("time %d: %+v, %v; want %+v", i+1, report, err, want)
		}
	}
	if store.Len() != 10 {
		t.Errorf("%d customers", store.Len())
	}
}

func TestImportIDsOfTheFileWin(t *testing.T) {
	s, store := parse(t, small), newWatched(t)
	report, err := predict.NewImporter(s, store).Import(t.Context(),
		schema.NewNDJSONTable(s, strings.NewReader(`{"customer_id":"a-7","age":34,"job":"admin.","y":0}`+"\n"+`{"age":35,"job":"admin."}`), 1<<16),
		predict.ImportOptions{})
	sums(t, report)
	if _, found := store.Customer("a-7"); err != nil || !found {
		t.Errorf("a-7 is not there: %v", err)
	}
	if _, found := store.Customer("2"); !found {
		t.Error("the second row is not number 2")
	}
}

func TestImportGoesInChunks(t *testing.T) {
	s, store := parse(t, small), newWatched(t)
	var progress []int64
	report, err := predict.NewImporter(s, store).Import(t.Context(), csvOf(t, s, rows(2_001)),
		predict.ImportOptions{Progress: func(rows int64) { progress = append(progress, rows) }})
	if err != nil {
		t.Fatal(err)
	}
	sums(t, report)
	if got, want := strings.Join(store.calls, ", "), "remove demo, put 1000, put 1000, put 1"; got != want {
		t.Errorf("calls: %s, want %s", got, want)
	}
	if got, want := fmt.Sprint(progress), "[1000 2000 2001]"; got != want {
		t.Errorf("progress %s, want %s", got, want)
	}
	if report.Imported != 2_001 || report.Labelled != 1_001 || report.DemoRemoved != 2 {
		t.Errorf("got %+v", report)
	}
	// A chunk must not share memory with the next one.
	if c, _ := store.Customer("1"); !strings.HasPrefix(string(c.Features), `{"age":20,`) {
		t.Errorf("customer 1 has become %s", c.Features)
	}
	t.Run("a table of whole chunks makes no empty call", func(t *testing.T) {
		store := newWatched(t)
		if _, err := predict.NewImporter(s, store).Import(t.Context(), csvOf(t, s, rows(1_000)), predict.ImportOptions{}); err != nil {
			t.Fatal(err)
		}
		if got, want := strings.Join(store.calls, ", "), "remove demo, put 1000"; got != want {
			t.Errorf("calls: %s, want %s", got, want)
		}
	})
}

func TestDemoCustomersStayUntilARealRowComes(t *testing.T) {
	s := parse(t, small)
	for name, text := range map[string]string{"no row": "age,job\n", "bad rows only": "age,job\n1,admin.\nx,y\n34\n"} {
		store := newWatched(t)
		report, err := predict.NewImporter(s, store).Import(t.Context(), csvOf(t, s, text), predict.ImportOptions{})
		if err != nil || len(store.calls) != 0 || store.Len() != 2 || report.DemoRemoved != 0 {
			t.Errorf("%s: %+v, calls %v, %v", name, report, store.calls, err)
		}
		sums(t, report)
	}
}

func TestStrictImportStopsAtTheFirstBadRow(t *testing.T) {
	s, store := parse(t, small), newWatched(t)
	report, err := predict.NewImporter(s, store).Import(t.Context(),
		csvOf(t, s, "age,job\n34,admin.\n35,admin.\n200,admin.\n36,admin.\n"), predict.ImportOptions{Strict: true})
	var e *failure.Error
	if !errors.Is(err, predict.ErrStrict) || !errors.As(err, &e) || e.Kind != failure.Invalid || len(e.Violations) != 1 {
		t.Errorf("error %v", err)
	}
	if !strings.HasPrefix(err.Error(), `line 4: age must be at most 120, not "200"`) {
		t.Errorf("it does not begin with the place: %v", err)
	}
	sums(t, report)
	if want := (predict.ImportReport{Rows: 3, Imported: 2, Inserted: 2, Failed: 1, Numbered: 2, DemoRemoved: 2}); report != want {
		t.Errorf("got %+v, want %+v", report, want)
	}
	if store.Len() != 2 {
		t.Errorf("%d customers, want what came before", store.Len())
	}
}

func TestImportFaults(t *testing.T) {
	s := parse(t, small)
	t.Run("the table breaks: what came before is stored", func(t *testing.T) {
		store := newWatched(t)
		text := "{\"age\":34,\"job\":\"admin.\"}\n{\"age\":35,\"job\":\"admin.\"}\n" + strings.Repeat("x", 1<<15)
		report, err := predict.NewImporter(s, store).Import(t.Context(),
			schema.NewNDJSONTable(s, strings.NewReader(text), 1<<14), predict.ImportOptions{})
		if err == nil || err.Error() != "the row at line 3 is longer than 16384 bytes" {
			t.Errorf("error %v", err)
		}
		sums(t, report)
		if report.Imported != 2 || store.Len() != 2 {
			t.Errorf("got %+v, %d customers", report, store.Len())
		}
	})
	t.Run("the store fails in the middle: the report says what is stored", func(t *testing.T) {
		store := newWatched(t)
		store.left = 2
		report, err := predict.NewImporter(s, store).Import(t.Context(), csvOf(t, s, rows(3_500)), predict.ImportOptions{})
		if !errors.Is(err, errFull) {
			t.Errorf("error %v", err)
		}
		if report.Imported != 2_000 || report.Inserted != 2_000 || report.Rows != 3_000 || store.Len() != 2_000 {
			t.Errorf("got %+v, %d customers", report, store.Len())
		}
		if got, want := strings.Join(store.calls, ", "), "remove demo, put 1000, put 1000, put 1000"; got != want {
			t.Errorf("calls: %s, want %s", got, want)
		}
	})
	t.Run("the store fails at the end", func(t *testing.T) {
		store := newWatched(t)
		store.left = 1
		report, err := predict.NewImporter(s, store).Import(t.Context(), csvOf(t, s, rows(1_001)), predict.ImportOptions{})
		if !errors.Is(err, errFull) || report.Imported != 1_000 {
			t.Errorf("got %+v, %v", report, err)
		}
	})
	t.Run("the store fails from the start: nothing is imported", func(t *testing.T) {
		store := newWatched(t)
		store.Fail(errFull)
		report, err := predict.NewImporter(s, store).Import(t.Context(), csvOf(t, s, rows(3)), predict.ImportOptions{})
		if !errors.Is(err, errFull) || report.Imported != 0 || report.DemoRemoved != 0 {
			t.Errorf("got %+v, %v", report, err)
		}
	})
	t.Run("strict, and the store fails too: both are told", func(t *testing.T) {
		store := newWatched(t)
		store.left = 0
		_, err := predict.NewImporter(s, store).Import(t.Context(), csvOf(t, s, "age,job\n34,admin.\nx,admin.\n"), predict.ImportOptions{Strict: true})
		if !errors.Is(err, errFull) || !errors.Is(err, predict.ErrStrict) {
			t.Errorf("error %v", err)
		}
	})
}

// TestNumberingOfASecondTable imports a table without ids into a store that has the
// rows of another.
func TestNumberingOfASecondTable(t *testing.T) {
	s := parse(t, small)
	const first, other = "age,job,y\n34,admin.,yes\n35,services,no\n", "age,job,y\n50,admin.,no\n51,admin.,no\n52,admin.,no\n"
	tests := []struct {
		name, text string
		numbering  predict.Numbering
		want       predict.ImportReport
		fault      string
		customers  int
	}{
		{"the same again", first, predict.NumberRefuse, predict.ImportReport{Rows: 2, Imported: 2, Updated: 2, Labelled: 2, Positive: 1, Numbered: 2}, "", 2},
		{"the same and more", first + "36,admin.,no\n", predict.NumberRefuse,
			predict.ImportReport{Rows: 3, Imported: 3, Inserted: 1, Updated: 2, Labelled: 3, Positive: 1, Numbered: 3}, "", 3},
		{"another", other, predict.NumberRefuse, predict.ImportReport{Rows: 3}, "line 2: customer 1 exists with other values, and the table has no column customer_id", 2},
		{"another in its place", other, predict.NumberReplace, predict.ImportReport{Rows: 3, Imported: 3, Inserted: 1, Updated: 2, Labelled: 3, Numbered: 3}, "", 3},
		{"another by default", other, "", predict.ImportReport{Rows: 3, Imported: 3, Inserted: 1, Updated: 2, Labelled: 3, Numbered: 3}, "", 3},
		{"another after it", other, predict.NumberContinue, predict.ImportReport{Rows: 3, Imported: 3, Inserted: 3, Labelled: 3, Numbered: 3}, "", 5},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			store := predicttest.NewStore()
			importer := predict.NewImporter(s, store)
			if _, err := importer.Import(t.Context(), csvOf(t, s, first), predict.ImportOptions{}); err != nil {
				t.Fatal(err)
			}
			report, err := importer.Import(t.Context(), csvOf(t, s, tt.text), predict.ImportOptions{Numbering: tt.numbering})
			var e *failure.Error
			switch {
			case tt.fault == "" && err != nil:
				t.Error(err)
			case tt.fault != "" && (!errors.As(err, &e) || e.Kind != failure.Conflict || !strings.HasPrefix(e.Detail, tt.fault)):
				t.Errorf("error %v, want %s", err, tt.fault)
			}
			if report != tt.want || store.Len() != tt.customers {
				t.Errorf("got %+v and %d customers, want %+v and %d", report, store.Len(), tt.want, tt.customers)
			}
			if c, _ := store.Customer("5"); tt.numbering == predict.NumberContinue && !strings.HasPrefix(string(c.Features), `{"age":52,`) {
				t.Errorf("customer 5 is %s", c.Features)
			}
		})
	}
	t.Run("rows with ids are never refused", func(t *testing.T) {
		store := predicttest.NewStore()
		for _, text := range []string{first, "customer_id,age,job\n1,50,admin.\n"} {
			if _, err := predict.NewImporter(s, store).Import(t.Context(), csvOf(t, s, text), predict.ImportOptions{Numbering: predict.NumberRefuse}); err != nil {
				t.Error(err)
			}
		}
	})
}
