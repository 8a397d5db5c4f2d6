package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"gateway/api/client"
	"gateway/internal/modelswap"
)

// fewShown is how many features and columns are shown without --all.
const fewShown = 15

func (cmd modelsShowCommand) show(c *console) error {
	return cmd.onExisting(c, func(ctx context.Context, client *client.Client) error {
		m, err := client.Model(ctx, cmd.Name)
		if err != nil {
			return err
		}
		if cmd.JSON {
			return printJSON(c, m)
		}
		v := modelView{out: c.stdout, limit: fewShown}
		if cmd.All {
			v.limit = math.MaxInt
		}
		return v.show(m)
	})
}

// modelView writes a model for people.
type modelView struct {
	out   io.Writer
	limit int // rows of a table of features or columns
	err   error
}

func (v *modelView) show(m *modelswap.ModelReport) error {
	v.head(m)
	v.estimates(m)
	v.confusion(m.Figures)
	v.features(m.Figures)
	v.contributions(m.Figures)
	v.coefficients(m.Figures)
	v.calibration(m.Figures)
	v.search(m.Figures)
	v.curve(m.Figures)
	v.unavailable(m.Figures)
	return v.err
}

// table writes a title, rows, and how many more there are.
func (v *modelView) table(title string, rows [][]string, more int) {
	if v.err == nil {
		_, v.err = fmt.Fprintf(v.out, "\n%s\n", title)
	}
	if v.err == nil {
		v.err = writeTable(v.out, rows)
	}
	if v.err == nil && more > 0 {
		_, v.err = fmt.Fprintf(v.out, "… %d more (--all, --json)\n", more)
	}
}

func (v *modelView) head(m *modelswap.ModelReport) {
	state := modelState(m.Model)
	if m.Serving {
		state += " since " + shownTimePtr(m.DeployedAt)
	}
	rows := [][]string{
		{"model", m.Name + ", " + state},
		{"made", fmt.Sprintf("%s from %d rows, by renewal %s", shownTime(m.CreatedAt), m.Rows, cmp.Or(m.Renewal, "none of this gateway"))},
		{"algorithm", algorithmText(m)},
		{"schema", fmt.Sprintf("%.12s", m.Schema)},
	}
	if l := m.Figures.Label; l != nil {
		rows = append(rows, []string{"label", fmt.Sprintf("%s: %s is positive, %.1f %% of %d held-out rows; %s is negative",
			l.Name, strings.Join(l.Positive, ", "), 100*l.PositiveRate, m.Figures.Rows, strings.Join(l.Negative, ", "))})
	}
	rows = append(rows, []string{"threshold", fmt.Sprintf("%.4g (%s)", m.Threshold.Value, m.Threshold.Why)})
	for _, warning := range m.Warnings {
		rows = append(rows, []string{"warning", oneLine(warning)})
	}
	v.err = writeTable(v.out, rows)
}

// algorithmText is the algorithm with its hyperparameters.
func algorithmText(m *modelswap.ModelReport) string {
	text := cmp.Or(m.Algorithm, "unknown")
	for _, name := range slices.Sorted(maps.Keys(m.Parameters)) {
		text += fmt.Sprintf(" %s=%s", name, m.Parameters[name])
	}
	return text
}

func (v *modelView) estimates(m *modelswap.ModelReport) {
	e := m.Figures.Estimates
	if e == nil {
		return
	}
	rows := [][]string{{"METRIC", "VALUE", "95 % CONFIDENCE"}}
	for _, one := range modelswap.CompareModels(m, m).Metrics {
		if one.A != nil {
			rows = append(rows, []string{metricName(one.Metric), fixed(one.A.Value), fixed(one.A.Low) + " to " + fixed(one.A.High)})
		}
	}
	if m.Metrics != nil {
		rows = append(rows, []string{"calibration error", fixed(m.Metrics.Calibration)})
	}
	v.table(fmt.Sprintf("On %d held-out rows", m.Figures.Rows), rows, 0)
	if c := m.Figures.Compared; c != nil && v.err == nil {
		_, v.err = fmt.Fprintf(v.out, "less %s on the same rows: AUC %s (%s to %s), log loss %s (%s to %s)\n", c.Model,
			signed(c.AUC.Value), signed(c.AUC.Low), signed(c.AUC.High), signed(c.LogLoss.Value), signed(c.LogLoss.Low), signed(c.LogLoss.High))
	}
}

