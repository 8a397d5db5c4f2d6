package main

import (
	"cmp"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/term"

	"gateway/internal/app"
	"gateway/internal/config"
	"gateway/internal/logging"
)

type serveCommand struct{}

// Run serves until the context ends.
func (serveCommand) Run(c *console) error {
	cfg, err := config.Load()
	if err != nil {
		return err
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
