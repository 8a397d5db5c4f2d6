package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/term"

	"gateway/api"
	"gateway/internal/app"
	"gateway/internal/config"
	"gateway/internal/lambda"
	"gateway/internal/logging"
)

type serveCommand struct{}

// Help says what the program does on Lambda.
func (serveCommand) Help() string {
	return "On AWS Lambda, where AWS_LAMBDA_RUNTIME_API is set, it handles the function's events."
}

// Run serves until the context ends.
func (serveCommand) Run(c *console) error {
	cfg, err := config.Load()
	if err != nil {
		return err
	}
	if lambda.Here() {
		return serveEvents(c, cfg)
	}
	format := cmp.Or(cfg.LogFormat, "json")
	if cfg.LogFormat == "" && isTerminal(c.stderr) {
		format = "text"
	}
	signal.Ignore(syscall.SIGPIPE) // a reader of the log that ends does not end the gateway
	lines := logging.NewWriter(c.stderr, func(dropped int64) []byte { return logging.DroppedLine(format, cfg.LogLevel, dropped) })
	defer func() { _ = lines.Close() }()
	log := logging.New(lines, format, cfg.LogLevel)
	logging.RedirectStandardLibrary(log)
	a, err := app.Open(c.ctx, cfg, app.Options{Log: log, Version: version, MemoryLimit: app.TuneCollector(log),
		LogDropped: lines.Dropped, DrainTime: app.DrainTime, WrapPorts: c.wrapPorts})
	if err != nil {
		return err
	}
	return a.Serve(c.ctx)
}

// serveEvents handles the events of a function of Lambda. Log lines are written at once: a
// process that is frozen writes none later.
func serveEvents(c *console, cfg config.Config) error {
	log := logging.New(c.stderr, cmp.Or(cfg.LogFormat, "json"), cfg.LogLevel)
	logging.RedirectStandardLibrary(log)
	options := app.Options{Log: log, Version: version, MemoryLimit: app.TuneCollector(log), WrapPorts: c.wrapPorts}
	open := func(ctx context.Context) (lambda.Gateway, error) { return app.OpenFunction(ctx, cfg, options) }
	return lambda.Serve(c.ctx, open, api.Starting())
}

func isTerminal(w any) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// version is set by the linker.
var version = "dev"

type versionCommand struct{}

// Run prints the version.
func (versionCommand) Run(c *console) error {
	_, err := fmt.Fprintln(c.stdout, "gateway", version)
	return err
}
