package athena

import (
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/athena"
	"github.com/prometheus/client_golang/prometheus"

	"gateway/internal/aws"
	"gateway/internal/gatewaytest"
	"gateway/internal/learn"
	"gateway/internal/local"
	"gateway/internal/modelswap"
	"gateway/internal/modelswap/modelswaptest"
	"gateway/internal/predict"
	"gateway/internal/sandbox"
)

// watched is a Runner that counts the statements that it runs, by their first word, and
// the tables that there are at once.
type watched struct {
	*Runner
	mu     sync.Mutex
	counts map[string]int
	tables int // the most
}

func newWatched() *watched { return &watched{Runner: NewRunner(), counts: map[string]int{}} }

// Run implements sandbox.QueryRunner.
func (w *watched) Run(ctx context.Context, q sandbox.Query) (sandbox.QueryResult, error) {
	out, err := w.Runner.Run(ctx, q)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.counts[strings.ToUpper(strings.Fields(q.SQL)[0])]++
	w.tables = max(w.tables, len(w.Tables()))
	return out, err
}

// ran returns the number of statements of each kind since the last call, as
// "CREATE DROP UNLOAD WITH".
func (w *watched) ran() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	text := fmt.Sprint(w.counts["CREATE"], w.counts["WITH"], w.counts["UNLOAD"], w.counts["DROP"])
	clear(w.counts)
	return text
}

// eachOnce is what ran returns of an undisturbed conversion: one definition, the counts,
// the rows and the evidence, and the drop.
const eachOnce = "1 1 2 1"

// noTable checks that there is no table, and that there never was more than one.
func (w *watched) noTable(t *testing.T) {
	t.Helper()
	if left := w.Tables(); len(left) > 0 {
		t.Errorf("the tables %q are left", left)
	}
	if w.tables > 1 {
		t.Errorf("there were %d tables at once, want one", w.tables)
	}
}

const smallSchema = `
name: small
id: customer_id
label: {name: y, positive: [1, "yes"], negative: [0, "no"]}
features:
  - {name: x, type: number}
  - {name: month, type: category, values: [may, jun]}
  - {name: size, type: number, default: 1}
`

// people is a store of n customers, of whom every ninth has an outcome of an app, which
// the caps apply to.
type people int

// EachCustomer implements local.Customers.
func (n people) EachCustomer(_ context.Context, each func(predict.Customer) error) error {
	for i := range int(n) {
		x := float64((i*37)%100) / 10
		label := 0
		if x+float64(i%7)/3 > 5.5 {
			label = 1
		}
		c := predict.Customer{ID: fmt.Sprint(i), Label: &label, Features: fmt.Appendf(nil, `{"x":%v,"month":%q,"size":%v}`, x, []string{"may", "jun"}[i%2], 1+i%5)}
		if i%9 == 0 {
			c.Outcome = int64(i + 1)
			c.Evidence = predict.Evidence{Made: i%2 == 0, Caller: fmt.Sprint("app ", i%4), LabelledAt: time.Now()}
		}
		if err := each(c); err != nil {
			return err
		}
	}
	return nil
}

// house is an engine on a sandbox whose queries run and in which a day takes seconds. The
// engine's records are in memory.
type house struct {
	*sandbox.Server
	*modelswaptest.Backend
	t      *testing.T
	runner *watched
	files  *aws.Files
	ports  modelswap.Ports
	gate   modelswap.Gate
	engine *modelswap.Engine
	stop   func()
}

