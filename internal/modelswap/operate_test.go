package modelswap_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"gateway/internal/failure"
	"gateway/internal/modelswap"
)

func badRounds() modelswap.Overrides {
	return modelswap.Overrides{Training: modelswap.Training{Algorithm: "xgboost"},
		Hyperparameters: modelswap.Hyperparameters{"num_round": "0", "eta": "0.1"}}
}

func isKind(err error, kind failure.Kind) bool {
	var e *failure.Error
	return errors.As(err, &e) && e.Kind == kind
}

func TestAFailedTrainingGoesOnWithAGoodOverrideWithoutExportingAgain(t *testing.T) {
	b := setup(t)
	b.start(t)
	failed := b.renew(t, modelswap.TriggerRequest{Overrides: badRounds()})
	if failed.Status != modelswap.Failed || failed.Step(modelswap.Train).Detail["class"] != modelswap.Input {
		t.Fatalf("got %s (%s), class %v", failed.Status, failed.Error, failed.Step(modelswap.Train).Detail["class"])
	}
	resumed, err := b.engine.Resume(t.Context(), failed.ID, modelswap.ResumeRequest{
		Overrides: modelswap.Overrides{Hyperparameters: modelswap.Hyperparameters{"num_round": "5"}}})
	if err != nil || resumed.Status != modelswap.Queued || resumed.FinishedAt != nil || resumed.Error != "" {
		t.Fatalf("resume gave %+v (%v)", resumed, err)
	}
	r := b.wait(t)
	if r.Status != modelswap.Succeeded || b.Calls("StartExport") != 1 {
		t.Errorf("got %s (%s) after %d exports, want success after one", r.Status, r.Error, b.Calls("StartExport"))
	}
	train := r.Step(modelswap.Train)
	if train.Attempt != 2 || r.Step(modelswap.Convert).Attempt != 1 {
		t.Errorf("train has attempt %d and convert %d, want 2 and 1", train.Attempt, r.Step(modelswap.Convert).Attempt)
	}
	if text := fmt.Sprint(train.Detail["overrides"]); !strings.Contains(text, "num_round") {
		t.Errorf("the history does not say what was overridden: %v", train.Detail)
	}
	if r.Overrides.Hyperparameters["eta"] != "0.1" || r.Overrides.Training.Algorithm != "xgboost" {
		t.Errorf("overrides are %+v, want the earlier ones kept", r.Overrides)
	}
	if *r.Model == failed.State.Model {
		t.Errorf("both trainings made a model called %s", *r.Model)
	}
	attempts, err := b.engine.Attempts(t.Context(), r.ID)
	first := slices.IndexFunc(attempts, func(s modelswap.Step) bool { return s.Name == modelswap.Train && s.Attempt == 1 })
	if err != nil || first < 0 || attempts[first].Error == nil || len(attempts) != 8 {
		t.Errorf("the attempts are %+v (%v), want eight, the failed training among them", attempts, err)
	}
}

func TestARejectedRenewalCanBeResumedWithAnotherGate(t *testing.T) {
	b := upsideDown(t)
	b.start(t)
	rejected := b.renew(t, modelswap.TriggerRequest{})
	if _, err := b.engine.Resume(t.Context(), rejected.ID, modelswap.ResumeRequest{Overrides: modelswap.Overrides{Gate: "off"}}); err != nil {
		t.Fatal(err)
	}
	if r := b.wait(t); r.Status != modelswap.Succeeded || b.Calls("StartTraining") != 1 || r.Step(modelswap.Evaluate).Attempt != 2 {
		t.Errorf("got %s (%s) after %d trainings, want success after one", r.Status, r.Error, b.Calls("StartTraining"))
	}
}

func TestResumeFromAnEarlierStepDoesItAndAllAfterItAgain(t *testing.T) {
	b := setup(t)
	b.start(t)
	failed := b.renew(t, modelswap.TriggerRequest{Overrides: badRounds()})
	good := modelswap.Overrides{Hyperparameters: modelswap.Hyperparameters{"num_round": "5"}}
	if _, err := b.engine.Resume(t.Context(), failed.ID, modelswap.ResumeRequest{From: modelswap.Export, Overrides: good}); err != nil {
		t.Fatal(err)
	}
	if r := b.wait(t); r.Status != modelswap.Succeeded || b.Calls("StartExport") != 2 {
		t.Errorf("got %s (%s) after %d exports, want success after two", r.Status, r.Error, b.Calls("StartExport"))
	}
}

