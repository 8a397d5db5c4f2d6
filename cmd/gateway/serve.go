package main

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/term"
)

type serveCommand struct{}

// Run serves until the context ends.
func (serveCommand) Run(c *console) error {
	cfg, err := loadConfig()
	if err != nil {
		return err
	}
	terminal := isTerminal(c.stderr)
	signal.Ignore(syscall.SIGPIPE) // a reader of the log that ends does not end the gateway
	lines := newLogWriter(c.stderr, func(dropped int64) []byte { return droppedLine(cfg, terminal, dropped) })
	defer func() { _ = lines.Close() }()
	log := newLogger(cfg, lines, terminal)
	logStandardLibrary(log)
	a, err := openApp(c.ctx, cfg, options{log: log, version: version, memoryLimit: tuneCollector(log),
		logDropped: lines.Dropped, drainTime: serviceDrainTime, wrapPorts: c.wrapPorts})
	if err != nil {
		return err
	}
	return a.serve(c.ctx)
}

// newLogger logs text for people, JSON for machines.
func newLogger(cfg Config, w io.Writer, terminal bool) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(cfg.LogLevel)) // checked by validate
	opts := &slog.HandlerOptions{Level: level}
	format := cmp.Or(cfg.LogFormat, "json")
	if cfg.LogFormat == "" && terminal {
		format = "text"
	}
	if format == "text" {
		return slog.New(slog.NewTextHandler(w, opts))
	}
	return slog.New(slog.NewJSONHandler(w, opts))
}

// droppedLine is the log line that says how many lines before it are missing.
func droppedLine(cfg Config, terminal bool, dropped int64) []byte {
	var line bytes.Buffer
	newLogger(cfg, &line, terminal).Error("log lines were dropped because the log was not read or could not be written", "lines", dropped)
	return line.Bytes()
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

type configCommand struct {
	JSON     bool `name:"json" help:"Print JSON."`
	Markdown bool `help:"Print the page docs/configuration.md."`
}

// Run prints the settings. It reads none, so that it works while one is wrong.
func (cmd configCommand) Run(c *console) error {
	if cmd.JSON {
		return printJSON(c, settings())
	}
	text := settingsTable()
	if cmd.Markdown {
		text = configurationDocument()
	}
	_, err := fmt.Fprint(c.stdout, text)
	return err
}
