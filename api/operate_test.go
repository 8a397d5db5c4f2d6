package api_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"gateway/api"
	"gateway/api/edge"
	"gateway/internal/failure"
	"gateway/internal/modelswap"
)

const asJSON = "Content-Type: application/json"

// failed is a renewal whose training failed.
func (b *bundle) failed() string {
	b.t.Helper()
	r, err := b.client.Retrain(b.t.Context(), api.RetrainRequest{Overrides: modelswap.Overrides{Gate: "off"}})
	if err != nil {
		b.t.Fatal(err)
	}
	b.save(r.ID, func(r *modelswap.Renewal) {
		now, why := time.Now().UTC(), "num_round must be at least 1"
		for i := range 3 {
			r.Steps[i].Status, r.Steps[i].Attempt, r.Steps[i].StartedAt, r.Steps[i].FinishedAt = modelswap.StepSucceeded, 1, &now, &now
		}
		r.Steps[2].Status, r.Steps[2].Error = modelswap.StepFailed, &why
		r.Status, r.FinishedAt, r.Error = modelswap.Failed, &now, why
	})
	return r.ID
}

// save changes a renewal as its owner does.
func (b *bundle) save(id string, do func(r *modelswap.Renewal)) {
	b.t.Helper()
	err := b.swap.change(id, func(r *modelswap.Renewal) error {
		do(r)
		r.Revision++
		return nil
	})
	if err != nil {
		b.t.Fatal(err)
	}
}

func TestResume(t *testing.T) {
	for _, test := range []struct {
		name, body string
		headers    []string
		exports    modelswap.StepStatus // of the step before
	}{
		{"without a body", "", nil, modelswap.StepSucceeded},
		{"as curl sends no body", "", []string{"Content-Type: application/x-www-form-urlencoded"}, modelswap.StepSucceeded},
		{"an empty object", "{}", []string{asJSON}, modelswap.StepSucceeded},
		{"from an earlier step, with overrides", `{"from":"export","overrides":{"hyperparameters":{"num_round":100},"training":{"algorithm":"xgboost"}}}`,
			[]string{asJSON}, modelswap.StepPending},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := setup(t)
			id := b.failed()
			var r modelswap.Renewal
			a := b.asOperator("POST", "/admin/renewals/"+id+"/resume", test.body, test.headers...).want(202).decode(&r)
			if a.header.Get("Location") != "/admin/renewals/"+id || r.Status != modelswap.Queued || r.Error != "" || r.FinishedAt != nil {
				t.Errorf("location %q, %s", a.header.Get("Location"), a.body)
			}
			if r.Step(modelswap.Export).Status != test.exports || r.Step(modelswap.Train).Status != modelswap.StepPending {
				t.Errorf("steps %+v", r.Steps)
			}
			if r.Overrides.Gate != "off" || (test.exports == modelswap.StepPending && r.Overrides.Hyperparameters["num_round"] != "100") {
				t.Errorf("overrides %+v", r.Overrides)
			}
			b.asOperator("POST", "/admin/renewals/"+id+"/resume", test.body, test.headers...).problem(409)
		})
	}
}

func TestWhatResumeRefuses(t *testing.T) {
	b := setup(t)
	id := b.failed()
	for _, test := range []struct {
		name, body string
		status     int
		fields     string
	}{
		{"JSON that is broken", `{"from":`, 400, ""},
		{"a member given twice", `{"from":"train","from":"train"}`, 400, ""},
		{"wrong kinds all over", `{"from":3,"overrides":{"gate":1,"shoe":2},"reason":"why"}`, 422, "/overrides/gate type, /overrides/shoe unknown_field, from type, reason unknown_field"},
		{"no step", `{"from":""}`, 422, "from format"},
		{"a step that is none", `{"from":"lunch"}`, 422, "from format"},
		{"a step after the one that failed", `{"from":"deploy"}`, 422, "from format"},
		{"a gate that is none", `{"overrides":{"gate":"wide open"}}`, 422, "/overrides/gate format"},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := *b
			b.t = t
			p := b.asOperator("POST", "/admin/renewals/"+id+"/resume", test.body, asJSON).problem(test.status)
			if got := fields(p); got != test.fields {
				t.Errorf("fields %q, want %q", got, test.fields)
			}
		})
	}
	b.asOperator("POST", "/admin/renewals/none/resume", "").problem(404)
	b.asOperator("POST", "/admin/renewals/"+id+"/resume", "from=train", "Content-Type: application/x-www-form-urlencoded").problem(415)
	b.swap.stale = true
	if p := b.asOperator("POST", "/admin/renewals/"+id+"/resume", "").problem(409); p.Detail == "" {
		t.Error("two who resume at the same time: no detail")
	}
}

