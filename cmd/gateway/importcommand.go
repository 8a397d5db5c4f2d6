package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"gateway/api/client"
	"gateway/internal/predict"
	"gateway/internal/schema"
)

type importCommand struct {
	File     string `arg:"" help:"CSV with a header row (comma, semicolon, tab or bar), or NDJSON (.ndjson, .jsonl); - is standard input, as CSV."`
	Strict   bool   `help:"Stop at the first bad row."`
	LastWins bool   `help:"Accept ids that occur more than once: the last row with an id wins."`
	remote
}

// Help is shown by gateway import --help.
func (importCommand) Help() string {
	return "A bad row is reported with its line and left out; the others are imported, and the exit code is 0 if any was. " +
		"With --strict the first bad row ends the import with exit code 1; the rows before it stay.\n\n" + exitCodesHelp
}

// Run imports a file and reports the rows that were not taken.
func (cmd importCommand) Run(c *console) error {
	in, size, err := openInput(cmd.File)
	if err != nil {
		return err
	}
	defer in.Close()
	mediaType := "text/csv"
	if strings.HasSuffix(cmd.File, ".ndjson") || strings.HasSuffix(cmd.File, ".jsonl") {
		mediaType = "application/x-ndjson"
	}
	bad := &badRows{out: c.stderr}
	problems := []rowProblem{} // an empty list in JSON, not null
	var report predict.ImportReport
	bar := newProgress(c.stderr, "rows", size)
	text := schema.NewTextReader(bar.reader(in))
	err = cmd.with(c, func(ctx context.Context, gateway *client.Client) (err error) {
		report, err = gateway.Import(ctx, mediaType, text, client.ImportOptions{Strict: cmd.Strict, UniqueIDs: !cmd.LastWins},
			func(b predict.BadRow) {
				bad.add(b.Line, describe(b))
				problems = appendProblems(problems, b)
			})
		return err
	})
	took := bar.done()
	noteDecoded(c.stderr, cmd.File, text)
	if err != nil && strings.Contains(err.Error(), "is the id of line") {
		err = fmt.Errorf("%w: use --last-wins for that", err)
	}
	if report.Rows > 0 || err == nil {
		if err := cmd.report(c, report, problems, took.String()); err != nil {
			return err
		}
	}
	switch {
	case err != nil:
		return fmt.Errorf("%s: %w", cmd.File, err)
	case report.Imported == 0:
		return fmt.Errorf("%s: no row was imported", cmd.File)
	}
	return nil
}

func (cmd importCommand) report(c *console, r predict.ImportReport, problems []rowProblem, took string) error {
	if cmd.JSON {
		return printJSON(c, struct {
			predict.ImportReport
			Problems []rowProblem `json:"problems"`
		}{r, problems})
	}
	fmt.Fprintf(c.stdout, "imported %d of %d rows in %s: %d new customers, %d updated, %d labelled, %d bad rows\n",
		r.Imported, r.Rows, took, r.Inserted, r.Updated, r.Labelled, r.Failed)
	if r.DemoRemoved > 0 {
		fmt.Fprintf(c.stdout, "%d demo customers removed\n", r.DemoRemoved)
	}
	return nil
}

// noteDecoded says that a file was not UTF-8, if so.
func noteDecoded(out io.Writer, file string, text *schema.TextReader) {
	if note := text.Note(); note != "" {
		fmt.Fprintf(out, "%s: %s\n", file, note)
	}
}

// rowProblem is one fault of a row of a file, for machines.
type rowProblem struct {
	Line   int    `json:"line"`
	Field  string `json:"field"` // "row" if the row as a whole is wrong
	Detail string `json:"detail"`
}

// maxProblems is the maximum number of problems that --json prints.
const maxProblems = 100

// appendProblems adds the faults of a row, as far as there is room.
func appendProblems(problems []rowProblem, row predict.BadRow) []rowProblem {
	for _, v := range row.Errors {
		if len(problems) == maxProblems {
			break
		}
		problems = append(problems, rowProblem{row.Line, v.Field, v.Detail})
	}
	return problems
}

// describe puts the errors of a row on one line.
func describe(row predict.BadRow) string {
	texts := make([]string, len(row.Errors))
	for i, v := range row.Errors {
		texts[i] = v.Field + " " + v.Detail
	}
	if row.Omitted > 0 {
		texts = append(texts, fmt.Sprintf("and %d more", row.Omitted))
	}
	return strings.Join(texts, "; ")
}
