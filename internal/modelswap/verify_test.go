package modelswap_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gateway/internal/export"
	"gateway/internal/failure"
	"gateway/internal/modelswap"
	"gateway/internal/predict"
	"gateway/internal/schema"
)

// asked is what the champion was asked lately, about n customers with x from
// 0 to 3, and what it scored.
func (b *bundle) asked(n int, change func(i int, p *predict.Prediction)) {
	var all []predict.Prediction
	for i := range n {
		x := 3 * float64(i) / float64(n)
		p := predict.Prediction{ID: fmt.Sprint(i), Features: fmt.Appendf(nil, `{"x":%g}`, x), Score: 1 / (1 + x),
			Model: "champion", Schema: b.Schema.Fingerprint()}
		if change != nil {
			change(i, &p)
		}
		all = append(all, p)
	}
	b.Ask(all)
}

func TestVerifyComparesTheScoresOfRecentTraffic(t *testing.T) {
	for name, tc := range map[string]struct {
		score func(x float64) float64 // of the challenger; the champion's is 1/(1+x)
		asked int
		odd   func(i int, p *predict.Prediction)
		force bool
		want  modelswap.Status
		says  string // in the step's detail or the renewal's error
	}{
		"the same scores":                    {func(x float64) float64 { return 1 / (1 + x) }, 200, nil, false, modelswap.Succeeded, "traffic_shift:0]"},
		"a little higher":                    {func(x float64) float64 { return 1 / (1 + 0.9*x) }, 200, nil, false, modelswap.Succeeded, "traffic_rows:200"},
		"much lower":                         {func(x float64) float64 { return 0.2 / (1 + x) }, 200, nil, false, modelswap.Failed, "by 0.80 of the champion's mean score over 200 requests, and 0.5 is allowed; to deploy the model all the same, raise GATEWAY_VERIFY_MAX_SHIFT or start a renewal with --force; went back to champion"},
		"much higher":                        {func(x float64) float64 { return 1 - 0.01*x }, 200, nil, false, modelswap.Failed, "went back to champion"},
		"much lower, but forced":             {func(x float64) float64 { return 0.2 / (1 + x) }, 200, nil, true, modelswap.Succeeded, "forced:the scores of recent traffic have shifted"},
		"much lower, but hardly any traffic": {func(x float64) float64 { return 0.2 / (1 + x) }, 99, nil, false, modelswap.Succeeded, "traffic_not_compared"},
		"much lower, for one customer over and over": {func(x float64) float64 { return 0.2 / (1 + x) }, 200,
			func(_ int, p *predict.Prediction) { p.Features = []byte(`{"x":1}`) }, false, modelswap.Succeeded, "about 1 different customers"},
		"much lower, for requests of another schema": {func(x float64) float64 { return 0.2 / (1 + x) }, 200,
			func(_ int, p *predict.Prediction) { p.Schema = "another" }, false, modelswap.Succeeded, "about 0 different customers"},
		"much lower, for requests without what is personal": {func(x float64) float64 { return 0.2 / (1 + x) }, 200,
			func(_ int, p *predict.Prediction) { p.Features = []byte(`{}`) }, false, modelswap.Succeeded, "about 0 different customers"},
	} {
		t.Run(name, func(t *testing.T) {
			b := setup(t)
			b.Serve(modelswap.Model{Name: "champion", Schema: b.Schema.Fingerprint()})
			b.Score = func(model string, row schema.Vector) float64 {
				if model == "champion" {
					return 1 / (1 + row[0])
				}
				return tc.score(row[0])
			}
			b.asked(tc.asked, tc.odd)
			engine, _ := b.run(t, modelswap.Options{MaxShift: 0.5, Poll: time.Millisecond})
			if _, err := engine.Trigger(t.Context(), modelswap.TriggerRequest{Force: tc.force}); err != nil {
				t.Fatal(err)
			}
			r := b.wait(t)
			said := fmt.Sprint(r.Step(modelswap.Verify).Detail) + r.Error
			if r.Status != tc.want || !strings.Contains(said, tc.says) {
				t.Errorf("got %s (%s), want %s and %q", r.Status, said, tc.want, tc.says)
			}
			serving, err := engine.Serving(t.Context())
			if err != nil || (serving == "champion") != (tc.want == modelswap.Failed) {
				t.Errorf("%q serves (%v)", serving, err)
			}
		})
	}
}

func TestDataWithNothingToLearnIsRefused(t *testing.T) {
	for label := range 2 {
		b := setup(t)
		for i := range b.Customers {
			b.Customers[i].Label = &label
		}
		b.start(t)
		r := b.renew(t, modelswap.TriggerRequest{})
		convert := r.Step(modelswap.Convert)
		if r.Status != modelswap.Failed || convert.Error == nil || !strings.Contains(*convert.Error, "same label") || convert.Detail["class"] != modelswap.Input {
			t.Errorf("label %d: got %s (%s), want convert to refuse it", label, r.Status, r.Error)
		}
	}
}

