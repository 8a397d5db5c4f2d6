package predict

import "time"

// Search asks for predictions of the ledger, the newest first.
type Search struct {
	CustomerID string    // empty: of any customer
	Model      string    // empty: by any model
	From, To   time.Time // when they were made, From inclusive; zero: any time
	Before     Place     // zero: from the newest
	Limit      int
	// MaxLooked bounds the predictions that are looked at where Model is set: a rare model
	// would need a look at all others.
	MaxLooked int
}

// Place is a place in a list of predictions, by which the next page is read.
type Place struct {
	At time.Time
	ID string
}

// Found is a page of predictions.
type Found struct {
	Predictions []Recorded // without features
	// Next is where the next page begins; the zero Place: there are no more.
	Next   Place
	Looked int // predictions that were looked at
}

// Full is a prediction with the outcomes that were reported of its customer.
type Full struct {
	Recorded
	Outcomes []Reported // the newest first, at most MaxReported
}

// MaxReported bounds the outcomes of a Full.
const MaxReported = 20

// Reported is an outcome as it was reported.
type Reported struct {
	Label                  int
	PredictionID           string // that it was matched to; empty: none
	Caller                 string // empty: unknown
	ObservedAt, ReceivedAt time.Time
}
