package modelswap_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"gateway/internal/failure"
	"gateway/internal/learn"
	"gateway/internal/modelswap"
	"gateway/internal/schema"
)

// adopted lets a model serve that the platform has and the database does not.
func adopted(t *testing.T) *bundle {
	b := setup(t)
	b.Platform = map[string]modelswap.Model{"theirs": {Name: "theirs", Schema: b.Schema.Fingerprint(), CreatedAt: time.Now().Add(-time.Hour)}}
	b.ServeUnrecorded("theirs")
	return b
}

// TestAModelThatWasMadeElsewhereIsAChampion lists it at once, compares with it by
// its scores, and rolls back to it.
func TestAModelThatWasMadeElsewhereIsAChampion(t *testing.T) {
	b := adopted(t)
	b.start(t)
	listed := func() *modelswap.Model {
		t.Helper()
		models, err := b.engine.Models(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for i := range models {
			if models[i].Name == "theirs" {
				return &models[i]
			}
		}
		return nil
	}
	if m := listed(); m == nil || !m.Serving || m.DeployedAt == nil {
		t.Errorf("it is listed as %+v, want the model that serves", m)
	}
	r := b.renew(t, modelswap.TriggerRequest{})
	if r.Status != modelswap.Succeeded || r.Metrics.Champion == nil || r.State.Champion != "theirs" || b.Calls("StartExport") != 1 {
		t.Fatalf("the renewal is %s (%s) after %d exports, with %+v; want success, compared with it", r.Status, r.Error, b.Calls("StartExport"), r.Metrics)
	}
	if got := fmt.Sprint(r.Step(modelswap.Convert).Detail["new_labels"]); got != "100" {
		t.Errorf("convert says %v new labels, want all that outcomes set", got)
	}
	if m := listed(); m == nil || m.Serving {
		t.Errorf("after the swap it is listed as %+v", m)
	}
	if m, err := b.engine.Rollback(t.Context(), ""); err != nil || m.Name != "theirs" {
		t.Errorf("rolled back to %+v (%v), want it", m, err)
	}
}

func TestAModelThatWasMadeElsewhereCanWin(t *testing.T) {
	b := adopted(t)
	b.Score = func(name string, row schema.Vector) float64 {
		if name == "theirs" {
			return 1 / (1 + row[0])
		}
		return row[0] / 3
	}
	b.start(t)
	if r := b.renew(t, modelswap.TriggerRequest{}); r.Status != modelswap.Rejected || r.Metrics.Champion == nil {
		t.Errorf("the renewal is %s (%s), want rejected by comparison", r.Status, r.Error)
	}
}

// TestAChampionThatCannotBeScoredIsNotCompared lets the champion fail in ways that
// do not pass.
func TestAChampionThatCannotBeScoredIsNotCompared(t *testing.T) {
	for name, tc := range map[string]struct {
		made bool // by a renewal
		err  error
		want modelswap.Status
	}{
		"its artifact is damaged":          {true, fmt.Errorf("artifact is corrupt: %w", learn.ErrArtifact), modelswap.Succeeded},
		"it is of another schema":          {false, fmt.Errorf("it is another: %w", learn.ErrSchema), modelswap.Succeeded},
		"it is gone":                       {true, failure.Errorf(failure.NotFound, "SageMaker has no model"), modelswap.Succeeded},
		"made elsewhere, it answers lists": {false, &modelswap.Fault{Class: modelswap.Unfit, Err: fmt.Errorf("no scores")}, modelswap.Succeeded},
		"made here, it answers lists":      {true, &modelswap.Fault{Class: modelswap.Unfit, Err: fmt.Errorf("no scores")}, modelswap.Failed},
	} {
		t.Run(name, func(t *testing.T) {
			b := adopted(t)
			if tc.made {
				b.Serve(modelswap.Model{Name: "theirs", Renewal: "r", Schema: b.Schema.Fingerprint()})
			}
			calls := 0
			b.Before = func(call string) error {
				if call == "ScoreWith" {
					if calls++; calls == 2 { // the first is the challenger's
						return tc.err
					}
				}
				return nil
			}
			b.start(t)
			r := b.renew(t, modelswap.TriggerRequest{})
			why := fmt.Sprint(r.Step(modelswap.Evaluate).Detail["not_compared"])
			if r.Status != tc.want || tc.want == modelswap.Succeeded && !strings.Contains(why, "cannot be scored: "+tc.err.Error()) {
				t.Errorf("the renewal is %s (%s), not compared: %q; want %s, and why", r.Status, r.Error, why, tc.want)
			}
		})
	}
}

// TestTextsOfErrorsStartNothingOver fails steps with errors that say "not found"
// and are of no type that says so.
func TestTextsOfErrorsStartNothingOver(t *testing.T) {
	for step, call := range map[modelswap.StepName]string{
		modelswap.Register: "RegisterModel", modelswap.Evaluate: "ScoreWith", modelswap.Deploy: "DeployModel",
	} {
		for name, err := range map[string]error{
			"a text":      fmt.Errorf("file does not exist: not found"),
			"a not found": failure.Errorf(failure.NotFound, "there is no model %q", "x"),
		} {
			t.Run(string(step)+", "+name, func(t *testing.T) {
				b := setup(t)
				failed := false
				b.Before = func(c string) error {
					if c == call {
						failed = true
						return err
					}
					return nil
				}
				b.start(t)
				r := b.renew(t, modelswap.TriggerRequest{})
				if r.Status != modelswap.Failed || !failed || b.Calls("StartExport") != 1 {
					t.Errorf("the renewal is %s (%s) after %d exports, want failed after one", r.Status, r.Error, b.Calls("StartExport"))
				}
			})
		}
	}
}

// TestAFirstModelThatIsJudgedOnFewRowsSaysSo trains on data of which few rows are
// held out.
func TestAFirstModelThatIsJudgedOnFewRowsSaysSo(t *testing.T) {
	b := setup(t)
	b.Customers = b.Customers[:130]
	b.start(t)
	r := b.renew(t, modelswap.TriggerRequest{})
	verdict := fmt.Sprint(r.Step(modelswap.Evaluate).Detail["verdict"])
	want := fmt.Sprintf("judged on %d held-out rows only, too few for a judgement", r.Metrics.Rows)
	if r.Status != modelswap.Succeeded || r.Metrics.Rows >= 30 || !strings.Contains(verdict, want) {
		t.Errorf("the renewal is %s (%s), the verdict %q; want success that says %q", r.Status, r.Error, verdict, want)
	}
}