func TestResumeRefusesWhatCannotGoOn(t *testing.T) {
	b := setup(t)
	b.start(t)
	if _, err := b.engine.Resume(t.Context(), "nobody", modelswap.ResumeRequest{}); !isKind(err, failure.NotFound) {
		t.Errorf("an unknown renewal gave %v", err)
	}
	failed := b.renew(t, modelswap.TriggerRequest{Overrides: badRounds()})
	for name, req := range map[string]modelswap.ResumeRequest{
		"a later step":        {From: modelswap.Deploy},
		"no step":             {From: "lunch"},
		"a bad override":      {Overrides: modelswap.Overrides{Gate: "x"}},
		"an unknown name":     {Overrides: modelswap.Overrides{Hyperparameters: modelswap.Hyperparameters{"nosuch": "1"}}},
		"an algorithm switch": {Overrides: modelswap.Overrides{Training: modelswap.Training{Algorithm: "magic"}}},
	} {
		if _, err := b.engine.Resume(t.Context(), failed.ID, req); !isKind(err, failure.Invalid) {
			t.Errorf("%s gave %v, want invalid", name, err)
		}
	}
	done := b.renew(t, modelswap.TriggerRequest{})
	if _, err := b.engine.Resume(t.Context(), done.ID, modelswap.ResumeRequest{}); !isKind(err, failure.Conflict) {
		t.Errorf("one that succeeded gave %v, want a conflict", err)
	}
}

// heartbeat makes the engine wait in a call of a port until release is closed.
func (b *bundle) hold(call string) (reached <-chan struct{}, release chan<- struct{}) {
	in, out := make(chan struct{}), make(chan struct{})
	var held atomic.Bool
	b.Before = func(c string) error {
		if c == call && held.CompareAndSwap(false, true) {
			close(in)
			<-out
		}
		return nil
	}
	return in, out
}

func TestCancelInAnyStepLeavesTheChampionServing(t *testing.T) {
	for _, call := range []string{"StartExport", "TrainingStatus", "RegisterModel", "ScoreWith", "DeployModel", "Score"} {
		t.Run(call, func(t *testing.T) {
			b := setup(t)
			b.Serve(modelswap.Model{Name: "champion", Schema: b.Schema.Fingerprint()})
			reached, release := b.hold(call)
			b.start(t)
			r, err := b.engine.Trigger(t.Context(), modelswap.TriggerRequest{})
			if err != nil {
				t.Fatal(err)
			}
			<-reached
			got, err := b.engine.Cancel(t.Context(), r.ID)
			if err != nil || !got.Cancelling {
				t.Fatalf("cancel gave %+v (%v), want one that is being cancelled", got, err)
			}
			for b.Calls("cancel seen") == 0 { // by the heartbeat
				runtime.Gosched()
			}
			close(release)
			end := b.wait(t)
			if end.Status != modelswap.Cancelled {
				t.Fatalf("got %s (%s), want cancelled", end.Status, end.Error)
			}
			if serving, _ := b.engine.Serving(t.Context()); serving != "champion" {
				t.Errorf("%q serves, want the champion", serving)
			}
			if call == "TrainingStatus" && b.Calls("StopTraining") == 0 {
				t.Error("the training job was not stopped")
			}
			if call == "ScoreWith" && b.Calls("StopScoring") != 2 {
				t.Errorf("%d evaluations were stopped, want those of challenger and champion", b.Calls("StopScoring"))
			}
			for _, s := range end.Steps {
				if s.Status == modelswap.StepRunning || s.Status == modelswap.StepPending {
					t.Errorf("step %s is left %s", s.Name, s.Status)
				}
			}
			if _, err := b.engine.Cancel(t.Context(), r.ID); !isKind(err, failure.Conflict) {
				t.Errorf("cancelling it again gave %v, want a conflict", err)
			}
			// It can go on after all.
			if _, err := b.engine.Resume(t.Context(), r.ID, modelswap.ResumeRequest{}); err != nil {
				t.Fatal(err)
			}
			if end := b.wait(t); end.Status != modelswap.Succeeded {
				t.Errorf("resumed, it is %s (%s)", end.Status, end.Error)
			}
		})
	}
}

