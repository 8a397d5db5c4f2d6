package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"gateway/api"
	"gateway/api/client"
	"gateway/api/edge"
	"gateway/internal/failure"
	"gateway/internal/idempotency"
	"gateway/internal/modelswap"
)

type retrainCommand struct {
	Watch     bool   `help:"Follow the renewal to its end."`
	Reason    string `help:"Reason, for the renewal's record."`
	Overrides string `help:"Settings for this renewal only, as JSON: {\"hyperparameters\": {…}, \"training\": {…}, \"gate\": \"…\", \"judge_by\": \"known\"}." placeholder:"JSON"`
	Force     bool   `help:"Deploy even if the challenger loses."`
	Resume    string `help:"Continue this renewal from the step that stopped it instead of starting one." placeholder:"ID"`
	From      string `help:"With --resume, an earlier step to continue from." placeholder:"STEP"`
	Key       string `name:"idempotency-key" help:"Key of this request: repeated with the same key, it returns the renewal that the first one started." placeholder:"KEY"`
	remote
}

// Help is shown by gateway retrain --help.
func (retrainCommand) Help() string {
	return "With --watch, and without --url, the command ends with the renewal: exit code 1 also means that it failed, was rejected or was cancelled.\n\n" + exitCodesHelp
}

// Run starts or resumes a renewal. Without --url the command sees it through.
func (cmd retrainCommand) Run(c *console) error {
	switch {
	case cmd.Resume == "" && cmd.From != "":
		return &usageError{errors.New("--from goes with --resume")}
	case cmd.Resume != "" && (cmd.Reason != "" || cmd.Force || cmd.Key != ""):
		return &usageError{errors.New("--reason, --force and --idempotency-key are for a new renewal, not for --resume")}
	}
	if cmd.Key != "" {
		if _, err := idempotency.ParseKey(cmd.Key); err != nil {
			return &usageError{fmt.Errorf("--idempotency-key: %w", err)}
		}
	}
	var overrides modelswap.Overrides
	if cmd.Overrides != "" {
		dec := json.NewDecoder(strings.NewReader(cmd.Overrides))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&overrides); err != nil {
			return &usageError{fmt.Errorf("--overrides: %w", err)}
		}
	}
	return cmd.with(c, func(ctx context.Context, client *client.Client) error {
		if cmd.URL == "" && cmd.Resume == "" {
			if err := cmd.finish(ctx, c, client); err != nil {
				return err
			}
		}
		r, err := cmd.begin(ctx, c.stderr, client, overrides)
		if err != nil {
			return err
		}
		// A gateway that runs for this command only must finish the renewal.
		if cmd.Watch || cmd.URL == "" {
			if r, err = watch(ctx, cmd.progress(c), client, r); err != nil {
				return err
			}
		}
		label := ""
		if positive, rows, ok := labelsOf(r); ok {
			if inForce, err := client.Schema(ctx); err == nil { // else the line is left out
				label = labelLine(inForce, positive, rows)
			}
		}
		return cmd.report(c, r, label)
	})
}

// finish follows a renewal that a killed process has left: the gateway that runs for
// this command goes on with it, and a new one cannot start before.
func (cmd retrainCommand) finish(ctx context.Context, c *console, client *client.Client) error {
	last, err := client.Renewals(ctx, 1, "")
	if err != nil || len(last) == 0 || last[0].Status.Final() {
		return err
	}
	fmt.Fprintf(c.stderr, "renewal %s has not ended; it goes on first\n", last[0].ID)
	r, err := watch(ctx, cmd.progress(c), client, last[0])
	if err == nil {
		fmt.Fprintf(c.stderr, "renewal %s is %s\n", r.ID, r.Status)
	}
	return err
}

