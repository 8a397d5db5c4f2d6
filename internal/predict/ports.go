package predict

import (
	"context"
	"time"

	"gateway/internal/schema"
)

// Scorer calls a model. Implementations are safe for concurrent use.
type Scorer interface {
	// Score returns one score for each row, in order, all from one model. It must
	// not keep or change rows. With explain it also fills Contributions and Base, or
	// says in Unexplained why it does not. Errors are *failure.Error of kind
	// Unavailable (no model yet, throttled), BadModel or Deadline.
	Score(ctx context.Context, rows []schema.Vector, explain bool) (Scores, error)
}

// Scores are one model's answers for some rows.
type Scores struct {
	Model  string    // the model that scored
	Schema string    // fingerprint of the schema that it was trained on
	Score  []float64 // by row: the probability that the label is 1
	Label  []int     // by row: the predicted label, 0 or 1
	// Contributions have, by row and column, what the column adds to the log-odds of
	// the row. They are nil if none were asked for or none are known, and a row is nil
	// if its are not. Base and the contributions of a row sum to the log-odds of its
	// score.
	Contributions [][]float64
	Base          float64 // log-odds of a row of which nothing is known
	Unexplained   string  // why rows have no contributions; empty if all have or none were asked for

	// Errors has, by row, the reason why a row has no score. It is nil if all rows
	// have one. Only package scoring sets it: other Scorers score all rows or
	// none.
	Errors []error
}

// Err returns the first of Errors, for callers that need all rows.
func (s Scores) Err() error {
	for _, err := range s.Errors {
		if err != nil {
			return err
		}
	}
	return nil
}

// ErrorOf returns the reason why row i has no score, or nil if it has one.
func (s Scores) ErrorOf(i int) error {
	if s.Errors == nil {
		return nil
	}
	return s.Errors[i]
}

// Customers looks up stored customers.
type Customers interface {
	// Features returns the stored features of the customers that exist, by id, as
	// Schema.AppendFeatures wrote them.
	Features(ctx context.Context, ids []string) (map[string][]byte, error)
}

// Ledger records predictions and their outcomes.
type Ledger interface {
	// Append records predictions, skipping ids that it has already. They are
	// durable when it returns nil, and it keeps nothing of them. A *failure.Error
	// of kind Unavailable means that the predictions must not be answered. After
	// any other error they are answered without being recorded.
	Append(ctx context.Context, predictions []Prediction) error
	// RecordOutcomes records outcomes and sets the customers' labels. Recording
	// the same outcome again changes nothing. Match i belongs to outcome i.
	RecordOutcomes(ctx context.Context, outcomes []Outcome) ([]Match, error)
}

// Binner says in which bins the values of a prediction are counted.
// Implementations are safe for concurrent use.
type Binner interface {
	// AppendBins appends the bins of a complete record, as text without personal
	// values, for a prediction of the model. It appends nothing while it does not know
	// the model's bins, and never waits.
	AppendBins(dst []byte, model string, r schema.Record) []byte
}

// Customer is a row of the customer store.
type Customer struct {
	ID       string
	Features []byte // as Schema.AppendFeatures writes them, personal ones included
	Label    *int   // 0, 1, or nil if unknown
	Demo     bool   // generated; deleted when the first real customers are imported
	Outcome  int64  // sequence number of the outcome that set Label; 0 if none did
	Evidence
}

// AnonymousCaller stands for callers without a key where contributions are
// counted by caller.
const AnonymousCaller = "anonymous"

// Evidence says where a customer's features and label come from. The zero
// Evidence is that of an imported customer whose label no outcome has set. The
// store sets it; imports do not.
type Evidence struct {
	Made       bool      // from a prediction and its outcome; an import sets it to false
	Caller     string    // name of the caller that reported the outcome that set the label, or AnonymousCaller; empty: unknown
	LabelledAt time.Time // when the gateway received that outcome; zero: unknown
	Imported   *int      // the imported label, if an outcome has set the label since
}

// LabelledCustomer is a customer whose label an outcome set, with the time at
// which the outcome was observed.
type LabelledCustomer struct {
	Customer
	ObservedAt time.Time
}

// Request asks for one prediction: by features, by customer, or by both. The
// request's features take precedence over the stored ones.
type Request struct {
	ID         string // of the prediction; empty: a new one
	CustomerID string
	Features   schema.Record
	Explain    schema.Explain
}

// Prediction is the answer to a Request, and its row in the ledger.
type Prediction struct {
	ID         string
	CustomerID string // empty for an anonymous prediction
	CreatedAt  time.Time
	Caller     string // name of the caller; empty: unknown
	Features   []byte // for the ledger only: as Schema.AppendFeatures writes them, without personal ones
	Personal   []byte // for the ledger only: a JSON object of hashes of the personal ones; nil without a PersonalHash
	Bins       []byte // for the ledger only: the bins of the features, as a Binner appends them; empty if unknown
	Score      float64
	Label      int
	Model      string
	Schema     string
	Latency    time.Duration
	Reasons    []Reason // as asked for; the largest first
	Base       *float64 // with all reasons: the log-odds that they are counted from
	// Unexplained is why reasons were asked for and there are none. It has no values
	// of the request.
	Unexplained string
}

// Recorded is a prediction as the ledger has it, without reasons, and its
// outcome.
type Recorded struct {
	Prediction
	Outcome   *int       // nil if unknown
	OutcomeAt *time.Time // when the outcome was observed
}

// Reason is the contribution of one feature to the score, in log-odds relative to
// a customer of whom nothing is known.
type Reason struct {
	Feature      string  `json:"feature"`
	Contribution float64 `json:"contribution"`
}

// Result is a Prediction or the error that prevented it.
type Result struct {
	Prediction Prediction
	Err        error
}

// Outcome is the observed label of a prediction or of a customer.
type Outcome struct {
	PredictionID string // or
	CustomerID   string
	Label        int
	ObservedAt   time.Time // zero: now
	Caller       string    // name of the caller that reports it; empty for a caller without a key
}

// MaxObservedAhead is how far ahead of the gateway's clock an outcome may have
// been observed. It allows for clocks that differ.
const MaxObservedAhead = 5 * time.Minute

// Match is what an outcome belongs to. The zero Match means that nothing was
// found.
type Match struct {
	Found        bool
	Duplicate    bool   // it was recorded already
	Superseded   bool   // a contradicting outcome is the customer's label instead
	PredictionID string // empty where the customer has no prediction
	CustomerID   string // whose label it set; the prediction's id for an anonymous one
	Model        string // that made the prediction
}
