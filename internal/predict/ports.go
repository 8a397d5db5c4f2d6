package predict

import (
	"context"
	"time"

	"gateway/internal/schema"
)

// Scorer asks a model. Implementations are safe for concurrent use.
type Scorer interface {
	// Score returns one score for each row, in order, all from one model. It
	// may not keep or change rows. With explain it also fills Contributions
	// where the model's coefficients are known. Errors are *Error of kind
	// Unavailable (no model yet, throttled), BadModel or Deadline.
	Score(ctx context.Context, rows []schema.Vector, explain bool) (Scores, error)
}

// Scores is what one model said about some rows.
type Scores struct {
	Model         string      // the model that scored
	Schema        string      // fingerprint of the schema that it was trained on
	Score         []float64   // by row: the probability that the label is 1
	Label         []int       // by row: the predicted label, 0 or 1
	Contributions [][]float64 // by row and column: what moved the log-odds; nil if unknown

	// Errors says, by row, why a row has no score; nil if all have one. Only
	// package scoring fills it: other Scorers score all rows or none.
	Errors []error
}

// Err is the first of Errors, for callers who need all rows.
func (s Scores) Err() error {
	for _, err := range s.Errors {
		if err != nil {
			return err
		}
	}
	return nil
}

// ErrorOf says why row i has no score; nil if it has one.
func (s Scores) ErrorOf(i int) error {
	if s.Errors == nil {
		return nil
	}
	return s.Errors[i]
}

// Customers looks up stored customers.
type Customers interface {
	// Features returns the stored features of those customers that exist, by
	// id, as AppendFeatures wrote them.
	Features(ctx context.Context, ids []string) (map[string][]byte, error)
}

// Ledger remembers predictions and what became of them.
type Ledger interface {
	// Append records predictions, those that it does not have by their id. They
	// are durable when it returns nil, and their memory is the caller's again. An
	// *Error of kind Unavailable means that they must not be answered; any other,
	// that they are answered without a record.
	Append(ctx context.Context, predictions []Prediction) error
	// RecordOutcomes records outcomes and sets the customers' labels, each once
	// however often it is sent. Match i belongs to outcome i.
	RecordOutcomes(ctx context.Context, outcomes []Outcome) ([]Match, error)
}

// Customer is a row of the customer store.
type Customer struct {
	ID       string
	Features []byte // as AppendFeatures writes them, personal ones included
	Label    *int   // 0, 1, or nil while unknown
	Demo     bool   // generated; leaves the store when real customers come
	Outcome  int64  // sequence number of the outcome that set Label; 0 if none did
	Evidence
}

// AnonymousCaller stands for callers without a key where contributions are
// counted by caller.
const AnonymousCaller = "anonymous"

// Evidence says where a customer's features and label come from. The zero
// Evidence is that of an imported customer whose label no outcome has set. The
// store keeps it: what an import passes in is ignored.
type Evidence struct {
	Made       bool      // from a prediction and its outcome; an import makes it false
	Caller     string    // reported the outcome that set the label, the name of an API key, or AnonymousCaller; empty: unknown
	LabelledAt time.Time // when the gateway received that outcome; zero: unknown
	Imported   *int      // the label that was imported, where an outcome has set the label since
}

// LabelledCustomer is a customer whose label an outcome set, and when that was
// observed.
type LabelledCustomer struct {
	Customer
	ObservedAt time.Time
}

// Request asks for one prediction: by features, by customer, or by both, where
// the request's features win over the stored ones.
type Request struct {
	ID         string // the prediction's, if it was given one beforehand; empty: a new one
	CustomerID string
	Features   schema.Record
	Explain    bool
}

// Prediction is the answer to a Request, and its row in the ledger.
type Prediction struct {
	ID         string
	CustomerID string // empty for an anonymous prediction
	CreatedAt  time.Time
	Caller     string // name of the API key; empty for an unknown caller
	Features   []byte // for the ledger alone: as AppendFeatures writes them, personal ones left out
	Personal   []byte // for the ledger alone: a JSON object of hashes of the personal ones; nil without a PersonalHash
	Score      float64
	Label      int
	Model      string
	Schema     string
	Latency    time.Duration
	Reasons    []Reason
}

// Recorded is a prediction as the ledger has it, without reasons, and what became
// of it.
type Recorded struct {
	Prediction
	Outcome   *int       // nil while unknown
	OutcomeAt *time.Time // when that was observed
}

// Reason says how far one feature moved the score, in log-odds against the
// average customer of the training data.
type Reason struct {
	Feature      string  `json:"feature"`
	Contribution float64 `json:"contribution"`
}

// Result is a Prediction or the reason why there is none.
type Result struct {
	Prediction Prediction
	Err        error
}

// Outcome is what really happened, for a prediction or for a customer.
type Outcome struct {
	PredictionID string // or
	CustomerID   string
	Label        int
	ObservedAt   time.Time // zero: now
	Caller       string    // name of the API key of the app that reports it; empty for an app without a key
}

// MaxObservedAhead is how far ahead of the gateway's clock an outcome may have
// been observed. It allows for clocks that differ.
const MaxObservedAhead = 5 * time.Minute

// Match is what an outcome was found to belong to. The zero Match is: nothing.
type Match struct {
	Found        bool
	Duplicate    bool   // it was known already
	Superseded   bool   // a contradicting outcome is the customer's label instead
	PredictionID string // empty where the customer has no prediction
	CustomerID   string // whose label it is; the prediction's id for an anonymous one
	Model        string // that made the prediction
}
