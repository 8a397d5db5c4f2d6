package predict

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"gateway/internal/callctx"
	"gateway/internal/failure"
	"gateway/internal/outage"
	"gateway/internal/schema"
)

// Service answers predictions and records outcomes. It is safe for concurrent
// use.
type Service struct {
	schema    *schema.Schema
	scorer    Scorer
	customers Customers
	ledger    Ledger
	log       *slog.Logger
	metrics   *metrics
	feature   []int // encoded column → index into schema.Features
	personal  *PersonalHash
	binner    Binner        // nil: predictions are recorded without bins
	scratch   sync.Pool     // of *scratch
	recording outage.Outage // of the ledger
	now       func() time.Time

	boundRecording bool // records of one prediction end at the request's deadline, too
}

// NewService returns a Service. It registers its metrics with reg.
func NewService(schema *schema.Schema, scorer Scorer, customers Customers, ledger Ledger, log *slog.Logger, reg prometheus.Registerer) *Service {
	s := &Service{schema: schema, scorer: scorer, customers: customers, ledger: ledger, log: log, metrics: newMetrics(reg),
		feature: schema.ColumnFeatures(), now: time.Now}
	s.scratch.New = func() any { return new(scratch) }
	return s
}

// HashPersonal makes the service record hashes of the personal features. It must
// be called before the first prediction. Without it personal features are not
// recorded.
func (s *Service) HashPersonal(h *PersonalHash) { s.personal = h }

// CountBy makes the service record the bins of each prediction. It must be called
// before the first prediction.
func (s *Service) CountBy(b Binner) { s.binner = b }

// UseClock makes the service take the times of predictions and outcomes from a clock
// instead of time.Now. It must be called before the first prediction.
func (s *Service) UseClock(now func() time.Time) { s.now = now }

// BoundRecording makes the recording of a prediction end at the deadline of its request. It
// is for a ledger that waits for others, and must be called before the first prediction.
func (s *Service) BoundRecording() { s.boundRecording = true }

// Schema returns the schema that requests are validated against.
func (s *Service) Schema() *schema.Schema { return s.schema }

// Predict answers one request. It may change the request's record, and does not
// keep it.
func (s *Service) Predict(ctx context.Context, req Request) (Prediction, error) {
	w := s.scratch.Get().(*scratch)
	defer s.giveBack(w)
	w.req[0], w.result[0] = req, Result{}
	s.predict(ctx, w, w.req[:], w.result[:])
	return w.result[0].Prediction, w.result[0].Err
}

// Try is Predict for a prediction that is not recorded: to explain a recorded one again, or
// to see what another value would change.
func (s *Service) Try(ctx context.Context, req Request) (Prediction, error) {
	w := s.scratch.Get().(*scratch)
	defer s.giveBack(w)
	w.req[0], w.result[0], w.unrecorded = req, Result{}, true
	s.predict(ctx, w, w.req[:], w.result[:])
	return w.result[0].Prediction, w.result[0].Err
}

// PredictBatch answers many requests, each with its own result, in order. It may
// change the requests' records, and does not keep them.
func (s *Service) PredictBatch(ctx context.Context, reqs []Request) []Result {
	w := s.scratch.Get().(*scratch)
	defer s.giveBack(w)
	results := make([]Result, len(reqs))
	s.predict(ctx, w, reqs, results)
	return results
}

// scratch is the memory of one call of predict. It is reused, so no result may
// refer to it.
type scratch struct {
	req         [1]Request
	result      [1]Result
	rows        []schema.Vector
	at          []int     // rows[k] belongs to request at[k]
	numbers     []float64 // backing array of rows
	predictions []Prediction
	unrecorded  bool   // the predictions do not go to the ledger
	text        []byte // backing array of the predictions' features and bins
}

// keepRows is the number of rows up to which scratch memory is reused.
const keepRows = 256

func (s *Service) giveBack(w *scratch) {
	if cap(w.at) > keepRows {
		return
	}
	w.req[0], w.result[0] = Request{}, Result{}
	w.unrecorded = false
	clear(w.rows)
	clear(w.predictions)
	w.rows, w.at, w.numbers, w.predictions, w.text = w.rows[:0], w.at[:0], w.numbers[:0], w.predictions[:0], w.text[:0]
	s.scratch.Put(w)
}

