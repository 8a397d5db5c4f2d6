package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"gateway/internal/aws"
	"gateway/internal/config"
	"gateway/internal/datadir"
	"gateway/internal/export"
	"gateway/internal/schema"
)

type convertCommand struct {
	Src  string `arg:"" help:"Export: its folder, the root of its bucket, or one file; gzip or not. A path or s3://bucket/name."`
	Dst  string `arg:"" help:"Training CSV to write, label first, no header: a path, s3://bucket/name, or - for standard output."`
	JSON bool   `name:"json" help:"For machines: items read, rows written, rows left out by reason."`
}

// Run converts an export. The output appears whole or not at all.
func (cmd convertCommand) Run(c *console) error {
	cfg, err := config.Load()
	if err != nil {
		return err
	}
	schema, err := cfg.LoadSchema()
	if err != nil {
		return &config.Error{Err: err}
	}
	if cmd.JSON && cmd.Dst == "-" {
		return &usageError{errors.New("--json needs a file to write the rows to")}
	}
	from, name, err := openSource(c, cmd.Src)
	if err != nil {
		return err
	}
	items, err := export.Open(c.ctx, from, name)
	if err != nil {
		return fmt.Errorf("%s: %w", cmd.Src, err)
	}
	defer items.Close()
	bar := newProgress(c.stderr, "items", -1)
	var report export.Report
	err = cmd.write(c, schema.Fingerprint(), func(w io.Writer) (err error) {
		report, err = export.Convert(c.ctx, schema, items, export.Outputs{All: w}, export.Options{Progress: bar.set, TempDir: cmd.tempDir(cfg)})
		return errors.Join(err, report.NoRows())
	})
	took := bar.done()
	if err != nil && report.NoRows() == nil {
		return err
	}
	if reportErr := cmd.report(c, schema, report, took); reportErr != nil {
		return reportErr
	}
	if err != nil {
		return fmt.Errorf("%s: %w", cmd.Src, err)
	}
	return nil
}

// tempDir is where rows go beyond what memory has room for: the folder of the
// output, or the data dir where the output is no file.
func (cmd convertCommand) tempDir(cfg config.Config) string {
	if cmd.Dst == "-" || strings.HasPrefix(cmd.Dst, "s3://") {
		return datadir.TempDir(cfg.DataDir)
	}
	return filepath.Dir(cmd.Dst)
}

// report says what became of the items.
func (cmd convertCommand) report(c *console, schema *schema.Schema, report export.Report, took time.Duration) error {
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

// openSource is where a path or an s3:// address leads.
func openSource(c *console, path string) (fs.FS, string, error) {
	if strings.HasPrefix(path, "s3://") {
		files, name, err := inBucket(c, path, "")
		if err != nil {
			return nil, "", err
		}
		return files.FS(c.ctx), name, nil
	}
	full, err := filepath.Abs(path)
	return os.DirFS(filepath.Dir(full)), filepath.Base(full), err
}

// write writes the output, a file or an object.
func (cmd convertCommand) write(c *console, fingerprint string, write func(io.Writer) error) error {
	if !strings.HasPrefix(cmd.Dst, "s3://") {
		return writeOutput(c, cmd.Dst, write)
	}
	files, name, err := inBucket(c, cmd.Dst, fingerprint)
	if err != nil {
		return err
	}
	if name == "." {
		return &usageError{fmt.Errorf("%s: names a bucket, and no object to write", cmd.Dst)}
	}
	return files.WriteFile(c.ctx, name, write)
}

// inBucket opens the bucket of an s3:// address; name is the rest of it.
func inBucket(c *console, address, fingerprint string) (files *aws.Files, name string, err error) {
	bucket, name, _ := strings.Cut(strings.TrimPrefix(address, "s3://"), "/")
	name = path.Clean(strings.Trim(name, "/"))
	if bucket == "" {
		return nil, "", &usageError{fmt.Errorf("%s: must be like s3://bucket/name", address)}
	}
	api, err := aws.Connect(c.ctx, slog.New(slog.NewTextHandler(c.stderr, &slog.HandlerOptions{Level: slog.LevelWarn})))
	if err != nil {
		return nil, "", &usageError{err}
	}
	files, err = aws.NewFiles(api, bucket, "", "", fingerprint)
	return files, name, err
}

// printCounts lists counts by name, if there are any.
func printCounts(w io.Writer, what string, counts map[string]int64) {
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		fmt.Fprintf(w, "%s: %s: %d\n", what, name, counts[name])
	}
}
