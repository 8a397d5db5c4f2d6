package modelswap

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"gateway/internal/failure"
	"gateway/internal/insights"
	"gateway/internal/learn"
	"gateway/internal/schema"
)

// evaluate scores challenger and champion on the same held-out rows and applies
// the gate. Running it twice gives the same result.
func (x *stepRun) evaluate(ctx context.Context) error {
	state := &x.r.State
	serving, err := x.ports.Deployer.Serving(ctx)
	if err != nil {
		return err
	}
	champion, why, err := x.champion(ctx, serving.Model)
	if err != nil {
		return err
	}
	state.Champion, state.Version = champion.Name, serving.Version
	x.note("champion", champion.Name)
	rows, labels, err := x.holdout(ctx, 0)
	if err != nil {
		return err
	}
	x.r.Metrics = Metrics{Rows: len(rows)}
	comparison, held, err := x.compare(ctx, champion, why, heldOut{rows: rows, labels: labels})
	if err != nil {
		return err
	}
	if comparison.Why != "" {
		x.note("not_compared", comparison.Why)
	}
	x.r.Metrics.Challenger, x.r.Metrics.Champion = comparison.Challenger, comparison.Champion
	x.metrics.compared(x.r.Metrics)
	figures, err := x.figures(ctx, &held)
	if err != nil {
		return err
	}
	if s := figures.Suspicion; s != nil {
		x.note("suspicious", s.String())
		x.log.Warn("the new model is suspiciously good", "renewal", x.r.ID, "model", x.r.State.Model, "reason", s.String())
	}
	if err := x.recordModel(ctx, comparison.Challenger, figures); err != nil {
		return err
	}
	if err := x.keepHoldout(ctx, held); err != nil {
		return err
	}
	gate := x.opts.Gate
	if text := x.r.Overrides.Gate; text != "" {
		if gate, err = ParseGate(text); err != nil {
			return err
		}
	}
	verdict := gate.Judge(comparison)
	if by := x.judgedBy(); by != "" {
		verdict.Reason += "; " + by
	}
	x.note("gate", gate.String())
	x.note("verdict", verdict.Reason)
	switch {
	case verdict.Pass:
		return nil
	case x.r.Force:
		x.note("forced", true)
		return nil
	}
	return &rejection{verdict.Reason + "; to deploy the model all the same, change GATEWAY_GATE or start a renewal with --force"}
}

// keepHoldout stores what insights need of the held-out rows, if they were scored.
func (x *stepRun) keepHoldout(ctx context.Context, h heldOut) error {
	if x.ports.Profiles == nil || h.ours == nil {
		return nil
	}
	profile, _, err := x.ports.Profiles.Profile(ctx, x.r.State.Model)
	if profile == nil || err != nil {
		return err
	}
	kept := insights.NewHoldout(x.opts.Schema, &profile.Bins, h.rows, h.ours, h.labels, x.opts.Schema.DecisionThreshold())
	kept.Explain(x.opts.Schema, &profile.Bins, h.rows, h.explained.rows, h.explained.features)
	return x.ports.Profiles.SaveHoldout(ctx, x.r.State.Model, kept, Fence{x.r.ID, x.r.Revision})
}

// compare evaluates challenger and champion on held-out rows, and returns the rows
// with the scores. why is the reason, if any, why the champion cannot be compared.
func (x *stepRun) compare(ctx context.Context, champion Model, why string, h heldOut) (c Comparison, held heldOut, err error) {
	c = Comparison{Alone: why != "", Why: why}
	if h.why = onlyLabel(h.labels); h.why != "" {
		c.Why = strings.TrimPrefix(why+"; "+h.why, "; ")
		return c, h, nil
	}
	if c.Challenger, h.ours, err = x.measure(ctx, x.r.State.Model, h.rows, h.labels); err != nil || c.Alone {
		return c, h, err
	}
	c.Champion, h.theirs, err = x.measure(ctx, champion.Name, h.rows, h.labels)
	if c.Why = notComparable(champion, err); c.Why != "" {
		c.Alone, err = true, nil
	}
	if err == nil && !c.Alone {
		var difference learn.Difference
		if difference, err = learn.CompareAUC(h.ours, h.theirs, h.labels); err == nil {
			c.Difference = &difference
			x.note("auc_difference", difference)
		}
	}
	if err != nil {
		return c, h, fmt.Errorf("the champion: %w", err)
	}
	return c, h, nil
}