// predict fills results, which has the length of reqs.
func (s *Service) predict(ctx context.Context, w *scratch, reqs []Request, results []Result) {
	start := s.now()
	s.addStored(ctx, reqs, results)
	explain := false
	for i := range reqs {
		if results[i].Err != nil {
			continue
		}
		if missing := s.schema.Complete(reqs[i].Features, "/features/"); len(missing) > 0 {
			results[i].Err = s.Violated(failure.Violations{Listed: missing})
			continue
		}
		reqs[i].Features.Mapped(func(f int) { s.metrics.mapped.WithLabelValues(s.schema.Features[f].Name).Inc() })
		explain = explain || reqs[i].Explain != schema.ExplainNone
		from := len(w.numbers)
		w.numbers = s.schema.AppendVector(w.numbers, reqs[i].Features)
		w.rows = append(w.rows, w.numbers[from:len(w.numbers):len(w.numbers)])
		w.at = append(w.at, i)
	}
	if len(w.rows) == 0 {
		return
	}
	prepared := s.now()
	s.metrics.prepare.Observe(prepared.Sub(start).Seconds())
	if len(w.at) == 1 { // The call is for one prediction and has its id.
		one := &reqs[w.at[0]]
		if one.ID == "" {
			one.ID = failure.NewID()
		}
		ctx = callctx.WithCallID(ctx, one.ID)
	}
	scores, answered, err := s.ask(ctx, w.rows, explain, prepared)
	if err != nil {
		for _, i := range w.at {
			results[i].Err = err
		}
		return
	}
	s.fill(ctx, w, reqs, results, scores, start, answered)
	if !w.unrecorded {
		s.record(ctx, w, results, answered)
	}
}

// Score scores encoded rows and checks the answer: as many scores as rows, all of
// them finite. It returns all scores or an error.
func (s *Service) Score(ctx context.Context, rows []schema.Vector, explain bool) (Scores, error) {
	scores, _, err := s.ask(ctx, rows, explain, s.now())
	if err == nil {
		err = scores.Err()
	}
	if err != nil {
		return Scores{}, err
	}
	return scores, nil
}

// ask is like Score, but the error of one row does not fail the others. now is
// the start of the call. ask also returns its end, because reading the clock
// takes as long as preparing a feature.
func (s *Service) ask(ctx context.Context, rows []schema.Vector, explain bool, now time.Time) (scores Scores, answered time.Time, err error) {
	scores, err = s.scorer.Score(ctx, rows, explain)
	if err == nil {
		err = s.checkScores(scores, len(rows))
	}
	answered = s.now()
	if err != nil {
		s.metrics.scorer.WithLabelValues(resultOf(err)).Observe(answered.Sub(now).Seconds())
		return Scores{}, answered, err
	}
	s.metrics.scored.Observe(answered.Sub(now).Seconds())
	scores.Label = s.schema.Decide(scores.Score, scores.Label)
	return scores, answered, nil
}

func (s *Service) checkScores(scores Scores, rows int) error {
	if len(scores.Score) != rows || len(scores.Label) != rows || (scores.Errors != nil && len(scores.Errors) != rows) {
		return failure.Errorf(failure.BadModel, "the model returned %d scores for %d rows", rows, len(scores.Score))
	}
	for _, x := range scores.Score {
		if math.IsNaN(x) || math.IsInf(x, 0) {
			return failure.Errorf(failure.BadModel, "the model returned a score that is not a number")
		}
	}
	if scores.Contributions == nil {
		return nil
	}
	if math.IsNaN(scores.Base) || math.IsInf(scores.Base, 0) {
		return failure.Errorf(failure.BadModel, "the base of the model's contributions is not a number")
	}
	if len(scores.Contributions) != rows {
		return failure.Errorf(failure.BadModel, "the model explained %d of %d rows", len(scores.Contributions), rows)
	}
	for i, row := range scores.Contributions {
		if scores.ErrorOf(i) != nil {
			continue
		}
		if row == nil {
			continue // not known
		}
		if len(row) != s.schema.Width() {
			return failure.Errorf(failure.BadModel, "the model explained %d columns, there are %d", len(row), s.schema.Width())
		}
		for _, x := range row {
			if math.IsNaN(x) || math.IsInf(x, 0) {
				return failure.Errorf(failure.BadModel, "the model returned a contribution that is not a number")
			}
		}
	}
	return nil
}

