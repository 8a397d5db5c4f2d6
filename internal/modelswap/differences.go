package modelswap

import (
	"cmp"
	"math"
	"slices"

	"gateway/internal/learn"
)

// ModelComparison has the figures of two models side by side. Differences are those
// of B less those of A.
type ModelComparison struct {
	A           *ModelReport           `json:"a"`
	B           *ModelReport           `json:"b"`
	Metrics     []MetricDifference     `json:"metrics"`
	Importance  []ImportanceDifference `json:"importance"` // the largest difference in log loss first
	Unavailable map[string]string      `json:"unavailable"`
}

// MetricDifference compares a metric of two models. A member is nil where a model
// does not have it.
type MetricDifference struct {
	Metric     string          `json:"metric"`
	A          *learn.Estimate `json:"a"`
	B          *learn.Estimate `json:"b"`
	Difference *learn.Estimate `json:"difference"`
	// SameRows says that both were evaluated on the same rows for the difference. Its
	// bounds are then those of pairs; else those of independent samples, which are
	// wider than they need to be where many rows are the same.
	SameRows bool `json:"same_rows"`
}

// ImportanceDifference compares the importance of a feature for two models. A or B is
// nil where the model does not have the feature or its importance was left out.
type ImportanceDifference struct {
	Feature string            `json:"feature"`
	A       *learn.Importance `json:"a"`
	B       *learn.Importance `json:"b"`
	AUC     float64           `json:"auc"` // a missing one counts as 0
	LogLoss float64           `json:"log_loss"`
}

// CompareModels compares the stored figures of two models.
func CompareModels(a, b *ModelReport) *ModelComparison {
	c := &ModelComparison{A: a, B: b, Unavailable: map[string]string{}}
	c.compareMetrics()
	ours, theirs := a.Figures.Importance, b.Figures.Importance
	switch {
	case ours == nil:
		c.Unavailable["importance"] = a.Name + ": " + a.Figures.Unavailable["importance"]
	case theirs == nil:
		c.Unavailable["importance"] = b.Name + ": " + b.Figures.Unavailable["importance"]
	default:
		c.Importance = importanceDifferences(ours, theirs)
	}
	return c
}

// estimatesByName lists estimates by the name of their metric.
func estimatesByName(e *learn.Estimates) []MetricDifference {
	if e == nil {
		return []MetricDifference{{Metric: "auc"}, {Metric: "log_loss"}, {Metric: "accuracy"}, {Metric: "precision"}, {Metric: "recall"}}
	}
	return []MetricDifference{{Metric: "auc", A: &e.AUC}, {Metric: "log_loss", A: &e.LogLoss}, {Metric: "accuracy", A: &e.Accuracy},
		{Metric: "precision", A: e.Precision}, {Metric: "recall", A: &e.Recall}}
}

func (c *ModelComparison) compareMetrics() {
	for _, m := range []*ModelReport{c.A, c.B} {
		if m.Figures.Estimates == nil {
			c.Unavailable["metrics"] = m.Name + ": " + m.Figures.Unavailable["estimates"]
		}
	}
	theirs := estimatesByName(c.B.Figures.Estimates)
	for i, d := range estimatesByName(c.A.Figures.Estimates) {
		d.B = theirs[i].A
		if d.A != nil && d.B != nil {
			difference := independentDifference(*d.A, *d.B)
			d.Difference = &difference
		}
		c.Metrics = append(c.Metrics, d)
	}
	if paired, sign := pairedWith(c.A, c.B); paired != nil {
		for i, e := range []learn.Estimate{paired.AUC, paired.LogLoss} {
			if sign < 0 {
				e = learn.Estimate{Value: -e.Value, Low: -e.High, High: -e.Low}
			}
			c.Metrics[i].Difference, c.Metrics[i].SameRows = &e, true
		}
	}
}

// pairedWith returns the comparison of two models on the same rows, if the renewal of
// one of them made it. sign is 1 if it has the differences of B from A, else -1.
func pairedWith(a, b *ModelReport) (c *Compared, sign int) {
	if c := b.Figures.Compared; c != nil && c.Model == a.Name {
		return c, 1
	}
	if c := a.Figures.Compared; c != nil && c.Model == b.Name {
		return c, -1
	}
	return nil, 0
}

// independentDifference returns b less a for estimates from independent rows. The
// bounds are those of the method of variance estimates recovery (Zou and Donner,
// Statistics in Medicine 27, 2008), which need not be symmetric.
func independentDifference(a, b learn.Estimate) learn.Estimate {
	d := b.Value - a.Value
	return learn.Estimate{Value: d,
		Low:  d - math.Hypot(b.Value-b.Low, a.High-a.Value),
		High: d + math.Hypot(b.High-b.Value, a.Value-a.Low)}
}

func importanceDifferences(a, b []learn.Importance) []ImportanceDifference {
	byFeature := make(map[string]*ImportanceDifference)
	var order []string
	of := func(feature string) *ImportanceDifference {
		if byFeature[feature] == nil {
			byFeature[feature] = &ImportanceDifference{Feature: feature}
			order = append(order, feature)
		}
		return byFeature[feature]
	}
	for i := range a {
		d := of(a[i].Feature)
		d.A, d.AUC, d.LogLoss = &a[i], d.AUC-a[i].AUC, d.LogLoss-a[i].LogLoss
	}
	for i := range b {
		d := of(b[i].Feature)
		d.B, d.AUC, d.LogLoss = &b[i], d.AUC+b[i].AUC, d.LogLoss+b[i].LogLoss
	}
	out := make([]ImportanceDifference, 0, len(order))
	for _, feature := range order {
		out = append(out, *byFeature[feature])
	}
	slices.SortStableFunc(out, func(x, y ImportanceDifference) int { return cmp.Compare(math.Abs(y.LogLoss), math.Abs(x.LogLoss)) })
	return out
}