func openHouse(t *testing.T) *house {
	t.Helper()
	h := &house{t: t, runner: newWatched()}
	h.Server = sandbox.Start(t, sandbox.Options{Buckets: []string{"bank"}, Pace: sandbox.RealPace().Faster(10_000), Queries: h.runner})
	cfg := h.Config()
	cfg.Retryer = func() sdk.Retryer { return hurried{retry.NewStandard()} }
	api, err := aws.NewClients(cfg)
	h.must(err)
	s := parse(t, smallSchema)
	h.files, err = aws.NewFiles(api, "bank", "gateway", "", s.Fingerprint())
	h.must(err)
	quiet := slog.New(slog.DiscardHandler)
	endpoint := aws.NewEndpoint(api, h.files, "bank-endpoint", s, aws.Formats{})
	h.Backend = modelswaptest.New(s, nil)
	h.ports = h.Backend.Ports()
	h.ports.Files, h.ports.Exporter = h.files, local.NewExporter(h.files, people(900), s)
	h.ports.Scorer = aws.NewScorer(endpoint, quiet)
	h.ports.Trainer = aws.NewTrainer(api, h.files, aws.TrainingSettings{Algorithm: "xgboost", Role: sandbox.Role, InstanceType: "ml.m5.large", InstanceCount: 1, VolumeGB: 10})
	h.ports.Deployer = aws.NewDeployer(endpoint, aws.HostingSettings{Role: sandbox.Role, InstanceType: "ml.m5.large", InstanceCount: 1, Strategy: aws.AllAtOnce},
		aws.Timing{Poll: time.Millisecond, Grace: 300 * time.Millisecond}, quiet)
	h.ports.Converter, err = aws.NewConverter(aws.NewAthena(api, aws.AthenaSettings{Database: "default"}), h.files, s)
	h.must(err)
	h.gate, err = modelswap.ParseGate("auc:-0.005")
	h.must(err)
	h.start(h.ports)
	return h
}

// hurried is a retryer without delays.
type hurried struct{ *retry.Standard }

// RetryDelay implements aws.Retryer.
func (hurried) RetryDelay(int, error) (time.Duration, error) { return 0, nil }

