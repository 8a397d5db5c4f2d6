package console

import (
	"fmt"
	"net/http"
	"slices"
	"time"

	"gateway/internal/failure"
	"gateway/internal/learn"
	"gateway/internal/modelswap"

	"github.com/go-chi/chi/v5"
)

// liveRenewal is how often pages of renewals are read again while one is unfinished, in
// seconds.
const liveRenewal = 2

// renewalsPage is what the list of renewals shows.
type renewalsPage struct {
	Renewals  []*modelswap.Renewal
	Next      string // id after which the next page begins; empty: there is none
	Before    string // where this page begins; empty: at the newest
	Running   *modelswap.Renewal
	Overrides overridesForm // empty, for the form
}

func (c *Console) renewals(r *http.Request) (*page, error) {
	before := r.URL.Query().Get("before")
	list, err := c.d.Renewals.Renewals(r.Context(), pageSize+1, before)
	if err != nil {
		return nil, err
	}
	data := renewalsPage{Renewals: list, Before: before}
	if len(list) > pageSize {
		data.Renewals = list[:pageSize]
		data.Next = list[pageSize-1].ID
	}
	p := &page{name: "renewals", title: "Renewals", data: &data, every: overviewEvery}
	if data.Running, _ = newest(list); data.Running != nil {
		p.every = liveRenewal
	}
	return p, nil
}

// renewalPage is what the page of a renewal shows.
type renewalPage struct {
	*modelswap.Renewal
	Grid      *drawing
	Attempts  []attempt // oldest first
	Figures   []figureRow
	Stopped   bool // it can be resumed
	From      []modelswap.StepName
	StoppedAt modelswap.StepName
	Form      overridesForm
	Now       time.Time
}

// attempt is one attempt of a step.
type attempt struct {
	modelswap.Step
	Took time.Duration // until now for one that runs; negative: it has not started
}

// figureRow compares a figure of champion and challenger.
type figureRow struct {
	Name                 string
	Champion, Challenger *float64
}

func (c *Console) renewal(r *http.Request) (*page, error) {
	id := chi.URLParam(r, "id")
	renewal, err := c.d.Renewals.Renewal(r.Context(), id)
	if err != nil {
		return nil, err
	}
	attempts, err := c.d.Renewals.Attempts(r.Context(), id)
	if err != nil {
		return nil, err
	}
	now := time.Now().UTC()
	data := &renewalPage{Renewal: renewal, Figures: compared(renewal.Metrics), Form: formOf(renewal.Overrides), Now: now,
		Stopped: renewal.Status.Final() && renewal.Status != modelswap.Succeeded}
	for _, step := range attempts {
		data.Attempts = append(data.Attempts, attempt{step, tookOf(step, now)})
	}
	data.Grid = draw("steps", gridOf(renewal.Steps, attempts, now))
	if data.Stopped {
		data.StoppedAt, data.From = stoppedAt(renewal)
	}
	p := &page{name: "renewal", section: "renewals", title: "Renewal " + short(id), data: data}
	if !renewal.Status.Final() {
		p.every = liveRenewal
	}
	return p, nil
}

// tookOf returns how long an attempt took, or has taken by now.
func tookOf(step modelswap.Step, now time.Time) time.Duration {
	switch {
	case step.StartedAt == nil:
		return -1
	case step.FinishedAt == nil:
		return max(0, now.Sub(*step.StartedAt))
	}
	return step.FinishedAt.Sub(*step.StartedAt)
}

// stoppedAt returns the step at which a renewal stopped, and the steps from which it can be
// resumed.
func stoppedAt(renewal *modelswap.Renewal) (stopped modelswap.StepName, from []modelswap.StepName) {
	for _, step := range renewal.Steps {
		from = append(from, step.Name)
		if step.Status != modelswap.StepSucceeded && step.Status != modelswap.StepSkipped {
			break
		}
	}
	return from[len(from)-1], from
}

