package schema

import (
	"cmp"
	"math"

	"go.yaml.in/yaml/v3"
)

// defaultThreshold is the threshold of schemas without one.
const defaultThreshold = 0.5

// DecisionThreshold returns the score from which label 1 is predicted.
func (s *Schema) DecisionThreshold() float64 { return cmp.Or(s.Threshold, defaultThreshold) }

// Decide returns the predicted labels of scores by the schema's threshold; given,
// which are a model's own labels, if the schema has none.
func (s *Schema) Decide(scores []float64, given []int) []int {
	if s.Threshold == 0 {
		return given
	}
	labels := make([]int, len(scores)) // given may be shared with other calls
	for i, score := range scores {
		if score >= s.Threshold {
			labels[i] = 1
		}
	}
	return labels
}

// Costs are what the two wrong decisions cost, in any unit.
type Costs struct {
	FalsePositive float64 `json:"false_positive"`
	FalseNegative float64 `json:"false_negative"`
}

// threshold reads the threshold: a number, or the costs of the two wrong decisions.
// Predicting 1 costs (1-p)·false_positive on average, predicting 0 costs
// p·false_negative, so that 1 is the cheaper one from the score p =
// false_positive / (false_positive + false_negative) on (C. Elkan, "The Foundations
// of Cost-Sensitive Learning", 2001).
func (p *schemaParser) threshold(n *yaml.Node) (threshold float64, costs *Costs) {
	if n == nil {
		return 0, nil
	}
	if n.Kind != yaml.MappingNode {
		x := p.number(n, "threshold")
		if x == nil {
			return 0, nil
		}
		if *x <= 0 || *x >= 1 {
			p.fault(n, "threshold must be above 0 and below 1, not %s", formatNumber(*x))
		}
		return *x, nil
	}
	m := p.mapping(n, "threshold", "false_positive", "false_negative")
	positive := p.cost(p.need(n, m, "false_positive"), "false_positive")
	negative := p.cost(p.need(n, m, "false_negative"), "false_negative")
	if positive == 0 || negative == 0 {
		return 0, nil
	}
	x := positive / (positive + negative)
	if math.IsInf(positive+negative, 1) {
		x = 1 / (1 + negative/positive)
	}
	if x <= 0 || x >= 1 {
		p.fault(n, "threshold: the costs are too far apart: their threshold is %s", formatNumber(x))
	}
	return x, &Costs{FalsePositive: positive, FalseNegative: negative}
}

func (p *schemaParser) cost(n *yaml.Node, what string) float64 {
	x := p.number(n, what)
	if x == nil {
		return 0
	}
	if *x <= 0 {
		p.fault(n, "%s must be above 0, not %s", what, formatNumber(*x))
		return 0
	}
	return *x
}
