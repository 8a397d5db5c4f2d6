package insights

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"gateway/internal/failure"
	"gateway/internal/insights/stats"
	"gateway/internal/schema"
)

// Models returns the models of the line.
type Models interface {
	// InsightModels returns all models, newest first, with the one that serves marked.
	InsightModels(ctx context.Context) ([]Model, error)
}

// Model is what insights need of the record of a model.
type Model struct {
	Name    string
	Serving bool
	// AUC and LogLoss are those on its held-out rows; nil: it was not evaluated.
	AUC, LogLoss *float64
}

// Options are the settings of Reports.
type Options struct {
	// Maturity is the age from which a prediction counts; negative: it is learned.
	Maturity time.Duration
	// Default is the label that a mature prediction without an outcome counts as; nil: it
	// is left out.
	Default *int
}

// Reports answers questions from sums. It is safe for concurrent use.
type Reports struct {
	schema  *schema.Schema
	store   Store
	models  Models
	options Options
	now     func() time.Time

	calibrations sync.Map // model → calibrationOf
}

// NewReports returns the reports of a model line.
func NewReports(s *schema.Schema, store Store, models Models, o Options) *Reports {
	return NewReportsAt(s, store, models, o, time.Now)
}

// NewReportsAt is NewReports with a clock.
func NewReportsAt(s *schema.Schema, store Store, models Models, o Options, now func() time.Time) *Reports {
	return &Reports{schema: s, store: store, models: models, options: o, now: now}
}

// Query asks for a report.
type Query struct {
	Model    string    // empty: all models that have predictions, or the one that serves
	From, To time.Time // of the predictions; zero: the last 30 days
	Bucket   Period    // Hour or Day; zero: hours for a window of up to three days
	Segments bool      // add the quality by value of a feature, of Model or else of the one that serves
	Curves   bool      // add Curves, and all figures of each bucket
	Against  string    // of drift: AgainstTraining, the default, or AgainstWeek

	lasts time.Duration // the window by default
}

const (
	// window is what a query asks for by default.
	window = 30 * 24 * time.Hour
	// clockSkew is how far ahead the clocks of other replicas may be.
	clockSkew = time.Minute
)

func (q Query) complete(now time.Time) (Query, error) {
	if q.To.IsZero() {
		q.To = now.Add(clockSkew)
	}
	if q.lasts == 0 {
		q.lasts = window
	}
	if q.From.IsZero() {
		q.From = q.To.Add(-q.lasts)
	}
	if !q.From.Before(q.To) {
		return q, &failure.Error{Kind: failure.Invalid, Detail: "a parameter of the query is wrong",
			Violations: []failure.Violation{{Field: "from", Code: failure.CodeRange, Detail: "must be before to"}}}
	}
	if q.Bucket == 0 {
		q.Bucket = Day
		if q.To.Sub(q.From) <= 3*24*time.Hour {
			q.Bucket = Hour
		}
	}
	q.From, q.To = q.From.UTC(), q.To.UTC()
	return q, nil
}

// sums reads the sums of the query's window. The period in which the window begins
// counts as a whole.
func (q Query) sums(ctx context.Context, read func(ctx context.Context, model string, from, to time.Time) ([]Sum, error)) ([]Sum, error) {
	all, err := read(ctx, q.Model, Day.Start(q.From), q.To)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(all, func(s Sum) bool { return s.Key.Start.Before(s.Key.Period.Start(q.From)) }), nil
}

// byModel adds the sums of each model, in buckets.
func byModel(sums []Sum, bucket Period) map[string]map[time.Time]*Sum {
	all := make(map[string]map[time.Time]*Sum)
	for i := range sums {
		key := sums[i].Key
		if all[key.Model] == nil {
			all[key.Model] = make(map[time.Time]*Sum)
		}
		start := bucket.Start(key.Start)
		sum := all[key.Model][start]
		if sum == nil {
			sum = &Sum{Key: Key{key.Model, bucket, start}}
			all[key.Model][start] = sum
		}
		sum.Merge(&sums[i])
	}
	return all
}

