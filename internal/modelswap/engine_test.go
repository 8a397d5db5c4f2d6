package modelswap_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"gateway/internal/failure"
	"gateway/internal/learn"
	"gateway/internal/modelswap"
	"gateway/internal/modelswap/modelswaptest"
	"gateway/internal/predict"
	"gateway/internal/schema"
)

// The bundle is an engine over an in-memory back end whose customers have one
// number, x, which decides their label: a model that scores by -x is right.
type bundle struct {
	*modelswaptest.Backend
	engine *modelswap.Engine
	gate   string
	log    *slog.Logger                          // nil: none
	files  func(modelswap.Files) modelswap.Files // what the engine gets in the place of the back end's; nil: the same
}

const smallSchema = `
name: small
id: customer_id
label: {name: y, positive: [1], negative: [0]}
features:
  - {name: x, type: number}
`

func setup(t *testing.T) *bundle {
	t.Helper()
	schema, err := schema.Parse("small.yaml", []byte(smallSchema))
	if err != nil {
		t.Fatal(err)
	}
	var customers []predict.Customer
	for i := range 500 {
		label := i % 2
		customers = append(customers, predict.Customer{ID: fmt.Sprint(i), Label: &label,
			Features: fmt.Appendf(nil, `{"x":%d}`, 2-label), Outcome: int64(i / 400 * i)})
	}
	b := &bundle{Backend: modelswaptest.New(schema, customers), gate: "auc:-0.005"}
	return b
}

// start makes the engine and runs it until the test ends or stop is called.
func (b *bundle) start(t *testing.T) (stop func()) {
	t.Helper()
	gate, err := modelswap.ParseGate(b.gate)
	if err != nil {
		t.Fatal(err)
	}
	ports := b.Ports()
	if b.files != nil {
		ports.Files = b.files(ports.Files)
	}
	b.engine = modelswap.New(ports, modelswap.Options{Schema: b.Schema, Gate: gate, TempDir: t.TempDir(), Auto: true,
		Poll: time.Millisecond, Heartbeat: time.Millisecond, MaxPause: time.Millisecond},
		cmp.Or(b.log, slog.New(slog.DiscardHandler)), prometheus.NewRegistry())
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { b.engine.Run(ctx) })
	stop = sync.OnceFunc(func() { cancel(); running.Wait() })
	t.Cleanup(stop)
	return stop
}

func (b *bundle) renew(t *testing.T, req modelswap.TriggerRequest) *modelswap.Renewal {
	t.Helper()
	if _, err := b.engine.Trigger(t.Context(), req); err != nil {
		t.Fatal(err)
	}
	return b.wait(t)
}

func (b *bundle) wait(t *testing.T) *modelswap.Renewal {
	t.Helper()
	select {
	case r := <-b.Final():
		return r
	case <-time.After(2 * time.Minute):
		t.Fatal("the renewal came to no end")
		return nil
	}
}

func statuses(r *modelswap.Renewal) string {
	var all []string
	for _, s := range r.Steps {
		all = append(all, string(s.Status))
	}
	return strings.Join(all, " ")
}

func TestARenewalGoesThroughAllStepsAndItsModelServes(t *testing.T) {
	b := setup(t)
	b.start(t)
	r := b.renew(t, modelswap.TriggerRequest{Reason: "test"})
	if r.Status != modelswap.Succeeded || r.Trigger != modelswap.TriggerManual || r.FinishedAt == nil {
		t.Fatalf("got %s (%s), want a manual renewal that succeeded", r.Status, r.Error)
	}
	if got, want := statuses(r), strings.TrimSpace(strings.Repeat("succeeded ", 7)); got != want {
		t.Errorf("steps are %q, want %q", got, want)
	}
	for _, s := range r.Steps {
		if s.Attempt != 1 || s.StartedAt == nil || s.FinishedAt == nil || s.FinishedAt.Before(*s.StartedAt) {
			t.Errorf("step %s has attempt %d, from %v to %v", s.Name, s.Attempt, s.StartedAt, s.FinishedAt)
		}
	}
	serving, err := b.engine.Serving(t.Context())
	if err != nil || r.Model == nil || serving != *r.Model {
		t.Errorf("model %q serves, want %v (%v)", serving, r.Model, err)
	}
	if m := r.Metrics.Challenger; m == nil || m.AUC != 1 || r.Metrics.Champion != nil {
		t.Errorf("metrics are %+v, want a perfect challenger without a champion", r.Metrics)
	}
	if verdict := fmt.Sprint(r.Step(modelswap.Evaluate).Detail["verdict"]); !strings.Contains(verdict, "with 95 % confidence the challenger's auc is between 0.") {
		t.Errorf("the verdict is %q, want bounds of the AUC", verdict)
	}
	detail := r.Step(modelswap.Convert).Detail
	if got := fmt.Sprint(detail["rows"]); got != "500" {
		t.Errorf("convert says %v rows, want 500", got)
	}
	if got := fmt.Sprint(detail["new_labels"]); got != "100" {
		t.Errorf("convert says %v new labels, want the 100 that outcomes set", got)
	}
	models, err := b.engine.Models(t.Context())
	if err != nil || len(models) != 1 || !models[0].Serving || models[0].DeployedAt == nil || models[0].Watermark != 499 {
		t.Errorf("models are %+v (%v), want the one that serves, with the newest outcome noted", models, err)
	}
}

