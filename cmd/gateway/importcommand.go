package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"

	"gateway/api/client"
	"gateway/api/edge"
	"gateway/internal/failure"
	"gateway/internal/predict"
	"gateway/internal/schema"
)

type importCommand struct {
	File      string `arg:"" help:"CSV with a header row (comma, semicolon, tab or bar), or NDJSON (.ndjson, .jsonl); - is standard input, as CSV."`
	Strict    bool   `help:"Stop at the first bad row."`
	LastWins  bool   `help:"Accept ids that occur more than once: the last row with an id wins."`
	Numbering string `help:"How rows of a file without an id are numbered: from 1, and refuse stops before anything is stored if the store has other customers with these numbers, replace replaces them; continue counts on from the highest number." enum:"refuse,replace,continue" default:"refuse"`
	remote
}

// Help is shown by gateway import --help.
func (importCommand) Help() string {
	return "A bad row is reported with its line and left out; the others are imported, and the exit code is 0 if any was. " +
		"With --strict the first bad row ends the import with exit code 1; the rows before it stay. " +
		"Of more than 20 bad rows the others are counted by field and reason.\n\n" + exitCodesHelp
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
	bad := &importFaults{badRows{out: c.stderr}, map[string]*faultKind{}}
	problems := []rowProblem{} // an empty list in JSON, not null
	var report predict.ImportReport
	var inForce client.SchemaInForce
	customers := int64(0) // in the store, after the import
	bar := newProgress(c.stderr, "rows", size)
	text := schema.NewTextReader(bar.reader(in))
	err = cmd.with(c, func(ctx context.Context, gateway *client.Client) (err error) {
		opts := client.ImportOptions{Strict: cmd.Strict, UniqueIDs: !cmd.LastWins, Numbering: predict.Numbering(cmd.Numbering)}
		report, err = gateway.Import(ctx, mediaType, text, opts, func(b predict.BadRow) {
			bad.add(b)
			problems = appendProblems(problems, b)
		})
		// What is said of these is left out if they fail.
		inForce, _ = gateway.Schema(ctx)
		customers = storedCustomers(gateway.Status(ctx))
		return err
	})
	took := bar.done()
	bad.summary()
	var unreadable *failure.Error // of the file; errors of the gateway are problems
	if errors.As(err, &unreadable) {
		err = unreadable
	}
	noteDecoded(c.stderr, cmd.File, text)
	if report.Rows > 0 || err == nil {
		if err := cmd.report(c, report, inForce, problems, took.String()); err != nil {
			return err
		}
		if further := customers - report.Imported; further > 0 && report.Imported > 0 && !cmd.JSON && !cmd.LastWins {
			fmt.Fprintf(c.stdout, "the store has %s customers; not in the file: %s\n", grouped(customers), grouped(further))
		}
	}
	if foreign(err) || report.Imported == 0 && report.Failed > 0 {
		cmd.noteSchema(c.stderr, inForce)
	}
	switch {
	case err != nil:
		return fmt.Errorf("%s: %w", cmd.File, withFlag(err))
	case report.Imported == 0:
		return fmt.Errorf("%s: no row was imported", cmd.File)
	}
	return nil
}

// storedCustomers returns the number of customers of a status; 0 if it is not known
// exactly, as with DynamoDB.
func storedCustomers(status map[string]any, err error) int64 {
	customers, _ := status["customers"].(map[string]any)
	total, ok := customers["total"].(float64)
	if _, exact := customers["labelled"]; err != nil || !ok || !exact {
		return 0
	}
	return int64(total)
}

// foreign reports whether an import failed because the file's columns are not those
// of the schema.
func foreign(err error) bool {
	var problem *edge.Problem
	return errors.As(err, &problem) && strings.Contains(problem.Detail, "the header row does not fit the schema")
}

// withFlag adds to the error of an import which flag changes what it does.
func withFlag(err error) error {
	var problem *edge.Problem
	switch {
	case !errors.As(err, &problem):
	case strings.Contains(problem.Detail, "is the id of line"):
		return fmt.Errorf("%w: use --last-wins for that", err)
	case problem.Status == http.StatusConflict:
		return fmt.Errorf("%w: use --numbering", err)
	}
	return err
}

func (cmd importCommand) report(c *console, r predict.ImportReport, inForce client.SchemaInForce, problems []rowProblem, took string) error {
	if cmd.JSON {
		return printJSON(c, struct {
			predict.ImportReport
			Problems []rowProblem `json:"problems"`
		}{r, problems})
	}
	fmt.Fprintf(c.stdout, "imported %d of %d rows in %s: %d new customers, %d updated, %d labelled, %d bad rows\n",
		r.Imported, r.Rows, took, r.Inserted, r.Updated, r.Labelled, r.Failed)
	if inForce.Label != "" && r.Imported > 0 {
		fmt.Fprintln(c.stdout, labelLine(inForce, r.Positive, r.Labelled))
	}
	if r.Numbered > 0 {
		fmt.Fprintf(c.stdout, "%s rows have no id and were numbered\n", grouped(r.Numbered))
	}
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

// importFaults are the bad rows of an import: the first ones are shown, and all are
// counted by field and code.
type importFaults struct {
	badRows
	kinds map[string]*faultKind
}

// faultKind counts the bad rows with one fault in one field.
type faultKind struct {
	field, example string
	rows, first    int // number of rows, line of the first
}

// maxKinds is the maximum number of kinds that are counted: unknown members of
// NDJSON have names without end.
const maxKinds = 100

func (f *importFaults) add(row predict.BadRow) {
	f.badRows.add(row.Line, describe(row))
	for _, v := range row.Errors {
		key := v.Field + " " + v.Code
		k := f.kinds[key]
		if k == nil && len(f.kinds) == maxKinds {
			continue
		}
		if k == nil {
			k = &faultKind{field: v.Field, example: v.Detail, first: row.Line}
			f.kinds[key] = k
		}
		k.rows++
	}
}

// summary prints the counts if not all bad rows were shown.
func (f *importFaults) summary() {
	if f.count <= maxShown {
		return
	}
	kinds := slices.SortedFunc(maps.Values(f.kinds), func(a, b *faultKind) int {
		return cmp.Or(b.rows-a.rows, a.first-b.first, strings.Compare(a.field, b.field))
	})
	fmt.Fprintf(f.out, "%s bad rows, by field:\n", grouped(int64(f.count)))
	for _, k := range kinds[:min(len(kinds), maxShown)] {
		fmt.Fprintf(f.out, "  %s rows: %s, the first on line %d: %s\n", grouped(int64(k.rows)), k.field, k.first, k.example)
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