// total adds sums.
func total(sums map[time.Time]*Sum) *Sum {
	out := new(Sum)
	for _, s := range sums {
		out.Merge(s)
	}
	return out
}

// inOrder returns sums by their time.
func inOrder(sums map[time.Time]*Sum) []*Sum {
	var all []*Sum
	for _, s := range sums {
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b *Sum) int { return a.Key.Start.Compare(b.Key.Start) })
	return all
}

// counted is a count, which is negative where a replica of an earlier version has set
// the outcome that another one has taken back.
func (c Counts) counted(row, column int) int64 { return max(0, c.At(row, column)) }

// cells are the counts of a sum by predicted label and bin of the score.
func (s *Sum) cells() []stats.Cell {
	var cells []stats.Cell
	for predicted := range 2 {
		for bin := range stats.ScoreBins {
			c := stats.Cell{Score: stats.ScoreBinCenter(bin), PredictedPositive: predicted == 1,
				Predictions: float64(s.Scores.At(predicted, bin)),
				Negatives:   float64(s.Outcomes.counted(2*predicted, bin)), Positives: float64(s.Outcomes.counted(2*predicted+1, bin))}
			if c.Predictions != 0 || c.Negatives != 0 || c.Positives != 0 {
				cells = append(cells, c)
			}
		}
	}
	return cells
}

// outcomes returns how many predictions have an outcome, and how many of them label 1.
func (s *Sum) outcomes() (all, positive int64) {
	for row := range s.Outcomes {
		for bin := range s.Outcomes[row] {
			n := s.Outcomes.counted(row, bin)
			all += n
			positive += n * int64(row%2)
		}
	}
	return all, positive
}

// answered returns how many predictions have an outcome, by their delays.
func (s *Sum) answered() (n int64) {
	for _, row := range s.Delays {
		for _, count := range row {
			n += count
		}
	}
	return n
}

// model returns the model of the query: the named one, or the one that serves.
func (r *Reports) model(ctx context.Context, name string) (Model, error) {
	models, err := r.models.InsightModels(ctx)
	if err != nil {
		return Model{}, err
	}
	for _, m := range models {
		if name == "" && m.Serving || name != "" && m.Name == name {
			return m, nil
		}
	}
	if name == "" {
		return Model{}, failure.Errorf(failure.NotFound, "no model serves yet")
	}
	return Model{}, failure.Errorf(failure.NotFound, "there is no model %q", name)
}

// CorrelationReport are the correlations of the newest training data.
type CorrelationReport struct {
	Rows         int64         `json:"rows"`  // labelled rows, held-out ones too
	Data         string        `json:"data"`  // SHA-256 of the training part, hexadecimal
	Model        string        `json:"model"` // that was, or is to be, trained on the data
	Correlations []Correlation `json:"correlations"`
}

// Correlations returns the correlations of features with the label. Kind NotFound if
// there is no training data.
func (r *Reports) Correlations(ctx context.Context) (*CorrelationReport, error) {
	model, p, err := r.store.NewestProfile(ctx)
	if err != nil {
		return nil, err
	}
	if p == nil {
		return nil, failure.Errorf(failure.NotFound, "there is no training data yet: the next renewal computes the correlations of its data")
	}
	return &CorrelationReport{Rows: p.Labelled, Data: p.Data, Model: model, Correlations: p.Correlations}, nil
}

// modelOrder sorts models with the one that serves first, then as the records are.
func modelOrder(models []Model) map[string]int {
	order := make(map[string]int)
	for i, m := range models {
		order[m.Name] = i + 1
		if m.Serving {
			order[m.Name] = -1
		}
	}
	return order
}

func sortModels(names []string, models []Model) {
	order := modelOrder(models)
	at := func(name string) int {
		if i, ok := order[name]; ok {
			return i
		}
		return len(models) + 1
	}
	slices.SortFunc(names, func(a, b string) int { return cmp.Or(cmp.Compare(at(a), at(b)), cmp.Compare(a, b)) })
}
