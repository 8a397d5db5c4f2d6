package api

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"gateway/api/edge"
	"gateway/internal/admission"
	"gateway/internal/failure"
	"gateway/internal/predict"
	"gateway/internal/schema"
)

const (
	// chunkRows is the maximum number of rows of a stream that are scored in one call.
	chunkRows = 256
	// chunkFaults is the number of violations at which a chunk ends early: their text is in
	// memory until the chunk is answered.
	chunkFaults = 1000
)

var newline = []byte("\n")

// predictStream answers CSV or NDJSON row by row. The response has a line for each row, in
// order, with its prediction or its error. One chunk of rows is in memory at a time. If the
// rest cannot be read or scored, the last line is {"error": problem, "end": true}, and the
// trailer X-Stream-End is "failed".
func (a *api) predictStream(w http.ResponseWriter, r *http.Request, given string) error {
	if err := edge.PlainEncoding(r); err != nil {
		return err
	}
	// The header does not bound a stream, but a wrong one is refused as elsewhere.
	if _, err := edge.Timeout(r, a.o.PredictTimeout); err != nil {
		return err
	}
	q := edge.Of(r.Context())
	caller := a.edge.ChargedTo(r)
	turns, err := a.edge.Limit().Open(q.Call.Caller, caller)
	if err != nil {
		w.Header().Set("Connection", "close")
		if errors.Is(err, admission.ErrShare) {
			return edge.TooMany(err, "streams")
		}
		return err
	}
	defer turns.Close()
	if err := a.edge.Hold(r, streamCost+chunkRows*a.rowCost); err != nil {
		w.Header().Set("Connection", "close")
		return err
	}
	s := a.newStream(w, r, caller)
	defer s.cancel()
	table, err := a.table(given, s, a.o.MaxRow, schema.NewCSVTable)
	if err != nil {
		s.discard()
		return err
	}
	prefix := "/features/" // as an NDJSON line nests them
	if given == csvType {
		prefix = ""
	}
	// A body that breaks off cancels the request's context. The rows before are answered all
	// the same, so they have a context of their own. A failed write shows that the caller has
	// left.
	ctx := context.WithoutCancel(r.Context())
	var (
		lines   []byte
		results = make([]predict.Result, 0, chunkRows)
		reqs    = make([]predict.Request, 0, chunkRows)
		numbers = make([]int, 0, chunkRows) // of the rows' lines
	)
	for {
		var stop error
		reqs, results, numbers = reqs[:0], results[:0], numbers[:0]
		for faults := 0; len(reqs) < chunkRows && faults < chunkFaults && stop == nil; {
			var row schema.Row
			if row, stop = table.Next(); stop == nil {
				faults += len(row.Violations.Listed)
				req, result := a.rowRequest(row, prefix)
				reqs, results, numbers = append(reqs, req), append(results, result), append(numbers, row.Line)
			}
		}
		if err := a.answerChunk(ctx, turns, reqs, results); err != nil {
			return a.endStream(r, s, &lineError{line: numbers[0], rest: true, err: err})
		}
		lines = lines[:0]
		for i := range results {
			if err := results[i].Err; err != nil && !callersFault(err) {
				stop = &lineError{line: numbers[i], rest: true, err: err}
				break
			}
			q.Rows++
			if !s.begun {
				unexplained(w, &results[i].Prediction)
			}
			lines = append(a.appendRow(lines, ctx, results[i], numbers[i]), '\n')
			if results[i].Err == nil {
				q.Model = results[i].Prediction.Model
			}
		}
		if n, err := s.Write(lines); errors.Is(err, errNotRead) {
			stop = &lineError{line: numbers[bytes.Count(lines[:n], newline)], rest: true, err: err}
		} else if err != nil {
			return a.broken(r, s, err)
		}
		if stop != nil {
			return a.endStream(r, s, stop)
		}
	}
}

// answerChunk scores a chunk of rows when the stream gets a turn. It waits for up to
// StreamIdle, because a stream that ends early must be sent again. A call of the model has
// a deadline of its own.
func (a *api) answerChunk(ctx context.Context, turns *admission.OpenStream, reqs []predict.Request, results []predict.Result) error {
	if len(reqs) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, a.o.StreamIdle)
	defer cancel()
	if err := turns.Begin(ctx); err != nil {
		return err
	}
	defer turns.Done()
	a.answer(ctx, reqs, results)
	return nil
}

// table returns the reader of the rows of a stream, of maxRow bytes at most; ofCSV is the
// one for CSV.
func (a *api) table(given string, body io.Reader, maxRow int, ofCSV func(*schema.Schema, io.Reader, int) (schema.Table, error)) (schema.Table, error) {
	if given == csvType {
		return ofCSV(a.d.Predict.Schema(), body, maxRow)
	}
	return schema.NewNDJSONTable(a.d.Predict.Schema(), body, maxRow), nil
}

// rowRequest returns the request of a row, and a result with an error if the row breaks the
// schema. A row with a customer's id may lack features: the store may have them.
func (a *api) rowRequest(row schema.Row, prefix string) (predict.Request, predict.Result) {
	violations := row.Violations
	if row.CustomerID == "" && !row.Features.IsEmpty() {
		a.d.Predict.Schema().AddMissing(&violations, row.Features, prefix)
	}
	req := predict.Request{CustomerID: row.CustomerID, Features: row.Features, Explain: row.Explain}
	if violations.Count() > 0 {
		return req, predict.Result{Err: a.d.Predict.Violated(violations)}
	}
	return req, predict.Result{}
}

// appendRow appends the response to a row. An error names the line of the row.
func (a *api) appendRow(dst []byte, ctx context.Context, result predict.Result, line int) []byte {
	if result.Err == nil {
		return appendPrediction(dst, &result.Prediction)
	}
	room := failure.MaxViolations
	return appendItemError(dst, ctx, &lineError{line: line, err: result.Err}, &room)
}

// endStream sends the last line if the stream ended early, and waits until everything has
// been sent.
func (a *api) endStream(r *http.Request, s *stream, stop error) error {
	if errors.Is(stop, io.EOF) {
		return a.broken(r, s, s.end(Complete))
	}
	if !s.begun {
		s.discard()
		return stop // nothing has been sent, so the error becomes a problem
	}
	p := edge.ProblemOf(r.Context(), stop)
	edge.Of(r.Context()).Failed(p, stop)
	line := p.Append([]byte(`{"error":`))
	if err := s.last(append(line, `,"end":true}`+"\n"...)); err != nil {
		return a.broken(r, s, err)
	}
	return a.broken(r, s, s.end(failed))
}

// broken handles an error of sending the response. It closes the connection, which tells
// the caller that the response is incomplete.
func (a *api) broken(r *http.Request, s *stream, err error) error {
	if err == nil {
		return nil
	}
	s.cancel()
	err = &edge.Refusal{Reason: edge.CallerGone, Detail: "the answer could not be delivered", Err: err}
	edge.Of(r.Context()).Failed(edge.ProblemOf(r.Context(), err), err)
	panic(http.ErrAbortHandler)
}

// lineError is an error at a line of a stream.
type lineError struct {
	line int
	rest bool // the lines after it were not answered either
	err  error
}

// Place begins the detail of the problem.
func (e *lineError) Place() string {
	if e.rest {
		return fmt.Sprintf("line %d and those after it were not answered: ", e.line)
	}
	return fmt.Sprintf("line %d: ", e.line)
}

func (e *lineError) Error() string { return e.Place() + e.err.Error() }
func (e *lineError) Unwrap() error { return e.err }
