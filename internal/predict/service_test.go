package predict_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"gateway/internal/callctx"
	"gateway/internal/failure"
	"gateway/internal/predict"
	"gateway/internal/predict/predicttest"
	"gateway/internal/schema"
)

// bench is a service on small's schema with everything around it.
type bench struct {
	*predict.Service
	schema   *schema.Schema
	scorer   *predicttest.Scorer
	store    *predicttest.Store
	log      *bytes.Buffer
	registry *prometheus.Registry
}

// setup makes a bench. Customer 10042 is stored; the model's score is a
// hundredth of the age.
func setup(t testing.TB, text string) *bench {
	t.Helper()
	b := &bench{schema: parse(t, text), store: predicttest.NewStore(), log: new(bytes.Buffer), registry: prometheus.NewRegistry()}
	b.scorer = &predicttest.Scorer{Model: "model-1", Schema: b.schema.Fingerprint(),
		Func: func(row schema.Vector) float64 { return row[0] / 100 }}
	b.put(t, "10042", `{"age":50,"job":"services","month":"may","rate":2}`)
	b.Service = predict.NewService(b.schema, b.scorer, b.store, b.store, slog.New(slog.NewTextHandler(b.log, nil)), b.registry)
	return b
}

func (b *bench) put(t testing.TB, id, features string) {
	t.Helper()
	if _, _, err := b.store.PutCustomers(t.Context(), []predict.Customer{{ID: id, Features: []byte(features)}}); err != nil {
		t.Fatal(err)
	}
}

// request asks with features and perhaps a customer.
func (b *bench) request(t testing.TB, customer, features string) predict.Request {
	t.Helper()
	return predict.Request{CustomerID: customer, Features: record(t, b.schema, features)}
}

// metrics compares a metric with its expected samples, without help and type.
func (b *bench) metrics(t testing.TB, name, help, kind string, samples ...string) {
	t.Helper()
	want := ""
	if len(samples) > 0 {
		want = fmt.Sprintf("# HELP %s %s\n# TYPE %s %s\n%s\n", name, help, name, kind, strings.Join(samples, "\n"))
	}
	if err := testutil.GatherAndCompare(b.registry, strings.NewReader(want), name); err != nil {
		t.Error(err)
	}
}

// scored counts the observations of the scorer's histogram by outcome.
func (b *bench) scored(t testing.TB) map[string]uint64 {
	t.Helper()
	families, err := b.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	counts := map[string]uint64{}
	for _, f := range families {
		if f.GetName() != "gateway_scorer_seconds" {
			continue
		}
		for _, m := range f.GetMetric() {
			if n := m.GetHistogram().GetSampleCount(); n > 0 {
				counts[m.GetLabel()[0].GetValue()] = n
			}
		}
	}
	return counts
}

const (
	violationsHelp = "Violations of the schema in requests, by feature and code. Those that the answer does not list have the code omitted."
	mappedHelp     = "Unlisted categories that were replaced with the schema's unknown value, by feature."
	outcomesHelp   = "Outcomes received, by result."
	ledgerHelp     = "Predictions that were answered without being recorded."
)

func kindOf(err error) failure.Kind {
	var e *failure.Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return failure.Internal
}