func TestTheRecordOfAModelNamesTheAlgorithmThatWasChosen(t *testing.T) {
	b := setup(t)
	b.start(t)
	r := b.renew(t, modelswap.TriggerRequest{Overrides: modelswap.Overrides{Training: modelswap.Training{Algorithm: "auto"}}})
	models, err := b.engine.Models(t.Context())
	if err != nil || len(models) != 1 || models[0].Algorithm != "blend" || r.Step(modelswap.Train).Detail["algorithm"] != "auto" {
		t.Errorf("models are %+v (%v) by the step %+v, want a blend by auto", models, err, r.Step(modelswap.Train))
	}
}

func TestOnlyOutcomesSinceTheChampionsDataCountAsNew(t *testing.T) {
	b := setup(t)
	b.Serve(modelswap.Model{Name: "old", Schema: b.Schema.Fingerprint(), Watermark: 450})
	b.start(t)
	r := b.renew(t, modelswap.TriggerRequest{})
	if got := fmt.Sprint(r.Step(modelswap.Convert).Detail["new_labels"]); got != "49" {
		t.Errorf("convert says %v new labels, want the 49 after number 450", got)
	}
}

func TestOneRenewalAtATime(t *testing.T) {
	b := setup(t)
	hold := make(chan struct{})
	b.Before = func(call string) error {
		if call == "StartTraining" {
			<-hold
		}
		return nil
	}
	b.start(t)
	first, err := b.engine.Trigger(t.Context(), modelswap.TriggerRequest{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = b.engine.Trigger(t.Context(), modelswap.TriggerRequest{})
	var conflict *failure.Error
	if !errors.As(err, &conflict) || conflict.Kind != failure.Conflict || !strings.Contains(conflict.Detail, first.ID) {
		t.Errorf("the second trigger gave %v, want a conflict that names %s", err, first.ID)
	}
	close(hold)
	b.wait(t)
	if _, err := b.engine.Trigger(t.Context(), modelswap.TriggerRequest{}); err != nil {
		t.Errorf("after the end another one was refused: %v", err)
	}
	b.wait(t)
}

// upsideDown is a back end whose champion is right and whose challenger is wrong.
func upsideDown(t *testing.T) *bundle {
	b := setup(t)
	b.Serve(modelswap.Model{Name: "champion", Schema: b.Schema.Fingerprint()})
	b.Score = func(name string, row schema.Vector) float64 {
		if name == "champion" {
			return 1 / (1 + row[0])
		}
		return row[0] / 3
	}
	return b
}

func TestALosingChallengerIsRejectedWithTheNumbers(t *testing.T) {
	b := upsideDown(t)
	b.start(t)
	r := b.renew(t, modelswap.TriggerRequest{})
	if r.Status != modelswap.Rejected || !strings.Contains(r.Error, "auc") || !strings.Contains(r.Error, "GATEWAY_GATE") || !strings.Contains(r.Error, "--force") {
		t.Errorf("got %s (%s), want rejected with the reason", r.Status, r.Error)
	}
	if got, want := statuses(r), "succeeded succeeded succeeded succeeded failed skipped skipped"; got != want {
		t.Errorf("steps are %q, want %q", got, want)
	}
	if s := r.Step(modelswap.Evaluate); s.Error == nil || *s.Error != r.Error || !strings.HasPrefix(r.Error, fmt.Sprint(s.Detail["verdict"])+"; ") ||
		s.Detail["retries"] != nil || s.Detail["class"] != nil || b.Calls("ScoreWith") != 2 {
		t.Errorf("evaluate is %+v after %d evaluations, want the verdict at once", s, b.Calls("ScoreWith"))
	}
	if r.Metrics.Champion == nil || r.Metrics.Champion.AUC != 1 || r.Metrics.Challenger.AUC != 0 {
		t.Errorf("metrics are %+v, want AUC 1 against 0", r.Metrics)
	}
	if serving, _ := b.engine.Serving(t.Context()); serving != "champion" || b.Calls("DeployModel") != 0 {
		t.Errorf("%q serves after %d deployments, want the champion, untouched", serving, b.Calls("DeployModel"))
	}
}

func TestForceDeploysALosingChallengerAndSaysSo(t *testing.T) {
	b := upsideDown(t)
	b.start(t)
	r := b.renew(t, modelswap.TriggerRequest{Force: true})
	if r.Status != modelswap.Succeeded || r.Step(modelswap.Evaluate).Detail["forced"] != true {
		t.Errorf("got %s (%s) with %v, want forced success", r.Status, r.Error, r.Step(modelswap.Evaluate).Detail)
	}
}

func TestAnOverrideOfTheGateCountsForOneRenewal(t *testing.T) {
	b := upsideDown(t)
	b.start(t)
	if r := b.renew(t, modelswap.TriggerRequest{Overrides: modelswap.Overrides{Gate: "off"}}); r.Status != modelswap.Succeeded {
		t.Errorf("got %s (%s), want success with the gate off", r.Status, r.Error)
	}
}

func TestAChampionOfAnotherSchemaIsNotCompared(t *testing.T) {
	b := setup(t)
	b.Serve(modelswap.Model{Name: "old", Schema: "another"})
	b.start(t)
	r := b.renew(t, modelswap.TriggerRequest{})
	why := fmt.Sprint(r.Step(modelswap.Evaluate).Detail["not_compared"])
	if r.Status != modelswap.Succeeded || r.Metrics.Champion != nil || !strings.Contains(why, "schema") {
		t.Errorf("got %s, metrics %+v, %q; want success without a comparison, and why", r.Status, r.Metrics, why)
	}
}

func TestAStepThatFailsEndsTheRenewalAndNamesTheReason(t *testing.T) {
	for step, call := range map[modelswap.StepName]string{
		modelswap.Export: "StartExport", modelswap.Train: "StartTraining", modelswap.Register: "RegisterModel",
		modelswap.Evaluate: "ScoreWith", modelswap.Deploy: "DeployModel",
	} {
		t.Run(string(step), func(t *testing.T) {
			b := setup(t)
			b.Before = func(c string) error {
				if c == call {
					return errors.New("the disk is full")
				}
				return nil
			}
			b.start(t)
			r := b.renew(t, modelswap.TriggerRequest{})
			failed := r.Step(step)
			if r.Status != modelswap.Failed || failed.Status != modelswap.StepFailed || failed.Error == nil ||
				!strings.Contains(*failed.Error, "the disk is full") || !strings.HasPrefix(r.Error, string(step)+":") {
				t.Errorf("got %s (%s), step %+v", r.Status, r.Error, failed)
			}
			after := r.Steps[slices.Index(modelswap.Order(), step)+1:]
			for _, s := range after {
				if s.Status != modelswap.StepPending {
					t.Errorf("step %s after it is %s, want pending", s.Name, s.Status)
				}
			}
			if serving, _ := b.engine.Serving(t.Context()); serving != "" {
				t.Errorf("%q serves, want nothing", serving)
			}
		})
	}
}

func TestATrainingJobThatFailsSaysWhy(t *testing.T) {
	b := setup(t)
	b.start(t)
	r := b.renew(t, modelswap.TriggerRequest{Overrides: modelswap.Overrides{
		Training:        modelswap.Training{Algorithm: "xgboost"},
		Hyperparameters: modelswap.Hyperparameters{"num_round": "0"}}})
	if r.Status != modelswap.Failed || !strings.Contains(r.Error, "num_round") || b.Calls("StartTraining") != 1 {
		t.Errorf("got %s (%s) after %d starts, want failed with the trainer's reason after one", r.Status, r.Error, b.Calls("StartTraining"))
	}
}

func TestVerifyPutsTheChampionBackInAnyDoubt(t *testing.T) {
	for name, live := range map[string]func(predict.Scores) predict.Scores{
		"another model answers": func(s predict.Scores) predict.Scores { s.Model = "champion"; return s },
		"the scores differ":     func(s predict.Scores) predict.Scores { s.Score[0] += 0.01; return s },
		"the schema differs":    func(s predict.Scores) predict.Scores { s.Schema = "another"; return s },
		"a score is missing":    func(s predict.Scores) predict.Scores { s.Score = s.Score[1:]; return s },
		"a score is not a number": func(s predict.Scores) predict.Scores {
			s.Score[0] /= 0 * s.Score[0]
			s.Score[0] -= s.Score[0]
			return s
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := setup(t)
			b.Serve(modelswap.Model{Name: "champion", Schema: b.Schema.Fingerprint()})
			b.Live = live
			b.start(t)
			r := b.renew(t, modelswap.TriggerRequest{})
			serving, _ := b.engine.Serving(t.Context())
			if r.Status != modelswap.Failed || serving != "champion" || !strings.Contains(r.Error, "went back to champion") {
				t.Errorf("got %s (%s), %q serves; want failed, with the champion back", r.Status, r.Error, serving)
			}
		})
	}
}

// TestTheNextProcessGoesOnWhereOneStopped stops the engine at each call of a
// port and lets another one finish. No effect that costs money may happen twice.
func TestTheNextProcessGoesOnWhereOneStopped(t *testing.T) {
	for _, call := range []string{"StartExport", "TrainingStatus", "RegisterModel", "ScoreWith", "DeployModel", "Score"} {
		t.Run(call, func(t *testing.T) {
			b := setup(t)
			reached, release := make(chan struct{}), make(chan struct{})
			var once sync.Once
			b.Before = func(c string) error {
				if c == call {
					once.Do(func() {
						close(reached)
						<-release
					})
				}
				return nil
			}
			stop := b.start(t)
			if _, err := b.engine.Trigger(t.Context(), modelswap.TriggerRequest{}); err != nil {
				t.Fatal(err)
			}
			<-reached
			stopped := make(chan struct{})
			go func() { defer close(stopped); stop() }()
			close(release)
			<-stopped
			b.start(t)
			r := b.wait(t)
			if r.Status != modelswap.Succeeded {
				t.Fatalf("got %s (%s), want success", r.Status, r.Error)
			}
			if n := b.Calls("StartTraining"); n != 1 {
				t.Errorf("training was started %d times, want once", n)
			}
		})
	}
}

func TestATrainingJobThatIsLostIsStartedAgain(t *testing.T) {
	b := setup(t)
	var once sync.Once
	b.Before = func(call string) error {
		if call == "RegisterModel" {
			once.Do(b.Lose)
		}
		if call == "TrainingStatus" && b.Calls("StartTraining") == 1 {
			once.Do(b.Lose)
		}
		return nil
	}
	b.start(t)
	if r := b.renew(t, modelswap.TriggerRequest{}); r.Status != modelswap.Succeeded || b.Calls("StartTraining") != 2 {
		t.Errorf("got %s (%s) after %d starts, want success after two", r.Status, r.Error, b.Calls("StartTraining"))
	}
}

func TestWhatCanBeSeenToBeWrongIsRefusedAtOnce(t *testing.T) {
	b := setup(t)
	b.start(t)
	for field, req := range map[string]modelswap.TriggerRequest{
		"reason":                             {Reason: strings.Repeat("x", 1001)},
		"/overrides/gate":                    {Overrides: modelswap.Overrides{Gate: "auc"}},
		"/overrides/training/algorithm":      {Overrides: modelswap.Overrides{Training: modelswap.Training{Algorithm: "magic"}}},
		"/overrides/training/max_runtime":    {Overrides: modelswap.Overrides{Training: modelswap.Training{MaxRuntime: "soon"}}},
		"/overrides/training/instance_count": {Overrides: modelswap.Overrides{Training: modelswap.Training{InstanceCount: -1}}},
		"/overrides/hyperparameters":         {Overrides: modelswap.Overrides{Hyperparameters: modelswap.Hyperparameters{"nosuch": "1"}}},
	} {
		_, err := b.engine.Trigger(t.Context(), req)
		var invalid *failure.Error
		if !errors.As(err, &invalid) || invalid.Kind != failure.Invalid || len(invalid.Violations) != 1 || invalid.Violations[0].Field != field {
			t.Errorf("%s: got %v, want one violation of it", field, err)
		}
	}
	if all, _ := b.Renewals(t.Context(), 10, ""); len(all) != 0 {
		t.Error("a refused request left a renewal behind")
	}
}

func TestAnotherAlgorithmDoesNotInheritHyperparameters(t *testing.T) {
	b := setup(t)
	gate, _ := modelswap.ParseGate("off")
	engine := modelswap.New(b.Ports(), modelswap.Options{Schema: b.Schema, Gate: gate,
		Algorithm: string(learn.LinearLearner), Hyperparameters: map[string]string{"wd": "0.1"}},
		slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if _, err := engine.Trigger(t.Context(), modelswap.TriggerRequest{Overrides: modelswap.Overrides{
		Training: modelswap.Training{Algorithm: "xgboost"}}}); err != nil {
		t.Errorf("wd of linear-learner was held against xgboost: %v", err)
	}
}

// Only a platform that can choose takes auto, by a setting or by an override.
func TestAutoIsForPlatformsThatChoose(t *testing.T) {
	b := setup(t)
	gate, _ := modelswap.ParseGate("off")
	auto := modelswap.TriggerRequest{Overrides: modelswap.Overrides{Training: modelswap.Training{Algorithm: "auto"},
		Hyperparameters: modelswap.Hyperparameters{"wd": "0.1", "max_depth": "3"}}}
	for can, want := range map[bool]string{false: "auto is for GATEWAY_PLATFORM=local: must be linear-learner or xgboost", true: ""} {
		engine := modelswap.New(b.Ports(), modelswap.Options{Schema: b.Schema, Gate: gate, Auto: can},
			slog.New(slog.DiscardHandler), prometheus.NewRegistry())
		_, err := engine.Trigger(t.Context(), auto)
		var invalid *failure.Error
		switch errors.As(err, &invalid); {
		case want == "" && err != nil:
			t.Errorf("a platform that can choose refused it: %v", err)
		case want != "" && (invalid == nil || len(invalid.Violations) != 1 || invalid.Violations[0].Detail != want):
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

// Who asks again for the renewal that it may have started, by its id, gets that
// one, whatever has become of it and whatever runs now.
func TestARenewalIsNotStartedAgainUnderItsID(t *testing.T) {
	b := setup(t)
	b.start(t)
	req := modelswap.TriggerRequest{ID: failure.NewID(), Reason: "once"}
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if r, err := b.engine.Trigger(t.Context(), req); err != nil || r.ID != req.ID || r.Reason != "once" {
				t.Errorf("got %+v, %v", r, err)
			}
		})
	}
	all.Wait()
	if r := b.wait(t); r.ID != req.ID || r.Status != modelswap.Succeeded {
		t.Errorf("got %s, %s", r.ID, r.Status)
	}
	other, err := b.engine.Trigger(t.Context(), modelswap.TriggerRequest{})
	if err != nil || other.ID == req.ID {
		t.Fatalf("got %+v, %v", other, err)
	}
	if r, err := b.engine.Trigger(t.Context(), req); err != nil || r.ID != req.ID || r.Status != modelswap.Succeeded {
		t.Errorf("after its end: %+v, %v", r, err)
	}
	if list, err := b.engine.Renewals(t.Context(), 10, ""); err != nil || len(list) != 2 {
		t.Errorf("there are %d renewals, %v", len(list), err)
	}
	b.wait(t)
}

func TestARenewalWithoutAnyRowSaysWhy(t *testing.T) {
	schema, err := schema.Parse("small.yaml", []byte(smallSchema))
	if err != nil {
		t.Fatal(err)
	}
	customers := make([]predict.Customer, 20)
	for i := range customers {
		customers[i] = predict.Customer{ID: fmt.Sprint(i), Features: []byte(`{"x":1}`)}
	}
	b := &bundle{Backend: modelswaptest.New(schema, customers), gate: "off"}
	b.start(t)
	r := b.renew(t, modelswap.TriggerRequest{})
	if want := "none of the 20 items gives a row: unlabelled 20"; r.Status != modelswap.Failed || !strings.Contains(r.Error, want) {
		t.Errorf("the renewal is %s: %s; want failed with %q", r.Status, r.Error, want)
	}
	if detail := r.Step(modelswap.Convert).Detail; fmt.Sprint(detail["items"]) != "20" || fmt.Sprint(detail["skipped"]) != "map[unlabelled:20]" {
		t.Errorf("the step's detail is %v", detail)
	}
}