func metricName(metric string) string {
	if metric == "auc" {
		return "AUC"
	}
	return strings.ReplaceAll(metric, "_", " ")
}

func (v *modelView) confusion(f *modelswap.Figures) {
	c := f.Confusion
	if c == nil {
		return
	}
	v.table(fmt.Sprintf("Decisions at the threshold %.4g", c.Threshold), [][]string{
		{"", "PREDICTED 1", "PREDICTED 0"},
		{"really 1", strconv.Itoa(c.TruePositives), strconv.Itoa(c.FalseNegatives)},
		{"really 0", strconv.Itoa(c.FalsePositives), strconv.Itoa(c.TrueNegatives)},
	}, 0)
}

// features shows the importance of features with what each reaches alone or, where
// there is no importance, what each reaches alone.
func (v *modelView) features(f *modelswap.Figures) {
	alone := make(map[string]string)
	rows := [][]string{{"FEATURE", "AUC ALONE"}}
	for i, a := range f.Alone {
		alone[a.Feature] = fixed(a.AUC)
		if i < v.limit {
			rows = append(rows, []string{a.Feature, alone[a.Feature], bar(2*a.AUC-1, 1)})
		}
	}
	if f.Importance == nil {
		if f.Alone != nil {
			v.table("What features reach alone", rows, len(f.Alone)+1-len(rows))
		}
		return
	}
	rows = [][]string{{"FEATURE", "AUC LOST", "LOG LOSS GAINED", "AUC ALONE"}}
	for _, one := range f.Importance[:min(v.limit, len(f.Importance))] {
		rows = append(rows, []string{one.Feature, fixed(one.AUC), fixed(one.LogLoss), cmp.Or(alone[one.Feature], "-"),
			bar(one.LogLoss, f.Importance[0].LogLoss)})
	}
	v.table("What the model goes by: what it loses without a feature", rows, len(f.Importance)+1-len(rows)+f.LeftOut["importance"])
}

// contributions shows how far features move scores.
func (v *modelView) contributions(f *modelswap.Figures) {
	if f.Contributions == nil {
		return
	}
	rows := [][]string{{"FEATURE", "MEAN LOG-ODDS"}}
	for _, one := range f.Contributions[:min(v.limit, len(f.Contributions))] {
		rows = append(rows, []string{one.Feature, fixed(one.MeanAbsolute), bar(one.MeanAbsolute, f.Contributions[0].MeanAbsolute)})
	}
	v.table("How far features move scores", rows, len(f.Contributions)+1-len(rows)+f.LeftOut["contributions"])
}

// coefficients shows those of the features of the largest importance first.
func (v *modelView) coefficients(f *modelswap.Figures) {
	if f.Coefficients == nil {
		return
	}
	rank := make(map[string]int, len(f.Importance))
	for i, one := range f.Importance {
		rank[one.Feature] = i - len(f.Importance)
	}
	sorted := slices.Clone(f.Coefficients)
	slices.SortStableFunc(sorted, func(a, b modelswap.Coefficient) int { return rank[a.Feature] - rank[b.Feature] })
	rows := [][]string{{"FEATURE", "UNIT", "LOG-ODDS", "ODDS"}}
	for _, one := range sorted[:min(v.limit, len(sorted))] {
		rows = append(rows, []string{one.Feature, one.Unit, fmt.Sprintf("%+.4g", one.Value), fmt.Sprintf("× %.4g", math.Exp(one.Value))})
	}
	title := "What a difference in a column does"
	if f.Intercept != nil {
		title += fmt.Sprintf(" (intercept %.4g)", *f.Intercept)
	}
	v.table(title, rows, len(sorted)+1-len(rows)+f.LeftOut["coefficients"])
}

func (v *modelView) calibration(f *modelswap.Figures) {
	if f.Calibration == nil {
		return
	}
	rows := [][]string{{"SCORE", "ROWS", "MEAN SCORE", "RATE OF 1"}}
	for _, b := range f.Calibration {
		rows = append(rows, []string{fmt.Sprintf("%.1f to %.1f", b.From, b.To), strconv.Itoa(b.Count), fixed(b.MeanScore),
			fixed(b.PositiveRate), bar(b.PositiveRate, 1)})
	}
	v.table("Calibration", rows, 0)
}