func TestAPassingFaultIsTriedAgainInTheSameAttempt(t *testing.T) {
	b := setup(t)
	var faults atomic.Int32
	b.Before = func(call string) error {
		if call == "RegisterModel" && faults.Add(1) <= 3 {
			return &failure.Error{Kind: failure.Unavailable, Detail: "not now"}
		}
		return nil
	}
	b.start(t)
	r := b.renew(t, modelswap.TriggerRequest{})
	s := r.Step(modelswap.Register)
	if r.Status != modelswap.Succeeded || s.Attempt != 1 || fmt.Sprint(s.Detail["retries"]) != "3" || s.Detail["last_error"] != "not now" {
		t.Errorf("got %s (%s), register %+v; want success after three retries that can be seen", r.Status, r.Error, s)
	}
}

func TestAFaultThatLastsEndsAfterItsTries(t *testing.T) {
	b := setup(t)
	var calls atomic.Int32
	b.Before = func(call string) error {
		if call == "RegisterModel" {
			calls.Add(1)
			return errors.New("the cable is cut")
		}
		return nil
	}
	b.start(t)
	if r := b.renew(t, modelswap.TriggerRequest{}); r.Status != modelswap.Failed || calls.Load() != 5 {
		t.Errorf("got %s after %d calls, want failed after five", r.Status, calls.Load())
	}
}

func TestABugFailsTheStepAtOnceAndNotTheProcess(t *testing.T) {
	b := setup(t)
	var calls atomic.Int32
	b.Before = func(call string) error {
		if call == "RegisterModel" {
			calls.Add(1)
			panic("out of luck")
		}
		return nil
	}
	b.start(t)
	r := b.renew(t, modelswap.TriggerRequest{})
	if r.Status != modelswap.Failed || calls.Load() != 1 || r.Step(modelswap.Register).Detail["class"] != modelswap.Bug {
		t.Errorf("got %s (%s) after %d calls, want failed as a bug after one", r.Status, r.Error, calls.Load())
	}
}

func TestMissingFilesAreMadeAgain(t *testing.T) {
	b := setup(t)
	var once sync.Once
	lost := false
	b.Before = func(call string) error {
		if call == "RegisterModel" {
			var err error
			once.Do(func() { lost, err = true, fmt.Errorf("artifact: %w", fs.ErrNotExist) })
			return err
		}
		return nil
	}
	b.start(t)
	r := b.renew(t, modelswap.TriggerRequest{})
	if r.Status != modelswap.Succeeded || !lost || b.Calls("StartExport") != 2 {
		t.Errorf("got %s (%s) after %d exports, want success after two", r.Status, r.Error, b.Calls("StartExport"))
	}
	attempts, err := b.engine.Attempts(t.Context(), r.ID)
	if err != nil || !slices.ContainsFunc(attempts, func(s modelswap.Step) bool { return s.Detail["redone"] != nil }) {
		t.Errorf("no attempt says why it was done again: %+v (%v)", attempts, err)
	}
}

// TestAFrozenOwnerChangesNothing freezes one engine past its lease, lets
// another one finish the renewal, and wakes the first one up again.
func TestAFrozenOwnerChangesNothing(t *testing.T) {
	b := setup(t)
	reached, release := b.hold("RegisterModel")
	b.start(t)
	first := b.engine
	if _, err := first.Trigger(t.Context(), modelswap.TriggerRequest{}); err != nil {
		t.Fatal(err)
	}
	<-reached // the first engine hangs in a call; its lease runs out
	thaw := b.Freeze()
	t.Cleanup(thaw)
	b.start(t) // a second one
	r := b.wait(t)
	if r.Status != modelswap.Succeeded {
		t.Fatalf("the second engine came to %s (%s)", r.Status, r.Error)
	}
	thaw()
	close(release)
	// The first one finds that it has lost the renewal, and takes no other harm:
	// the next renewal is done by either.
	again := b.renew(t, modelswap.TriggerRequest{})
	if again.Status != modelswap.Succeeded || again.ID == r.ID {
		t.Errorf("the next renewal is %s (%s)", again.Status, again.Error)
	}
	after, err := b.Renewal(t.Context(), r.ID)
	if err != nil || after.Revision != r.Revision {
		t.Errorf("the first engine changed the renewal from revision %d to %d (%v)", r.Revision, after.Revision, err)
	}
	if n := b.Calls("StartTraining"); n != 2 {
		t.Errorf("there were %d trainings for two renewals", n)
	}
}

