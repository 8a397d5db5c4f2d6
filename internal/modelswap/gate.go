package modelswap

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"gateway/internal/export"
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

// Comparison is what a gate judges: challenger and champion, both evaluated on
// the same held-out rows.
type Comparison struct {
	Challenger *learn.Metrics // nil where the rows cannot be judged
	Champion   *learn.Metrics // nil there too, and where Alone
	Alone      bool           // there is no champion, or none that can be compared
	Why        string         // why something is missing, for the operator
}

// Bounds below which held-out rows say nothing about which of two models is
// the better one.
const (
	minRows    = export.MinJudged
	minOfClass = export.MinOfLabel // of each label
)

// Judge decides. A challenger that has no champion to beat passes: any model
// is better than none. One that has passes only with evidence: enough held-out
// rows of both labels, an AUC that cannot be mere chance, and a metric that is
// within the gate's margin of the champion's.
func (g Gate) Judge(c Comparison) Verdict {
	switch {
	case g.metric == "":
		return Verdict{true, "the gate is off"}
	case c.Alone:
		return Verdict{true, "there is no champion to compare with" + because(c.Why) + fewRows(c.Challenger)}
	case c.Challenger == nil || c.Champion == nil:
		return Verdict{false, "the challenger cannot be compared with the champion" + because(c.Why)}
	}
	rows, positive, enough := counts(c.Challenger)
	if !enough {
		return Verdict{false, fmt.Sprintf("%.0f held-out rows, %.0f of them positive, are too few to compare by: %d are due, %d of each label",
			rows, positive, minRows, minOfClass)}
	}
	if least := chance(positive, rows-positive); c.Challenger.AUC < least {
		return Verdict{false, fmt.Sprintf("the challenger's auc is %.6g, which may be chance: on %.0f held-out rows, %.0f of them positive, it takes %.4f to tell",
			c.Challenger.AUC, rows, positive, least)}
	}
	m := gateMetrics[g.metric]
	ours, theirs := m.of(c.Challenger), m.of(c.Champion)
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

// counts returns how many rows a model was evaluated on, how many of them were
// positive, and whether those are enough to compare by.
func counts(m *learn.Metrics) (rows, positive float64, enough bool) {
	rows = float64(m.Rows)
	positive = math.Round(rows * m.PositiveRate)
	return rows, positive, rows >= minRows && min(positive, rows-positive) >= minOfClass
}

// fewRows says so where a model passes on rows that are too few to judge it by.
func fewRows(m *learn.Metrics) string {
	if m == nil {
		return ""
	}
	rows, positive, enough := counts(m)
	switch {
	case enough:
		return ""
	case rows < minRows:
		return fmt.Sprintf("; judged on %.0f held-out rows only, too few to tell", rows)
	}
	return fmt.Sprintf("; judged on %.0f held-out rows only %.0f of which are of one label, too few to tell", rows, min(positive, rows-positive))
}

// chance is the AUC that one model in a hundred reaches which knows nothing.
// Under that hypothesis AUC is the Mann-Whitney statistic divided by the
// number of pairs: its mean is 1/2 and its variance (p+n+1)/(12pn), and it is
// close to normal (Mann and Whitney, 1947).
func chance(positive, negative float64) float64 {
	const upperPercent = 2.326 // quantile of the standard normal distribution
	return 0.5 + upperPercent*math.Sqrt((positive+negative+1)/(12*positive*negative))
}

func because(why string) string {
	if why == "" {
		return ""
	}
	return ": " + why
}
