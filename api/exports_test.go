package api_test

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"gateway/api"
	"gateway/api/client"
	"gateway/api/edge"
	"gateway/internal/failure"
	"gateway/internal/modelswap"
	"gateway/internal/predict"
)

// withTrainingData has a renewal that made training data. Its held-out rows are the same.
func withTrainingData(rows string) option {
	return func(b *bundle, _ *api.Options, p *parts) {
		r := &modelswap.Renewal{ID: "r1", Status: modelswap.Rejected,
			State: modelswap.State{Schema: p.schema.Fingerprint(), Train: "renewals/r1/train.csv", Holdout: "renewals/r1/holdout.csv"}}
		for _, name := range modelswap.Order() {
			r.Steps = append(r.Steps, modelswap.Step{Name: name, Status: modelswap.StepSucceeded})
		}
		b.swap.renewals = []*modelswap.Renewal{r}
		p.ports.Files = readOnlyFiles{fstest.MapFS{"renewals/r1/train.csv": {Data: []byte(rows)}, "renewals/r1/holdout.csv": {Data: []byte(rows)}}}
	}
}

type readOnlyFiles struct{ files fs.FS }

func (f readOnlyFiles) FS(context.Context) fs.FS { return f.files }
func (readOnlyFiles) WriteFile(context.Context, string, func(io.Writer) error) error {
	return errTest
}
func (readOnlyFiles) RemoveAll(context.Context, string) error { return errTest }

func withExports(e api.Exports) option {
	return func(b *bundle, _ *api.Options, _ *parts) { b.deps.Exports = e }
}

// failingExports has many customers, and then an error.
type failingExports struct{ api.Exports }

func (failingExports) CustomersAfter(_ context.Context, after string, limit int) ([]predict.Customer, error) {
	if after != "" && after >= "c5" {
		return nil, errTest
	}
	n := 0
	if after != "" {
		n = int(after[1] - '0' + 1)
	}
	page := make([]predict.Customer, limit)
	for i := range page {
		page[i] = predict.Customer{ID: fmt.Sprintf("c%d-%03d", n, i), Features: []byte(technician)}
	}
	return page, nil
}

// stuckExports answers nothing until it is released.
type stuckExports struct {
	entered, release chan struct{}
}

func (s *stuckExports) CustomersAfter(context.Context, string, int) ([]predict.Customer, error) {
	s.entered <- struct{}{}
	<-s.release
	return nil, nil
}

func (s *stuckExports) PredictionsAfter(context.Context, string, int) ([]predict.Recorded, error) {
	return nil, errTest
}

func TestExportedCustomersCanBeImported(t *testing.T) {
	b := setup(t)
	one, zero := 1, 0
	var all []predict.Customer
	for i := range 450 { // more than two pages
		c := predict.Customer{ID: fmt.Sprintf("c%04d", i), Features: []byte(technician), Label: []*int{&one, &zero, nil}[i%3]}
		if i == 7 {
			c.ID = `a "quoted", odd; id`
			c.Features = []byte(strings.Replace(technician, "{", `{"of_an_earlier_schema":[1,{}],`, 1))
		}
		all = append(all, c)
	}
	if _, _, err := b.store.PutCustomers(t.Context(), all); err != nil {
		t.Fatal(err)
	}
	for format, contentType := range map[string]string{"csv": "text/csv", "ndjson": "application/x-ndjson"} {
		got := b.asOperator("GET", "/admin/customers?format="+format, "").want(200)
		if got.trailer.Get("X-Stream-End") != "complete" || got.header.Get("Content-Type") != contentType {
			t.Errorf("%s: trailer %v, content type %q", format, got.trailer, got.header.Get("Content-Type"))
		}
		if act := newestAct(t, b.acts); act.Action != "GET /admin/customers" || act.Token != "ops" || act.Detail != "format="+format || act.Status != 200 {
			t.Errorf("the audit log has %+v", act)
		}
		other := setup(t)
		report, err := other.client.Import(t.Context(), contentType, strings.NewReader(got.body), client.ImportOptions{Strict: true}, nil)
		if err != nil || report.Inserted != 450 || report.Labelled != 300 {
			t.Fatalf("%s: imported %+v, %v", format, report, err)
		}
		for _, c := range all {
			back, found := other.store.Customer(c.ID)
			if !found || string(back.Features) != technician || (c.Label == nil) != (back.Label == nil) || (c.Label != nil && *c.Label != *back.Label) {
				t.Fatalf("%s: %+v came back as %+v", format, c, back)
			}
		}
	}
}

func TestLedgerIsExportedByTime(t *testing.T) {
	b := setup(t, func(b *bundle, _ *api.Options, _ *parts) { b.deps.KeysKept = time.Hour })
	start := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	var all []predict.Prediction
	for i := range 500 {
		at := start.Add(time.Duration(i) * time.Minute)
		id := failure.IDBefore(at)
		id = id[:14] + "7" + id[15:19] + "8" + id[20:]
		all = append(all, predict.Prediction{ID: id, CreatedAt: at, Features: []byte(`{"job":"admin., \"x\""}`),
			Score: 0.5, Label: 1, Model: "m1", Schema: "s1", Latency: 1500 * time.Microsecond})
	}
	if err := b.store.Append(t.Context(), all); err != nil {
		t.Fatal(err)
	}
	got := b.asOperator("GET", "/admin/predictions?from=2026-11-23T11:00:00Z&to=2026-11-23T15:00:00%2B01:00", "").want(200).lines()
	if len(got) != 180 || !strings.Contains(got[0], `"created_at":"2026-11-23T11:00:00Z"`) || !strings.Contains(got[179], `"created_at":"2026-11-23T13:59:00Z"`) {
		t.Errorf("%d lines, from %s to %s", len(got), got[0], got[len(got)-1])
	}
	none := b.asOperator("GET", "/admin/predictions?to=2001-01-01T00:00:00Z", "").want(200)
	if none.body != "" || none.header.Get("X-Stream-End") != "" || none.trailer.Get("X-Stream-End") != "complete" {
		t.Errorf("an empty export is %q with headers %v and trailer %v", none.body, none.header, none.trailer)
	}
	rows, err := csv.NewReader(strings.NewReader(b.asOperator("GET", "/admin/predictions?format=csv", "").want(200).body)).ReadAll()
	if err != nil || len(rows) != 501 || rows[1][8] != "1500" || rows[1][11] != `{"job":"admin., \"x\""}` {
		t.Errorf("%d rows, %v: %v", len(rows), err, rows[:2])
	}
}