func (v *modelView) search(f *modelswap.Figures) {
	s := f.Search
	if s == nil {
		return
	}
	title := fmt.Sprintf("Chosen: %s, calibration %s", s.Chosen, s.Calibration)
	if s.Why != "" {
		title += ": " + s.Why
	}
	if s.Folds == 0 {
		if v.err == nil {
			_, v.err = fmt.Fprintf(v.out, "\n%s\n", title)
		}
		return
	}
	rows := [][]string{{"TRIED", "LOG LOSS", "AUC", "HYPERPARAMETERS"}}
	for _, one := range s.Candidates {
		cells := []string{string(one.Algorithm), fixed(one.LogLoss), fixed(one.AUC), parametersText(one.Hyperparameters)}
		if one.MeanOf > 0 {
			cells[3] = fmt.Sprintf("mean of the best %d", one.MeanOf)
		}
		if one.Problem != "" {
			cells = []string{string(one.Algorithm), "-", "-", oneLine(one.Problem)}
		}
		rows = append(rows, cells)
	}
	for _, one := range s.Mixtures {
		rows = append(rows, []string{fmt.Sprintf("best %s, calibration %s", one.Algorithm, one.Calibration), fixed(one.LogLoss)})
	}
	v.table(fmt.Sprintf("%s (%d training rows in %d folds)", title, s.Rows, s.Folds), rows, 0)
}

func parametersText(parameters map[string]string) string {
	var list []string
	for _, name := range slices.Sorted(maps.Keys(parameters)) {
		list = append(list, name+"="+parameters[name])
	}
	return strings.Join(list, " ")
}

// curve shows some points of the learning curve.
func (v *modelView) curve(f *modelswap.Figures) {
	if len(f.Curve) == 0 {
		return
	}
	lowest, highest := f.Curve[0], f.Curve[0]
	for _, p := range f.Curve {
		if p.LogLoss < lowest.LogLoss {
			lowest = p
		}
		if p.LogLoss > highest.LogLoss {
			highest = p
		}
	}
	rows := [][]string{{"ROUND", "LOG LOSS"}}
	const points = 8
	step := max(1, (len(f.Curve)+points-1)/points)
	for i, p := range f.Curve {
		if i%step != 0 && p != lowest && i != len(f.Curve)-1 {
			continue
		}
		cells := []string{strconv.Itoa(p.Round), fixed(p.LogLoss), bar(p.LogLoss-lowest.LogLoss, highest.LogLoss-lowest.LogLoss)}
		if p == lowest {
			cells[2] = "lowest"
		}
		rows = append(rows, cells)
	}
	v.table("Learning curve of boosting, by cross-validation", rows, 0)
}

// unavailable names the figures that are not there, by reason.
func (v *modelView) unavailable(f *modelswap.Figures) {
	byReason := make(map[string][]string)
	for _, name := range slices.Sorted(maps.Keys(f.Unavailable)) {
		byReason[f.Unavailable[name]] = append(byReason[f.Unavailable[name]], name)
	}
	var rows [][]string
	for _, reason := range slices.Sorted(maps.Keys(byReason)) {
		rows = append(rows, []string{strings.Join(byReason[reason], ", "), reason})
	}
	if len(rows) > 0 {
		v.table("Not available", rows, 0)
	}
}

// fixed writes a figure with four decimals.
func fixed(x float64) string { return withoutSign(fmt.Sprintf("%.4f", x)) }

// signed writes a difference with its sign and four decimals.
func signed(x float64) string { return withoutSign(fmt.Sprintf("%+.4f", x)) }

// withoutSign takes the sign from a zero.
func withoutSign(text string) string {
	if strings.Trim(text, "+-0.") == "" {
		return strings.TrimLeft(text, "+-")
	}
	return text
}

// bar draws a value as a share of the largest one.
func bar(value, largest float64) string {
	const width = 30
	if !(value > 0 && largest > 0) {
		return ""
	}
	return strings.Repeat("#", int(math.Round(width*min(1, value/largest))))
}
