package main

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"

	"gateway/api/client"
	"gateway/internal/insights"
	"gateway/internal/insights/stats"
)

type insightsCommand struct {
	Quality      insightsQualityCommand      `cmd:"" help:"Show how good predictions were, by the outcomes that became known."`
	Drift        insightsDriftCommand        `cmd:"" help:"Show how far what the model is asked is from its training data, or from what it was asked the week before."`
	Correlations insightsCorrelationsCommand `cmd:"" help:"Show the correlation of each feature with the label."`
}

// insightWindow has the flags of quality and drift.
type insightWindow struct {
	Model  string `help:"The model; empty: all (quality), or the one that serves (drift)." placeholder:"NAME"`
	From   string `help:"Predictions made at this time or later, such as 2026-11-23T10:00:00Z; empty: 30 days before --to." placeholder:"TIME"`
	To     string `help:"Predictions made before this time; empty: now." placeholder:"TIME"`
	Bucket string `help:"Periods of the series: hour or day; empty: by the length of the window." placeholder:"hour|day"`
}

func (w insightWindow) query() client.InsightQuery {
	return client.InsightQuery{Model: w.Model, From: w.From, To: w.To, Bucket: w.Bucket}
}

type insightsQualityCommand struct {
	insightWindow
	Segments bool `help:"Show the values of features too, of --model or of the model that serves: those whose outcomes differ most from their scores first."`
	Curves   bool `help:"Show the scores by outcome, and what other thresholds would have made of the predictions."`
	remote
}

// Help is shown by gateway insights quality --help.
func (insightsQualityCommand) Help() string { return exitCodesHelp }

// Run prints the quality of each model and of the serving one over time.
func (cmd insightsQualityCommand) Run(c *console) error {
	return cmd.onExisting(c, func(ctx context.Context, client *client.Client) error {
		q := cmd.query()
		q.Segments, q.Curves = cmd.Segments, cmd.Curves
		r, err := client.Quality(ctx, q)
		if err != nil {
			return err
		}
		if cmd.JSON {
			return printJSON(c, r)
		}
		fmt.Fprintln(c.stdout, maturityText(r))
		if len(r.Models) == 0 {
			fmt.Fprintln(c.stdout, "there are no predictions in this time")
		}
		for i := range r.Models {
			fmt.Fprintln(c.stdout)
			if err := printQuality(c, &r.Models[i]); err != nil {
				return err
			}
			if err := printCurves(c, r.Models[i].Curves); err != nil {
				return err
			}
			if err := printSegments(c, r.Models[i].Segments); err != nil {
				return err
			}
		}
		return nil
	})
}

func maturityText(r *insights.QualityReport) string {
	m := r.Maturity
	if m.After == nil {
		return "no prediction counts yet: it is not known how long outcomes take (" + m.Unknown + "); GATEWAY_OUTCOME_MATURITY sets it"
	}
	text := fmt.Sprintf("predictions count %s after they were made (%s)", *m.After, m.Source)
	if m.AnsweredShare != nil {
		text += fmt.Sprintf("; %.0f %% of them get an outcome", 100**m.AnsweredShare)
	}
	if r.NoOutcomeMeans != nil {
		text += fmt.Sprintf("; one without counts as %d", *r.NoOutcomeMeans)
	}
	return text
}

func printQuality(c *console, m *insights.ModelQuality) error {
	state := ""
	if m.Serving {
		state = " (serving)"
	}
	fmt.Fprintf(c.stdout, "%s%s: %d predictions, %d mature, %d outcomes, %d of them positive\n", m.Model, state, m.Predictions, m.Mature, m.Outcomes, m.Positives)
	if m.Insufficient != "" {
		fmt.Fprintln(c.stdout, "not enough for all figures: "+m.Insufficient)
	}
	var auc, logLoss *float64
	if m.Holdout != nil {
		auc, logLoss = m.Holdout.AUC, m.Holdout.LogLoss
	}
	rows := [][]string{{"FIGURE", "MEASURED", "FROM", "TO", "PREDICTIONS", "ESTIMATED", "HELD OUT"}}
	for _, f := range []struct {
		name               string
		measured           *stats.Figure
		estimated, heldOut *float64
	}{
		{"auc", m.AUC, m.Estimated.AUC, auc}, {"log loss", m.LogLoss, m.Estimated.LogLoss, logLoss}, {"brier", m.Brier, m.Estimated.Brier, nil},
		{"calibration error", m.CalibrationError, nil, nil}, {"accuracy", m.Accuracy, m.Estimated.Accuracy, nil},
		{"precision", m.Precision, m.Estimated.Precision, nil}, {"recall", m.Recall, m.Estimated.Recall, nil},
	} {
		cells := []string{f.name, "-", "-", "-", "-", shownNumber(f.estimated), shownNumber(f.heldOut)}
		if x := f.measured; x != nil {
			copy(cells[1:], []string{shownNumber(&x.Value), shownNumber(&x.Low), shownNumber(&x.High), strconv.FormatInt(x.Count, 10)})
		}
		rows = append(rows, cells)
	}
	if err := writeTable(c.stdout, rows); err != nil || !m.Serving {
		return err
	}
	fmt.Fprintln(c.stdout)
	rows = [][]string{{"FROM", "PREDICTIONS", "MATURE", "OUTCOMES", "POSITIVE", "AUC", "ESTIMATED AUC"}}
	for _, p := range m.Series {
		rows = append(rows, []string{shownTime(p.Start), strconv.FormatInt(p.Predictions, 10), strconv.FormatInt(p.Mature, 10), strconv.FormatInt(p.Outcomes, 10),
			strconv.FormatInt(p.Positives, 10), shownNumber(p.AUC), shownNumber(p.EstimatedAUC)})
	}
	return writeTable(c.stdout, rows)
}

