package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"gateway/api/client"
)

type exportCommand struct {
	What   string `arg:"" enum:"customers,ledger,training-data" help:"customers (CSV that gateway import takes), ledger (predictions with their outcomes) or training-data (CSV of the newest, encoded as the model has it)."`
	Output string `short:"o" help:"File to write; standard output if not given." placeholder:"FILE"`
	Format string `help:"csv or ndjson; without it that of the ending of FILE (.csv, .ndjson, .jsonl), else csv, and ndjson for the ledger." enum:"csv,ndjson," default:""`
	From   string `help:"ledger: predictions made at this time or later, in RFC 3339." placeholder:"TIME"`
	To     string `help:"ledger: predictions made before this time." placeholder:"TIME"`
	remote
}

// Help is shown by gateway export --help.
func (exportCommand) Help() string {
	return "--json is --format ndjson. A file (-o) appears whole or not at all; standard output is complete only if the exit code is 0. " +
		"Exported customers have all their features, personal ones too; the ledger has those that it stores (GATEWAY_LEDGER_PERSONAL).\n\n" + exitCodesHelp
}

// Run writes one of the tables in constant memory.
func (cmd exportCommand) Run(c *console) error {
	path, err := cmd.path()
	if err != nil {
		return &usageError{err}
	}
	if cmd.toTerminal(c) { // which shows the lines themselves
		return cmd.export(c, path, func(w io.Writer) io.Writer { return w })
	}
	bar := newProgress(c.stderr, "lines", -1)
	err = cmd.export(c, path, bar.writer)
	took := bar.done()
	if err == nil && cmd.Output != "" && cmd.Output != "-" {
		fmt.Fprintf(c.stderr, "wrote %d lines to %s in %s\n", bar.rows, cmd.Output, took)
	}
	return err
}

func (cmd exportCommand) toTerminal(c *console) bool {
	return (cmd.Output == "" || cmd.Output == "-") && isTerminal(c.stdout)
}

// export writes what the gateway answers, through the given writer.
func (cmd exportCommand) export(c *console, path string, through func(io.Writer) io.Writer) error {
	return cmd.onExisting(c, func(ctx context.Context, client *client.Client) error {
		return writeOutput(c, cmd.Output, func(out io.Writer) error {
			return client.Export(ctx, path, through(out))
		})
	})
}

// formatOf returns the format that the ending of a file's name means; empty if it means
// none.
func formatOf(file string) string {
	switch strings.ToLower(filepath.Ext(file)) {
	case ".csv":
		return "csv"
	case ".ndjson", ".jsonl":
		return "ndjson"
	}
	return ""
}

// path returns the path and query of the request.
func (cmd exportCommand) path() (string, error) {
	query := url.Values{}
	format := cmp.Or(cmd.Format, formatOf(cmd.Output))
	if cmd.JSON {
		if cmd.Format == "csv" {
			return "", errors.New("--json and --format csv exclude each other")
		}
		format = "ndjson"
	}
	if format != "" {
		query.Set("format", format)
	}
	for name, text := range map[string]string{"from": cmd.From, "to": cmd.To} {
		if text == "" {
			continue
		}
		if cmd.What != "ledger" {
			return "", errors.New("--" + name + " is for export ledger")
		}
		if _, err := time.Parse(time.RFC3339, text); err != nil {
			return "", errors.New("--" + name + ": must be a time such as 2026-11-23T10:00:00Z")
		}
		query.Set(name, text)
	}
	switch cmd.What {
	case "customers":
		return "/admin/customers?" + query.Encode(), nil
	case "ledger":
		return "/admin/predictions?" + query.Encode(), nil
	}
	return "/admin/training-data?" + query.Encode(), nil
}
