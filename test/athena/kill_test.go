package athena

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"gateway/api"
	"gateway/api/client"
	"gateway/internal/export"
	"gateway/internal/gatewaytest"
	"gateway/internal/modelswap"
	"gateway/internal/sandbox"
	"gateway/internal/testsize"
)

// victim is a gateway on a sandbox whose queries run. It is killed when the sandbox has
// done a call and before it answers, and started again.
type victim struct {
	*sandbox.Server
	t         *testing.T
	program   string
	env       []string
	runner    *watched
	client    *client.Client
	output    *gatewaytest.Buffer
	succeeded int

	mu      sync.Mutex
	cmd     *exec.Cmd
	ended   chan struct{}  // of cmd
	at      string         // point to kill at; empty: none
	points  []string       // of the present renewal
	seen    map[string]int // how often, by call
	queries map[string]int // numbers of the queries, by id
}

// polled are calls that are repeated until something has ended: how often, depends on time.
var polled = []string{"GetQueryExecution", "DescribeExport", "DescribeTrainingJob", "DescribeTransformJob"}

// unsteady are the parts of resources that differ between renewals.
var unsteady = regexp.MustCompile(`[0-9a-z]*[0-9][0-9a-z-]{7,}|[a-z2-7]{26}`)

// observe is called with each call that was done.
func (v *victim) observe(c sandbox.Call) {
	v.mu.Lock()
	cmd, ended, kill := v.cmd, v.ended, v.reach(c)
	v.mu.Unlock()
	if kill {
		_ = cmd.Process.Kill()
		<-ended // the answer comes too late
	}
}

// reach records a point, with the lock held, and reports whether to kill there.
func (v *victim) reach(c sandbox.Call) bool {
	resource := c.Resource
	switch {
	case c.Service == "athena" && c.Operation != "StartQueryExecution":
		if v.queries[resource] == 0 {
			v.queries[resource] = len(v.queries) + 1
		}
		resource = fmt.Sprint(v.queries[resource])
	case c.Service == "athena":
	case c.Service == "s3" && strings.Contains(resource, "/renewals/"):
	case c.Service == "sagemaker" && (strings.HasPrefix(c.Operation, "Create") || slices.Contains(polled, c.Operation)) || strings.Contains(c.Operation, "Export"):
	default:
		return false
	}
	name := c.Operation + " " + unsteady.ReplaceAllString(resource, "*")
	if v.seen[name]++; v.seen[name] > 1 && slices.Contains(polled, c.Operation) {
		return false
	}
	point := fmt.Sprintf("%s, %d", name, v.seen[name])
	v.points = append(v.points, point)
	if v.at != point {
		return false
	}
	v.at = ""
	return true
}

func newVictim(t *testing.T) *victim {
	t.Helper()
	v := &victim{t: t, runner: newWatched(), output: &gatewaytest.Buffer{}, program: filepath.Join(t.TempDir(), "gateway")}
	build := exec.CommandContext(t.Context(), "go", "build", "-o", v.program, "./cmd/gateway")
	build.Dir = filepath.Join("..", "..")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building the gateway: %v\n%s", err, out)
	}
	v.Server = sandbox.Start(t, sandbox.Options{Buckets: []string{"bank"}, Pace: sandbox.RealPace().Faster(5000), Queries: v.runner, Observe: v.observe})
	if err := v.Prepare(t.Context(), "bank", "customers"); err != nil {
		t.Fatal(err)
	}
	gatewaytest.UseSandbox(t, v.Server)
	addr := gatewaytest.FreePort(t)
	tokens := gatewaytest.WriteFile(t, "tokens.json", `{"tokens": ["test-token"]}`)
	v.env = append(os.Environ(), "GATEWAY_CUSTOMERS_TABLE=customers", "GATEWAY_TRANSFORM=athena", "GATEWAY_RENEWAL_POLL=5ms", "GATEWAY_TRAINING_MAX_RUNTIME=24h",
		"GATEWAY_TRAINING_ALGORITHM=xgboost", "GATEWAY_KEEP_MODELS=1", "GATEWAY_VERIFY_MAX_SHIFT=0.5", "GATEWAY_LOG_FORMAT=json",
		"GATEWAY_DATA_DIR="+t.TempDir(), "GATEWAY_SCHEMA="+gatewaytest.WriteFile(t, "schema.yaml", smallSchema), "GATEWAY_ADDR="+addr, "GATEWAY_ADMIN_SECRET_ID=file:"+tokens)
	v.client = &client.Client{BaseURL: "http://" + addr, Token: "test-token"}
	t.Cleanup(func() {
		v.mu.Lock()
		defer v.mu.Unlock()
		if v.cmd != nil {
			_ = v.cmd.Process.Kill()
			<-v.ended
		}
		if t.Failed() {
			t.Log(v.output.String())
		}
	})
	v.start()
	v.fill()
	return v
}

// start starts the gateway and waits until it answers.
func (v *victim) start() {
	v.t.Helper()
	cmd, ended := exec.Command(v.program, "serve"), make(chan struct{})
	cmd.Env, cmd.Stdout, cmd.Stderr = v.env, v.output, v.output
	v.mu.Lock()
	err := cmd.Start()
	v.cmd, v.ended = cmd, ended
	v.mu.Unlock()
	if err != nil {
		v.t.Fatal(err)
	}
	go func() { _ = cmd.Wait(); close(ended) }()
	gatewaytest.Eventually(v.t, "the gateway answers", func() bool {
		res, err := http.Get(v.client.BaseURL + "/livez")
		return err == nil && res.Body.Close() == nil
	})
}