// A request's null takes precedence over a stored value, and stays null in the
// ledger; the indicator's contribution is part of its feature's.
func TestPredictWithMissingValues(t *testing.T) {
	const optional = `name: optional
id: customer_id
label: {name: y, positive: [1], negative: [0]}
features:
  - {name: age, type: integer, missing: allow, fill: 2}
  - {name: job, type: category, values: [a, b], missing: allow}
`
	tests := []struct{ name, customer, features, row, ledger string }{
		{"absent", "", `{"job":"b"}`, "2,1,0,1,0", `{"age":null,"job":"b"}`},
		{"null", "", `{"age":null,"job":"b"}`, "2,1,0,1,0", `{"age":null,"job":"b"}`},
		{"stored", "7", `{}`, "40,0,0,0,1", `{"age":40,"job":null}`},
		{"null over a stored value", "7", `{"age":null}`, "2,1,0,0,1", `{"age":null,"job":null}`},
		{"a value over a stored null", "7", `{"job":"a"}`, "40,0,1,0,0", `{"age":40,"job":"a"}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := setup(t, optional)
			b.put(t, "7", `{"age":40,"job":null}`)
			b.scorer.Weights = []float64{1, 10, 100, 1000, 10000}
			req := b.request(t, tt.customer, tt.features)
			req.Explain = schema.ExplainTop
			got, err := b.Predict(t.Context(), req)
			if err != nil {
				t.Fatal(err)
			}
			row := b.scorer.Calls()[0][0]
			if text := string(schema.AppendCSV(nil, row)); text != tt.row {
				t.Errorf("the model got %s, want %s", text, tt.row)
			}
			reasons := map[string]float64{}
			for _, r := range got.Reasons {
				reasons[r.Feature] = r.Contribution
			}
			want := map[string]float64{"age": row[0] + 10*row[1], "job": 100*row[2] + 1000*row[3] + 10000*row[4]}
			if diff := cmp.Diff(want, reasons); diff != "" {
				t.Errorf("reasons (-want +got):\n%s", diff)
			}
			if recorded := string(b.store.Predictions()[0].Features); recorded != tt.ledger {
				t.Errorf("the ledger has %s, want %s", recorded, tt.ledger)
			}
		})
	}
}

// The schema's threshold decides the label, whatever the model says: in answers, in
// batches, in the ledger and for encoded rows. Without one the model's label stays.
func TestTheThresholdDecidesTheLabel(t *testing.T) {
	for name, tt := range map[string]struct {
		line string
		want []int // of the scores 0.19, 0.2 and 0.7, where the model says 1, 1 and 0
	}{
		"none":          {"", []int{1, 1, 0}},
		"low":           {"threshold: 0.2\n", []int{0, 1, 1}},
		"high":          {"threshold: 0.71\n", []int{0, 0, 0}},
		"one half":      {"threshold: 0.5\n", []int{0, 0, 1}},
		"of the costs":  {"threshold: {false_positive: 1, false_negative: 4}\n", []int{0, 1, 1}},
		"of same costs": {"threshold: {false_positive: 3, false_negative: 3}\n", []int{0, 0, 1}},
	} {
		t.Run(name, func(t *testing.T) {
			b := setup(t, small+tt.line)
			b.scorer.Change = func(s *predict.Scores) {
				for i := range s.Label {
					s.Label[i] = 1
					if s.Score[i] > 0.5 {
						s.Label[i] = 0
					}
				}
			}
			var reqs []predict.Request
			var rows []schema.Vector
			for _, age := range []int{19, 20, 70} {
				reqs = append(reqs, b.request(t, "", fmt.Sprintf(`{"age":%d,"job":"admin."}`, age)))
				rows = append(rows, schema.Vector{float64(age), 1, 0, 0, 2, 1.5})
			}
			scores, err := b.Score(t.Context(), rows, false)
			if err != nil || !slices.Equal(scores.Label, tt.want) {
				t.Errorf("encoded rows have the labels %v, want %v (%v)", scores.Label, tt.want, err)
			}
			for i, result := range b.PredictBatch(t.Context(), reqs) {
				if result.Err != nil || result.Prediction.Label != tt.want[i] {
					t.Errorf("row %d has the label %d, want %d (%v)", i, result.Prediction.Label, tt.want[i], result.Err)
				}
			}
			one, err := b.Predict(t.Context(), b.request(t, "", `{"age":20,"job":"admin."}`))
			if err != nil || one.Label != tt.want[1] {
				t.Errorf("one request has the label %d, want %d (%v)", one.Label, tt.want[1], err)
			}
			for i, p := range b.store.Predictions() {
				if want := append(tt.want, tt.want[1])[i]; p.Label != want {
					t.Errorf("row %d of the ledger has the label %d, want %d", i, p.Label, want)
				}
			}
		})
	}
}

func TestPredict(t *testing.T) {
	tests := []struct {
		name, customer, features string
		row                      string // what the model sees
		ledger                   string // the features in the ledger
	}{
		{"by features", "", `{"age":20,"job":"admin.","month":"mar","rate":1}`, "20,1,0,0,1,1", `{"age":20,"job":"admin.","month":"mar","rate":1}`},
		{"by features with defaults", "", `{"age":20,"job":"admin."}`, "20,1,0,0,2,1.5", `{"age":20,"job":"admin.","month":"apr","rate":1.5}`},
		{"by customer", "10042", `{}`, "50,0,1,0,3,2", `{"age":50,"job":"services","month":"may","rate":2}`},
		{"by both, where the request wins", "10042", `{"age":20,"month":"mar"}`, "20,0,1,0,1,2", `{"age":20,"job":"services","month":"mar","rate":2}`},
		{"by both, where stored values win over defaults", "10042", `{"age":20,"job":"admin."}`, "20,1,0,0,3,2", `{"age":20,"job":"admin.","month":"may","rate":2}`},
		{"by features of a customer that is not stored", "nobody", `{"age":20,"job":"admin."}`, "20,1,0,0,2,1.5", `{"age":20,"job":"admin.","month":"apr","rate":1.5}`},
		{"an unlisted category", "", `{"age":20,"job":"pilot"}`, "20,0,0,1,2,1.5", `{"age":20,"job":"unknown","month":"apr","rate":1.5}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := setup(t, small)
			got, err := b.Predict(t.Context(), b.request(t, tt.customer, tt.features))
			if err != nil {
				t.Fatal(err)
			}
			row := b.scorer.Calls()[0][0]
			if csv := string(schema.AppendCSV(nil, row)); csv != tt.row {
				t.Errorf("the model saw %s, want %s", csv, tt.row)
			}
			label := 0
			if row[0] >= 50 {
				label = 1
			}
			if got.Score != row[0]/100 || got.Label != label || got.Model != "model-1" || got.Schema != b.schema.Fingerprint() {
				t.Errorf("got %+v", got)
			}
			if got.ID == "" || got.CustomerID != tt.customer || got.CreatedAt.IsZero() || got.CreatedAt.Location() != time.UTC {
				t.Errorf("id %q of %q at %v", got.ID, got.CustomerID, got.CreatedAt)
			}
			ledger := b.store.Predictions()
			if len(ledger) != 1 || string(ledger[0].Features) != tt.ledger {
				t.Fatalf("ledger %s", ledger[0].Features)
			}
			ledger[0].Features = nil // the answer has none
			if diff := cmp.Diff(got, ledger[0]); diff != "" {
				t.Errorf("the ledger's row differs from the answer:\n%s", diff)
			}
		})
	}
}

