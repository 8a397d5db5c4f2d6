package aws

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/sagemaker"
	"github.com/aws/aws-sdk-go-v2/service/sagemaker/types"

	"gateway/internal/failure"
	"gateway/internal/learn"
	"gateway/internal/modelswap"
	"gateway/internal/predict"
	"gateway/internal/sandbox"
	"gateway/internal/schema"
)

const bucket = "bank"

const smallSchema = `
name: small
id: customer_id
label: {name: y, positive: [1, "yes"], negative: [0, "no"]}
features:
  - {name: x, type: number}
  - {name: month, type: category, values: [may, jun]}
  - {name: size, type: number, alias: [body.size], default: 1}
`

func parseSchema(t testing.TB, text string) *schema.Schema {
	t.Helper()
	s, err := schema.Parse("schema.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// stand is the back end with a stand-in whose clock only Advance moves.
type stand struct {
	*sandbox.Server
	t        *testing.T
	api      *Clients
	schema   *schema.Schema
	files    *Files
	endpoint *Endpoint
	scorer   *Scorer
	trainer  *Trainer
	deployer *Deployer
	hosting  HostingSettings
	logs     *lockedBuffer
}

// lockedBuffer is the text of a log.
type lockedBuffer struct {
	mu   sync.Mutex
	text strings.Builder
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

func (s *stand) log() *slog.Logger { return slog.New(slog.NewTextHandler(s.logs, nil)) }

// lines returns how many lines of the log have all of parts.
func (s *stand) lines(parts ...string) (n int) {
	for line := range strings.Lines(s.logs.String()) {
		if !slices.ContainsFunc(parts, func(part string) bool { return !strings.Contains(line, part) }) {
			n++
		}
	}
	return n
}

// logged checks that one line of the log has all of parts.
func (s *stand) logged(parts ...string) {
	s.t.Helper()
	if n := s.lines(parts...); n != 1 {
		s.t.Errorf("%d lines of the log have %q, want 1:\n%s", n, parts, s.logs)
	}
}

func start(t *testing.T) *stand {
	t.Helper()
	return startWith(t, smallSchema, sandbox.Options{Clock: sandbox.NewManualClock()})
}

func startWith(t *testing.T, schema string, o sandbox.Options) *stand {
	t.Helper()
	o.Buckets = append(o.Buckets, bucket)
	s := &stand{Server: sandbox.Start(t, o), t: t, schema: parseSchema(t, schema), logs: &lockedBuffer{}}
	s.api = s.clients()
	s.hosting = HostingSettings{Role: sandbox.Role, InstanceType: "ml.m5.large", InstanceCount: 1, Strategy: AllAtOnce}
	s.wire(s.schema)
	return s
}

// clients makes the clients of another process.
func (s *stand) clients() *Clients {
	s.t.Helper()
	cfg := s.Config()
	cfg.Retryer = hurriedRetryer
	api, err := NewClients(cfg)
	if err != nil {
		s.t.Fatal(err)
	}
	return api
}

// hurriedRetryer is controlRetryer without its delays.
func hurriedRetryer() sdk.Retryer {
	return hurried{controlRetryer().(*retry.Standard)}
}

type hurried struct{ *retry.Standard }

// RetryDelay implements aws.Retryer.
func (hurried) RetryDelay(int, error) (time.Duration, error) { return 0, nil }

// wire makes a new back end, as in another process.
func (s *stand) wire(schema *schema.Schema) {
	s.t.Helper()
	var err error
	if s.files, err = NewFiles(s.api, bucket, "gateway", "", schema.Fingerprint()); err != nil {
		s.t.Fatal(err)
	}
	s.schema = schema
	s.endpoint = NewEndpoint(s.api, s.files, "bank-endpoint", schema, Formats{})
	s.scorer = NewScorer(s.endpoint, slog.New(slog.DiscardHandler))
	s.trainer = NewTrainer(s.api, s.files, TrainingSettings{Algorithm: "linear-learner", Role: sandbox.Role, InstanceType: "ml.m5.large", InstanceCount: 1, VolumeGB: 10})
	s.deployer = NewDeployer(s.endpoint, s.hosting, Timing{Poll: time.Millisecond}, slog.New(slog.DiscardHandler))
}

// hurry calls do and advances the clock until it returns.
func (s *stand) hurry(do func() error) error {
	done := make(chan error, 1)
	go func() { done <- do() }()
	for {
		select {
		case err := <-done:
			return err
		case <-time.After(time.Millisecond):
			s.Advance(time.Minute)
		}
	}
}

func (s *stand) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// rows returns n rows of the schema whose labels depend on x.
func rows(n int) (rows []schema.Vector, labels []int) {
	for i := range n {
		x := float64((i*37)%100) / 10
		label := 0
		if x+float64(i%7)/3 > 5.5 {
			label = 1
		}
		rows = append(rows, schema.Vector{x, float64(i % 2), float64((i + 1) % 2), 1 + float64(i%5)})
		labels = append(labels, label)
	}
	return rows, labels
}

func (s *stand) write(name, text string) {
	s.t.Helper()
	s.must(s.files.WriteFile(s.t.Context(), name, func(w io.Writer) error { _, err := io.WriteString(w, text); return err }))
}

// job writes training data and returns the job of a model. Another number of rows gives another
// model.
func (s *stand) job(model, algorithm string, n int) modelswap.TrainingJob {
	s.t.Helper()
	all, labels := rows(n)
	var text strings.Builder
	for i := range all {
		text.Write(append(schema.AppendTrainingCSV(nil, labels[i], all[i]), '\n'))
	}
	folder := "renewals/" + model
	s.write(folder+"/train.csv", text.String())
	s.write(folder+"/holdout.csv", text.String())
	parameters := map[string]string{}
	if algorithm == string(learn.XGBoost) {
		parameters["num_round"] = "5"
	}
	return modelswap.TrainingJob{Name: model + "-1", Model: model, Algorithm: algorithm, Hyperparameters: parameters, MaxRuntime: time.Hour,
		Train: folder + "/train.csv", Holdout: folder + "/holdout.csv", Rows: n, Columns: s.schema.Columns(),
		Schema: s.schema.Fingerprint(), Data: fmt.Sprintf("sha-of-%d", n)}
}

// train trains a model, registers and evaluates it.
func (s *stand) train(model, algorithm string, n int) {
	s.t.Helper()
	s.trainOnly(model, algorithm, n)
	held, _ := rows(50)
	s.must(s.hurry(func() error { _, err := s.deployer.ScoreWith(s.t.Context(), model, held); return err }))
}

func (s *stand) trainOnly(model, algorithm string, n int) {
	s.t.Helper()
	job := s.job(model, algorithm, n)
	s.must(s.trainer.StartTraining(s.t.Context(), job))
	s.Advance(time.Hour)
	status, err := s.trainer.TrainingStatus(s.t.Context(), job.Name)
	if err != nil || status.State != modelswap.TrainingSucceeded {
		s.t.Fatalf("training is %s: %s (%v)", status.State, status.Reason, err)
	}
	s.must(s.deployer.RegisterModel(s.t.Context(), model, status.Artifact, job.Schema))
}

// order deploys a model in the place of the serving one and does not wait.
func (s *stand) order(model string) error {
	s.t.Helper()
	now, err := s.deployer.Serving(s.t.Context())
	s.must(err)
	_, err = s.deployer.DeployModel(s.t.Context(), modelswap.Change{Model: model, Over: now})
	return err
}

// deploy deploys a model and waits until it serves.
func (s *stand) deploy(model string) {
	s.t.Helper()
	s.must(s.order(model))
	s.Advance(time.Hour)
	s.serves(model, false)
}

// serves checks which model serves according to the deployer.
func (s *stand) serves(model string, changing bool) {
	s.t.Helper()
	now, err := s.deployer.Serving(s.t.Context())
	if err != nil || now.Model != model || now.Changing != changing {
		s.t.Fatalf("%+v serves (%v); want %q, %v", now, err, model, changing)
	}
}

func (s *stand) score(n int) (predict.Scores, error) {
	all, _ := rows(n)
	return s.scorer.Score(s.t.Context(), all, false)
}

// describe returns the description of the endpoint.
func (s *stand) describe() *sagemaker.DescribeEndpointOutput {
	s.t.Helper()
	out, err := s.api.sagemaker.DescribeEndpoint(s.t.Context(), &sagemaker.DescribeEndpointInput{EndpointName: &s.endpoint.name})
	s.must(err)
	return out
}

// inShift advances the clock until both fleets of an endpoint that is being updated answer.
func (s *stand) inShift() {
	s.t.Helper()
	for range 1000 {
		s.Advance(5 * time.Second)
		before := len(s.Calls("InvokeEndpoint"))
		for range 4 {
			_, err := s.score(1)
			s.must(err)
		}
		seen := make(map[string]bool)
		for _, c := range s.Calls("InvokeEndpoint")[before:] {
			seen[c.Model] = true
		}
		if len(seen) == 2 {
			return
		}
	}
	s.t.Fatal("both fleets never answered")
}

func isKind(err error, kind failure.Kind) bool {
	var e *failure.Error
	return errors.As(err, &e) && e.Kind == kind
}

// isFault checks the class of an error and a part of its text.
func isFault(t *testing.T, err error, class modelswap.Class, text string) {
	t.Helper()
	var f *modelswap.Fault
	if !errors.As(err, &f) || f.Class != class || !strings.Contains(err.Error(), text) {
		t.Errorf("got %v (%T), want class %s and %q", err, err, class, text)
	}
}

// configOf returns the configuration of the endpoint.
func (s *stand) configOf(name string) *sagemaker.DescribeEndpointConfigOutput {
	s.t.Helper()
	out, err := s.api.sagemaker.DescribeEndpointConfig(s.t.Context(), &sagemaker.DescribeEndpointConfigInput{EndpointConfigName: &name})
	s.must(err)
	return out
}

// byHand makes an endpoint configuration as an operator would.
func (s *stand) byHand(name, model string, change func(*sagemaker.CreateEndpointConfigInput)) {
	s.t.Helper()
	in := &sagemaker.CreateEndpointConfigInput{EndpointConfigName: &name, ProductionVariants: []types.ProductionVariant{{
		VariantName: sdk.String(modelswap.Variant), ModelName: &model, InstanceType: "ml.m5.large", InitialInstanceCount: sdk.Int32(1)}}}
	if change != nil {
		change(in)
	}
	_, err := s.api.sagemaker.CreateEndpointConfig(s.t.Context(), in)
	s.must(err)
}

func (s *stand) updateByHand(config string) {
	s.t.Helper()
	_, err := s.api.sagemaker.UpdateEndpoint(s.t.Context(), &sagemaker.UpdateEndpointInput{EndpointName: &s.endpoint.name, EndpointConfigName: &config})
	s.must(err)
}

func withTimeout(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}