func (h *house) must(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

// start starts an engine, after stopping the one before.
func (h *house) start(ports modelswap.Ports) {
	if h.stop != nil {
		h.stop()
	}
	h.engine = modelswap.New(ports, modelswap.Options{Schema: h.Schema, Gate: h.gate, TempDir: h.t.TempDir(), MaxRuntime: 24 * time.Hour,
		Poll: time.Millisecond, Heartbeat: 5 * time.Millisecond, MaxPause: time.Millisecond}, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	engine := h.engine
	go func() { defer close(ended); engine.Run(ctx) }()
	h.stop = sync.OnceFunc(func() { cancel(); <-ended })
	h.t.Cleanup(h.stop)
}

func (h *house) trigger() string {
	h.t.Helper()
	r, err := h.engine.Trigger(h.t.Context(), modelswap.TriggerRequest{})
	h.must(err)
	return r.ID
}

func (h *house) end() *modelswap.Renewal {
	h.t.Helper()
	select {
	case r := <-h.Final():
		return r
	case <-time.After(2 * time.Minute):
		h.t.Fatal("the renewal came to no end")
		return nil
	}
}

// succeed waits for a renewal that succeeds.
func (h *house) succeed() *modelswap.Renewal {
	h.t.Helper()
	h.trigger()
	r := h.end()
	if r.Status != modelswap.Succeeded {
		h.t.Fatalf("the renewal is %s: %s", r.Status, r.Error)
	}
	return r
}

// detail returns what the convert step says of a renewal's data, without what differs
// between two that have read the same customers.
func detail(r *modelswap.Renewal) string {
	d := r.Step(modelswap.Convert).Detail
	var b strings.Builder
	for _, name := range []string{"items", "rows", "skipped", "new_labels", "train_rows", "holdout_rows", "judged_rows", "contributions", "left_out", "positive", "mapped", "defaulted"} {
		fmt.Fprintf(&b, "%s %v, ", name, d[name])
	}
	return b.String()
}

func TestFaultsOfAthenaAndWhatBecomesOfTheRenewal(t *testing.T) {
	const conversion = modelswap.Convert
	const some = -1 // the client may have tried a call again by itself
	tests := []struct {
		name, operation string
		fault           sandbox.Fault
		fails           modelswap.Class // empty: the renewal succeeds
		text            string          // of the renewal's error
		ran             string          // see watched.ran
		retries         int             // of the step
	}{
		{"throttled by the limit of queries", "StartQueryExecution", sandbox.Fault{Kind: sandbox.Throttle, Times: 10}, "", "", eachOnce, 3},
		{"throttled for good", "StartQueryExecution", sandbox.Fault{Kind: sandbox.Throttle, Times: -1}, modelswap.Throttled, "TooManyRequestsException", "0 0 0 0", 20},
		{"throttled while it is polled", "GetQueryExecution", sandbox.Fault{Kind: sandbox.Throttle, Times: 4}, "", "", eachOnce, 1},
		{"started, and the answer is lost", "StartQueryExecution", sandbox.Fault{Kind: sandbox.LoseAnswer, Times: 5}, "", "", eachOnce, 1},
		{"the table is made, and each answer is lost", "StartQueryExecution", sandbox.Fault{Kind: sandbox.LoseAnswer, Resource: "CREATE", Times: 15}, modelswap.Transient, "StartQueryExecution", "1 0 0 1", 4},
		{"the rows are started, and each answer is lost", "StartQueryExecution", sandbox.Fault{Kind: sandbox.LoseAnswer, Resource: "UNLOAD", Times: 15}, modelswap.Transient, "StartQueryExecution", "1 1 1 1", 4},
		{"the answer with the state is cut off", "GetQueryExecution", sandbox.Fault{Kind: sandbox.Truncate, Times: 2}, "", "", eachOnce, some},
		{"the rows of the counts are cut off", "GetQueryResults", sandbox.Fault{Kind: sandbox.Truncate, Times: 3}, "", "", eachOnce, some},
		{"no permission", "StartQueryExecution", sandbox.Fault{Kind: sandbox.Denied, Resource: "UNLOAD"}, modelswap.Input, "AccessDeniedException", "1 1 0 1", 0},
		{"the table fails once", "StartQueryExecution", sandbox.Fault{Kind: sandbox.Fail, Resource: "CREATE", Status: 500, Reason: "internal error"}, "", "", eachOnce, 1},
		{"S3 throttles the counts", "StartQueryExecution", sandbox.Fault{Kind: sandbox.Fail, Resource: "WITH", Reason: "HIVE_CURSOR_ERROR: Please reduce your request rate (SlowDown)"}, "", "", eachOnce, 1},
		{"the rows fail twice and leave files", "StartQueryExecution", sandbox.Fault{Kind: sandbox.Fail, Resource: "UNLOAD", Status: 500, Times: 2}, "", "", "1 1 4 1", 2},
		{"the evidence fails once and leaves files", "StartQueryExecution", sandbox.Fault{Kind: sandbox.Fail, Resource: "UNLOAD", Skip: 1, Status: 500}, "", "", "1 1 3 1", 1},
		{"the drop fails once", "StartQueryExecution", sandbox.Fault{Kind: sandbox.Fail, Resource: "DROP", Status: 500}, "", "", eachOnce, 1},
		{"the counts fail for good", "StartQueryExecution", sandbox.Fault{Kind: sandbox.Fail, Resource: "WITH", Reason: "COLUMN_NOT_FOUND: line"}, modelswap.Input, "COLUMN_NOT_FOUND: line", "1 0 0 1", 0},
		{"the rows fail for good", "StartQueryExecution", sandbox.Fault{Kind: sandbox.Fail, Resource: "UNLOAD", Status: 500, Times: -1}, modelswap.Transient, "by order", "1 1 5 1", 4},
	}
	h := openHouse(t)
	h.succeed() // it has new labels; later ones have none
	h.runner.ran()
	first := h.succeed()
	if got := h.runner.ran(); got != eachOnce {
		t.Fatalf("an undisturbed conversion ran %s, want %s", got, eachOnce)
	}
	trained := 2
	for _, tt := range tests {
		t.Run(tt.operation+" "+tt.name, func(t *testing.T) {
			h.t = t
			o := h.Order(tt.operation, tt.fault)
			h.trigger()
			r := h.end()
			o.Cancel()
			if o.Hits() == 0 {
				t.Fatal("the fault did not happen")
			}
			if tt.fails == "" {
				trained++
				if r.Status != modelswap.Succeeded || detail(r) != detail(first) {
					t.Errorf("the renewal is %s: %s; its data are %s, want %s", r.Status, r.Error, detail(r), detail(first))
				}
			} else if class := r.Step(conversion).Detail["class"]; r.Status != modelswap.Failed || fmt.Sprint(class) != string(tt.fails) || !strings.Contains(r.Error, tt.text) {
				t.Errorf("the renewal is %s (%v): %s; want a failure (%s): %s", r.Status, class, r.Error, tt.fails, tt.text)
			}
			retries := 0
			_, _ = fmt.Sscan(fmt.Sprint(r.Step(conversion).Detail["retries"]), &retries)
			if ran := h.runner.ran(); ran != tt.ran || tt.retries != some && retries != tt.retries {
				t.Errorf("it ran %s in %d more tries, want %s in %d", ran, retries, tt.ran, tt.retries)
			}
			h.runner.noTable(t)
			if n := h.Count("CreateTrainingJob"); n != trained {
				t.Errorf("%d training jobs, want %d", n, trained)
			}
		})
	}
}

// TestAQueryThatIsStoppedAndARenewalThatIsCancelled stops a query from outside, and then
// cancels renewals while a query of each stage before the drop runs.
func TestAQueryThatIsStoppedAndARenewalThatIsCancelled(t *testing.T) {
	h := openHouse(t)
	h.succeed() // it has new labels; later ones have none
	first := h.succeed()
	client := athena.NewFromConfig(h.Config())
	// stuck starts a renewal and returns when the query that began with a word runs.
	stuck := func(word string, skip int) (renewal, query string) {
		t.Helper()
		h.runner.ran()
		h.ForgetCalls()
		o := h.Order("StartQueryExecution", sandbox.Fault{Kind: sandbox.Stick, Resource: word, Skip: skip})
		renewal = h.trigger()
		gatewaytest.Eventually(t, "the query is polled", func() bool {
			calls := h.Server.Calls("GetQueryExecution")
			if o.Hits() == 0 || len(calls) == 0 {
				return false
			}
			query = calls[len(calls)-1].Resource
			out, err := client.GetQueryExecution(t.Context(), &athena.GetQueryExecutionInput{QueryExecutionId: &query})
			return err == nil && out.QueryExecution.Status.State == "RUNNING" && strings.HasPrefix(*out.QueryExecution.Query, word)
		})
		return renewal, query
	}
	_, query := stuck("UNLOAD", 0)
	_, err := client.StopQueryExecution(t.Context(), &athena.StopQueryExecutionInput{QueryExecutionId: &query})
	h.must(err)
	if r := h.end(); r.Status != modelswap.Failed || !strings.Contains(r.Error, "was cancelled: Query cancelled by user") {
		t.Errorf("the renewal is %s: %s", r.Status, r.Error)
	}
	h.runner.noTable(t)
	for i, stage := range []string{"CREATE", "WITH", "UNLOAD", "UNLOAD"} {
		skip := 0
		if i == 3 {
			skip = 1
		}
		id, query := stuck(stage, skip)
		_, err := h.engine.Cancel(t.Context(), id)
		h.must(err)
		if r := h.end(); r.Status != modelswap.Cancelled {
			t.Errorf("%s: the renewal is %s: %s", stage, r.Status, r.Error)
		}
		out, err := client.GetQueryExecution(t.Context(), &athena.GetQueryExecutionInput{QueryExecutionId: &query})
		h.must(err)
		if got := out.QueryExecution.Status.State; got != "CANCELLED" {
			t.Errorf("%s: the query is %s", stage, got)
		}
		h.runner.noTable(t)
	}
	if r := h.succeed(); detail(r) != detail(first) {
		t.Errorf("the data are %s, want %s", detail(r), detail(first))
	}
}

// TestModelsAreComparedOnTheSameEvidence converts the same customers with and without
// Athena. The champion must have the same figures on the same held-out rows.
func TestModelsAreComparedOnTheSameEvidence(t *testing.T) {
	h := openHouse(t)
	h.succeed()
	gate, err := modelswap.ParseGate("auc:0.5")
	h.must(err)
	h.gate = gate // no challenger is so much better: the champion stays
	renew := func(converter modelswap.Converter) *modelswap.Renewal {
		t.Helper()
		ports := h.ports
		ports.Converter = converter
		h.start(ports)
		h.trigger()
		r := h.end()
		if r.Status != modelswap.Rejected || r.Metrics.Champion == nil || r.Metrics.Challenger == nil {
			t.Fatalf("the renewal is %s: %s with %+v", r.Status, r.Error, r.Metrics)
		}
		return r
	}
	inline, queries := renew(nil), renew(h.ports.Converter)
	if got := h.runner.ran(); got != "2 2 4 2" {
		t.Fatalf("the queries are %s, want those of two conversions", got)
	}
	if a, b := detail(inline), detail(queries); a != b {
		t.Errorf("inline made %s\nqueries made  %s", a, b)
	}
	if inline.Metrics.Rows != queries.Metrics.Rows {
		t.Errorf("%d and %d held-out rows", inline.Metrics.Rows, queries.Metrics.Rows)
	}
	sameFigures(t, "champion", inline.Metrics.Champion, queries.Metrics.Champion, 1e-12)
	// Its training rows are the same in another order.
	sameFigures(t, "challenger", inline.Metrics.Challenger, queries.Metrics.Challenger, 0.02)
}

func sameFigures(t *testing.T, what string, a, b *learn.Metrics, tolerance float64) {
	t.Helper()
	if a.Rows != b.Rows || a.PositiveRate != b.PositiveRate {
		t.Errorf("%s: %d rows of rate %v, and %d of %v", what, a.Rows, a.PositiveRate, b.Rows, b.PositiveRate)
	}
	for name, pair := range map[string][2]float64{"AUC": {a.AUC, b.AUC}, "log loss": {a.LogLoss, b.LogLoss}, "accuracy": {a.Accuracy, b.Accuracy}, "F1": {a.F1, b.F1}} {
		if d := pair[0] - pair[1]; d > tolerance || d < -tolerance {
			t.Errorf("%s: the %s is %v inline and %v by queries", what, name, pair[0], pair[1])
		}
	}
}

// TestTheFilesOfAConversionGoWithTheRenewal makes renewals until the first ones are too old
// to keep: of these nothing is in the bucket, and of the others nothing is outside of their
// folders.
func TestTheFilesOfAConversionGoWithTheRenewal(t *testing.T) {
	h := openHouse(t)
	h.Order("StartQueryExecution", sandbox.Fault{Kind: sandbox.Fail, Resource: "UNLOAD", Status: 500}) // and its files stay until then
	var newest []string
	for range 6 {
		newest = append(newest, h.succeed().ID)
	}
	gone := newest[0]
	h.stop() // it tidies up before it ends
	h.start(h.ports)
	gatewaytest.Eventually(t, "the first renewal's files are gone", func() bool {
		_, err := fs.Stat(h.files.FS(t.Context()), "renewals/"+gone)
		return err != nil
	})
	results := 0
	err := fs.WalkDir(h.files.FS(t.Context()), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if strings.Contains(name, "/results/") || strings.Contains(name, "/rows-") || strings.Contains(name, "/evidence-") {
			if results++; !strings.HasPrefix(name, "renewals/") || strings.Contains(name, gone) {
				t.Errorf("%s is left", name)
			}
		}
		return nil
	})
	h.must(err)
	if results < 20 {
		t.Errorf("only %d files of conversions were found", results)
	}
	h.runner.noTable(t)
}