func TestAPredictionMayBeGivenItsID(t *testing.T) {
	b := setup(t, small)
	req := b.request(t, "10042", `{"age":30}`)
	req.ID = "mine"
	if p, err := b.Predict(t.Context(), req); err != nil || p.ID != "mine" {
		t.Errorf("got %+v, %v", p, err)
	}
	if rows := b.store.Predictions(); len(rows) != 1 || rows[0].ID != "mine" {
		t.Errorf("the ledger has %+v", rows)
	}
}

func TestPredictByCustomerAlone(t *testing.T) {
	b := setup(t, small)
	// A caller that has no features may leave the record at its zero value.
	got, err := b.Predict(t.Context(), predict.Request{CustomerID: "10042"})
	if err != nil || got.Score != 0.5 {
		t.Errorf("got %v, %v", got.Score, err)
	}
	if _, err := b.Predict(t.Context(), predict.Request{CustomerID: "nobody"}); kindOf(err) != failure.NotFound || err.Error() != "no customer has this customer_id" {
		t.Errorf("an unknown customer: %v", err)
	}
	if _, err := b.Predict(t.Context(), predict.Request{}); kindOf(err) != failure.Invalid ||
		err.Error() != "1 field of the request broke the schema; features: give features, a customer_id, or both" {
		t.Errorf("an empty request: %v", err)
	}
}

func TestPredictNamesWhatIsMissing(t *testing.T) {
	b := setup(t, small)
	_, err := b.Predict(t.Context(), b.request(t, "nobody", `{"rate":1}`))
	var e *failure.Error
	if !errors.As(err, &e) || e.Kind != failure.Invalid || codes(e.Violations) != "/features/age missing\n/features/job missing" {
		t.Errorf("got %v", err)
	}
	if e.Detail != "2 fields of the request broke the schema" {
		t.Errorf("detail %q", e.Detail)
	}
	b.metrics(t, "gateway_violations_total", violationsHelp, "counter",
		`gateway_violations_total{code="missing",feature="age"} 1`, `gateway_violations_total{code="missing",feature="job"} 1`)
	if len(b.scorer.Calls()) != 0 || len(b.store.Predictions()) != 0 {
		t.Error("the model was asked")
	}
}

func TestExcludedFeaturesAreNotAskedFor(t *testing.T) {
	b := setup(t, strings.Replace(small, "max: 120}", "max: 120, exclude: true}", 1))
	b.scorer.Func = nil
	got, err := b.Predict(t.Context(), b.request(t, "10042", `{"job":"admin.","month":"mar","rate":1}`))
	if err != nil || len(b.scorer.Calls()[0][0]) != 5 {
		t.Errorf("got %+v, %v", got, err)
	}
	if _, err := b.Predict(t.Context(), b.request(t, "", `{"age":44,"job":"admin."}`)); err != nil {
		t.Fatal(err)
	}
	if row := b.store.Predictions()[1]; string(row.Features) != `{"age":44,"job":"admin.","month":"apr","rate":1.5}` {
		t.Errorf("an excluded feature that is given: %s", row.Features)
	}
}

// asked notes the ids that the customer store is asked for.
type asked struct {
	*predicttest.Store
	ids []string
}

func (a *asked) Features(ctx context.Context, ids []string) (map[string][]byte, error) {
	a.ids = append(a.ids, ids...)
	return a.Store.Features(ctx, ids)
}