func TestTrainingDataIsExported(t *testing.T) {
	b := setup(t, withTrainingData("1,2\n0,3\n"))
	got := b.asOperator("GET", "/admin/training-data", "").want(200)
	if lines := got.lines(); len(lines) != 3 || !strings.HasPrefix(lines[0], "y,age,") || lines[2] != "0,3" {
		t.Errorf("got %q", got.body)
	}
	if act := newestAct(t, b.acts); act.Target != "r1" || act.Action != "GET /admin/training-data" {
		t.Errorf("the audit log has %+v", act)
	}
	if renewal := got.header.Get("X-Renewal-Id"); renewal != "r1" {
		t.Errorf("the renewal is %q", renewal)
	}
	got = b.asOperator("GET", "/admin/training-data?holdout=true", "").want(200)
	if lines := got.lines(); len(lines) != 5 || lines[2] != "0,3" || lines[3] != "1,2" {
		t.Errorf("with the held-out rows: %q", got.body)
	}
	if p := b.asOperator("GET", "/admin/training-data?holdout=maybe", "").problem(422); fields(p) != "holdout format" {
		t.Errorf("got %+v", p)
	}
	data, err := b.client.TrainingData(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer data.Close()
	if text, err := io.ReadAll(data); err != nil || data.Renewal != "r1" || string(text) != got.body {
		t.Errorf("the client has %q of %q: %v", text, data.Renewal, err)
	}
	if renewal, err := b.client.TrainingDataRenewal(t.Context()); err != nil || renewal != "r1" {
		t.Errorf("the renewal is %q: %v", renewal, err)
	}
	width := b.deps.Predict.Schema().Width()
	b = setup(t, withTrainingData("1,34"+strings.Repeat(",0.5", width-1)+"\n0,35"+strings.Repeat(",-1e-07", width-1)+"\n"))
	got = b.asOperator("GET", "/admin/training-data?format=ndjson", "").want(200)
	lines := got.lines()
	if len(lines) != 2 || !strings.HasPrefix(lines[0], `{"y":1,"age":34,"job=admin.":0.5,`) || got.trailer.Get("X-Stream-End") != "complete" {
		t.Fatalf("got %q", got.body)
	}
	var row map[string]float64
	if err := json.Unmarshal([]byte(lines[1]), &row); err != nil || len(row) != width+1 || row["y"] != 0 || row["nr_employed"] != -1e-07 {
		t.Errorf("got %v, %v of %s", row, err, lines[1])
	}
	if p := b.asOperator("GET", "/admin/training-data?format=xml", "").problem(422); fields(p) != "format format" {
		t.Errorf("got %+v", p)
	}
}

// TestAnExportThatFailsBreaksOff fails after the first pages: what came of it must
// not look whole.
func TestAnExportThatFailsBreaksOff(t *testing.T) {
	b := setup(t, withExports(failingExports{}))
	var out bytes.Buffer
	if err := b.client.Export(t.Context(), "/admin/customers", &out); err == nil || !strings.Contains(err.Error(), "breaks off") {
		t.Errorf("got %v after %d bytes, want that the answer breaks off", err, out.Len())
	}
	if out.Len() == 0 {
		t.Error("nothing came before it broke off")
	}
}

// TestExportsAreBounded opens as many exports as one token may have.
func TestExportsAreBounded(t *testing.T) {
	stuck := &stuckExports{entered: make(chan struct{}, 8), release: make(chan struct{})}
	b := setup(t, withExports(stuck))
	done := make(chan error, 4)
	for range 4 {
		go func() { done <- b.client.Export(context.Background(), "/admin/customers", &bytes.Buffer{}) }()
		<-stuck.entered
	}
	var problem *edge.Problem
	if err := b.client.Export(t.Context(), "/admin/predictions", &bytes.Buffer{}); !errors.As(err, &problem) || problem.Status != http.StatusTooManyRequests {
		t.Errorf("got %v, want 429", err)
	}
	close(stuck.release)
	for range 4 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if err := b.client.Export(t.Context(), "/admin/customers", &bytes.Buffer{}); err != nil {
		t.Errorf("after the others have ended: %v", err)
	}
}

// TestTheLedgersCellsHoldNoFormula: callers choose ids, and people open the file.
func TestTheLedgersCellsHoldNoFormula(t *testing.T) {
	b := setup(t)
	b.post("/predict", `{"customer_id":"=cmd|'/c calc'!A1","features":`+technician+`}`).want(200)
	a := b.asOperator("GET", "/admin/predictions?format=csv", "").want(200)
	rows, err := csv.NewReader(strings.NewReader(a.body)).ReadAll()
	if err != nil || len(rows) != 2 {
		t.Fatalf("got %q (%v), want a header and a row", a.body, err)
	}
	if got := rows[1][1]; got != "'=cmd|'/c calc'!A1" {
		t.Errorf("the id is %q, want an apostrophe before it", got)
	}
}
