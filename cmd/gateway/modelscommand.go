package main

import (
	"context"
	"fmt"
	"strconv"

	"gateway/api"
	"gateway/api/client"
	"gateway/internal/modelswap"
)

type modelsCommand struct {
	remote
}

// Help is shown by gateway models --help.
func (modelsCommand) Help() string { return exitCodesHelp }

// Run lists the models that renewals made, newest first.
func (cmd modelsCommand) Run(c *console) error {
	return cmd.onExisting(c, func(ctx context.Context, client *client.Client) error {
		list, err := client.Models(ctx)
		if err != nil {
			return err
		}
		if cmd.JSON {
			return printJSON(c, api.ModelList{Models: list})
		}
		if len(list) == 0 {
			fmt.Fprintln(c.stderr, "there are no models: "+noModelHint)
		}
		rows := [][]string{{"MODEL", "STATE", "ALGORITHM", "ROWS", "AUC", "CREATED", "DEPLOYED", "RETIRED"}}
		for _, m := range list {
			auc := "-"
			if m.Metrics != nil {
				auc = fmt.Sprintf("%.4f", m.Metrics.AUC)
			}
			rows = append(rows, []string{m.Name, modelState(m), m.Algorithm, strconv.Itoa(m.Rows), auc,
				shownTime(m.CreatedAt), shownTimePtr(m.DeployedAt), shownTimePtr(m.RetiredAt)})
		}
		return writeTable(c.stdout, rows)
	})
}

// noModelHint returns the commands that make a model.
const noModelHint = "make one with gateway retrain, or go back to an earlier one with gateway rollback MODEL"

// modelState returns whether a model serves or can serve again.
func modelState(m modelswap.Model) string {
	switch {
	case m.Serving:
		return "serving"
	case m.RemovedAt != nil:
		return "removed"
	case m.DeployedAt == nil:
		return "never served"
	}
	return "kept"
}

type rollbackCommand struct {
	Model string `arg:"" optional:"" help:"The model that is to serve; without it the one that served last before the current one. gateway models lists them."`
	remote
}

// Help is shown by gateway rollback --help.
func (rollbackCommand) Help() string { return exitCodesHelp }

// Run makes an earlier model serve again.
func (cmd rollbackCommand) Run(c *console) error {
	return cmd.onExisting(c, func(ctx context.Context, client *client.Client) error {
		m, err := client.Rollback(ctx, cmd.Model)
		if err != nil {
			return err
		}
		if cmd.JSON {
			return printJSON(c, m)
		}
		_, err = fmt.Fprintf(c.stdout, "model %s serves since %s\n", m.Name, shownTimePtr(m.DeployedAt))
		return err
	})
}