func TestOnlyTheNewestRenewalsKeepTheirFiles(t *testing.T) {
	b := setup(t)
	b.start(t)
	var all []*modelswap.Renewal
	for range 7 {
		all = append(all, b.renew(t, modelswap.TriggerRequest{}))
	}
	b.renew(t, modelswap.TriggerRequest{}) // tidying comes after the end of the one before
	files := b.FS(t.Context())
	for i, r := range all {
		_, train := fs.Stat(files, r.State.Train)
		_, export := fs.Stat(files, r.State.Export)
		if i < 2 && (train == nil || export == nil) {
			t.Errorf("renewal %d still has files", i)
		}
		if i > 4 && (train != nil || export != nil) {
			t.Errorf("renewal %d has lost its files: %v, %v", i, train, export)
		}
	}
}

// unremovable are files that cannot be removed at times.
type unremovable struct {
	modelswap.Files
	fails *atomic.Bool
}

func (u unremovable) RemoveAll(ctx context.Context, name string) error {
	if u.fails.Load() {
		return errors.New("a fault of a test")
	}
	return u.Files.RemoveAll(ctx, name)
}

func TestFilesThatCannotBeRemovedAreLoggedWhenItBeginsAndEnds(t *testing.T) {
	b := setup(t)
	var text bytes.Buffer // read after the engine has stopped
	b.log = slog.New(slog.NewTextHandler(&text, nil))
	var fails atomic.Bool
	b.files = func(files modelswap.Files) modelswap.Files { return unremovable{files, &fails} }
	stop := b.start(t)
	for range 5 { // which keep their files
		b.renew(t, modelswap.TriggerRequest{})
	}
	for range 2 {
		for _, failing := range []bool{true, false} {
			fails.Store(failing)
			for range 3 {
				b.renew(t, modelswap.TriggerRequest{})
			}
		}
	}
	stop()
	begun, ended := strings.Count(text.String(), "cannot remove the files of old renewals"), strings.Count(text.String(), "the files of old renewals are removed again")
	if begun != 2 || ended != 2 {
		t.Errorf("of two times of three renewals %d begins and %d ends are logged:\n%s", begun, ended, text.String())
	}
}

func TestFailedRenewalsLeaveTheNewestTrainingData(t *testing.T) {
	b := setup(t)
	b.start(t)
	r := b.renew(t, modelswap.TriggerRequest{})
	customers := b.Customers
	b.Customers = nil // nothing to convert
	for range 8 {
		if failed := b.renew(t, modelswap.TriggerRequest{}); failed.Status != modelswap.Failed {
			t.Fatalf("a renewal without customers is %s", failed.Status)
		}
	}
	for _, holdout := range []bool{false, true} {
		data, renewal, err := b.engine.TrainingData(t.Context(), holdout)
		if err != nil || renewal != r.ID {
			t.Fatalf("the training data is of %q (%v), want %s", renewal, err, r.ID)
		}
		text, err := io.ReadAll(data)
		want := r.Step(modelswap.Convert).Detail["train_rows"].(int64)
		if holdout {
			want += r.Step(modelswap.Convert).Detail["holdout_rows"].(int64)
		}
		if rows := bytes.Count(text, []byte{'\n'}); err != nil || int64(rows) != want {
			t.Errorf("%d rows (%v) with holdout=%v, want %d", rows, err, holdout, want)
		}
		_ = data.Close()
	}
	b.Customers = customers
	for range 7 {
		b.renew(t, modelswap.TriggerRequest{})
	}
	if _, err := fs.Stat(b.FS(t.Context()), r.State.Train); err == nil {
		t.Error("the first training data is kept beside newer ones")
	}
}

