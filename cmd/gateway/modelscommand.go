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
	Show    modelsShowCommand    `cmd:"" default:"withargs" help:"List models or, with a name, show what one goes by and how good it is. The word show may be left out."`
	Compare modelsCompareCommand `cmd:"" help:"Show the figures of two models side by side."`
}

// Help is shown by gateway models --help.
func (modelsCommand) Help() string {
	return `There are three forms:

  gateway models              lists the models
  gateway models NAME         shows what one goes by and how good it is
  gateway models compare A B  shows the figures of two side by side

` + exitCodesHelp
}

type modelsShowCommand struct {
	Name string `arg:"" optional:"" help:"Show this model with its figures; without it the models are listed."`
	All  bool   `help:"Show all features and columns, not only the first."`
	remote
}

// Help is shown by gateway models show --help.
func (modelsShowCommand) Help() string { return exitCodesHelp }

// Run lists the models that renewals made, newest first, or shows one.
func (cmd modelsShowCommand) Run(c *console) error {
	if cmd.Name != "" {
		return cmd.show(c)
	}
	return cmd.list(c)
}

func (cmd modelsShowCommand) list(c *console) error {
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
