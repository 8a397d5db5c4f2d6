package modelswap

import (
	"fmt"
	"strconv"
	"strings"

	"gateway/internal/learn"
)

// Gate decides whether a challenger may take the champion's place. The zero
// Gate lets every challenger pass.
type Gate struct {
	metric string  // empty: off
	margin float64 // least gain over the champion; negative allows a loss
}

// gateMetrics are the metrics that a gate can judge by, with the sign that
// makes more of them better.
var gateMetrics = map[string]struct {
	sign float64
	of   func(*learn.Metrics) float64
}{
	"auc":      {+1, func(m *learn.Metrics) float64 { return m.AUC }},
	"log_loss": {-1, func(m *learn.Metrics) float64 { return m.LogLoss }},
	"accuracy": {+1, func(m *learn.Metrics) float64 { return m.Accuracy }},
	"f1":       {+1, func(m *learn.Metrics) float64 { return m.F1 }},
}

// ParseGate reads a gate as the setting GATEWAY_GATE has it: "off", or a metric
// and the least gain over the champion, such as "auc:-0.005": the challenger's
// AUC may be 0.005 lower, no more. For log_loss a fall counts as a gain.
func ParseGate(text string) (Gate, error) {
	if text == "off" {
		return Gate{}, nil
	}
	metric, margin, _ := strings.Cut(text, ":")
	if _, known := gateMetrics[metric]; !known {
		return Gate{}, fmt.Errorf("gate %q: must be off, or auc, log_loss, accuracy or f1 with a margin, such as auc:-0.005", text)
	}
	x, err := strconv.ParseFloat(margin, 64)
	if err != nil || x < -1 || x > 1 || x != x {
		return Gate{}, fmt.Errorf("gate %q: the margin must be a number from -1 to 1, such as auc:-0.005", text)
	}
	return Gate{metric, x}, nil
}

// String writes the gate as ParseGate reads it.
func (g Gate) String() string {
	if g.metric == "" {
		return "off"
	}
	return g.metric + ":" + strconv.FormatFloat(g.margin, 'g', -1, 64)
}

// Verdict is what a gate decided, and why, in words for the operator.
type Verdict struct {
	Pass   bool
	Reason string
}

// Judge compares challenger and champion, both evaluated on the same rows. A
// nil champion means that there is none to compare with.
func (g Gate) Judge(challenger, champion *learn.Metrics) Verdict {
	switch {
	case g.metric == "":
		return Verdict{true, "the gate is off"}
	case champion == nil:
		return Verdict{true, "there is no champion to compare with"}
	}
	m := gateMetrics[g.metric]
	ours, theirs := m.of(challenger), m.of(champion)
	// Rounding must not decide: 0.9 - 0.895 is a little less than 0.005.
	const rounding = 1e-12
	pass := m.sign*(ours-theirs) >= g.margin-rounding
	verb := "passes"
	if !pass {
		verb = "fails"
	}
	return Verdict{pass, fmt.Sprintf("the challenger's %s is %.6g, the champion's %.6g: that %s the gate %s",
		g.metric, ours, theirs, verb, g)}
}
