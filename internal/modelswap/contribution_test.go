package modelswap_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"gateway/internal/failure"
	"gateway/internal/modelswap"
	"gateway/internal/predict"
)

// contributed makes all customers but the first n ones of an app, an hour ago.
func (b *bundle) contributed(n int, caller string) {
	for i := range b.Customers {
		c := &b.Customers[i]
		c.Outcome = 0
		if i >= n {
			c.Outcome = int64(i)
			c.Evidence = predict.Evidence{Made: true, Caller: caller, LabelledAt: time.Now().Add(-time.Hour)}
		}
	}
}

func TestTheVerdictSaysWhereAppsContributedToTheHeldOutRows(t *testing.T) {
	for name, tc := range map[string]struct {
		imported int
		judgeBy  string
		says     string
	}{
		"enough imported ones": {400, "", ""},
		"too few":              {100, "", "judged by all held-out rows, those of apps included: fewer than 30"},
		"an override":          {400, modelswap.JudgeByAll, "judged by all held-out rows, those of apps included, as the override judge_by says"},
	} {
		t.Run(name, func(t *testing.T) {
			b := setup(t)
			b.contributed(tc.imported, "web")
			b.start(t)
			r := b.renew(t, modelswap.TriggerRequest{Overrides: modelswap.Overrides{JudgeBy: tc.judgeBy}})
			verdict := fmt.Sprint(r.Step(modelswap.Evaluate).Detail["verdict"])
			if r.Status != modelswap.Succeeded || strings.Contains(verdict, "judged by") != (tc.says != "") || !strings.Contains(verdict, tc.says) {
				t.Errorf("the renewal is %s (%s), the verdict %q, want %q", r.Status, r.Error, verdict, tc.says)
			}
			convert := r.Step(modelswap.Convert).Detail
			if got := fmt.Sprint(convert["contributions"]); strings.Contains(got, "{app web 100 0}") != (tc.imported == 400) {
				t.Errorf("contributions are %s", got)
			}
			judged, held := convert["judged_rows"].(int64), convert["holdout_rows"].(int64)
			if judged == held != (tc.says != "") || int64(r.Metrics.Rows) != judged {
				t.Errorf("judged by %v of %v held-out rows, the metrics say %d", judged, held, r.Metrics.Rows)
			}
		})
	}
}

func TestJudgeByIsCheckedAndTakesEffectInConvert(t *testing.T) {
	b := setup(t)
	b.contributed(400, "web")
	b.Serve(modelswap.Model{Name: "champion", Schema: b.Schema.Fingerprint()})
	gate, err := modelswap.ParseGate("auc:0.5") // nothing passes
	if err != nil {
		t.Fatal(err)
	}
	engine, _ := b.run(t, modelswap.Options{Gate: gate, Poll: time.Millisecond})
	invalid := func(err error, field string) {
		t.Helper()
		var known *failure.Error
		if !errors.As(err, &known) || known.Kind != failure.Invalid || known.Violations[0].Field != field {
			t.Errorf("got %v, want a violation of %s", err, field)
		}
	}
	_, err = engine.Trigger(t.Context(), modelswap.TriggerRequest{Overrides: modelswap.Overrides{JudgeBy: "me"}})
	invalid(err, "/overrides/judge_by")
	if _, err := engine.Trigger(t.Context(), modelswap.TriggerRequest{}); err != nil {
		t.Fatal(err)
	}
	r := b.wait(t)
	if r.Status != modelswap.Rejected {
		t.Fatalf("the renewal is %s: %s", r.Status, r.Error)
	}
	before := r.Metrics.Rows
	resume := modelswap.ResumeRequest{Overrides: modelswap.Overrides{JudgeBy: modelswap.JudgeByAll, Gate: "off"}}
	_, err = engine.Resume(t.Context(), r.ID, resume)
	invalid(err, "/overrides/judge_by")
	resume.From = modelswap.Convert
	if _, err = engine.Resume(t.Context(), r.ID, resume); err != nil {
		t.Fatal(err)
	}
	if r = b.wait(t); r.Status != modelswap.Succeeded || r.Metrics.Rows <= before {
		t.Errorf("the renewal is %s (%s) and was judged by %d rows, %d before", r.Status, r.Error, r.Metrics.Rows, before)
	}
}

// TestCappedOutcomesStartNoRenewal counts, of each caller's outcomes, only as many
// as a renewal may learn from.
func TestCappedOutcomesStartNoRenewal(t *testing.T) {
	b := setup(t)
	b.contributed(400, "web")
	b.New = &modelswap.NewOutcomes{Settled: 20, ByCaller: map[string]int64{"flood": 100_000, "web": 30}}
	engine, _ := b.run(t, modelswap.Options{Outcomes: 200, Poll: time.Millisecond})
	if _, err := engine.Trigger(t.Context(), modelswap.TriggerRequest{}); err != nil {
		t.Fatal(err)
	}
	b.wait(t)
	b.Outcomes(100_050)
	status, err := engine.Schedule(t.Context())
	if err != nil || status.Outcomes.Waiting != 20+30+100 {
		t.Errorf("%+v wait (%v), want 150: a caller's cap is 100 where 400 rows have settled", status.Outcomes, err)
	}
}
