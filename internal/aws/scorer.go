package aws

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"gateway/internal/callctx"
	"gateway/internal/failure"
	"gateway/internal/predict"
	"gateway/internal/schema"
)

// Limits of one call of the endpoint, the probe included. The service takes 6
// MiB, a serverless endpoint 4 MB.
const (
	maxCallRows  = 4000
	maxCallBytes = 3_500_000
)

// CallRows and CallBytes, of rows as CSV, are what a call of Scorer.Score may
// have: the probe needs the rest.
const (
	CallRows  = maxCallRows - 1
	CallBytes = maxCallBytes - 100_000
)

// Formats say how a model is spoken to. The zero Formats are those of the
// built-in algorithms: CSV in, and out what the model's algorithm knows.
type Formats struct {
	ContentType, Accept string
}

// Scorer implements predict.Scorer with InvokeEndpoint.
type Scorer struct {
	endpoint *Endpoint
	log      *slog.Logger
}

// NewScorer makes a scorer for an endpoint.
func NewScorer(endpoint *Endpoint, log *slog.Logger) *Scorer {
	return &Scorer{endpoint: endpoint, log: log}
}

// Ready returns an error until a model serves that the gateway can ask.
func (s *Scorer) Ready(context.Context) error {
	v := s.endpoint.view.Load()
	if v == nil {
		return failure.Errorf(failure.Unavailable, "the endpoint has not been looked at yet")
	}
	return v.usable()
}

// Score implements predict.Scorer with one call of the endpoint. Rows that do not
// fit one call are an error of kind Invalid: splitting them is for scoring.Batch.
func (s *Scorer) Score(ctx context.Context, rows []schema.Vector, _ bool) (predict.Scores, error) {
	v, err := s.current(ctx)
	if err != nil {
		return predict.Scores{}, err
	}
	if err := checkSize(rows, maxCallRows, maxCallBytes); err != nil {
		return predict.Scores{}, err
	}
	a, err := s.ask(ctx, v, rows)
	if err != nil {
		return predict.Scores{}, err
	}
	return a.scored(), nil
}

// maxNumberBytes is longer than any number in CSV, its comma included.
const maxNumberBytes = 32

// checkSize returns an error unless one call takes all rows together with a probe.
// Nearly always that is certain without encoding them.
func checkSize(rows []schema.Vector, maxRows, maxBytes int) error {
	if len(rows) == 0 {
		return errors.New("no rows to score")
	}
	width := 0
	for _, row := range rows {
		width = max(width, len(row))
	}
	if len(rows) < maxRows && (len(rows)+1)*width*maxNumberBytes <= maxBytes {
		return nil
	}
	n := fitting(rows, maxRows, maxBytes)
	switch {
	case n == len(rows):
		return nil
	case fitting(rows[n:n+1], maxRows, maxBytes) == 0:
		return failure.Errorf(failure.Invalid, "row %d is larger than the endpoint takes", n+1)
	}
	return failure.Errorf(failure.Invalid, "%d rows are more than the endpoint takes in one call, which is %d of them", len(rows), n)
}

// fitting returns how many of the rows, from the first on, one call takes together
// with a probe; 0 where the first row alone is too large.
func fitting(rows []schema.Vector, maxRows, maxBytes int) int {
	var line []byte
	size, longest := 0, 0
	for i, row := range rows {
		line = schema.AppendCSV(line[:0], row)
		n := len(line) + 1
		longest = max(longest, n)
		// A probe is about as long as a row; twice as long is safe.
		if 2*n > maxBytes || i > 0 && (i+1 >= maxRows || size+n+2*longest > maxBytes) {
			return i
		}
		size += n
	}
	return len(rows)
}

// current returns the endpoint as it is known, where it can be asked. Where it
// cannot, that may be old news.
func (s *Scorer) current(ctx context.Context) (*view, error) {
	v := s.endpoint.view.Load()
	if v != nil && (v.usable() == nil || time.Since(v.at) < lookChanging) {
		return v, v.usable()
	}
	v, err := s.endpoint.look(ctx, time.Now().Add(-lookChanging))
	if err != nil {
		return nil, unseen(err)
	}
	return v, v.usable()
}

// unseen is the error of a prediction whose endpoint cannot be looked at.
func unseen(err error) error {
	if errors.Is(err, context.Canceled) {
		return err
	}
	kind := failure.Unavailable
	if errors.Is(err, context.DeadlineExceeded) {
		kind = failure.Deadline
	}
	return &failure.Error{Kind: kind, Detail: "the serving model is unknown", RetryAfter: waitNotReady, Err: err}
}

// named is an answer with the model that gave it.
type named struct {
	answer
	model *model
}

// scored is the answer with a label for each row.
func (n named) scored() predict.Scores {
	for row := range n.labels {
		n.labels[row] = n.label(row)
	}
	return predict.Scores{Model: n.model.name, Schema: n.model.schema, Score: n.scores, Label: n.labels}
}