// champion returns the serving model and, where it cannot be compared with the
// challenger, the reason.
func (x *stepRun) champion(ctx context.Context, name string) (m Model, why string, err error) {
	if name == x.r.State.Model { // this step runs again after a crash during `deploy`
		name = x.r.State.Champion
	}
	if name == "" {
		return m, "no model serves yet", nil
	}
	if err := x.adopt(ctx); err != nil {
		return m, "", err
	}
	found, err := x.model(ctx, name)
	if err != nil {
		return m, "", err
	}
	if found == nil {
		found = &Model{Name: name, Schema: x.opts.Schema.Fingerprint()} // compared by its scores, if the platform can score with it
	}
	if found.Schema != x.opts.Schema.Fingerprint() {
		return *found, fmt.Sprintf("the champion was trained on schema %.12s, the challenger on %.12s",
			found.Schema, x.opts.Schema.Fingerprint()), nil
	}
	return *found, "", nil
}

// notComparable returns the reason why a champion cannot be scored where a retry
// would not help: it is missing, unreadable, or was made elsewhere and does not
// answer as models of a gateway do. Any other error fails the step.
func notComparable(champion Model, err error) string {
	var known *failure.Error
	var fault *Fault
	switch {
	case errors.Is(err, learn.ErrArtifact), errors.Is(err, learn.ErrSchema),
		errors.As(err, &known) && known.Kind == failure.NotFound:
		return fmt.Sprintf("the champion cannot be scored: %s", publicText(err))
	case champion.Renewal == "" && errors.As(err, &fault) && (fault.Class == Unfit || fault.Class == Input):
		return fmt.Sprintf("the champion was made elsewhere and cannot be scored: %s", publicText(err))
	}
	return ""
}

// onlyLabel returns a reason if all rows have the same label. No metric is
// defined on such rows.
func onlyLabel(labels []float64) string {
	for _, y := range labels {
		if y != labels[0] {
			return ""
		}
	}
	return fmt.Sprintf("all %d held-out rows have label %g", len(labels), labels[0])
}

// measure scores the rows with a model and computes its metrics. All rows go in
// one call, because on some back ends a call is a job.
func (x *stepRun) measure(ctx context.Context, model string, rows []schema.Vector, labels []float64) (*learn.Metrics, []float64, error) {
	scores, err := x.ports.Deployer.ScoreWith(ctx, model, rows)
	if err != nil {
		return nil, nil, err
	}
	metrics, err := learn.Evaluate(scores, labels, x.opts.Schema.DecisionThreshold())
	if err != nil {
		return nil, nil, &Fault{Input, fmt.Errorf("the held-out rows cannot be evaluated: %w", err)}
	}
	return &metrics, scores, nil
}

// holdout reads at most limit held-out rows; zero reads all.
func (x *stepRun) holdout(ctx context.Context, limit int) (rows []schema.Vector, labels []float64, err error) {
	f, err := x.ports.Files.FS(ctx).Open(x.r.State.Holdout)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	lines := bufio.NewReader(f)
	for limit == 0 || len(rows) < limit {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) && len(line) == 0 {
			break
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, nil, err
		}
		label, rest, _ := bytes.Cut(bytes.TrimSpace(line), []byte{','})
		row, err := x.opts.Schema.ParseCSV(rest)
		if err != nil || len(label) != 1 || (label[0] != '0' && label[0] != '1') {
			return nil, nil, fmt.Errorf("%s, line %d: not a row of training data: %w", x.r.State.Holdout, len(rows)+1, err)
		}
		rows = append(rows, row)
		labels = append(labels, float64(label[0]-'0'))
	}
	return rows, labels, nil
}