func TestHeldOutRowsOfOneLabelDecideNothing(t *testing.T) {
	one := func(t *testing.T) *bundle {
		b := setup(t)
		zero := 0
		for i := range b.Customers {
			if export.Held(b.Customers[i].ID) {
				b.Customers[i].Label = &zero
			}
		}
		return b
	}
	t.Run("without a champion the challenger serves", func(t *testing.T) {
		b := one(t)
		b.start(t)
		r := b.renew(t, modelswap.TriggerRequest{})
		if r.Status != modelswap.Succeeded || r.Metrics.Challenger != nil {
			t.Errorf("got %s (%s) with %+v, want success without figures", r.Status, r.Error, r.Metrics.Challenger)
		}
	})
	t.Run("with one it is rejected", func(t *testing.T) {
		b := one(t)
		b.Serve(modelswap.Model{Name: "champion", Schema: b.Schema.Fingerprint()})
		b.start(t)
		r := b.renew(t, modelswap.TriggerRequest{})
		if r.Status != modelswap.Rejected || !strings.Contains(r.Error, "have label 0") {
			t.Errorf("got %s (%s), want rejected with the reason", r.Status, r.Error)
		}
	})
}

// TestOldModelsAreRemovedAndWhatServesStays makes three models that serve, goes
// back to the first, and lets six challengers lose against it.
func TestOldModelsAreRemovedAndWhatServesStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t)
		engine, _ := b.run(t, modelswap.Options{KeepModels: 1})
		var names []string
		renew := func(gate string, want modelswap.Status) {
			t.Helper()
			if _, err := engine.Trigger(t.Context(), modelswap.TriggerRequest{Overrides: modelswap.Overrides{Gate: gate}}); err != nil {
				t.Fatal(err)
			}
			r := b.wait(t)
			if r.Status != want {
				t.Fatalf("got %s (%s), want %s", r.Status, r.Error, want)
			}
			names = append(names, *r.Model)
			synctest.Wait() // what comes after the end is done as well
		}
		for range 3 {
			renew("off", modelswap.Succeeded)
			time.Sleep(time.Second) // so that they served one after the other
		}
		if _, err := engine.Rollback(t.Context(), names[0]); err != nil {
			t.Fatal(err)
		}
		for range 6 {
			renew("auc:0.5", modelswap.Rejected)
		}
		models, err := engine.Models(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		removed := map[string]bool{}
		for _, m := range models {
			removed[m.Name] = m.RemovedAt != nil
		}
		// 0 serves; 2 is the last good one; the newest five renewals may go on.
		for i, want := range []bool{false, true, false, true, false, false, false, false, false} {
			if removed[names[i]] != want {
				t.Errorf("model %d removed: %v, want %v", i, removed[names[i]], want)
			}
		}
		_, err = engine.Rollback(t.Context(), names[1])
		var known *failure.Error
		if !errors.As(err, &known) || known.Kind != failure.Conflict || !strings.Contains(known.Detail, "was removed") {
			t.Errorf("going back to a removed model gave %v, want a conflict that says so", err)
		}
		if m, err := engine.Rollback(t.Context(), ""); err != nil || m.Name != names[2] {
			t.Errorf("going back gave %+v (%v), want the last good one", m, err)
		}
	})
}

// TestOneCallerDoesNotDecideAboutTraffic lets callers ask about other customers:
// the honest ones about those whose scores do not change, or all change, and one
// with as many requests as it likes about the opposite.
func TestOneCallerDoesNotDecideAboutTraffic(t *testing.T) {
	const honestX, floodX = 1.0, 3.0 // at the first the challenger agrees, at the second it does not
	for name, tc := range map[string]struct {
		requests map[string]int // by caller
		honest   float64
		flood    float64
		want     modelswap.Status
	}{
		"a flood cannot make up a shift": {map[string]int{"web": 120, "app": 120, "flood": 1500}, honestX, floodX, modelswap.Succeeded},
		"a flood cannot hide a shift":    {map[string]int{"web": 120, "app": 120, "flood": 1500}, floodX, honestX, modelswap.Failed},
		"two callers: in doubt it shows": {map[string]int{"web": 120, "flood": 1500}, floodX, honestX, modelswap.Failed},
		"a few of each count as one":     {map[string]int{"web": 60, "app": 60}, floodX, honestX, modelswap.Failed},
	} {
		t.Run(name, func(t *testing.T) {
			b := setup(t)
			b.Serve(modelswap.Model{Name: "champion", Schema: b.Schema.Fingerprint()})
			b.Score = func(model string, row schema.Vector) float64 {
				if model != "champion" && row[0] >= 2.5 {
					return 0.99
				}
				return 1 / (1 + row[0])
			}
			var all []predict.Prediction
			for caller, n := range tc.requests {
				x := tc.honest
				if caller == "flood" {
					x = tc.flood
				}
				for i := range n {
					at := x + float64(len(all))/1e6
					all = append(all, predict.Prediction{ID: fmt.Sprint(caller, i), Caller: caller, Features: fmt.Appendf(nil, `{"x":%g}`, at),
						Score: 1 / (1 + at), Model: "champion", Schema: b.Schema.Fingerprint()})
				}
			}
			b.Ask(all)
			engine, _ := b.run(t, modelswap.Options{MaxShift: 0.5, Poll: time.Millisecond})
			if _, err := engine.Trigger(t.Context(), modelswap.TriggerRequest{}); err != nil {
				t.Fatal(err)
			}
			if r := b.wait(t); r.Status != tc.want {
				t.Errorf("got %s (%s), %v", r.Status, r.Error, r.Step(modelswap.Verify).Detail)
			}
		})
	}
}