// begin starts or resumes a renewal. It repeats a request without an answer:
// under one key, at most one renewal is started.
func (cmd retrainCommand) begin(ctx context.Context, out io.Writer, client *client.Client, overrides modelswap.Overrides) (*modelswap.Renewal, error) {
	if cmd.Resume != "" {
		return client.Resume(ctx, cmd.Resume, api.ResumeRequest{From: modelswap.StepName(cmd.From), Overrides: overrides})
	}
	client = client.WithIdempotencyKey(cmp.Or(cmd.Key, failure.NewID()))
	var r *modelswap.Renewal
	err := askAgain(ctx, out, func() (err error) {
		r, err = client.Retrain(ctx, api.RetrainRequest{Reason: cmd.Reason, Overrides: overrides, Force: cmd.Force})
		return err
	})
	if err != nil {
		return nil, err
	}
	return r, nil
}

// unreachable reports whether the request was not sent.
func unreachable(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}

// passing reports whether repeating a request with the same idempotency key may
// help.
func passing(err error) bool {
	var problem *edge.Problem
	if !errors.As(err, &problem) {
		return true // no answer
	}
	switch problem.Status {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return problem.Type == edge.TypeInProgress
}

// progress returns the writer for the steps.
func (cmd retrainCommand) progress(c *console) io.Writer {
	if cmd.JSON {
		return c.stderr
	}
	return c.stdout
}

// report prints the renewal, with a line on the label it learned, and fails unless it is running or succeeded.
func (cmd retrainCommand) report(c *console, r *modelswap.Renewal, label string) error {
	if cmd.JSON {
		if err := printJSON(c, r); err != nil {
			return err
		}
	} else {
		fmt.Fprintf(c.stdout, "renewal %s is %s\n", r.ID, r.Status)
		if label != "" {
			fmt.Fprintln(c.stdout, label)
		}
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
		return &renewalError{r}
	}
	return nil
}

// renewalError is the error of a renewal that ended without a new model.
type renewalError struct{ renewal *modelswap.Renewal }

func (e *renewalError) Error() string {
	return fmt.Sprintf("the renewal is %s: %s", e.renewal.Status, e.renewal.Error)
}

// labelsOf returns the number of positive rows and of all rows that a renewal learned
// from. ok is false before it has converted them.
func labelsOf(r *modelswap.Renewal) (positive, rows int64, ok bool) {
	for _, s := range r.Steps {
		if s.Name == modelswap.Convert && s.Status == modelswap.StepSucceeded {
			p, okP := s.Detail["positive"].(float64)
			n, okN := s.Detail["rows"].(float64)
			return int64(p), int64(n), okP && okN
		}
	}
	return 0, 0, false
}

const (
	// watchEvery is the time between two requests for a watched renewal while
	// there are no events.
	watchEvery = 200 * time.Millisecond
	// maxWatchWait is the maximum time between two attempts while the gateway, or
	// its database, does not answer. The time begins with watchEvery and doubles.
	maxWatchWait = 5 * time.Second
	// watchPatience is how long the gateway may not answer before watching ends: a
	// restart takes less.
	watchPatience = 30 * time.Second
)

// watch follows a renewal to its end and shows it. It follows by events. Where
// those end it polls until there are events again, less and less often while no
// answer comes.
func watch(ctx context.Context, out io.Writer, client *client.Client, r *modelswap.Renewal) (*modelswap.Renewal, error) {
	view := newRenewalView(out)
	defer view.endLine()
	view.show(r)
	events := true
	var away time.Time // when the gateway stopped answering; zero while it answers
	wait := watchEvery
	for {
		if events && away.IsZero() {
			for next, err := range client.Events(ctx, r.ID) {
				if err != nil {
					events = !hopeless(err) // otherwise this gateway, or a proxy, has none
					break
				}
				r, away = next, time.Time{}
				view.show(r)
			}
		}
		if r.Status.Final() {
			return r, nil
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(wait):
		}
		next, err := client.Renewal(ctx, r.ID)
		if err == nil {
			r, away, wait = next, time.Time{}, watchEvery
			view.show(r)
			if r.Status.Final() {
				return r, nil
			}
			continue
		}
		if away.IsZero() {
			away = time.Now()
		}
		if ctx.Err() != nil || hopeless(err) || time.Since(away) > watchPatience {
			return nil, err
		}
		wait = min(2*wait, maxWatchWait)
	}
}

// hopeless reports whether repeating the request cannot help.
func hopeless(err error) bool {
	var problem *edge.Problem
	return errors.As(err, &problem) && problem.Status < 500 && problem.Status != http.StatusTooManyRequests
}

// renewalView shows a running renewal: a line for each step that begins, ends or
// is tried again, and the progress of training. On a terminal that line is
// overwritten; elsewhere it is printed from time to time.
type renewalView struct {
	out      io.Writer
	terminal bool
	shown    map[modelswap.StepName]string
	retries  map[modelswap.StepName]string
	progress time.Time // when the progress was last shown
	open     bool      // a line of progress is being overwritten
	stopping bool      // the cancellation has been shown
}

func newRenewalView(out io.Writer) *renewalView {
	return &renewalView{out: out, terminal: isTerminal(out), progress: time.Now(),
		shown: make(map[modelswap.StepName]string), retries: make(map[modelswap.StepName]string)}
}

func (v *renewalView) show(r *modelswap.Renewal) {
	for _, s := range r.Steps {
		if s.Status == modelswap.StepPending {
			continue
		}
		if state := fmt.Sprint(s.Status, s.Attempt); v.shown[s.Name] != state {
			v.shown[s.Name] = state
			v.line(stepLine(s))
			if warning := stepWarning(s); warning != "" {
				v.line(warning)
			}
		}
		if s.Status == modelswap.StepRunning {
			v.showRetries(s)
			v.showProgress(s)
		}
	}
	if r.Cancelling && !v.stopping && !r.Status.Final() {
		v.stopping = true
		v.line("cancelling")
	}
}

func (v *renewalView) showRetries(s modelswap.Step) {
	n, ok := s.Detail["retries"]
	if state := fmt.Sprint(s.Attempt, " ", detailText(n)); ok && v.retries[s.Name] != state {
		v.retries[s.Name] = state
		v.line(fmt.Sprintf("%-9s retries: %s  last_error: %v", s.Name, detailText(n), s.Detail["last_error"]))
	}
}

func (v *renewalView) showProgress(s modelswap.Step) {
	done, ok := s.Detail["progress"].(float64)
	if !ok {
		return
	}
	line := fmt.Sprintf("%-9s %3.0f %%", s.Name, 100*done)
	switch {
	case v.terminal:
		const eraseLine = "\r\x1b[K"
		fmt.Fprint(v.out, eraseLine+line)
		v.open = true
	case time.Since(v.progress) >= plainEvery:
		v.progress = time.Now()
		v.line(line)
	}
}

func (v *renewalView) line(text string) {
	v.endLine()
	fmt.Fprintln(v.out, text)
}

func (v *renewalView) endLine() {
	if v.open {
		fmt.Fprintln(v.out)
	}
	v.open = false
}

// stepLine describes a step for people.
func stepLine(s modelswap.Step) string {
	line := fmt.Sprintf("%-9s %-9s", s.Name, s.Status)
	if s.Attempt > 1 {
		line += fmt.Sprintf(" attempt %d", s.Attempt)
	}
	if s.StartedAt != nil && s.FinishedAt != nil {
		line += fmt.Sprintf(" %7.2f s", s.FinishedAt.Sub(*s.StartedAt).Seconds())
	}
	if s.Status == modelswap.StepSucceeded {
		for _, name := range []string{"items", "rows", "train_rows", "holdout_rows", "new_labels", "algorithm", "chosen", "model", "verdict", "golden_rows"} {
			if value, ok := s.Detail[name]; ok {
				line += fmt.Sprintf("  %s: %s", name, detailText(value))
			}
		}
		if n, ok := s.Detail["retries"]; ok {
			line += "  retries: " + detailText(n)
		}
	}
	if s.Error != nil {
		line += "  " + *s.Error
	}
	return line
}

// stepWarning describes what is suspicious about a step's result.
func stepWarning(s modelswap.Step) string {
	if text, ok := s.Detail["suspicious"].(string); ok && s.FinishedAt != nil {
		return "warning: " + text
	}
	return ""
}

// detailText formats a value of a step's detail. Counts are float64 after JSON,
// and are written without an exponent.
func detailText(value any) string {
	if x, ok := value.(float64); ok {
		return strconv.FormatFloat(x, 'f', -1, 64)
	}
	return fmt.Sprint(value)
}
