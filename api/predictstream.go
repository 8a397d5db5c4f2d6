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
	// chunkRows is how many rows of a stream are scored in one call.
	chunkRows = 256
	// chunkFaults is how many violations of rows end a chunk early, because their
	// text is held until the chunk is answered.
	chunkFaults = 1000
)

var newline = []byte("\n")

// predictStream answers CSV or NDJSON row by row: a line for each row, in
// order, that holds its prediction or its error. Memory is that of one chunk,
// whatever the size, and a turn to score it is taken when it has come. Where the
// rest cannot be read or scored, the last line is {"error": problem, "end": true},
// and the trailer X-Stream-End is "failed".
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
	table, err := a.table(given, s)
	if err != nil {
		s.discard()
		return err
	}
	prefix := "/features/" // as an NDJSON line nests them
	if given == csvType {
		prefix = ""
	}
	// A body that breaks off cancels the request, yet what came before it is
	// answered. Who has gone is noticed by writing.
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

// answerChunk scores a chunk of rows when the stream has its turn. A stream is in
// no hurry: rather than end on the way, its rows wait until those of others have
// gone. A call of the model has its own deadline.
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

// table reads the rows of a stream.
func (a *api) table(given string, body io.Reader) (schema.Table, error) {
	if given == csvType {
		return schema.NewCSVTable(a.d.Predict.Schema(), body, a.o.MaxRow)
	}
	return schema.NewNDJSONTable(a.d.Predict.Schema(), body, a.o.MaxRow), nil
}

// rowRequest makes a request of a row, and the result where its faults are
// known already. A row that names its customer may be completed by the store.
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

// appendRow writes the answer to a row. An error names the row's line.
func (a *api) appendRow(dst []byte, ctx context.Context, result predict.Result, line int) []byte {
	if result.Err == nil {
		return appendPrediction(dst, &result.Prediction)
	}
	room := failure.MaxViolations // a row's own
	return appendItemError(dst, ctx, &lineError{line: line, err: result.Err}, &room)
}

// endStream sends the last line, where there is something to say, and waits
// until the caller has all.
func (a *api) endStream(r *http.Request, s *stream, stop error) error {
	if errors.Is(stop, io.EOF) {
		return a.broken(r, s, s.end(Complete))
	}
	if !s.begun {
		s.discard()
		return stop // nothing is out yet, so this can be a problem of its own
	}
	p := edge.ProblemOf(r.Context(), stop)
	edge.Of(r.Context()).Failed(p, stop)
	line := p.Append([]byte(`{"error":`))
	if err := s.last(append(line, `,"end":true}`+"\n"...)); err != nil {
		return a.broken(r, s, err)
	}
	return a.broken(r, s, s.end(failed))
}

// broken notes that the answer could not be delivered. The connection is
// closed, for the caller must not take what it has for the whole.
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