func TestTheCustomerStoreIsAskedOnlyWhereItCanAdd(t *testing.T) {
	b := setup(t, strings.Replace(small, "max: 120}", "max: 120, exclude: true}", 1))
	store := &asked{Store: b.store}
	service := predict.NewService(b.schema, &predicttest.Scorer{}, store, b.store, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	for _, r := range service.PredictBatch(t.Context(), []predict.Request{
		b.request(t, "full", `{"job":"admin.","month":"mar","rate":1}`), // but for what is excluded
		b.request(t, "default", `{"job":"admin.","month":"mar"}`),
		b.request(t, "", `{"job":"admin."}`),
		{CustomerID: "10042"},
	}) {
		if r.Err != nil {
			t.Error(r.Err)
		}
	}
	if got := strings.Join(store.ids, " "); got != "default 10042" {
		t.Errorf("asked for %q, want default and 10042", got)
	}
}

func TestUnlistedCategoriesAreCounted(t *testing.T) {
	b := setup(t, small)
	b.PredictBatch(t.Context(), []predict.Request{
		b.request(t, "", `{"age":20,"job":"pilot"}`),
		b.request(t, "10042", `{"job":"sailor"}`),
		b.request(t, "", `{"age":20,"job":"admin."}`),
		b.request(t, "", `{"job":"pilot"}`), // refused: not counted
	})
	b.metrics(t, "gateway_unknown_categories_total", mappedHelp, "counter", `gateway_unknown_categories_total{feature="job"} 2`)
}

func TestTheCustomerStoreIsDown(t *testing.T) {
	b := setup(t, small)
	down := errors.New("down")
	results := func() []predict.Result {
		b.store.Fail(down)
		defer b.store.Fail(nil)
		return b.PredictBatch(t.Context(), []predict.Request{
			b.request(t, "10042", `{}`),
			b.request(t, "10042", `{"age":20}`),
			b.request(t, "10042", `{"age":20,"job":"admin."}`),
			b.request(t, "10042", `{"age":20,"job":"admin.","month":"mar","rate":1}`),
			b.request(t, "", `{"age":20,"job":"admin."}`),
			b.request(t, "", `{"age":20}`),
		})
	}()
	for i := range 2 {
		if err := results[i].Err; kindOf(err) != failure.Unavailable || !errors.Is(err, down) {
			t.Errorf("request %d lacks what only the store knows: %v", i, err)
		}
	}
	for i := 2; i < 5; i++ {
		if err := results[i].Err; err != nil {
			t.Errorf("request %d holds all it needs: %v", i, err)
		}
	}
	if err := results[5].Err; kindOf(err) != failure.Invalid {
		t.Errorf("request 5 names no customer: %v", err)
	}
}

func TestStoredValuesThatTheSchemaDoesNotAllowAreCounted(t *testing.T) {
	b := setup(t, small)
	b.put(t, "old", `{"age":150,"job":"services","month":"jun","rate":"x","gone":1}`)
	for name, features := range map[string]string{"takes defaults": `{"age":20}`, "lacks what has none": `{"rate":1}`} {
		_, err := b.Predict(t.Context(), b.request(t, "old", features))
		if want := strings.HasPrefix(name, "lacks"); want != (err != nil) {
			t.Errorf("%s: %v", name, err)
		}
	}
	const name = "gateway_stored_values_ignored_total"
	b.metrics(t, name, "Values of stored customers that violate the schema and were treated as absent, by feature and code.", "counter",
		name+`{code="out_of_range",feature="age"} 2`, name+`{code="type",feature="rate"} 2`, name+`{code="unknown_category",feature="month"} 2`)
}

func TestStoredFeaturesThatAreBroken(t *testing.T) {
	b := setup(t, small)
	b.put(t, "bad", `{"age":5`)
	b.put(t, "old", `{"age":500,"job":"services"}`)
	if _, err := b.Predict(t.Context(), predict.Request{CustomerID: "bad"}); err == nil || kindOf(err) != failure.Internal {
		t.Errorf("broken JSON: %v", err)
	}
	if _, err := b.Predict(t.Context(), predict.Request{CustomerID: "old"}); kindOf(err) != failure.Invalid {
		t.Errorf("a stored value that the schema no longer allows: %v", err)
	}
}

func TestTheLedgerIsDown(t *testing.T) {
	b := setup(t, small)
	b.store.Fail(errors.New("disk full"))
	results := b.PredictBatch(t.Context(), []predict.Request{
		b.request(t, "", `{"age":20,"job":"admin."}`), b.request(t, "", `{"age":30,"job":"admin."}`), b.request(t, "", `{}`)})
	if results[0].Err != nil || results[1].Err != nil || results[0].Prediction.Score != 0.2 {
		t.Errorf("got %+v", results)
	}
	b.metrics(t, "gateway_ledger_failures_total", ledgerHelp, "counter", "gateway_ledger_failures_total 2")
	if text := b.log.String(); !strings.Contains(text, "disk full") || !strings.Contains(text, "rows=2") || strings.Count(text, "\n") != 1 {
		t.Errorf("log: %s", text)
	}
}

// keeper keeps the context of the ledger's calls.
type keeper struct {
	*predicttest.Store
	ctx context.Context
}

func (k *keeper) Append(ctx context.Context, p []predict.Prediction) error {
	k.ctx = ctx
	return k.Store.Append(ctx, p)
}

func TestWhatWasScoredIsRecordedThoughTheCallerHasLeft(t *testing.T) {
	b := setup(t, small)
	ledger := &keeper{Store: b.store}
	service := predict.NewService(b.schema, b.scorer, b.store, ledger, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	ctx, leave := context.WithCancel(t.Context())
	b.scorer.Change = func(*predict.Scores) { leave() }
	if _, err := service.Predict(ctx, b.request(t, "", `{"age":20,"job":"admin."}`)); err != nil {
		t.Fatal(err)
	}
	if ctx.Err() == nil || ledger.ctx.Err() != nil {
		t.Errorf("the ledger's context: %v", ledger.ctx.Err())
	}
}

func TestTheModelFails(t *testing.T) {
	throttled := &failure.Error{Kind: failure.Unavailable, Detail: "throttled", RetryAfter: time.Second}
	tests := []struct {
		name    string
		err     error
		change  func(*predict.Scores)
		want    failure.Kind
		outcome string
	}{
		{"it is throttled", throttled, nil, failure.Unavailable, "unavailable"},
		{"it answers nonsense", failure.Errorf(failure.BadModel, "nonsense"), nil, failure.BadModel, "failed"},
		{"its time runs out", fmt.Errorf("invoke: %w", context.DeadlineExceeded), nil, failure.Internal, "deadline"},
		{"its time runs out, and it says so", failure.Errorf(failure.Deadline, "too late"), nil, failure.Deadline, "deadline"},
		{"the caller leaves", fmt.Errorf("invoke: %w", context.Canceled), nil, failure.Internal, "cancelled"},
		{"something else breaks", errors.New("boom"), nil, failure.Internal, "failed"},
		{"too few scores", nil, func(s *predict.Scores) { s.Score = s.Score[:1] }, failure.BadModel, "failed"},
		{"too many scores", nil, func(s *predict.Scores) { s.Score = append(s.Score, 1) }, failure.BadModel, "failed"},
		{"no scores", nil, func(s *predict.Scores) { *s = predict.Scores{} }, failure.BadModel, "failed"},
		{"too few labels", nil, func(s *predict.Scores) { s.Label = s.Label[:1] }, failure.BadModel, "failed"},
		{"a score that is not a number", nil, func(s *predict.Scores) { s.Score[1] = math.NaN() }, failure.BadModel, "failed"},
		{"a score without bounds", nil, func(s *predict.Scores) { s.Score[1] = math.Inf(-1) }, failure.BadModel, "failed"},
		{"too few explanations", nil, func(s *predict.Scores) { s.Contributions = s.Contributions[:1] }, failure.BadModel, "failed"},
		{"an explanation too short", nil, func(s *predict.Scores) { s.Contributions[1] = s.Contributions[1][:3] }, failure.BadModel, "failed"},
		{"a base that is not a number", nil, func(s *predict.Scores) { s.Base = math.Inf(1) }, failure.BadModel, "failed"},
		{"an explanation that is not a number", nil, func(s *predict.Scores) { s.Contributions[1][0] = math.NaN() }, failure.BadModel, "failed"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := setup(t, small)
			b.scorer.Weights = []float64{1, 1, 1, 1, 1, 1}
			b.scorer.Change = tt.change
			b.scorer.Fail(tt.err)
			first := b.request(t, "", `{"age":20,"job":"admin."}`)
			first.Explain = schema.ExplainTop
			results := b.PredictBatch(t.Context(), []predict.Request{first, b.request(t, "", `{}`), b.request(t, "10042", `{}`)})
			for _, i := range []int{0, 2} {
				err := results[i].Err
				if err == nil || kindOf(err) != tt.want || (tt.err != nil && !errors.Is(err, tt.err)) {
					t.Errorf("request %d: %v, want kind %v", i, err, tt.want)
				}
			}
			if kindOf(results[1].Err) != failure.Invalid {
				t.Errorf("the bad request has the model's error: %v", results[1].Err)
			}
			if diff := cmp.Diff(map[string]uint64{tt.outcome: 1}, b.scored(t)); diff != "" {
				t.Errorf("calls by outcome (-want +got):\n%s", diff)
			}
			if len(b.store.Predictions()) != 0 {
				t.Error("the ledger has a prediction")
			}
		})
	}
}

func TestBatchKeepsTheOrder(t *testing.T) {
	b := setup(t, small)
	b.put(t, "7", `{"age":70,"job":"admin."}`)
	var reqs []predict.Request
	var want []string
	for i := range 40 {
		switch i % 5 {
		case 0:
			reqs, want = append(reqs, b.request(t, "", fmt.Sprintf(`{"age":%d,"job":"admin."}`, 20+i))), append(want, fmt.Sprint(float64(20+i)/100))
		case 1:
			reqs, want = append(reqs, b.request(t, "nobody", `{}`)), append(want, "not found")
		case 2:
			reqs, want = append(reqs, b.request(t, "7", `{}`)), append(want, "0.7")
		case 3:
			reqs, want = append(reqs, b.request(t, "", `{"age":20}`)), append(want, "invalid")
		case 4:
			reqs, want = append(reqs, b.request(t, "10042", `{"rate":3}`)), append(want, "0.5")
		}
	}
	var got []string
	ids := map[string]bool{}
	results := b.PredictBatch(t.Context(), reqs)
	for _, r := range results {
		switch kindOf(r.Err) {
		case failure.NotFound:
			got = append(got, "not found")
		case failure.Invalid:
			got = append(got, "invalid")
		default:
			got = append(got, fmt.Sprint(r.Prediction.Score))
			ids[r.Prediction.ID] = true
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("results (-want +got):\n%s", diff)
	}
	if calls := b.scorer.Calls(); len(calls) != 1 || len(calls[0]) != 24 || len(ids) != 24 || len(b.store.Predictions()) != 24 {
		t.Errorf("%d calls, %d ids, %d in the ledger; want one call with 24 rows", len(calls), len(ids), len(b.store.Predictions()))
	}
	if results := b.PredictBatch(t.Context(), nil); len(results) != 0 {
		t.Errorf("an empty batch: %v", results)
	}
}

func TestExplain(t *testing.T) {
	b := setup(t, small)
	// Columns: age, job ×3, month, rate.
	b.scorer.Weights = []float64{-0.5, 1, 2, 4, 0.25, 8}
	b.scorer.Change = func(s *predict.Scores) { s.Base = -1.5 }
	ask := func(explain schema.Explain, features string) predict.Request {
		r := b.request(t, "", features)
		r.Explain = explain
		return r
	}
	const features = `{"age":20,"job":"services","month":"may","rate":-2}`
	results := b.PredictBatch(t.Context(), []predict.Request{
		ask(schema.ExplainTop, features), ask(schema.ExplainNone, features), ask(schema.ExplainAll, features),
	})
	want := []predict.Reason{{Feature: "rate", Contribution: -16}, {Feature: "age", Contribution: -10},
		{Feature: "job", Contribution: 2}, {Feature: "month", Contribution: 0.75}}
	for _, i := range []int{0, 2} {
		if diff := cmp.Diff(want, results[i].Prediction.Reasons); diff != "" {
			t.Errorf("reasons (-want +got):\n%s", diff)
		}
	}
	if p := results[1].Prediction; p.Reasons != nil || p.Base != nil || p.Unexplained != "" {
		t.Errorf("reasons that were not asked for: %+v", p)
	}
	if p := results[0].Prediction; p.Base != nil {
		t.Errorf("a base that was not asked for: %v", *p.Base)
	}
	if p := results[2].Prediction; p.Base == nil || *p.Base != -1.5 {
		t.Errorf("got base %v, want -1.5", p.Base)
	}
}

func TestPredictionsWithoutReasonsSayWhy(t *testing.T) {
	const why = "the artifact is too large"
	for name, tt := range map[string]struct {
		change func(*predict.Scores)
		want   string // of the first request
	}{
		"no row":            {func(s *predict.Scores) { s.Contributions, s.Unexplained = nil, why }, why},
		"not this row":      {func(s *predict.Scores) { s.Contributions[0], s.Unexplained = nil, why }, why},
		"without a reason":  {func(s *predict.Scores) { s.Contributions = nil }, "the model cannot be explained"},
		"a row that has it": {func(s *predict.Scores) { s.Contributions[1], s.Unexplained = nil, why }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			b := setup(t, small)
			b.scorer.Weights, b.scorer.Change = make([]float64, 6), tt.change
			asked, plain := b.request(t, "", `{"age":20,"job":"services"}`), b.request(t, "", `{"age":20,"job":"services"}`)
			asked.Explain = schema.ExplainTop
			results := b.PredictBatch(t.Context(), []predict.Request{asked, plain})
			p := results[0].Prediction
			if results[0].Err != nil || p.Unexplained != tt.want || (p.Reasons == nil) != (tt.want != "") {
				t.Errorf("got %+v, %v", p, results[0].Err)
			}
			if p := results[1].Prediction; results[1].Err != nil || p.Unexplained != "" || p.Reasons != nil {
				t.Errorf("not asked for: %+v, %v", p, results[1].Err)
			}
		})
	}
}

func TestReasonsSumTheColumnsOfAFeature(t *testing.T) {
	b := setup(t, small)
	// Contributions against an average customer: every column of a one-hot
	// category has one.
	b.scorer.Weights = make([]float64, 6)
	b.scorer.Change = func(s *predict.Scores) {
		if s.Contributions != nil {
			s.Contributions[0] = []float64{0.5, -1, 3, -0.25, 0, 0.5}
		}
	}
	r := b.request(t, "", `{"age":20,"job":"services"}`)
	r.Explain = schema.ExplainTop
	got, err := b.Predict(t.Context(), r)
	want := []predict.Reason{{Feature: "job", Contribution: 1.75}, {Feature: "age", Contribution: 0.5},
		{Feature: "rate", Contribution: 0.5}, {Feature: "month", Contribution: 0}}
	if diff := cmp.Diff(want, got.Reasons); err != nil || diff != "" {
		t.Errorf("%v, reasons (-want +got):\n%s", err, diff)
	}
}

func TestReasonsAreTheFiveLargestAndSkipExcludedFeatures(t *testing.T) {
	bank := strings.Replace(string(schema.BankYAML()), "{name: marital,", "{name: marital, exclude: true,", 1)
	s := parse(t, bank)
	scorer := &predicttest.Scorer{Weights: make([]float64, s.Width())}
	for i, column := range s.Columns() {
		switch column {
		case "duration", "education=high.school", "job=technician", "poutcome=success", "nr_employed", "loan=no":
			scorer.Weights[i] = 1
		}
	}
	store := predicttest.NewStore()
	service := predict.NewService(s, scorer, store, store, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	got, err := service.Predict(t.Context(), predict.Request{Features: record(t, s, sample), Explain: schema.ExplainTop})
	want := []predict.Reason{{Feature: "nr_employed", Contribution: 4991.6}, {Feature: "duration", Contribution: 190},
		{Feature: "education", Contribution: 1}, {Feature: "job", Contribution: 1}, {Feature: "loan", Contribution: 1}}
	if diff := cmp.Diff(want, got.Reasons); err != nil || diff != "" {
		t.Errorf("%v, reasons (-want +got):\n%s", err, diff)
	}
}

func TestPersonalFeaturesStayOutOfTheLedger(t *testing.T) {
	b := setup(t, strings.Replace(strings.Replace(small, "min: 17", "personal: true, min: 17", 1), "unknown: unknown", "unknown: unknown, personal: true", 1))
	if _, err := b.Predict(t.Context(), b.request(t, "10042", `{"age":20}`)); err != nil {
		t.Fatal(err)
	}
	if p := b.store.Predictions(); string(p[0].Features) != `{"month":"may","rate":2}` {
		t.Errorf("ledger: %s", p[0].Features)
	}
	if csv := string(schema.AppendCSV(nil, b.scorer.Calls()[0][0])); csv != "20,0,1,0,3,2" {
		t.Errorf("the model saw %s", csv)
	}
	if text, _ := b.store.Features(t.Context(), []string{"10042"}); !strings.Contains(string(text["10042"]), `"age":50`) {
		t.Errorf("the customer store lost the personal features: %s", text)
	}
}

func TestViolationsAreCountedByFeature(t *testing.T) {
	b := setup(t, strings.Replace(small, "[emp.rate]", `[emp.rate, "per/cent~"]`, 1))
	_, violations, err := decode(b.schema, `{"age":1,"emp.rate":"x","nope":1,"month":"jun"}`)
	if err != nil {
		t.Fatal(err)
	}
	e := b.Violated(failure.Violations{Listed: violations})
	if e.Kind != failure.Invalid || len(e.Violations) != 4 {
		t.Errorf("got %v", e)
	}
	_, violations, _ = decode(b.schema, `{"per/cent~":"x"}`)
	b.Violated(failure.Violations{Listed: violations})
	b.Violated(failure.Violations{Listed: []failure.Violation{{Field: "customer_id", Code: failure.CodeMissing}, {Field: "rate", Code: failure.CodeRange}}})
	b.metrics(t, "gateway_violations_total", violationsHelp, "counter",
		`gateway_violations_total{code="missing",feature="other"} 1`,
		`gateway_violations_total{code="out_of_range",feature="age"} 1`,
		`gateway_violations_total{code="out_of_range",feature="rate"} 1`,
		`gateway_violations_total{code="type",feature="rate"} 2`,
		`gateway_violations_total{code="unknown_category",feature="month"} 1`,
		`gateway_violations_total{code="unknown_field",feature="other"} 1`)
}

func TestRecordOutcomes(t *testing.T) {
	b := setup(t, small)
	p, err := b.Predict(t.Context(), predict.Request{CustomerID: "10042"})
	if err != nil {
		t.Fatal(err)
	}
	outcomes := []predict.Outcome{
		{PredictionID: p.ID, Label: 1},
		{CustomerID: "10042", Label: 1, ObservedAt: time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)},
		{CustomerID: "nobody", Label: 1},
	}
	matches, err := b.RecordOutcomes(t.Context(), outcomes)
	want := []predict.Match{
		{Found: true, PredictionID: p.ID, CustomerID: "10042", Model: "model-1"},
		{Found: true, Duplicate: true, PredictionID: p.ID, CustomerID: "10042", Model: "model-1"},
		{},
	}
	if diff := cmp.Diff(want, matches); err != nil || diff != "" {
		t.Errorf("%v, matches (-want +got):\n%s", err, diff)
	}
	if c, _ := b.store.Customer("10042"); c.Label == nil || *c.Label != 1 {
		t.Error("the customer has no label")
	}
	if outcomes[0].ObservedAt.IsZero() || outcomes[1].ObservedAt.Hour() != 10 {
		t.Errorf("times: %v, %v", outcomes[0].ObservedAt, outcomes[1].ObservedAt)
	}
	b.metrics(t, "gateway_outcomes_total", outcomesHelp, "counter", `gateway_outcomes_total{result="duplicate"} 1`,
		`gateway_outcomes_total{result="recorded"} 1`, `gateway_outcomes_total{result="unmatched"} 1`)

	down := errors.New("down")
	b.store.Fail(down)
	_, err = b.RecordOutcomes(t.Context(), outcomes)
	var e *failure.Error
	if !errors.As(err, &e) || e.Kind != failure.Unavailable || e.RetryAfter == 0 || !errors.Is(err, down) {
		t.Errorf("a store that is down: %v", err)
	}
}

func TestLatencyIsTheTimeThatPassed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, small)
		b.scorer.Change = func(*predict.Scores) { time.Sleep(30 * time.Millisecond) } // in the bubble's time
		got, err := b.Predict(t.Context(), b.request(t, "", `{"age":20,"job":"admin."}`))
		if err != nil || got.Latency != 30*time.Millisecond {
			t.Errorf("latency %v, %v", got.Latency, err)
		}
	})
}