// compared lists the figures of champion and challenger on the same held-out rows.
func compared(m modelswap.Metrics) []figureRow {
	if m.Champion == nil && m.Challenger == nil {
		return nil
	}
	row := func(name string, of func(*learn.Metrics) *float64) figureRow {
		f := figureRow{Name: name}
		if m.Champion != nil {
			f.Champion = of(m.Champion)
		}
		if m.Challenger != nil {
			f.Challenger = of(m.Challenger)
		}
		return f
	}
	return []figureRow{
		row("AUC", func(m *learn.Metrics) *float64 { return &m.AUC }),
		row("Log loss", func(m *learn.Metrics) *float64 { return &m.LogLoss }),
		row("Accuracy", func(m *learn.Metrics) *float64 { return &m.Accuracy }),
		row("F1", func(m *learn.Metrics) *float64 { return &m.F1 }),
		row("Calibration error", func(m *learn.Metrics) *float64 { return &m.Calibration }),
	}
}

// retrain starts a renewal.
func (c *Console) retrain() action {
	request := func(r *http.Request) (modelswap.TriggerRequest, error) {
		overrides, err := overridesOf(r.PostForm)
		return modelswap.TriggerRequest{Trigger: modelswap.TriggerManual, Reason: r.PostForm.Get("reason"),
			Overrides: overrides, Force: r.PostForm.Get("force") == "yes"}, err
	}
	return action{
		ask: func(r *http.Request) (*question, error) {
			req, err := request(r)
			if err != nil {
				return nil, err
			}
			facts := factsOf(req.Overrides)
			if req.Reason != "" {
				facts = append([]fact{{"Reason", req.Reason}}, facts...)
			}
			effect := "A challenger is trained from the customers of now. It serves if the gate finds it good enough."
			if req.Force {
				effect = "A challenger is trained from the customers of now. It serves even if the gate finds it worse."
			}
			return &question{Title: "Start a renewal", Effect: effect, Facts: facts, Button: "Start the renewal", Back: "renewals"}, nil
		},
		do: func(r *http.Request) (string, error) {
			req, err := request(r)
			if err != nil {
				return "", err
			}
			renewal, err := c.d.Renewals.Trigger(r.Context(), req)
			if err != nil {
				return "", err
			}
			return changed(r, "renewals/", renewal.ID), nil
		},
	}
}

// resume continues a renewal that stopped.
func (c *Console) resume() action {
	request := func(r *http.Request) (modelswap.ResumeRequest, error) {
		overrides, err := overridesOf(r.PostForm)
		return modelswap.ResumeRequest{From: modelswap.StepName(r.PostForm.Get("from")), Overrides: overrides}, err
	}
	return action{
		ask: func(r *http.Request) (*question, error) {
			id := chi.URLParam(r, "id")
			req, err := request(r)
			if err != nil {
				return nil, err
			}
			if !slices.Contains(modelswap.Order(), req.From) {
				return nil, failure.Errorf(failure.Invalid, "%q is no step", req.From)
			}
			return &question{Title: "Resume the renewal " + short(id), Effect: fmt.Sprintf("It goes on at the step %s. What the steps before made is used again.", req.From),
				Facts: factsOf(req.Overrides), Button: "Resume the renewal", Back: "renewals/" + id}, nil
		},
		do: func(r *http.Request) (string, error) {
			req, err := request(r)
			if err != nil {
				return "", err
			}
			renewal, err := c.d.Renewals.Resume(r.Context(), chi.URLParam(r, "id"), req)
			if err != nil {
				return "", err
			}
			return changed(r, "renewals/", renewal.ID), nil
		},
	}
}

// cancel stops a renewal.
func (c *Console) cancel() action {
	return action{
		ask: func(r *http.Request) (*question, error) {
			id := chi.URLParam(r, "id")
			return &question{Title: "Cancel the renewal " + short(id), Button: "Cancel the renewal", Back: "renewals/" + id,
				Effect: "Its jobs are stopped. The model that serves goes on serving. The renewal can be resumed later."}, nil
		},
		do: func(r *http.Request) (string, error) {
			renewal, err := c.d.Renewals.Cancel(r.Context(), chi.URLParam(r, "id"))
			if err != nil {
				return "", err
			}
			return changed(r, "renewals/", renewal.ID), nil
		},
	}
}