func TestCancel(t *testing.T) {
	b := setup(t)
	r, err := b.client.Retrain(t.Context(), api.RetrainRequest{})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // asking again does no harm
		a := b.asOperator("POST", "/admin/renewals/"+r.ID+"/cancel", "").want(202)
		if !strings.Contains(a.body, `"status":"queued"`) || !strings.Contains(a.body, `"cancelling":true`) {
			t.Errorf("got %s", a.body)
		}
	}
	b.save(r.ID, func(r *modelswap.Renewal) { r.Status = modelswap.Cancelled })
	if p := b.asOperator("POST", "/admin/renewals/"+r.ID+"/cancel", "").problem(409); !strings.Contains(p.Detail, "cancelled") {
		t.Errorf("detail %q", p.Detail)
	}
	var p *edge.Problem
	if _, err := b.client.Cancel(t.Context(), "none"); !errors.As(err, &p) || p.Status != 404 {
		t.Errorf("got %v", err)
	}
	if r, err = b.client.Resume(t.Context(), r.ID, api.ResumeRequest{From: modelswap.Export}); err != nil || r.Status != modelswap.Queued || r.Cancelling {
		t.Errorf("got %+v, %v", r, err)
	}
	if r, err = b.client.Cancel(t.Context(), r.ID); err != nil || !r.Cancelling {
		t.Errorf("got %+v, %v", r, err)
	}
}

func TestRollback(t *testing.T) {
	b := setup(t)
	if p := b.asOperator("POST", "/admin/rollback", "").problem(409); p.Detail == "" {
		t.Error("no detail")
	}
	hash, at := b.deps.Predict.Schema().Fingerprint(), time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	for i, name := range []string{"m1", "m0", "older", "never", "strange"} {
		served := at.Add(-time.Duration(i) * time.Hour)
		m := modelswap.Model{Name: name, Schema: hash, DeployedAt: &served}
		switch name {
		case "never":
			m.DeployedAt = nil
		case "strange":
			m.Schema, m.DeployedAt = "other", &at
		}
		b.swap.models = append(b.swap.models, m)
	}
	var m modelswap.Model
	b.asOperator("POST", "/admin/rollback", "").want(200).decode(&m)
	if m.Name != "m0" || !m.Serving || m.RetiredAt != nil || b.swap.serving != "m0" {
		t.Errorf("got %+v, and %s serves", m, b.swap.serving)
	}
	back, err := b.client.Rollback(t.Context(), "older")
	if err != nil || back.Name != "older" || b.swap.serving != "older" {
		t.Errorf("got %+v, %v", back, err)
	}
	if back, err = b.client.Rollback(t.Context(), ""); err != nil || back.Name != "m1" {
		t.Errorf("got %+v, %v", back, err)
	}
	for model, status := range map[string]int{"m1": 409, "strange": 409, "nobody": 404} {
		b.asOperator("POST", "/admin/rollback", `{"model":"`+model+`"}`, asJSON).problem(status)
	}
	if got := fields(b.asOperator("POST", "/admin/rollback", `{"model":"","to":1}`, asJSON).problem(422)); got != "model format, to unknown_field" {
		t.Errorf("fields %q", got)
	}
	b.asOperator("POST", "/admin/rollback", `{"model":`, asJSON).problem(400)
	if b.swap.serving != "m1" {
		t.Errorf("%s serves after all that was refused", b.swap.serving)
	}
	r, err := b.client.Retrain(t.Context(), api.RetrainRequest{})
	if err != nil {
		t.Fatal(err)
	}
	b.save(r.ID, func(r *modelswap.Renewal) {
		for i := range 5 {
			r.Steps[i].Status = modelswap.StepSucceeded
		}
		r.Status, r.Steps[5].Status = modelswap.Running, modelswap.StepRunning
	})
	if p := b.asOperator("POST", "/admin/rollback", "").problem(409); !strings.Contains(p.Detail, r.ID) {
		t.Errorf("the conflict does not name %s: %s", r.ID, p.Detail)
	}
	b.swap.setErr(failure.Errorf(failure.Unavailable, "the database does not answer"))
	b.asOperator("POST", "/admin/rollback", "").problem(503)
}

func TestARenewalInFullHasItsAttempts(t *testing.T) {
	b := setup(t)
	id := b.failed()
	b.swap.attempts = []modelswap.Step{{Name: modelswap.Export, Attempt: 1}, {Name: modelswap.Train, Attempt: 1}, {Name: modelswap.Train, Attempt: 2}}
	var r api.RenewalInFull
	b.asOperator("GET", "/admin/renewals/"+id, "").want(200).decode(&r)
	if r.ID != id || len(r.Steps) != 7 || len(r.Attempts) != 3 || r.Attempts[2].Attempt != 2 {
		t.Errorf("got %+v", r)
	}
	b.swap.attempts = nil
	if a := b.asOperator("GET", "/admin/renewals/"+id, "").want(200); !strings.Contains(a.body, `"attempts":[]`) {
		t.Errorf("got %s", a.body)
	}
	if a := b.asOperator("GET", "/admin/renewals", "").want(200); strings.Contains(a.body, `"attempts"`) {
		t.Errorf("the list has %s", a.body)
	}
}