// printCurves prints what charts of scores show, if it was asked for.
func printCurves(c *console, curves *insights.Curves) error {
	if curves == nil {
		return nil
	}
	fmt.Fprintln(c.stdout)
	rows := [][]string{{"SCORE FROM", "TO", "PREDICTIONS", "OUTCOME 0", "OUTCOME 1"}}
	for _, bar := range curves.Histogram {
		rows = append(rows, []string{fmt.Sprintf("%.6g", bar.From), fmt.Sprintf("%.6g", bar.To), strconv.FormatInt(bar.Predictions, 10),
			strconv.FormatInt(bar.Negatives, 10), strconv.FormatInt(bar.Positives, 10)})
	}
	if err := writeTable(c.stdout, rows); err != nil || curves.Operating == nil {
		return err
	}
	fmt.Fprintln(c.stdout)
	cells := func(threshold string, p stats.ThresholdPoint) []string {
		return []string{threshold, shownNumber(&p.Recall), shownNumber(&p.FalsePositiveRate), shownNumber(p.Precision), shownNumber(&p.PositiveShare)}
	}
	rows = [][]string{{"THRESHOLD", "RECALL", "FALSE POSITIVES", "PRECISION", "SHARE PREDICTED 1"}, cells("(as predicted)", *curves.Operating)}
	every := max(1, len(curves.Thresholds)/20)
	for i, p := range curves.Thresholds {
		if i%every == 0 || i == len(curves.Thresholds)-1 {
			rows = append(rows, cells(fmt.Sprintf("%.6g", p.Threshold), p))
		}
	}
	return writeTable(c.stdout, rows)
}

// printSegments prints the quality by value of a feature, if there is one.
func printSegments(c *console, s *insights.Segments) error {
	switch {
	case s == nil:
		return nil
	case s.Unavailable != "":
		fmt.Fprintln(c.stdout, "\nno figures by feature: "+s.Unavailable)
		return nil
	case len(s.Values) == 0:
		fmt.Fprintln(c.stdout, "\nno value of a feature has enough outcomes")
		return nil
	}
	fmt.Fprintln(c.stdout)
	rows := [][]string{{"FEATURE", "VALUE", "DIFFERS", "OUTCOMES", "MEAN SCORE", "RATE OF 1", "FROM", "TO", "P-VALUE"}}
	for _, v := range s.Values {
		differs := "no"
		if v.Differs {
			differs = "YES"
		}
		rows = append(rows, []string{v.Feature, v.Label, differs, strconv.FormatInt(v.Outcomes, 10), shownNumber(&v.MeanScore),
			shownNumber(&v.PositiveRate), shownNumber(&v.Low), shownNumber(&v.High), shownNumber(&v.PValue)})
	}
	return writeTable(c.stdout, rows)
}

// shownNumber returns a figure with four digits, or a dash for none.
func shownNumber(x *float64) string {
	if x == nil {
		return "-"
	}
	return fmt.Sprintf("%.4f", *x)
}

type insightsDriftCommand struct {
	insightWindow
	Against string `help:"What to compare with: training, the model's training data, or week, what it was asked in the seven days before the window, which is then seven days too unless --from is given." default:"training" placeholder:"training|week"`
	remote
}

// Help is shown by gateway insights drift --help.
func (insightsDriftCommand) Help() string { return exitCodesHelp }