// fill imports customers, makes a first model, and reports outcomes of newcomers, which
// are the rows that the caps apply to.
func (v *victim) fill() {
	v.t.Helper()
	ctx := v.t.Context()
	var data bytes.Buffer
	data.WriteString("customer_id,x,month,size,y\n")
	for i := range 900 {
		x := float64((i*37)%100) / 10
		label := 0
		if x+float64(i%7)/3 > 5.5 {
			label = 1
		}
		fmt.Fprintf(&data, "%d,%v,%s,%d,%d\n", i, x, []string{"may", "jun"}[i%2], 1+i%5, label)
	}
	if _, err := v.client.Import(ctx, "text/csv", &data, client.ImportOptions{Strict: true}, nil); err != nil {
		v.t.Fatal(err)
	}
	v.renew(v.retrain(), "1 1 1 1")
	const newcomers = 30
	for i := range newcomers {
		p, err := v.client.Predict(ctx, api.PredictionRequest{CustomerID: fmt.Sprint("new-", i), Features: map[string]any{"x": i % 10, "month": "may", "size": 2}})
		if err == nil {
			_, err = v.client.Outcome(ctx, api.Outcome{PredictionID: p.PredictionID, Outcome: i % 2})
		}
		if err != nil {
			v.t.Fatal(err)
		}
	}
	table := dynamodb.NewFromConfig(v.Config())
	gatewaytest.Eventually(v.t, "the outcomes are in the table", func() bool {
		out, err := table.Scan(ctx, &dynamodb.ScanInput{TableName: sdk.String("customers")})
		n := 0
		for _, item := range out.Items {
			if item[export.OutcomeAttribute] != nil {
				n++
			}
		}
		return err == nil && n == newcomers
	})
}

// retrain starts a renewal and returns its id, or nothing if the gateway died before it
// answered.
func (v *victim) retrain() string {
	v.t.Helper()
	v.mu.Lock()
	v.points, v.seen, v.queries = nil, map[string]int{}, map[string]int{}
	v.mu.Unlock()
	r, err := v.client.Retrain(v.t.Context(), api.RetrainRequest{})
	if err != nil {
		return ""
	}
	return r.ID
}

// renew waits for the end of a renewal. It must have succeeded with each step in its first
// attempt, with each statement run once, one training, and no table left.
func (v *victim) renew(id, ran string) {
	v.t.Helper()
	if id == "" {
		newest, err := v.client.Renewals(v.t.Context(), 1, "")
		if err != nil || len(newest) != 1 {
			v.t.Fatalf("the renewals are %v (%v)", newest, err)
		}
		id = newest[0].ID
	}
	var r *modelswap.Renewal
	gatewaytest.Eventually(v.t, "the renewal has ended", func() bool {
		var err error
		r, err = v.client.Renewal(v.t.Context(), id)
		return err == nil && r.Status.Final()
	})
	v.succeeded++
	if r.Status != modelswap.Succeeded {
		v.t.Errorf("the renewal is %s: %s", r.Status, r.Error)
	}
	for _, s := range r.Steps {
		if s.Attempt != 1 {
			v.t.Errorf("step %s is in attempt %d", s.Name, s.Attempt)
		}
	}
	if got := v.runner.ran(); got != ran {
		v.t.Errorf("the statements are %s, want %s", got, ran)
	}
	v.runner.noTable(v.t)
	for _, operation := range []string{"CreateTrainingJob", "CreateTransformJob"} {
		made := 0
		for _, c := range v.Calls(operation) {
			if c.Status == http.StatusOK {
				made++
			}
		}
		if made != v.succeeded {
			v.t.Errorf("%s was done %d times for %d renewals", operation, made, v.succeeded)
		}
	}
}

// killAt lets a renewal die at a point and go on.
func (v *victim) killAt(point string) {
	v.t.Helper()
	v.mu.Lock()
	v.at = point
	ended := v.ended
	v.mu.Unlock()
	id := v.retrain()
	select {
	case <-ended:
	case <-time.After(time.Minute):
		v.t.Fatalf("the renewal did not come by %q", point)
	}
	v.start()
	failed := v.t.Failed()
	v.renew(id, eachOnce)
	if v.t.Failed() && !failed {
		v.t.Errorf("that was after a kill at %q", point)
	}
}

// TestARenewalInAthenaSurvivesKill9 kills the gateway with SIGKILL after each call that a
// renewal makes of Athena, of S3 for its files and of SageMaker's jobs was done, and before
// it is answered. The quick run takes the start of each query and two points at random.
func TestARenewalInAthenaSurvivesKill9(t *testing.T) {
	v := newVictim(t)
	v.renew(v.retrain(), eachOnce)
	v.mu.Lock()
	points := slices.Clone(v.points)
	v.mu.Unlock()
	if len(points) < 40 {
		t.Errorf("only %d points: the test shows little: %q", len(points), points)
	}
	sample := points
	if !testsize.Long {
		sample = slices.DeleteFunc(slices.Clone(points), func(p string) bool { return !strings.HasPrefix(p, "StartQueryExecution") })
		if len(sample) != 5 {
			t.Errorf("the queries are %q, want five", sample)
		}
		for range 2 {
			sample = append(sample, points[rand.IntN(len(points))])
		}
	}
	for _, point := range sample {
		v.killAt(point)
		if t.Failed() {
			return
		}
	}
	t.Logf("killed at %d of %d points", len(sample), len(points))
}
