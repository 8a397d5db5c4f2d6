package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"gateway/api"
	"gateway/internal/modelswap"
)

type retrainCommand struct {
	Watch     bool   `help:"Follow the renewal to its end."`
	Reason    string `help:"Why, for the record."`
	Overrides string `help:"Settings for this renewal alone, as JSON: {\"hyperparameters\": {…}, \"training\": {…}, \"gate\": \"…\"}." placeholder:"JSON"`
	Force     bool   `help:"Deploy even if the challenger loses."`
	remote
}

// Run starts a renewal. Without --url the command sees it through.
func (cmd retrainCommand) Run(c *console) error {
	var overrides modelswap.Overrides
	if cmd.Overrides != "" {
		dec := json.NewDecoder(strings.NewReader(cmd.Overrides))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&overrides); err != nil {
			return &usageError{fmt.Errorf("--overrides: %w", err)}
		}
	}
	return cmd.with(c, func(ctx context.Context, client *api.Client) error {
		r, err := client.Retrain(ctx, api.RetrainRequest{Reason: cmd.Reason, Overrides: overrides, Force: cmd.Force})
		if err != nil {
			return err
		}
		// A gateway that runs for this command alone must see the renewal through.
		if cmd.Watch || cmd.URL == "" {
			if r, err = watch(ctx, cmd.progress(c), r, client.Renewal); err != nil {
				return err
			}
		}
		return cmd.report(c, r)
	})
}

// progress is where the steps are shown as they end.
func (cmd retrainCommand) progress(c *console) io.Writer {
	if cmd.JSON {
		return c.stderr
	}
	return c.stdout
}

// report prints the renewal and fails unless it is on its way or succeeded.
func (cmd retrainCommand) report(c *console, r *modelswap.Renewal) error {
	if cmd.JSON {
		if err := printJSON(c, r); err != nil {
			return err
		}
	} else {
		fmt.Fprintf(c.stdout, "renewal %s is %s\n", r.ID, r.Status)
		if m := r.Metrics.Challenger; m != nil {
			fmt.Fprintf(c.stdout, "challenger: AUC %.4f, log loss %.4f, accuracy %.4f, F1 %.4f on %d held-out rows\n",
				m.AUC, m.LogLoss, m.Accuracy, m.F1, r.Metrics.Rows)
		}
		if m := r.Metrics.Champion; m != nil {
			fmt.Fprintf(c.stdout, "champion:   AUC %.4f, log loss %.4f, accuracy %.4f, F1 %.4f\n", m.AUC, m.LogLoss, m.Accuracy, m.F1)
		}
		if r.Status == modelswap.Succeeded {
			fmt.Fprintf(c.stdout, "model %s serves\n", *r.Model)
		}
	}
	if r.Status.Final() && r.Status != modelswap.Succeeded {
		return fmt.Errorf("the renewal is %s: %s", r.Status, r.Error)
	}
	return nil
}

// watchEvery is how often a watched renewal is looked at.
const watchEvery = 200 * time.Millisecond

// maxLooks is how many looks in a row may fail before watching gives up: a
// gateway that restarts is back within this time.
const maxLooks = 150

// watch looks at a renewal until it has ended and prints each step as it ends.
func watch(ctx context.Context, out io.Writer, r *modelswap.Renewal, look func(context.Context, string) (*modelswap.Renewal, error)) (*modelswap.Renewal, error) {
	shown := make(map[modelswap.StepName]modelswap.StepStatus)
	failures := 0
	for {
		for _, s := range r.Steps {
			if shown[s.Name] == s.Status || s.Status == modelswap.StepPending {
				continue
			}
			shown[s.Name] = s.Status
			fmt.Fprintln(out, stepLine(s))
		}
		if r.Status.Final() {
			return r, nil
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(watchEvery):
		}
		next, err := look(ctx, r.ID)
		if err != nil {
			var problem *api.Problem
			if failures++; failures > maxLooks || ctx.Err() != nil || (errors.As(err, &problem) && problem.Status < 500) {
				return nil, err
			}
			continue
		}
		r, failures = next, 0
	}
}

// stepLine describes a step for people.
func stepLine(s modelswap.Step) string {
	line := fmt.Sprintf("%-9s %-9s", s.Name, s.Status)
	if s.StartedAt != nil && s.FinishedAt != nil {
		line += fmt.Sprintf(" %7.2f s", s.FinishedAt.Sub(*s.StartedAt).Seconds())
	}
	if s.Status == modelswap.StepSucceeded {
		for _, name := range []string{"items", "rows", "train_rows", "holdout_rows", "new_labels", "algorithm", "model", "verdict", "golden_rows"} {
			if value, ok := s.Detail[name]; ok {
				line += fmt.Sprintf("  %s: %v", name, value)
			}
		}
	}
	if s.Error != nil {
		line += "  " + *s.Error
	}
	return line
}