func TestServiceIsSafeForConcurrentUse(t *testing.T) {
	b := setup(t, small)
	var all sync.WaitGroup
	for i := range 8 {
		features := fmt.Sprintf(`{"age":%d}`, 20+i)
		all.Go(func() {
			for range 50 {
				got, err := b.Predict(t.Context(), b.request(t, "10042", features))
				if err != nil || got.Score != float64(20+i)/100 {
					t.Errorf("got %v, %v", got.Score, err)
				}
			}
		})
	}
	all.Wait()
	if n := len(b.store.Predictions()); n != 400 {
		t.Errorf("%d predictions", n)
	}
}

func TestMetricsAreWellNamed(t *testing.T) {
	b := setup(t, small)
	b.PredictBatch(t.Context(), []predict.Request{b.request(t, "", `{"age":20,"job":"pilot"}`), b.request(t, "", `{}`)})
	problems, err := testutil.GatherAndLint(b.registry)
	if err != nil || len(problems) > 0 {
		t.Errorf("%v, %v", problems, err)
	}
	// Two services live in one program when each has its registry.
	predict.NewService(b.schema, b.scorer, b.store, b.store, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
}

func TestTheLedgerMayForbidTheAnswer(t *testing.T) {
	b := setup(t, small)
	const complete = `{"age":44,"job":"admin."}`
	full := &failure.Error{Kind: failure.Unavailable, Detail: "no room", RetryAfter: 5 * time.Second}
	b.store.Fail(full)
	results := b.PredictBatch(t.Context(), []predict.Request{b.request(t, "", complete), b.request(t, "", `{"job":"admin."}`), b.request(t, "", complete)})
	for _, i := range []int{0, 2} {
		if !errors.Is(results[i].Err, full) || results[i].Prediction.ID != "" {
			t.Errorf("result %d: %+v, want the ledger's error and no prediction", i, results[i])
		}
	}
	var e *failure.Error
	if !errors.As(results[1].Err, &e) || e.Kind != failure.Invalid {
		t.Errorf("the request that was wrong by itself got %v", results[1].Err)
	}
	b.metrics(t, "gateway_ledger_failures_total", ledgerHelp, "counter", "gateway_ledger_failures_total 0")
}

func TestALedgerThatFailsIsLoggedOnceAndWhenItEnds(t *testing.T) {
	b := setup(t, small)
	const complete = `{"age":44,"job":"admin."}`
	b.store.Fail(errors.New("down"))
	for range 3 {
		if _, err := b.Predict(t.Context(), b.request(t, "", complete)); err != nil {
			t.Fatal(err)
		}
	}
	b.store.Fail(nil)
	for range 3 {
		if _, err := b.Predict(t.Context(), b.request(t, "", complete)); err != nil {
			t.Fatal(err)
		}
	}
	for text, want := range map[string]int{"answered without being recorded": 1, "recorded in the ledger again": 1} {
		if got := strings.Count(b.log.String(), text); got != want {
			t.Errorf("%q is logged %d times, want %d", text, got, want)
		}
	}
}

func TestTheLedgerKnowsTheCaller(t *testing.T) {
	b := setup(t, small)
	const complete = `{"age":44,"job":"admin."}`
	if name := callctx.Caller(t.Context()); name != "" {
		t.Errorf("a caller without a key has the name %q", name)
	}
	for _, name := range []string{"", "shop"} {
		ctx := t.Context()
		if name != "" {
			ctx = context.WithValue(ctx, callctx.Key{}, &callctx.Info{Caller: name})
		}
		if _, err := b.Predict(ctx, b.request(t, "", complete)); err != nil {
			t.Fatal(err)
		}
		if got := b.store.Predictions(); got[len(got)-1].Caller != name {
			t.Errorf("the ledger has the caller %q, want %q", got[len(got)-1].Caller, name)
		}
	}
}

func TestPersonalFeaturesMayBeHashed(t *testing.T) {
	b := setup(t, strings.Replace(small, "min: 17", "personal: true, min: 17", 1))
	const personalRow, personalOther = `{"age":44,"job":"admin."}`, `{"age":45,"job":"admin."}`
	key := []byte("0123456789abcdef0123456789abcdef")
	hash, err := predict.NewPersonalHash(key)
	if err != nil {
		t.Fatal(err)
	}
	b.HashPersonal(hash)
	ask := func(features string) predict.Prediction {
		t.Helper()
		if _, err := b.Predict(t.Context(), b.request(t, "", features)); err != nil {
			t.Fatal(err)
		}
		all := b.store.Predictions()
		return all[len(all)-1]
	}
	first, again, other := ask(personalRow), ask(personalRow), ask(personalOther)
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte("age\x0044"))
	want := `{"age":"` + hash.KeyID() + ":" + hex.EncodeToString(mac.Sum(nil)) + `"}`
	if string(first.Personal) != want || string(again.Personal) != want {
		t.Errorf("hashes are %s and %s, want twice %s", first.Personal, again.Personal, want)
	}
	if string(other.Personal) == want || len(other.Personal) != len(want) {
		t.Errorf("another value has the hash %s", other.Personal)
	}
	if strings.Contains(string(first.Features), "age") {
		t.Errorf("the ledger has %s in the clear", first.Features)
	}
	if _, err := predict.NewPersonalHash(key[:31]); err == nil {
		t.Error("a short key was taken")
	}
}