// addStored merges each request with the stored features of its customer.
func (s *Service) addStored(ctx context.Context, reqs []Request, results []Result) {
	var ids []string
	for i := range reqs {
		if reqs[i].Features.IsZero() {
			reqs[i].Features = s.schema.NewRecord()
		}
		if reqs[i].CustomerID == "" && reqs[i].Features.IsEmpty() {
			results[i].Err = s.Violated(failure.Violations{Listed: []failure.Violation{{Field: "features", Code: failure.CodeMissing, Detail: "give features, a customer_id, or both"}}})
		}
		if s.needsStored(&reqs[i]) {
			ids = append(ids, reqs[i].CustomerID)
		}
	}
	if len(ids) == 0 {
		return
	}
	stored, err := s.customers.Features(ctx, ids)
	for i := range reqs {
		if results[i].Err != nil || !s.needsStored(&reqs[i]) {
			continue
		}
		text, found := stored[reqs[i].CustomerID]
		switch {
		case err != nil && (reqs[i].Features.IsEmpty() || s.schema.LacksRequired(reqs[i].Features)):
			results[i].Err = &failure.Error{Kind: failure.Unavailable, Detail: "the customer store does not answer", Err: err}
		case err != nil:
			// The request has all features that are required.
		case found:
			base, err := s.decodeStored(text)
			if err != nil {
				results[i].Err = fmt.Errorf("stored features of a customer: %w", err)
				continue
			}
			reqs[i].Features = reqs[i].Features.Over(base)
		case reqs[i].Features.IsEmpty():
			results[i].Err = failure.Errorf(failure.NotFound, "no customer has this customer_id")
		}
	}
}

// needsStored reports whether the customer store can add to the request.
func (s *Service) needsStored(req *Request) bool {
	return req.CustomerID != "" && s.schema.Incomplete(req.Features)
}

// decodeStored reads the features of a stored customer. A value that the schema
// does not allow counts as absent, because other programs may write to the store
// and schemas change. Its feature takes the default or, without one, is reported
// as missing. A default hides the fault, so each such value is counted.
func (s *Service) decodeStored(text []byte) (schema.Record, error) {
	return s.schema.DecodeStored(text, func(feature int, code string) {
		s.metrics.stored.WithLabelValues(s.schema.Features[feature].Name, code).Inc()
	})
}

// fill makes predictions of scores, for the ledger in w and for the caller in
// results. Afterwards w.at has only those requests that have one.
func (s *Service) fill(ctx context.Context, w *scratch, reqs []Request, results []Result, scores Scores, start, answered time.Time) {
	now, latency, caller := answered.UTC(), answered.Sub(start), callctx.Caller(ctx)
	filled := w.at[:0]
	for k, i := range w.at {
		if err := scores.ErrorOf(k); err != nil {
			results[i].Err = err
			continue
		}
		filled = append(filled, i)
		p := &results[i].Prediction
		*p = Prediction{
			ID: reqs[i].ID, CustomerID: reqs[i].CustomerID, CreatedAt: now, Caller: caller,
			Score: scores.Score[k], Label: scores.Label[k],
			Model: scores.Model, Schema: scores.Schema, Latency: latency,
		}
		if p.ID == "" {
			p.ID = failure.NewID()
		}
		w.predictions = append(w.predictions, *p)
		s.explain(p, reqs[i].Explain, scores, k)
		row := &w.predictions[len(w.predictions)-1]
		from := len(w.text)
		w.text = s.schema.AppendFeatures(w.text, reqs[i].Features, false)
		row.Features = w.text[from:len(w.text):len(w.text)]
		if s.binner != nil {
			from = len(w.text)
			w.text = s.binner.AppendBins(w.text, scores.Model, reqs[i].Features)
			row.Bins = w.text[from:len(w.text):len(w.text)]
		}
		if s.personal != nil {
			row.Personal = s.personal.append(nil, s.schema, reqs[i].Features)
		}
	}
	w.at = filled
}

