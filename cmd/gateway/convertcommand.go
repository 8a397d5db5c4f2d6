package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"gateway/internal/export"
)

type convertCommand struct {
	Src  string `arg:"" help:"Export: its folder, the root of its bucket, or one file; gzip or not."`
	Dst  string `arg:"" help:"Training CSV to write, label first, no header; - is standard output."`
	JSON bool   `name:"json" help:"For machines: items read, rows written, rows left out by reason."`
}

// Run converts an export. The output appears whole or not at all.
func (cmd convertCommand) Run(c *console) error {
	cfg, err := loadConfig()
	if err != nil {
		return &usageError{err}
	}
	schema, err := cfg.schema()
	if err != nil {
		return &usageError{err}
	}
	if cmd.JSON && cmd.Dst == "-" {
		return &usageError{errors.New("--json needs a file to write the rows to")}
	}
	for _, path := range []string{cmd.Src, cmd.Dst} {
		if strings.HasPrefix(path, "s3://") {
			return &usageError{fmt.Errorf("%s: this platform reads and writes files", path)}
		}
	}
	src, err := filepath.Abs(cmd.Src)
	if err != nil {
		return err
	}
	items, err := export.Open(c.ctx, os.DirFS(filepath.Dir(src)), filepath.Base(src))
	if err != nil {
		return fmt.Errorf("%s: %w", cmd.Src, err)
	}
	defer items.Close()
	bar := newProgress(c.stderr, "items", -1)
	var report export.Report
	err = writeOutput(c, cmd.Dst, func(w io.Writer) (err error) {
		report, err = export.Convert(c.ctx, schema, items, export.Outputs{All: w}, export.Options{Progress: bar.set})
		return err
	})
	took := bar.done()
	if err != nil {
		return err
	}
	if cmd.JSON {
		return printJSON(c, report)
	}
	fmt.Fprintf(c.stderr, "read %d items, wrote %d rows (%d positive) of %d columns in %s\n",
		report.Items, report.Rows, report.Positive, schema.Width()+1, took)
	printCounts(c.stderr, "left out", report.Skipped)
	printCounts(c.stderr, "unlisted category taken as unknown", report.Mapped)
	printCounts(c.stderr, "default taken", report.Defaulted)
	for _, e := range report.Examples {
		fmt.Fprintf(c.stderr, "  %s:%d: %s %s\n", e.File, e.Line, e.Reason, e.Detail)
	}
	return nil
}

// printCounts lists counts by name, if there are any.
func printCounts(w io.Writer, what string, counts map[string]int64) {
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		fmt.Fprintf(w, "%s: %s: %d\n", what, name, counts[name])
	}
}
