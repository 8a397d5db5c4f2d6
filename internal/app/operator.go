package app

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
)

// scheduledAt is when the schedule of a simulation is due, as a share of its days.
const scheduledAt = 0.3

// operatorAct is what an operator does in a simulation.
type operatorAct struct {
	at   float64 // as a share of the days
	name string
	do   func(context.Context, *simulator) error
}

// operatorActs are the acts of a simulation, by time. They go through the operators'
// routes, so that the audit log has them.
func operatorActs() []operatorAct {
	return []operatorAct{
		{0.06, "sign-ins with wrong tokens", func(ctx context.Context, r *simulator) error { return r.guess(ctx, "a-token-of-last-year", 3) }},
		{0.20, "a renewal that fails", func(ctx context.Context, r *simulator) error {
			return r.retrain(ctx, "try a training without rounds", map[string]any{"hyperparameters": map[string]any{"num_round": 0}})
		}},
		{0.21, "the resumption of it", func(ctx context.Context, r *simulator) error {
			_, err := r.admin.post(ctx, "/admin/renewals/"+r.asked+"/resume",
				map[string]any{"overrides": map[string]any{"hyperparameters": map[string]any{"num_round": 60}}}, http.StatusAccepted)
			return err
		}},
		{0.44, "sign-ins with wrong tokens", func(ctx context.Context, r *simulator) error { return r.guess(ctx, "guess", 14) }},
		{0.80, "a renewal that the gate rejects", func(ctx context.Context, r *simulator) error {
			return r.retrain(ctx, "is a model of two shallow trees enough?", map[string]any{"hyperparameters": map[string]any{"num_round": 2, "max_depth": 1}})
		}},
		{0.88, "a renewal that is rolled back later", func(ctx context.Context, r *simulator) error {
			return r.retrain(ctx, "deeper trees", map[string]any{"hyperparameters": map[string]any{"num_round": 40, "max_depth": 5}, "gate": "off"})
		}},
		{0.93, "a rollback", func(ctx context.Context, r *simulator) error {
			_, err := r.admin.post(ctx, "/admin/rollback", map[string]any{}, http.StatusOK)
			return err
		}},
	}
}

// retrain starts a renewal and keeps its id.
func (r *simulator) retrain(ctx context.Context, reason string, overrides map[string]any) error {
	answer, err := r.admin.post(ctx, "/admin/retrain", map[string]any{"reason": reason, "overrides": overrides}, http.StatusAccepted)
	if err != nil {
		return err
	}
	var renewal struct{ ID string }
	err = json.Unmarshal(answer, &renewal)
	r.asked = renewal.ID
	return err
}

// guess sends requests with a wrong token.
func (r *simulator) guess(ctx context.Context, token string, times int) error {
	for range times {
		if _, err := (operator{r.admin.url, token}).call(ctx, http.MethodGet, "/admin/status", nil, http.StatusForbidden); err != nil {
			return err
		}
	}
	return nil
}

// operator calls the operators' routes.
type operator struct{ url, token string }

func (o operator) post(ctx context.Context, path string, body any, want int) ([]byte, error) {
	text, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	return o.call(ctx, http.MethodPost, path, text, want)
}

// call expects a status.
func (o operator) call(ctx context.Context, method, path string, body []byte, want int) (answer []byte, err error) {
	req, err := http.NewRequestWithContext(ctx, method, o.url+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+o.token)
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	answer, err = io.ReadAll(io.LimitReader(res.Body, 1<<16))
	if err != nil {
		return nil, err
	}
	if res.StatusCode != want {
		return nil, fmt.Errorf("%s %s: %s: %s", method, path, res.Status, answer)
	}
	return answer, nil
}
