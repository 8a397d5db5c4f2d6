package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path"
	"slices"
	"time"

	"gateway/api"
	"gateway/api/client"
	"gateway/api/edge"
	"gateway/internal/failure"
	"gateway/internal/predict"
	"gateway/internal/schema"
)

type outcomesCommand struct {
	File string `arg:"" help:"CSV with a header row: prediction_id or customer_id (or both columns, one of them filled in each row), outcome, and observed_at in RFC 3339 where it is known; - is standard input."`
	remote
}

// Help is shown by gateway outcomes --help.
func (outcomesCommand) Help() string {
	return "Rows go to the gateway in lists, each under an Idempotency-Key of its own, so that a list whose answer was lost is sent again. " +
		"A file with observed_at in each row may be sent again: each outcome counts once. " +
		"Exit code 1 also means that a row could not be read, or that its prediction or customer is unknown; the other rows are recorded.\n\n" + exitCodesHelp
}

// outcomesAtOnce is the number of outcomes in one list.
const outcomesAtOnce = 500

// outcomeReport counts the rows of a file. Rows = Matched + Unknown + Failed,
// once all are recorded.
type outcomeReport struct {
	Rows       int64 `json:"rows"`
	Matched    int64 `json:"matched"`
	Duplicates int64 `json:"duplicates"` // of Matched: recorded before
	Superseded int64 `json:"superseded"` // of Matched: a later outcome of the customer counts
	Unknown    int64 `json:"unknown"`    // no such prediction or customer
	Failed     int64 `json:"failed"`     // cannot be read, or refused
}

// Run sends a file of outcomes and reports the rows that were not recorded.
func (cmd outcomesCommand) Run(c *console) error {
	in, size, err := openInput(cmd.File)
	if err != nil {
		return err
	}
	defer in.Close()
	bar := newProgress(c.stderr, "outcomes", size)
	rows, err := newOutcomeRows(bar.reader(in))
	if err != nil {
		return fmt.Errorf("%s: %w", cmd.File, err)
	}
	s := &outcomeSending{rows: rows, bad: &badRows{out: c.stderr}, problems: []rowProblem{}, out: c.stderr, bar: bar}
	err = cmd.onExisting(c, s.run)
	took := bar.done()
	report := s.report
	if report.Rows > 0 || err == nil {
		if err := cmd.show(c, report, s.problems, took); err != nil {
			return err
		}
	}
	switch {
	case err != nil:
		return fmt.Errorf("%s: %w", cmd.File, err)
	case report.Rows == 0:
		return fmt.Errorf("%s: there are no rows below the header", cmd.File)
	case report.Unknown+report.Failed > 0:
		return fmt.Errorf("%s: %d of %d rows were not recorded", cmd.File, report.Unknown+report.Failed, report.Rows)
	}
	return nil
}

func (cmd outcomesCommand) show(c *console, r outcomeReport, problems []rowProblem, took time.Duration) error {
	if cmd.JSON {
		return printJSON(c, struct {
			outcomeReport
			Problems []rowProblem `json:"problems"`
		}{r, problems})
	}
	_, err := fmt.Fprintf(c.stdout, "%d rows in %s: %d matched (%d recorded before, %d superseded by later outcomes), %d unknown, %d bad rows\n",
		r.Rows, took, r.Matched, r.Duplicates, r.Superseded, r.Unknown, r.Failed)
	return err
}

// outcomeSending sends one file to the gateway.
type outcomeSending struct {
	rows     *outcomeRows
	bad      *badRows
	problems []rowProblem
	out      io.Writer
	bar      *progress
	report   outcomeReport
}

// refuse notes why the row on a line was not recorded.
func (s *outcomeSending) refuse(line int, text string, errors ...failure.Violation) {
	s.bad.add(line, text)
	if len(errors) == 0 {
		errors = []failure.Violation{{Field: "row", Detail: text}}
	}
	s.problems = appendProblems(s.problems, predict.BadRow{Line: line, Errors: errors})
}

func (s *outcomeSending) run(ctx context.Context, client *client.Client) error {
	list, lines := make([]api.Outcome, 0, outcomesAtOnce), make([]int, 0, outcomesAtOnce)
	for {
		outcome, line, err := s.rows.next()
		end := errors.Is(err, io.EOF)
		var wrong *schema.RowError
		switch {
		case end:
		case errors.As(err, &wrong):
			s.report.Rows++
			s.report.Failed++
			s.refuse(line, "the row "+wrong.Detail, failure.Violation{Field: "row", Detail: wrong.Detail})
			continue
		case err != nil:
			return err
		default:
			list, lines = append(list, outcome), append(lines, line)
		}
		if len(list) == outcomesAtOnce || (end && len(list) > 0) {
			if err := s.send(ctx, client, list, lines); err != nil {
				return fmt.Errorf("the rows from line %d on were not recorded: %w", lines[0], err)
			}
			s.bar.set(s.report.Rows)
			list, lines = list[:0], lines[:0]
		}
		if end {
			return nil
		}
	}
}

// send sends one list, and again until an answer comes.
func (s *outcomeSending) send(ctx context.Context, client *client.Client, list []api.Outcome, lines []int) error {
	client = client.WithIdempotencyKey(failure.NewID())
	var matches []api.Match
	err := askAgain(ctx, s.out, func() (err error) {
		matches, err = client.Outcomes(ctx, list)
		return err
	})
	if err == nil && len(matches) != len(list) {
		err = fmt.Errorf("the gateway answered %d outcomes with %d matches", len(list), len(matches))
	}
	if err != nil {
		return err
	}
	for i, m := range matches {
		s.report.Rows++
		switch {
		case m.Error == nil:
			s.report.Matched++
			s.report.Duplicates += count(m.Duplicate)
			s.report.Superseded += count(m.Superseded)
			continue
		case m.Error.Status == http.StatusNotFound:
			s.report.Unknown++
		default:
			s.report.Failed++
		}
		errors := columnErrors(m.Error)
		if len(errors) == 0 {
			s.refuse(lines[i], cmp.Or(m.Error.Detail, m.Error.Title))
			continue
		}
		s.refuse(lines[i], describe(predict.BadRow{Errors: errors, Omitted: m.Error.ErrorsOmitted}), errors...)
	}
	return nil
}

func count(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// columnErrors returns the errors of one outcome, if any. Their fields are pointers
// into the list that was sent, and are named here as the columns are.
func columnErrors(p *edge.Problem) []failure.Violation {
	errors := slices.Clone(p.Errors)
	for i := range errors {
		errors[i].Field = path.Base(errors[i].Field)
	}
	return errors
}

// askAgain calls ask until an answer comes: while the gateway does not answer or
// cannot handle the call, and for watchPatience at most. If the first call does
// not reach a gateway it returns at once, because the URL may be wrong.
func askAgain(ctx context.Context, out io.Writer, ask func() error) error {
	var away time.Time // when the gateway last stopped answering
	for wait := watchEvery; ; wait = min(2*wait, maxWatchWait) {
		err := ask()
		switch {
		case err == nil:
			return nil
		case away.IsZero() && unreachable(err):
			return err
		case away.IsZero():
			away = time.Now()
			if passing(err) {
				fmt.Fprintf(out, "%v; trying again\n", err)
			}
		}
		if ctx.Err() != nil || !passing(err) || time.Since(away) > watchPatience {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(wait):
		}
	}
}
