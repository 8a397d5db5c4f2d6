package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"gateway/api/edge"
	"gateway/internal/failure"
	"gateway/internal/predict"
	"gateway/internal/schema"

	"github.com/go-json-experiment/json"
)

// ImportLine is a line of the response to POST /admin/customers. A bad row has Line and
// Errors. The last line has the counts, and the Error if the import stopped early; rows
// stored before that stay.
type ImportLine struct {
	Line   int                 `json:"line,omitzero"`
	Errors []failure.Violation `json:"errors,omitzero"`
	// Omitted is the number of errors that are not in Errors.
	Omitted int `json:"errors_omitted,omitzero"`
	*predict.ImportReport
	Error *edge.Problem `json:"error,omitzero"`
}

// customers imports a table. Bad rows are reported as soon as they are found. They wait in
// the spill buffer, because most clients read only after they have sent everything.
func (a *api) customers(w http.ResponseWriter, r *http.Request) error {
	given, err := edge.MediaType(r, csvType, ndjsonType)
	if err != nil {
		return err
	}
	if err := edge.PlainEncoding(r); err != nil {
		return err
	}
	strict, err := queryBool(r, "strict")
	if err != nil {
		return err
	}
	unique, err := queryBool(r, "unique_ids")
	if err != nil {
		return err
	}
	numbering, err := queryNumbering(r)
	if err != nil {
		return err
	}
	caller := a.edge.ChargedTo(r)
	if err := a.imports.Take(caller, 1); err != nil {
		w.Header().Set("Connection", "close")
		return edge.TooMany(err, "imports")
	}
	defer a.imports.Give(caller, 1)
	s := a.newStream(w, r, caller)
	defer s.cancel()
	table, err := a.table(given, s, schema.MaxRow, schema.NewCSVImport)
	if err != nil {
		s.discard()
		return err
	}
	// A body that breaks off cancels the request's context. The rows before are stored all
	// the same, so the import has a context of its own. A failed write of a line ends it.
	ctx, stop := context.WithCancelCause(context.WithoutCancel(r.Context()))
	defer stop(nil)
	report, err := a.d.Importer.Import(ctx, table, predict.ImportOptions{
		Strict: strict, UniqueIDs: unique, Numbering: numbering,
		BadRow: func(bad predict.BadRow) {
			if strict {
				return // the row is reported by the error that ends the import
			}
			if err := s.line(ImportLine{Line: bad.Line, Errors: bad.Errors, Omitted: bad.Omitted}); err != nil {
				stop(err)
			}
		},
	})
	edge.Of(r.Context()).Rows = int(report.Rows)
	switch cause := context.Cause(ctx); {
	case errors.Is(cause, errNotRead):
		err = cause
	case cause != nil:
		return a.broken(r, s, cause)
	}
	if err != nil && !s.begun {
		s.discard()
		return stoppedAfter(report, err)
	}
	last := ImportLine{ImportReport: &report}
	state := Complete
	if err != nil {
		state, last.Error = failed, edge.ProblemOf(r.Context(), err)
		edge.Of(r.Context()).Failed(last.Error, err)
	}
	text, err := lineOf(last)
	if err == nil {
		err = s.last(text)
	}
	if err != nil {
		return a.broken(r, s, err)
	}
	return a.broken(r, s, s.end(state))
}

// queryNumbering returns the numbering of rows without an id; empty if the parameter is
// missing.
func queryNumbering(r *http.Request) (predict.Numbering, error) {
	text, given, err := queryText(r, "numbering")
	switch {
	case err != nil || !given:
		return "", err
	case slices.Contains(predict.Numberings, predict.Numbering(text)):
		return predict.Numbering(text), nil
	}
	return "", invalidQuery("numbering", "must be replace, refuse or continue")
}

// stoppedAfter adds to an error how many rows the import stored before it.
func stoppedAfter(report predict.ImportReport, err error) error {
	var e *failure.Error
	if report.Imported == 0 || !errors.As(err, &e) {
		return err
	}
	told := *e
	told.Detail = fmt.Sprintf("%s (%d rows were imported before it)", e.Detail, report.Imported)
	told.Err = err
	return &told
}

// line queues a value as a line of JSON.
func (s *stream) line(value any) error {
	text, err := lineOf(value)
	if err != nil {
		return err
	}
	_, err = s.Write(text)
	return err
}

func lineOf(value any) ([]byte, error) {
	text, err := json.Marshal(value, json.Deterministic(true))
	return append(text, '\n'), err
}
