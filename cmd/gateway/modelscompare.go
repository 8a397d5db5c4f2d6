package main

import (
	"context"
	"fmt"
	"math"

	"gateway/api/client"
	"gateway/internal/modelswap"
)

type modelsCompareCommand struct {
	A   string `arg:"" help:"A model."`
	B   string `arg:"" help:"The model whose differences from A are shown."`
	All bool   `help:"Show all features, not only those that changed most."`
	remote
}

// Help is shown by gateway models compare --help.
func (modelsCompareCommand) Help() string {
	return "The figures are those that were stored when the models were evaluated.\n\n" + exitCodesHelp
}

// Run shows the figures of two models side by side.
func (cmd modelsCompareCommand) Run(c *console) error {
	return cmd.onExisting(c, func(ctx context.Context, client *client.Client) error {
		a, err := client.Model(ctx, cmd.A)
		if err != nil {
			return err
		}
		b, err := client.Model(ctx, cmd.B)
		if err != nil {
			return err
		}
		comparison := modelswap.CompareModels(a, b)
		if cmd.JSON {
			return printJSON(c, comparison)
		}
		v := modelView{out: c.stdout, limit: fewShown}
		if cmd.All {
			v.limit = math.MaxInt
		}
		return v.compare(comparison)
	})
}

func (v *modelView) compare(c *modelswap.ModelComparison) error {
	var rows [][]string
	for i, m := range []*modelswap.ModelReport{c.A, c.B} {
		rows = append(rows, []string{string("AB"[i]), m.Name, modelState(m.Model), algorithmText(m),
			fmt.Sprintf("%d training rows", m.Rows), fmt.Sprintf("%d held-out rows", m.Figures.Rows)})
	}
	for i, m := range []*modelswap.ModelReport{c.A, c.B} {
		for _, warning := range m.Warnings {
			rows = append(rows, []string{string("AB"[i]), "warning: " + oneLine(warning)})
		}
	}
	v.err = writeTable(v.out, rows)
	v.metricDifferences(c)
	v.importanceDifferences(c)
	v.unavailable(&modelswap.Figures{Unavailable: c.Unavailable})
	return v.err
}

func (v *modelView) metricDifferences(c *modelswap.ModelComparison) {
	if c.Metrics == nil {
		return
	}
	rows := [][]string{{"METRIC", "A", "B", "B - A", "95 % CONFIDENCE", "ROWS"}}
	for _, m := range c.Metrics {
		cells := []string{metricName(m.Metric), "-", "-", "-", "-", "-"}
		if m.A != nil {
			cells[1] = fixed(m.A.Value)
		}
		if m.B != nil {
			cells[2] = fixed(m.B.Value)
		}
		if d := m.Difference; d != nil {
			cells[3], cells[4], cells[5] = signed(d.Value), signed(d.Low)+" to "+signed(d.High), "each its own"
			if m.SameRows {
				cells[5] = "the same"
			}
		}
		rows = append(rows, cells)
	}
	v.table("On held-out rows", rows, 0)
	if a, b := c.A.Figures.Confusion, c.B.Figures.Confusion; a != nil && b != nil && a.Threshold != b.Threshold && v.err == nil {
		_, v.err = fmt.Fprintf(v.out, "accuracy, precision and recall are at the threshold %.4g of A and %.4g of B\n", a.Threshold, b.Threshold)
	}
}

func (v *modelView) importanceDifferences(c *modelswap.ModelComparison) {
	if c.Importance == nil {
		return
	}
	rows := [][]string{{"FEATURE", "A", "B", "B - A"}}
	for _, d := range c.Importance[:min(v.limit, len(c.Importance))] {
		cells := []string{d.Feature, "-", "-", signed(d.LogLoss)}
		if d.A != nil {
			cells[1] = fixed(d.A.LogLoss)
		}
		if d.B != nil {
			cells[2] = fixed(d.B.LogLoss)
		}
		if strokes := bar(math.Abs(d.LogLoss), math.Abs(c.Importance[0].LogLoss)); strokes != "" {
			cells = append(cells, map[bool]string{true: "gained ", false: "lost   "}[d.LogLoss > 0]+strokes)
		}
		rows = append(rows, cells)
	}
	v.table("Importance: the log loss gained without a feature", rows, len(c.Importance)+1-len(rows))
}
