package modelswap

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"gateway/internal/export"
	"gateway/internal/learn"
)

// Gate decides whether a challenger may replace the champion. The zero Gate
// accepts every challenger.
type Gate struct {
	metric string  // empty: off
	margin float64 // minimum gain over the champion; negative allows a loss
}

// gateMetrics are the metrics that a gate can use, with the sign that makes
// larger values better.
var gateMetrics = map[string]struct {
	sign float64
	of   func(*learn.Metrics) float64
}{
	"auc":      {+1, func(m *learn.Metrics) float64 { return m.AUC }},
	"log_loss": {-1, func(m *learn.Metrics) float64 { return m.LogLoss }},
	"accuracy": {+1, func(m *learn.Metrics) float64 { return m.Accuracy }},
	"f1":       {+1, func(m *learn.Metrics) float64 { return m.F1 }},
}

// ParseGate reads the value of GATEWAY_GATE: "off", or a metric and the minimum
// gain over the champion. With "auc:-0.005" the challenger's AUC may be at most
// 0.005 lower. For log_loss a decrease is a gain.
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

// Verdict is the decision of a gate and its reason, for the operator.
type Verdict struct {
	Pass   bool
	Reason string
}

// Comparison is the input of a gate: challenger and champion, both evaluated on
// the same held-out rows.
type Comparison struct {
	Challenger *learn.Metrics // nil where the rows do not allow an evaluation
	Champion   *learn.Metrics // nil there too, and where Alone
	// Difference is how much larger the challenger's AUC is; nil where there is no
	// champion to compare with.
	Difference *learn.Difference
	Alone      bool   // there is no champion, or none that can be compared
	Why        string // why something is missing, for the operator
}

// Minimum held-out rows for a comparison of two models.
const (
	minRows    = export.MinJudged
	minOfClass = export.MinOfLabel // of each label
)

// Judge decides. A challenger without a champion is accepted. One with a champion
// is accepted only on evidence: enough held-out rows of both labels, an AUC above
// what chance gives, and a metric within the gate's margin of the champion's.
func (g Gate) Judge(c Comparison) Verdict {
	switch {
	case g.metric == "":
		return Verdict{true, "the gate is off"}
	case c.Alone:
		return Verdict{true, "there is no champion to compare with" + because(c.Why) + fewRows(c.Challenger) + confidence(c)}
	case c.Challenger == nil || c.Champion == nil:
		return Verdict{false, "the challenger cannot be compared with the champion" + because(c.Why)}
	}
	rows, positive, enough := counts(c.Challenger)
	if !enough {
		return Verdict{false, fmt.Sprintf("%.0f held-out rows, %.0f of them positive, are too few to compare: at least %d are needed, %d of each label",
			rows, positive, minRows, minOfClass)}
	}
	if least := chance(positive, rows-positive); c.Challenger.AUC < least {
		return Verdict{false, fmt.Sprintf("the challenger's auc is %.6g, which may be chance: on %.0f held-out rows, %.0f of them positive, at least %.4f is needed",
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
		g.metric, ours, theirs, verb, g) + confidence(c)}
}

// confidence says between what bounds the rows leave the challenger's AUC, and how
// much larger it is than the champion's.
func confidence(c Comparison) string {
	m := c.Challenger
	if m == nil || m.AUCHigh == 0 {
		return ""
	}
	text := fmt.Sprintf("; with 95 %% confidence the challenger's auc is between %.4f and %.4f", m.AUCLow, m.AUCHigh)
	if d := c.Difference; d != nil {
		text += fmt.Sprintf(", and its difference from the champion's between %+.4f and %+.4f", d.Low, d.High)
	}
	return text
}

// counts returns the number of rows that a model was evaluated on, the number of
// positive ones, and whether they are enough for a comparison.
func counts(m *learn.Metrics) (rows, positive float64, enough bool) {
	rows = float64(m.Rows)
	positive = math.Round(rows * m.PositiveRate)
	return rows, positive, rows >= minRows && min(positive, rows-positive) >= minOfClass
}

// fewRows returns a remark for a model that passed on too few rows to judge it.
func fewRows(m *learn.Metrics) string {
	if m == nil {
		return ""
	}
	rows, positive, enough := counts(m)
	switch {
	case enough:
		return ""
	case rows < minRows:
		return fmt.Sprintf("; judged on %.0f held-out rows only, too few for a judgement", rows)
	}
	return fmt.Sprintf("; judged on %.0f held-out rows only %.0f of which are of one label, too few for a judgement", rows, min(positive, rows-positive))
}

// chance returns the AUC that a model without any information exceeds in one of a
// hundred cases. Under that hypothesis AUC is the Mann-Whitney statistic divided
// by the number of pairs: its mean is 1/2, its variance (p+n+1)/(12pn), and it is
// close to normal (Mann and Whitney, 1947).
func chance(positive, negative float64) float64 {
	const upperPercent = 2.326 // 0.99 quantile of the standard normal distribution
	return 0.5 + upperPercent*math.Sqrt((positive+negative+1)/(12*positive*negative))
}

func because(why string) string {
	if why == "" {
		return ""
	}
	return ": " + why
}
