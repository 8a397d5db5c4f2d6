package main

import (
	"context"
	"fmt"

	"gateway/api"
	"gateway/api/client"
	"gateway/internal/modelswap"
)

type renewalsCommand struct {
	ID     string `arg:"" optional:"" help:"Show this renewal with its steps; without it the newest renewals are listed."`
	Limit  int    `help:"How many renewals to list, 1 to 100." default:"20"`
	Before string `help:"List renewals older than this one." placeholder:"ID"`
	remote
}

// Help is shown by gateway renewals --help.
func (renewalsCommand) Help() string { return exitCodesHelp }

// Run lists renewals, newest first, or shows one.
func (cmd renewalsCommand) Run(c *console) error {
	if cmd.Limit < 1 || cmd.Limit > 100 {
		return &usageError{fmt.Errorf("--limit: must be a number from 1 to 100, not %d", cmd.Limit)}
	}
	return cmd.onExisting(c, func(ctx context.Context, client *client.Client) error {
		if cmd.ID != "" {
			r, err := client.Renewal(ctx, cmd.ID)
			if err != nil {
				return err
			}
			return cmd.show(c, r)
		}
		list, err := client.Renewals(ctx, cmd.Limit, cmd.Before)
		if err != nil {
			return err
		}
		if cmd.JSON {
			return printJSON(c, api.RenewalList{Renewals: list})
		}
		if len(list) == 0 {
			fmt.Fprintln(c.stderr, "there are no renewals; start one with gateway retrain")
		}
		rows := [][]string{{"RENEWAL", "STATUS", "TRIGGER", "CREATED", "FINISHED", "MODEL", "AUC", "ERROR"}}
		for _, r := range list {
			rows = append(rows, []string{r.ID, string(r.Status), r.Trigger, shownTime(r.CreatedAt), shownTimePtr(r.FinishedAt),
				shownName(r.Model), aucs(r.Metrics), oneLine(r.Error)})
		}
		return writeTable(c.stdout, rows)
	})
}

// aucs returns the AUCs of challenger and champion.
func aucs(m modelswap.Metrics) string {
	if m.Challenger == nil {
		return "-"
	}
	text := fmt.Sprintf("%.4f", m.Challenger.AUC)
	if m.Champion != nil {
		text += fmt.Sprintf(" (champion %.4f)", m.Champion.AUC)
	}
	return text
}

func (cmd renewalsCommand) show(c *console, r *modelswap.Renewal) error {
	if cmd.JSON {
		return printJSON(c, r)
	}
	rows := [][]string{
		{"renewal", r.ID},
		{"status", string(r.Status)},
		{"trigger", r.Trigger},
		{"created", shownTime(r.CreatedAt)},
		{"finished", shownTimePtr(r.FinishedAt)},
		{"model", shownName(r.Model)},
		{"auc", aucs(r.Metrics)},
	}
	if r.Reason != "" {
		rows = append(rows, []string{"reason", oneLine(r.Reason)})
	}
	if r.Error != "" {
		rows = append(rows, []string{"error", oneLine(r.Error)})
	}
	if err := writeTable(c.stdout, rows); err != nil {
		return err
	}
	for _, s := range r.Steps {
		fmt.Fprintln(c.stdout, oneLineStep(s))
		if warning := stepWarning(s); warning != "" {
			fmt.Fprintln(c.stdout, warning)
		}
	}
	return nil
}

// oneLineStep describes a step with its start.
func oneLineStep(s modelswap.Step) string {
	if s.StartedAt == nil {
		return stepLine(s)
	}
	return shownTime(*s.StartedAt) + "  " + stepLine(s)
}
