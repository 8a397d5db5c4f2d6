package modelswap

import (
	"context"
	"fmt"
	"slices"

	"gateway/internal/failure"
	"gateway/internal/schema"
)

// ModelReport is the record of a model with its figures.
type ModelReport struct {
	Model
	Threshold Threshold `json:"threshold"`
	Figures   *Figures  `json:"figures"`
	Warnings  []string  `json:"warnings"` // for operators
}

// Threshold is the score from which label 1 is predicted.
type Threshold struct {
	Value  float64       `json:"value"`
	Source string        `json:"source"` // ThresholdSet and so on
	Costs  *schema.Costs `json:"costs"`  // nil unless Source is ThresholdOfCosts
	Why    string        `json:"why"`
}

// Sources of a threshold.
const (
	ThresholdSet     = "schema"  // a number in the schema
	ThresholdOfCosts = "costs"   // costs in the schema
	ThresholdDefault = "default" // the schema has none
)

// thresholdOf returns the threshold of a schema.
func thresholdOf(s *schema.Schema) Threshold {
	t := Threshold{Value: s.DecisionThreshold(), Costs: s.Costs}
	switch {
	case s.Costs != nil:
		t.Source = ThresholdOfCosts
		t.Why = fmt.Sprintf("the schema says that a false positive costs %g and a false negative %g: from %g / (%g + %g) on, predicting 1 is cheaper",
			s.Costs.FalsePositive, s.Costs.FalseNegative, s.Costs.FalsePositive, s.Costs.FalsePositive, s.Costs.FalseNegative)
	case s.Threshold != 0:
		t.Source, t.Why = ThresholdSet, "the schema sets it"
	default:
		t.Source, t.Why = ThresholdDefault, "the schema sets none; the label is the model's own, by 0.5 unless a container of SageMaker decides otherwise"
	}
	return t
}

// ModelReport returns a model with its figures. They were computed when the model was
// evaluated. Kind NotFound if there is no model of the name.
func (e *Engine) ModelReport(ctx context.Context, name string) (*ModelReport, error) {
	models, _, err := e.models(ctx)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(models, func(m Model) bool { return m.Name == name })
	if i < 0 {
		return nil, failure.Errorf(failure.NotFound, "there is no model %q; gateway models lists them", name)
	}
	figures, err := e.ports.Models.Figures(ctx, name)
	if err != nil {
		return nil, err
	}
	r := &ModelReport{Model: models[i], Threshold: thresholdOf(e.opts.Schema), Figures: figures, Warnings: []string{}}
	switch {
	case figures == nil:
		r.Figures = noFigures(whyNoFigures(&r.Model))
	case figures.Contributions == nil && figures.Unavailable["contributions"] == "":
		if figures.Unavailable == nil {
			figures.Unavailable = map[string]string{}
		}
		figures.Unavailable["contributions"] = whyNoFigures(&r.Model)
	}
	r.warn(e.opts.Schema)
	return r, nil
}

// whyNoFigures says why a model was stored without figures.
func whyNoFigures(m *Model) string {
	switch {
	case m.Renewal == "":
		return "the model was made elsewhere, and no renewal has evaluated it"
	case m.Metrics == nil:
		return "the model has not been evaluated"
	}
	return "an earlier version of the gateway made the model; the next renewal computes them"
}

// warn adds what operators should know before they believe the report.
func (r *ModelReport) warn(s *schema.Schema) {
	add := func(format string, args ...any) { r.Warnings = append(r.Warnings, fmt.Sprintf(format, args...)) }
	f := r.Figures
	if f.Suspicion != nil {
		add("%s", f.Suspicion)
	}
	if r.Schema != s.Fingerprint() {
		add("the model was made for schema %.12s, the gateway has %.12s", r.Schema, s.Fingerprint())
		return
	}
	if turned := f.turnedLabel(r.Name, s); turned != "" {
		add("%s", turned)
	}
	if c := f.Confusion; c != nil && c.Threshold != r.Threshold.Value {
		add("the threshold is %.4g now; confusion, accuracy, precision and recall are those at %.4g, until the next renewal", r.Threshold.Value, c.Threshold)
	}
	if r.Metrics != nil {
		if rows, positive, enough := counts(r.Metrics); !enough {
			add("%.0f held-out rows, %.0f of them positive, are too few for a judgement", rows, positive)
		}
	}
}

// turnedLabel says that a value that is positive in the schema was negative when the
// model was trained. It is empty if none was.
func (f *Figures) turnedLabel(model string, s *schema.Schema) string {
	now := classesOf(s, nil)
	if f.Label == nil || !slices.ContainsFunc(now.Positive, func(v string) bool { return slices.Contains(f.Label.Negative, v) }) {
		return ""
	}
	return fmt.Sprintf("model %s scores %s = %s, and in the schema %s is positive now: scores and stored labels are those of the other class; import the customers again, and start a renewal with --force",
		model, f.Label.Name, first(f.Label.Positive), first(now.Positive))
}

// TurnedLabel says that the schema has turned the classes of the label round since the
// serving model was trained. It is empty if it has not, or if that is not known. It asks
// the records alone, not the platform.
func (e *Engine) TurnedLabel(ctx context.Context) (string, error) {
	models, err := e.ports.Models.Models(ctx)
	if err != nil {
		return "", err
	}
	for _, m := range models {
		if m.DeployedAt == nil || m.RetiredAt != nil || m.Schema != e.opts.Schema.Fingerprint() {
			continue
		}
		figures, err := e.ports.Models.Figures(ctx, m.Name)
		if err != nil || figures == nil {
			return "", err
		}
		return figures.turnedLabel(m.Name, e.opts.Schema), nil
	}
	return "", nil
}

func first(list []string) string {
	if len(list) == 0 {
		return ""
	}
	return fmt.Sprintf("%q", list[0])
}