// record writes the predictions to the ledger before they are answered. A
// ledger that fails costs no caller the answer, unless it says that it must: it
// is counted, and logged when it begins and when it ends. Its time counts from
// the answer of the model, so that what the ledger is given is part of it.
func (s *Service) record(ctx context.Context, w *scratch, results []Result, answered time.Time) {
	// What was scored is recorded even if the caller has disconnected.
	deadline, bounded := ctx.Deadline()
	ctx = context.WithoutCancel(ctx)
	if bounded && (len(w.at) > 1 || s.boundRecording) { // the ledger may make many rows wait
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, deadline)
		defer cancel()
	}
	err := s.ledger.Append(ctx, w.predictions)
	s.metrics.record.Observe(s.now().Sub(answered).Seconds())
	if err == nil {
		s.recording.Succeeded(s.log.Info, "predictions are recorded in the ledger again")
		return
	}
	if e := (*failure.Error)(nil); errors.As(err, &e) && e.Kind == failure.Unavailable {
		for _, i := range w.at {
			results[i] = Result{Err: err}
		}
		return
	}
	s.metrics.ledgerFailures.Add(float64(len(w.at)))
	s.recording.Failed(s.log.Error, err, "cannot record predictions in the ledger; they are answered without being recorded", "rows", len(w.at))
}

// RecordOutcomes records outcomes. Matches are in the order of the outcomes; one
// that matches nothing is no error.
func (s *Service) RecordOutcomes(ctx context.Context, outcomes []Outcome) ([]Match, error) {
	now, caller := s.now().UTC(), callctx.Caller(ctx)
	for i := range outcomes {
		outcomes[i].Caller = caller
		if outcomes[i].ObservedAt.IsZero() {
			outcomes[i].ObservedAt = now
		}
	}
	matches, err := s.ledger.RecordOutcomes(ctx, outcomes)
	if err != nil {
		return nil, &failure.Error{Kind: failure.Unavailable, Detail: "the outcomes could not be stored", RetryAfter: time.Second, Err: err}
	}
	for _, m := range matches {
		switch {
		case !m.Found:
			s.metrics.outcomes.WithLabelValues("unmatched").Inc()
		case m.Duplicate:
			s.metrics.outcomes.WithLabelValues("duplicate").Inc()
		default:
			s.metrics.outcomes.WithLabelValues("recorded").Inc()
		}
	}
	return matches, nil
}

// Violated counts violations by feature and returns the error that lists them.
func (s *Service) Violated(violations failure.Violations) *failure.Error {
	for _, v := range violations.Listed {
		name := "other"
		if i := s.schema.Feature(failure.LastName(v.Field)); i >= 0 {
			name = s.schema.Features[i].Name
		}
		s.metrics.violations.WithLabelValues(name, v.Code).Inc()
	}
	if violations.Omitted > 0 {
		s.metrics.violations.WithLabelValues("other", "omitted").Add(float64(violations.Omitted))
	}
	noun, count := "fields", violations.Count()
	if count == 1 {
		noun = "field"
	}
	return &failure.Error{Kind: failure.Invalid, Detail: strconv.Itoa(count) + " " + noun + " of the request broke the schema",
		Violations: violations.Listed, Omitted: violations.Omitted}
}

// resultOf names the result of a failed call.
func resultOf(err error) string {
	var e *failure.Error
	switch {
	case errors.Is(err, context.Canceled):
		return "cancelled"
	case errors.Is(err, context.DeadlineExceeded):
		return "deadline"
	case errors.As(err, &e) && e.Kind == failure.Deadline:
		return "deadline"
	case errors.As(err, &e) && e.Kind == failure.Unavailable:
		return "unavailable"
	}
	return "failed"
}