func TestRollback(t *testing.T) {
	b := setup(t)
	b.start(t)
	if _, err := b.engine.Rollback(t.Context(), ""); !isKind(err, failure.Conflict) {
		t.Errorf("with no model at all it gave %v, want a conflict", err)
	}
	first := b.renew(t, modelswap.TriggerRequest{})
	second := b.renew(t, modelswap.TriggerRequest{})
	if _, err := b.engine.Rollback(t.Context(), "nobody"); !isKind(err, failure.NotFound) {
		t.Errorf("an unknown model gave %v, want not found", err)
	}
	if _, err := b.engine.Rollback(t.Context(), *second.Model); !isKind(err, failure.Conflict) {
		t.Errorf("the one that serves gave %v, want a conflict", err)
	}
	m, err := b.engine.Rollback(t.Context(), "")
	serving, _ := b.engine.Serving(t.Context())
	if err != nil || m.Name != *first.Model || !m.Serving || serving != *first.Model {
		t.Errorf("got %+v (%v) and %q serves, want %s", m, err, serving, *first.Model)
	}
	if m, err = b.engine.Rollback(t.Context(), *second.Model); err != nil || m.Name != *second.Model {
		t.Errorf("by name: got %+v (%v), want %s", m, err, *second.Model)
	}
	if err := b.InsertModel(t.Context(), modelswap.Model{Name: "foreign", Schema: "another", DeployedAt: &time.Time{}}, modelswap.Fence{}); err != nil {
		t.Fatal(err)
	}
	if _, err := b.engine.Rollback(t.Context(), "foreign"); !isKind(err, failure.Conflict) {
		t.Errorf("a model of another schema gave %v, want a conflict", err)
	}
}

// TestASecondRollbackWhileTheFirstIsUnderWayNamesItsModel: the platform still answers
// with the model that is replaced, so that the newest other one is where the first
// rollback goes to.
func TestASecondRollbackWhileTheFirstIsUnderWayNamesItsModel(t *testing.T) {
	b := setup(t)
	var changing atomic.Bool
	b.Changing = changing.Load
	b.start(t)
	first := b.renew(t, modelswap.TriggerRequest{})
	second := b.renew(t, modelswap.TriggerRequest{})
	changing.Store(true)
	if m, err := b.engine.Rollback(t.Context(), ""); !isKind(err, failure.Conflict) || !strings.Contains(err.Error(), "still being changed") {
		t.Errorf("while a change is under way it went to %+v (%v)", m, err)
	}
	if serving, err := b.engine.Serving(t.Context()); err != nil || serving != *second.Model {
		t.Errorf("%q serves (%v), want %s", serving, err, *second.Model)
	}
	if m, err := b.engine.Rollback(t.Context(), *first.Model); err != nil || m.Name != *first.Model {
		t.Errorf("by name it went to %+v (%v), want %s", m, err, *first.Model)
	}
	changing.Store(false)
	if m, err := b.engine.Rollback(t.Context(), ""); err != nil || m.Name != *second.Model {
		t.Errorf("after the change it went to %+v (%v), want %s", m, err, *second.Model)
	}
}

// TestModelsServeFromAscendingTimes deploys and rolls back under a clock that was
// set back since the champion was deployed.
func TestModelsServeFromAscendingTimes(t *testing.T) {
	b := setup(t)
	ahead := time.Now().Add(24 * time.Hour).Truncate(time.Microsecond)
	b.Serve(modelswap.Model{Name: "champion", Schema: b.Schema.Fingerprint(), DeployedAt: &ahead})
	b.start(t)
	r := b.renew(t, modelswap.TriggerRequest{})
	if r.Status != modelswap.Succeeded {
		t.Fatalf("the renewal is %s: %s", r.Status, r.Error)
	}
	m, err := b.engine.Rollback(t.Context(), "")
	if err != nil || m.Name != "champion" || !m.DeployedAt.After(ahead.Add(time.Microsecond)) {
		t.Errorf("rolled back to %+v (%v), want the champion, later than the new model", m, err)
	}
	if m, err = b.engine.Rollback(t.Context(), ""); err != nil || m.Name != *r.Model {
		t.Errorf("rolled back again to %+v (%v), want the new model", m, err)
	}
}

func TestAHundredTriggersAtOnceMakeOneRenewal(t *testing.T) {
	b := setup(t)
	reached, release := b.hold("StartExport")
	b.start(t)
	var made, refused atomic.Int32
	var all sync.WaitGroup
	engine := modelswap.New(b.Ports(), modelswap.Options{Schema: b.Schema}, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	for i := range 100 {
		e := []*modelswap.Engine{b.engine, engine}[i%2]
		all.Go(func() {
			switch _, err := e.Trigger(t.Context(), modelswap.TriggerRequest{}); {
			case err == nil:
				made.Add(1)
			case isKind(err, failure.Conflict):
				refused.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	all.Wait()
	if made.Load() != 1 || refused.Load() != 99 {
		t.Errorf("%d were made and %d refused, want 1 and 99", made.Load(), refused.Load())
	}
	<-reached
	close(release)
	b.wait(t)
}