// Run prints the drift of the score and of each feature.
func (cmd insightsDriftCommand) Run(c *console) error {
	return cmd.onExisting(c, func(ctx context.Context, client *client.Client) error {
		q := cmd.query()
		q.Against = cmd.Against
		r, err := client.Drift(ctx, q)
		if err != nil {
			return err
		}
		if cmd.JSON {
			return printJSON(c, r)
		}
		return printDrift(c, r)
	})
}

func printDrift(c *console, r *insights.DriftReport) error {
	reference, meanOf := fmt.Sprintf("%d rows of training data", r.Reference.Rows), "on held-out rows"
	if r.Reference.Against == insights.AgainstWeek {
		reference, meanOf = fmt.Sprintf("%d predictions from %s on", r.Reference.Rows, shownTime(*r.Reference.From)), "in the week before"
	}
	fmt.Fprintf(c.stdout, "%s: %d predictions from %s to %s, compared with %s\n",
		r.Model, r.Window.Rows, shownTime(r.Window.From), shownTime(r.Window.To), reference)
	if r.Unavailable != "" {
		fmt.Fprintln(c.stdout, "no comparison: "+r.Unavailable)
		return nil
	}
	verdict := "nothing has drifted"
	if r.Alarm {
		verdict = "ALARM: the data has drifted"
	}
	fmt.Fprintf(c.stdout, "%s; mean score %s, %s %s\n\n", verdict, shownNumber(r.Score.Mean.Live), shownNumber(r.Score.Mean.Reference), meanOf)
	rows := [][]string{{"FEATURE", "DRIFTED", "PSI", "THRESHOLD", "P-VALUE", "SHARE OF SHIFT", "CONTRIBUTION", "MISSING", "UNSEEN", "OUT OF RANGE", "NOTE"},
		append(distanceCells("(score)", r.Score.Distance), "-", "-", "-", "-", "-", oneLine(r.Score.Insufficient))}
	for _, f := range r.Features {
		rows = append(rows, append(distanceCells(f.Feature, f.Distance), shownShare(f.ShareOfScoreShift), shownNumber(f.MeanContribution),
			shownPair(f.Missing), shownPair(f.Unseen), shownPair(f.OutOfRange), oneLine(f.Insufficient)))
	}
	return writeTable(c.stdout, rows)
}

func distanceCells(name string, d insights.Distance) []string {
	drifted := "no"
	switch {
	case d.PSI == nil:
		drifted = "-"
	case d.Drifted:
		drifted = "YES"
	}
	return []string{name, drifted, shownNumber(d.PSI), shownNumber(d.Threshold), shownNumber(d.PValue)}
}

func shownShare(x *float64) string {
	if x == nil {
		return "-"
	}
	return fmt.Sprintf("%.1f %%", 100**x)
}

// shownPair shows a share in the training data and live; a dash where both are 0 or
// unknown.
func shownPair(p insights.Pair) string {
	if (p.Reference == nil || *p.Reference == 0) && (p.Live == nil || *p.Live == 0) {
		return "-"
	}
	return shownShare(p.Reference) + " → " + shownShare(p.Live)
}

type insightsCorrelationsCommand struct {
	remote
}

// Help is shown by gateway insights correlations --help.
func (insightsCorrelationsCommand) Help() string { return exitCodesHelp }

// Run prints the correlations, the strongest first.
func (cmd insightsCorrelationsCommand) Run(c *console) error {
	return cmd.onExisting(c, func(ctx context.Context, client *client.Client) error {
		r, err := client.Correlations(ctx)
		if err != nil {
			return err
		}
		if cmd.JSON {
			return printJSON(c, r)
		}
		fmt.Fprintf(c.stdout, "%d labelled rows, data %.12s of %s\n\n", r.Rows, r.Data, r.Model)
		strength := func(x insights.Correlation) float64 {
			if x.Correlation == nil {
				return -1
			}
			return math.Abs(*x.Correlation)
		}
		sorted := slices.Clone(r.Correlations)
		slices.SortStableFunc(sorted, func(a, b insights.Correlation) int { return cmp.Compare(strength(b), strength(a)) })
		rows := [][]string{{"CORRELATION", "FEATURE", "CATEGORY"}}
		for _, x := range sorted {
			text := "constant"
			if x.Correlation != nil {
				text = fmt.Sprintf("%+.6f", *x.Correlation)
			}
			category := ""
			if x.Category != nil {
				category = oneLine(*x.Category)
			}
			rows = append(rows, []string{text, x.Feature, category})
		}
		return writeTable(c.stdout, rows)
	})
}
