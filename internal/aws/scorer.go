package aws

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"gateway/internal/callctx"
	"gateway/internal/failure"
	"gateway/internal/outage"
	"gateway/internal/predict"
	"gateway/internal/schema"
)

// Limits of one call of the endpoint, the probe included. The service accepts 6 MiB, a
// serverless endpoint 4 MB.
const (
	maxCallRows  = 4000
	maxCallBytes = 3_500_000
)

// CallRows and CallBytes are the limits of a call of Scorer.Score: rows, and bytes of rows as
// CSV. They leave room for the probe.
const (
	CallRows  = maxCallRows - 1
	CallBytes = maxCallBytes - 100_000
)

// Formats are the media types of a model's requests and answers. The zero value is for the
// built-in algorithms: CSV for requests, and for answers what the algorithm supports.
type Formats struct {
	ContentType, Accept string
}

// Scorer implements predict.Scorer with InvokeEndpoint.
type Scorer struct {
	endpoint *Endpoint
	log      *slog.Logger

	unknown   outage.Outage // an unknown model answers
	unknownAt atomic.Int64  // the last time, in Unix nanoseconds
}

// NewScorer makes a scorer for an endpoint.
func NewScorer(endpoint *Endpoint, log *slog.Logger) *Scorer {
	return &Scorer{endpoint: endpoint, log: log}
}

// Ready returns an error unless a model serves that can score rows of the schema.
func (s *Scorer) Ready(context.Context) error {
	v := s.endpoint.view.Load()
	if v == nil {
		return failure.Errorf(failure.Unavailable, "the state of the endpoint is not known yet")
	}
	return v.usable()
}

// Score implements predict.Scorer with one call of the endpoint. If the rows exceed the
// limits of a call, the error is of kind Invalid; scoring.Batch splits rows before. With
// explain it adds contributions by the artifact of the model that answered.
func (s *Scorer) Score(ctx context.Context, rows []schema.Vector, explain bool) (predict.Scores, error) {
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
	out := a.scored()
	if explain {
		s.explain(&out, rows)
	}
	return out, nil
}

// maxNumberBytes is the maximum length of a number in CSV with its comma.
const maxNumberBytes = 32

// checkSize returns an error unless all rows and a probe fit into one call. In nearly all
// cases it need not encode the rows.
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
		return failure.Errorf(failure.Invalid, "row %d is larger than a call of the endpoint may be", n+1)
	}
	return failure.Errorf(failure.Invalid, "%d rows do not fit into one call of the endpoint; the first %d would", len(rows), n)
}

// fitting returns how many of the first rows fit into one call together with a probe. It
// returns 0 if the first row is too large.
func fitting(rows []schema.Vector, maxRows, maxBytes int) int {
	var line []byte
	size, longest := 0, 0
	for i, row := range rows {
		line = schema.AppendCSV(line[:0], row)
		n := len(line) + 1
		longest = max(longest, n)
		// A probe is about as long as a row. This reserves twice the longest row.
		if 2*n > maxBytes || i > 0 && (i+1 >= maxRows || size+n+2*longest > maxBytes) {
			return i
		}
		size += n
	}
	return len(rows)
}

// current returns the cached state of the endpoint if the endpoint is usable. Else it
// describes the endpoint first, at most once in lookChanging.
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

// unseen is the error of a prediction if the endpoint cannot be described.
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

// named is an answer with the model that made it.
type named struct {
	answer
	model *model
}

// scored returns the scores with a label for each row.
func (n named) scored() predict.Scores {
	for row := range n.labels {
		n.labels[row] = n.label(row)
	}
	return predict.Scores{Model: n.model.name, Schema: n.model.schema, Score: n.scores, Label: n.labels}
}

// ask scores rows with one call and identifies the model that answered. If the call got the
// answer of another call, ask makes it once more, over another connection, if the retry
// budget allows.
func (s *Scorer) ask(ctx context.Context, v *view, rows []schema.Vector) (named, error) {
	a, err := s.askOnce(ctx, v, rows)
	if errors.Is(err, errForeign) && s.mayRepeat(ctx, err) {
		if v = s.endpoint.view.Load(); v.usable() == nil {
			a, err = s.askOnce(ctx, v, rows)
		}
	}
	return a, err
}

// mayRepeat counts an answer that belongs to another call. It reports whether the retry
// budget allows another call, and pays for it.
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
		return s.known(a, m), nil
	}
	refused := &failure.Error{Kind: failure.Unavailable, RetryAfter: waitNotReady,
		Detail: "the endpoint sent the answer of another call", Err: errForeign}
	if foreign(v.models, v.rotation, probe, score) {
		return named{}, refused
	}
	// The score matches no cached model. Another gateway or an operator may have started
	// to deploy a model since the endpoint was described. Compare with the models of now.
	now, err := s.endpoint.look(ctx, time.Now())
	if err != nil {
		return named{}, unseen(err)
	}
	if m := identify(now.models, probe, score); m != nil {
		return s.known(a, m), now.usable()
	}
	if err := now.usable(); err != nil {
		return named{}, err
	}
	refused.Detail = "an unknown model answered"
	s.unknownAt.Store(time.Now().UnixNano())
	s.unknown.Failed(s.log.Warn, refused, "the score of a probe matches no known model; predictions that such a model answers are refused",
		"endpoint", now.endpoint, "serving", now.serving.name, "status", now.status)
	return named{}, refused
}

// unknownCalm is how long known models alone must have answered before an unknown model
// counts as gone. While the endpoint is being changed, both answer in turns.
const unknownCalm = time.Minute

// known returns an answer with the model that gave it.
func (s *Scorer) known(a answer, m *model) named {
	if s.unknown.Lasts() && time.Since(time.Unix(0, s.unknownAt.Load())) > unknownCalm {
		s.unknown.Succeeded(s.log.Info, "no unknown model answers any more", "endpoint", s.endpoint.name, "model", m.name)
	}
	return named{a, m}
}

// askSettled scores rows without a probe, when the schema has no probes yet. There is only
// one model then, the serving one, unless the endpoint is being changed.
func (s *Scorer) askSettled(ctx context.Context, v *view, rows []schema.Vector) (named, error) {
	if v.changing() && v.coming != nil {
		return named{}, &failure.Error{Kind: failure.Unavailable, RetryAfter: waitNotReady,
			Detail: "the endpoint is being changed, and the model that would answer is unknown"}
	}
	a, err := s.endpoint.invoke(ctx, v, rows, noProbe)
	return named{a, v.serving}, err
}

// bodies is a pool of buffers for rows.
var bodies = sync.Pool{New: func() any { return new([]byte) }}

// noProbe is the probe of a call without one.
const noProbe = -1

// invoke makes one call with the rows, followed by a probe unless that is noProbe. The
// client retries it. If the answer does not match the call, invoke closes the connection,
// because further answers on it would not match either.
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
		return answer{}, &failure.Error{Kind: failure.BadModel, Detail: "the answer of the model is not valid", Err: err}
	}
	if probe != noProbe && identify(v.models, probe, a.scores[due-1]) == nil {
		r.discard()
	} else {
		r.release()
	}
	return a, nil
}

// mediaType converts text to a string. It allocates none for the usual types.
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

// appendRows appends rows as CSV, separated by line ends.
func appendRows(dst []byte, rows []schema.Vector) []byte {
	for i, row := range rows {
		if i > 0 {
			dst = append(dst, '\n')
		}
		dst = schema.AppendCSV(dst, row)
	}
	return dst
}
