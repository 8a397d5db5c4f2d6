package aws

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/prometheus/client_golang/prometheus"

	"gateway/internal/local"
	"gateway/internal/modelswap"
	"gateway/internal/modelswap/modelswaptest"
	"gateway/internal/predict"
	"gateway/internal/sandbox"
)

// people returns a customer store of n customers.
type people int

func (n people) EachCustomer(_ context.Context, each func(predict.Customer) error) error {
	all, labels := rows(int(n))
	for i, v := range all {
		month := []string{"may", "jun"}[i%2]
		if err := each(predict.Customer{ID: fmt.Sprint(i), Label: &labels[i],
			Features: fmt.Appendf(nil, `{"x":%v,"month":%q,"size":%v}`, v[0], month, v[3])}); err != nil {
			return err
		}
	}
	return nil
}

// renewing is an engine with a stand-in in which a day takes seconds. Its records are in memory.
type renewing struct {
	*stand
	*modelswaptest.Backend
	engine *modelswap.Engine
}

func startRenewing(t *testing.T) *renewing {
	t.Helper()
	return startRenewingWith(t, smallSchema)
}

func startRenewingWith(t *testing.T, schema string) *renewing {
	t.Helper()
	s := startWith(t, schema, sandbox.Options{Pace: sandbox.RealPace().Faster(10_000)})
	s.deployer.timing.Grace = 300 * time.Millisecond
	return s.renewing()
}

// renewing starts an engine with an empty database.
func (s *stand) renewing() *renewing {
	s.t.Helper()
	memory := modelswaptest.New(s.schema, nil)
	ports := memory.Ports()
	ports.Exporter = local.NewExporter(s.files, people(900), s.schema)
	ports.Files, ports.Trainer, ports.Deployer, ports.Scorer = s.files, s.trainer, s.deployer, s.scorer
	gate, err := modelswap.ParseGate("auc:-0.005")
	s.must(err)
	r := &renewing{stand: s, Backend: memory}
	r.engine = modelswap.New(ports, modelswap.Options{Schema: s.schema, Gate: gate, TempDir: s.t.TempDir(), MaxRuntime: 24 * time.Hour,
		Poll: time.Millisecond, MaxPause: time.Millisecond}, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); r.engine.Run(ctx) }()
	s.t.Cleanup(func() { cancel(); <-ended })
	return r
}

func (r *renewing) renew(t *testing.T, req modelswap.TriggerRequest) *modelswap.Renewal {
	t.Helper()
	if _, err := r.engine.Trigger(t.Context(), req); err != nil {
		t.Fatal(err)
	}
	select {
	case done := <-r.Final():
		return done
	case <-time.After(2 * time.Minute):
		t.Fatal("the renewal came to no end")
		return nil
	}
}