// ask scores rows with one call, and finds out which model answered. A call whose
// answer is one to another call is made once more, over another connection, if
// the retry budget allows.
func (s *Scorer) ask(ctx context.Context, v *view, rows []schema.Vector) (named, error) {
	a, err := s.askOnce(ctx, v, rows)
	if errors.Is(err, errForeign) && s.mayRepeat(ctx, err) {
		if v = s.endpoint.view.Load(); v.usable() == nil {
			a, err = s.askOnce(ctx, v, rows)
		}
	}
	return a, err
}

// mayRepeat notes an answer that does not fit its call, and spends a retry.
func (s *Scorer) mayRepeat(ctx context.Context, why error) bool {
	runtime := s.endpoint.api.runtime
	runtime.foreign.note(s.log, s.endpoint.name, why)
	_, err := runtime.budget.GetToken(ctx, 0)
	return err == nil
}

func (s *Scorer) askOnce(ctx context.Context, v *view, rows []schema.Vector) (named, error) {
	if v.probes == nil {
		return s.askSettled(ctx, v, rows)
	}
	probe := s.endpoint.turns.take(v.rotation)
	defer s.endpoint.turns.give(probe)
	a, err := s.endpoint.invoke(ctx, v, rows, probe)
	if err != nil {
		return named{}, err
	}
	score := a.scores[len(rows)]
	a.scores, a.labels = a.scores[:len(rows)], a.labels[:len(rows)]
	if m := identify(v.models, probe, score); m != nil {
		return named{a, m}, nil
	}
	refused := &failure.Error{Kind: failure.Unavailable, RetryAfter: waitNotReady,
		Detail: "the endpoint gave the answer to another call", Err: errForeign}
	if foreign(v.models, v.rotation, probe, score) {
		return named{}, refused
	}
	// No model that is known: a swap has begun since the endpoint was looked
	// at, by another gateway or by hand. The same probe, other models.
	now, err := s.endpoint.look(ctx, time.Now())
	if err != nil {
		return named{}, unseen(err)
	}
	if m := identify(now.models, probe, score); m != nil {
		return named{a, m}, now.usable()
	}
	if err := now.usable(); err != nil {
		return named{}, err
	}
	s.log.Warn("an answer fits no model that the gateway knows", "endpoint", now.endpoint, "serving", now.serving.name, "status", now.status)
	refused.Detail = "the endpoint answered with a model that the gateway does not know"
	return named{}, refused
}

// askSettled scores before there are probes, which is before a second model
// exists. The serving model answers, as long as the endpoint is not being changed.
func (s *Scorer) askSettled(ctx context.Context, v *view, rows []schema.Vector) (named, error) {
	if v.changing() && v.coming != nil {
		return named{}, &failure.Error{Kind: failure.Unavailable, RetryAfter: waitNotReady,
			Detail: "the endpoint is being changed, and the answering model is unknown"}
	}
	a, err := s.endpoint.invoke(ctx, v, rows, noProbe)
	return named{a, v.serving}, err
}

// bodies are buffers of rows.
var bodies = sync.Pool{New: func() any { return new([]byte) }}

// noProbe is the probe of a call without one.
const noProbe = -1

// invoke asks the endpoint about rows, and about a probe after them if there is
// one, once; the client repeats what may be repeated. A connection whose answer
// does not fit its call is closed: the next answer on it would not fit either.
func (e *Endpoint) invoke(ctx context.Context, v *view, rows []schema.Vector, probe int) (answer, error) {
	call := invocation{endpoint: e.name, contentType: e.contentType(), accept: cmp.Or(e.formats.Accept, v.accept()), id: callctx.CallID(ctx)}
	buffer := bodies.Get().(*[]byte)
	*buffer = appendRows((*buffer)[:0], rows)
	due := len(rows)
	if probe != noProbe {
		*buffer = append(append(*buffer, '\n'), v.lines[probe]...)
		call.mark = markOf(v.rotation, probe)
		due++
	}
	call.body = *buffer
	r, err := e.api.runtime.invoke(ctx, &call)
	if cap(*buffer) <= maxRequest {
		bodies.Put(buffer)
	}
	if err != nil {
		return answer{}, scoringError(err)
	}
	a, err := parseAnswer(mediaType(r.contentType), r.body, due)
	if err != nil {
		r.discard()
		return answer{}, &failure.Error{Kind: failure.BadModel, Detail: "the model answered nonsense", Err: err}
	}
	if probe != noProbe && identify(v.models, probe, a.scores[due-1]) == nil {
		r.discard()
	} else {
		r.release()
	}
	return a, nil
}

// mediaType is string, without a new one for what is usual.
func mediaType(text []byte) string {
	switch string(text) {
	case typeJSON:
		return typeJSON
	case typeCSV:
		return typeCSV
	}
	return string(text)
}

func (e *Endpoint) contentType() string { return cmp.Or(e.formats.ContentType, typeCSV) }

// appendRows appends rows of CSV, without a line end after the last.
func appendRows(dst []byte, rows []schema.Vector) []byte {
	for i, row := range rows {
		if i > 0 {
			dst = append(dst, '\n')
		}
		dst = schema.AppendCSV(dst, row)
	}
	return dst
}
