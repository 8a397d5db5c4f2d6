package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"gateway/internal/app"
	"gateway/internal/config"
)

// demoCommand fills a data dir with simulated days.
type demoCommand struct {
	Days int    `default:"30" help:"Number of simulated days, which end now." placeholder:"DAYS"`
	Seed uint64 `default:"1" help:"The same seed gives the same customers, predictions and outcomes." placeholder:"N"`
	Add  bool   `help:"Also where the data dir has customers or predictions already."`
	JSON bool   `name:"json" help:"For machines."`
}

// Help is shown by gateway demo --help.
func (demoCommand) Help() string {
	return "It is for a data dir of its own, on the platform local with the embedded database. Customers are generated, apps ask for predictions and report outcomes, " +
		"campaign drifts from the middle on, and for customers of one job the label changes its meaning. Renewals are started by a schedule, by drift and by operators; " +
		"one fails and is resumed, one is rejected, one is rolled back.\n\n" + exitCodesHelp
}

// maxDemoDays bounds a simulation to some minutes.
const maxDemoDays = 366

// Run simulates the days and says what to do next.
func (cmd demoCommand) Run(c *console) error {
	if cmd.Days < 1 || cmd.Days > maxDemoDays {
		return &usageError{fmt.Errorf("--days: must be from 1 to %d", maxDemoDays)}
	}
	cfg, err := config.Load()
	if err != nil {
		return err
	}
	start := time.Now()
	report, err := app.Simulate(c.ctx, cfg, app.Options{Log: slog.New(slog.DiscardHandler), Version: version}, app.SimulateOptions{
		Days: cmd.Days, Seed: cmd.Seed, Add: cmd.Add, Progress: cmd.progress(c.stderr)})
	if errors.Is(err, app.ErrNotEmpty) {
		return fmt.Errorf("%s: %w; name another one with GATEWAY_DATA_DIR, or add to it with --add", cfg.DataDir, err)
	}
	if c.ctx.Err() != nil {
		return fmt.Errorf("%s has the days until then; delete it before another try: %w", cfg.DataDir, err)
	}
	if err != nil {
		return err
	}
	if cmd.JSON {
		return printJSON(c, report)
	}
	fmt.Fprintf(c.stdout, "simulated days: %d, in %s\n%s customers, %s predictions, %s outcomes, %d renewals\nmodel %s serves\nnext: GATEWAY_DATA_DIR=%s gateway\n",
		cmd.Days, time.Since(start).Round(100*time.Millisecond), grouped(int64(report.Customers)), grouped(int64(report.Predictions)), grouped(int64(report.Outcomes)), report.Renewals, report.Model, cfg.DataDir)
	return nil
}

// progress shows which day is simulated: in one line on a terminal, in a line from time
// to time elsewhere.
func (cmd demoCommand) progress(out io.Writer) func(day int) {
	last := time.Now()
	return func(day int) {
		switch {
		case isTerminal(out):
			end := "\r"
			if day == cmd.Days {
				end = "\n"
			}
			fmt.Fprintf(out, "day %d of %d%s", day, cmd.Days, end)
		case time.Since(last) >= plainEvery:
			last = time.Now()
			fmt.Fprintf(out, "day %d of %d\n", day, cmd.Days)
		}
	}
}