func TestFaultsOfTheServicesAndWhatBecomesOfTheRenewal(t *testing.T) {
	t.Parallel()
	type outcome struct {
		step    modelswap.StepName // that failed; empty: the renewal succeeded
		class   modelswap.Class
		retries int // of the step
	}
	passes := outcome{}
	fails := func(step modelswap.StepName, class modelswap.Class, retries int) outcome {
		return outcome{step, class, retries}
	}
	tests := []struct {
		name      string
		operation string
		fault     sandbox.Fault
		want      outcome
		text      string // of the renewal's error
	}{
		{"throttled three times", "CreateTrainingJob", sandbox.Fault{Kind: sandbox.Throttle, Times: 3}, passes, ""},
		{"throttled for good", "CreateTrainingJob", sandbox.Fault{Kind: sandbox.Throttle, Times: -1}, fails("train", modelswap.Throttled, 20), "ThrottlingException"},
		{"done, and the answer is lost", "CreateTrainingJob", sandbox.Fault{Kind: sandbox.LoseAnswer}, passes, ""},
		{"the quota is used up (ResourceLimitExceeded)", "CreateTrainingJob", sandbox.Fault{Kind: sandbox.Limit, Times: -1}, fails("train", modelswap.NoCapacity, 12), "ResourceLimitExceeded"},
		{"403 AccessDeniedException", "CreateTrainingJob", sandbox.Fault{Kind: sandbox.Denied, Times: -1}, fails("train", modelswap.Input, 0), "AccessDeniedException"},
		{"500 for good", "CreateTrainingJob", sandbox.Fault{Kind: sandbox.Internal, Times: -1}, fails("train", modelswap.Transient, 4), "InternalFailure"},
		{"a proxy's page for good", "CreateTrainingJob", sandbox.Fault{Kind: sandbox.HTML, Times: -1}, fails("train", modelswap.Transient, 4), ""},
		{"400 ValidationException", "CreateTrainingJob", sandbox.Fault{Kind: sandbox.Refuse, Code: "ValidationException", Message: "Could not assume role"}, fails("train", modelswap.Input, 0), "Could not assume role"},
		{"the job fails", "CreateTrainingJob", sandbox.Fault{Kind: sandbox.Fail, Reason: "ClientError: bad data"}, fails("train", modelswap.Input, 0), "the training job failed: ClientError: bad data"},
		{"the job gets no machine", "CreateTrainingJob", sandbox.Fault{Kind: sandbox.NoCapacity}, fails("train", modelswap.Input, 0), "CapacityError"},
		{"the job takes too long", "CreateTrainingJob", sandbox.Fault{Kind: sandbox.ExceedRuntime}, fails("train", modelswap.Input, 0), "training took longer than the 24h0m0s allowed"},
		{"throttled three times", "DescribeTrainingJob", sandbox.Fault{Kind: sandbox.Throttle, Times: 3}, passes, ""},
		{"done, and the answer is lost", "CreateModel", sandbox.Fault{Kind: sandbox.LoseAnswer}, passes, ""},
		{"the artifact cannot be read", "CreateModel", sandbox.Fault{Kind: sandbox.Refuse, Code: "ValidationException", Message: "Could not access model data at s3://…"}, fails("register", modelswap.Input, 0), "Could not access model data"},
		{"done, and the answer is lost", "CreateTransformJob", sandbox.Fault{Kind: sandbox.LoseAnswer}, passes, ""},
		{"the job fails", "CreateTransformJob", sandbox.Fault{Kind: sandbox.Fail, Reason: "AlgorithmError: out of memory"}, fails("evaluate", modelswap.Unfit, 0), "AlgorithmError: out of memory"},
		{"done, and the answer is lost", "CreateEndpointConfig", sandbox.Fault{Kind: sandbox.LoseAnswer}, passes, ""},
		{"does not see the configuration yet", "UpdateEndpoint", sandbox.Fault{Kind: sandbox.NotYetVisible, Times: 2}, passes, ""},
		{"done, and the answer is lost", "UpdateEndpoint", sandbox.Fault{Kind: sandbox.LoseAnswer}, passes, ""},
		{"the quota is used up (ResourceLimitExceeded)", "UpdateEndpoint", sandbox.Fault{Kind: sandbox.Limit, Times: -1}, fails("deploy", modelswap.NoCapacity, 12), "ResourceLimitExceeded"},
		{"SageMaker rolls back", "UpdateEndpoint", sandbox.Fault{Kind: sandbox.RollBack, Reason: "the alarm went off"}, fails("deploy", modelswap.Unfit, 0), "the alarm went off"},
		{"SageMaker rolls back and says nothing", "UpdateEndpoint", sandbox.Fault{Kind: sandbox.RollBackSilently}, fails("deploy", modelswap.Unfit, 0), "SageMaker gave no reason"},
		{"SageMaker finds no machines", "UpdateEndpoint", sandbox.Fault{Kind: sandbox.NoCapacity}, fails("deploy", modelswap.Unfit, 0), ""},
		{"throttled three times", "DescribeEndpoint", sandbox.Fault{Kind: sandbox.Throttle, Times: 3}, passes, ""},
		{"403 AccessDeniedException", "DescribeEndpoint", sandbox.Fault{Kind: sandbox.Denied, Times: -1}, fails("convert", modelswap.Input, 0), "AccessDeniedException"},
		{"the live model answers nonsense", "InvokeEndpoint", sandbox.Fault{Kind: sandbox.Garbage, Times: -1}, fails("verify", modelswap.Unfit, 0), "the live path does not score"},
		{"403 AccessDenied", "PutObject", sandbox.Fault{Kind: sandbox.Denied, Times: -1}, fails("export", modelswap.Input, 0), "AccessDenied"},
		{"503 SlowDown three times", "PutObject", sandbox.Fault{Kind: sandbox.Throttle, Times: 3}, passes, ""},
		{"the answer is cut off twice", "GetObject", sandbox.Fault{Kind: sandbox.Truncate, Times: 2, Resource: "*/data/*"}, passes, ""},
	}
	table := faultTable{begin: "<!-- renewals -->", end: "<!-- /renewals -->", lines: []string{
		"| operation | what it does | attempts | class | tries of the step | renewal | reason given |", "|---|---|---|---|---|---|---|"}}
	r := startRenewing(t)
	first := r.renew(t, modelswap.TriggerRequest{})
	if first.Status != modelswap.Succeeded {
		t.Fatalf("the first renewal is %s: %s", first.Status, first.Error)
	}
	serving := *first.Model
	for i, tt := range tests {
		t.Run(tt.operation+", "+tt.name, func(t *testing.T) {
			r.CancelFaults()
			r.ForgetCalls()
			o := r.Order(tt.operation, tt.fault)
			got := r.renew(t, modelswap.TriggerRequest{Force: true, Overrides: modelswap.Overrides{
				// Each model differs, so that a deployment changes the scores.
				Hyperparameters: modelswap.Hyperparameters{"wd": fmt.Sprintf("0.%03d", i+1)}}})
			r.CancelFaults()
			if o.Hits() == 0 {
				t.Fatal("the fault never struck")
			}
			class, retries, renewal := "", "1", "succeeded"
			if tt.want.step == "" {
				if got.Status != modelswap.Succeeded {
					t.Fatalf("the renewal is %s: %s", got.Status, got.Error)
				}
				serving = *got.Model
			} else {
				step := got.Step(tt.want.step)
				if got.Status != modelswap.Failed || step.Status != modelswap.StepFailed || !strings.Contains(got.Error, tt.text) {
					t.Fatalf("the renewal is %s: %s", got.Status, got.Error)
				}
				// As the row has it: numbers are float64.
				n := 0.0
				switch v := step.Detail["retries"].(type) {
				case float64:
					n = v
				case int:
					n = float64(v)
				}
				if fmt.Sprint(step.Detail["class"]) != string(tt.want.class) || int(n) != tt.want.retries {
					t.Errorf("class %v after %v retries, want %s after %d (%s)", step.Detail["class"], n, tt.want.class, tt.want.retries, got.Error)
				}
				class, retries, renewal = string(tt.want.class), fmt.Sprint(tt.want.retries+1), fmt.Sprintf("failed at `%s`", tt.want.step)
			}
			// In any case one model serves, and it is the one that the records name.
			deadline := time.After(time.Minute)
			for {
				now, err := r.deployer.Serving(t.Context())
				name, changing := now.Model, now.Changing
				if err == nil && !changing && name == serving {
					break
				}
				select {
				case <-deadline:
					t.Fatalf("%q serves (changing: %v, %v), want %s", name, changing, err, serving)
				case <-time.After(time.Millisecond):
				}
			}
			if out, err := r.score(1); err != nil || out.Model != serving {
				t.Errorf("%s answers (%v), want %s", out.Model, err, serving)
			}
			if n := r.Count("CreateTrainingJob"); tt.operation != "CreateTrainingJob" && n != 1 && tt.want.step != "export" && tt.want.step != "convert" {
				t.Errorf("%d training jobs were started", n)
			}
			most := 0
			for _, n := range r.Invocations(tt.operation) {
				most = max(most, n)
			}
			table.lines = append(table.lines, fmt.Sprintf("| %s | %s | %d | %s | %s | %s | %s |", tt.operation, tt.name, most, class, retries, renewal, tt.text))
		})
	}
	table.check(t)
}

// TestTheLongestNameOfASchemaGoesThroughARenewal runs with a stand-in that checks the limits of
// SageMaker's names. The renewal trains twice.
func TestTheLongestNameOfASchemaGoesThroughARenewal(t *testing.T) {
	t.Parallel()
	name := "n" + strings.Repeat("-long_name", 3) + "x"
	if len(name) != 32 {
		t.Fatalf("the name has %d characters", len(name))
	}
	r := startRenewingWith(t, strings.Replace(smallSchema, "name: small", "name: "+name, 1))
	done := r.renew(t, modelswap.TriggerRequest{})
	if done.Status != modelswap.Succeeded {
		t.Fatalf("the renewal is %s: %+v", done.Status, done.Error)
	}
	r.serves(*done.Model, false)
	if len(*done.Model) > modelswap.MaxModelName {
		t.Errorf("model %s has a name of %d characters", *done.Model, len(*done.Model))
	}
	config := sdk.ToString(r.describe().EndpointConfigName)
	if !isConfigOf(config, *done.Model) {
		t.Errorf("the endpoint has configuration %s", config)
	}
	if got := sdk.ToString(r.configOf(config).ProductionVariants[0].VariantName); got != modelswap.Variant {
		t.Errorf("the variant is %q", got)
	}
}
