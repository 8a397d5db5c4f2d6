package outbox

import (
	"context"
	"fmt"
	"time"

	"gateway/internal/failure"
	"gateway/internal/predict"
)

const (
	// unknownAge is the age from which on an id that is not found counts as unknown.
	// A younger prediction may be in the outbox of another gateway.
	unknownAge = 3 * time.Second
	// unknownCustomerTime is how long a customer who is not found is looked up again:
	// their first prediction may be in another gateway's outbox. A customer's id
	// tells no age.
	unknownCustomerTime = time.Second
	// The pause between two lookups doubles from minLook to maxLook.
	minLook, maxLook = 50 * time.Millisecond, 500 * time.Millisecond
)

// RecordOutcomes implements predict.Ledger. It stores those of their predictions
// that are still in the outbox, and then the outcomes.
//
// Where other gateways share the database, an outcome whose prediction is not found
// and younger than unknownAge is tried again until it is found, is older than that,
// or ctx ends. An outcome that matches nothing changes nothing, so it can be tried
// again.
func (o *Outbox) RecordOutcomes(ctx context.Context, outcomes []predict.Outcome) ([]predict.Match, error) {
	if err := o.flushReferenced(ctx, outcomes); err != nil {
		return nil, err
	}
	start := time.Now()
	matches, err := o.ledger.RecordOutcomes(ctx, outcomes)
	if err != nil || !o.options.Shared {
		return matches, err
	}
	for pause, took := minLook, time.Since(start); ; pause = min(2*pause, maxLook) {
		var again []predict.Outcome
		var at []int
		for i := range matches {
			if !matches[i].Found && time.Now().Before(unknownAfter(&outcomes[i], start)) {
				again, at = append(again, outcomes[i]), append(at, i)
			}
		}
		if len(again) == 0 {
			return matches, nil
		}
		timer := time.NewTimer(max(pause, took)) // lookups take at most half of the time
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil, ctx.Err()
		}
		asked := time.Now()
		found, err := o.ledger.RecordOutcomes(ctx, again)
		took = time.Since(asked)
		if err != nil {
			return nil, err // sent again, those that were recorded count once
		}
		for k, i := range at {
			matches[i] = found[k]
		}
	}
}

// unknownAfter returns when an outcome that matches nothing counts as unknown.
func unknownAfter(o *predict.Outcome, start time.Time) time.Time {
	if o.PredictionID == "" {
		return start.Add(unknownCustomerTime)
	}
	made, ok := failure.IDTime(o.PredictionID)
	if !ok || made.After(start.Add(unknownAge)) {
		return start // not an id of a gateway
	}
	return made.Add(unknownAge)
}

// flushReferenced stores the predictions of the outbox that outcomes refer to:
// those named by id, and the newest of each customer named. The drain stores them
// once more, and the database ignores them then.
func (o *Outbox) flushReferenced(ctx context.Context, outcomes []predict.Outcome) error {
	pending := o.journal.pending()
	if len(pending) == 0 {
		return nil
	}
	s := newSearch(outcomes)
	for _, rows := range pending {
		if s.done() {
			break
		}
		if err := s.visit(rows); err != nil {
			return fmt.Errorf("outbox: %w", err)
		}
	}
	if len(s.found) == 0 {
		return nil
	}
	err := o.ledger.Append(ctx, s.found)
	if !isRefusal(err) {
		return err
	}
	for i := range s.found {
		if err := o.ledger.Append(ctx, s.found[i:i+1]); err != nil && !isRefusal(err) {
			return err
		}
	}
	return nil
}

// search looks for predictions, newest first.
type search struct {
	predictions, customers map[string]bool // that are sought: ids of predictions; of customers
	hashes                 map[uint32]int  // of these ids: how many have it
	found                  []predict.Prediction
}

func newSearch(outcomes []predict.Outcome) *search {
	s := &search{predictions: make(map[string]bool), customers: make(map[string]bool), hashes: make(map[uint32]int)}
	for i := range outcomes {
		if id := outcomes[i].PredictionID; id != "" {
			s.want(s.predictions, id)
			continue
		}
		// A customer's id may also be that of an anonymous prediction.
		s.want(s.customers, outcomes[i].CustomerID)
		s.want(s.predictions, outcomes[i].CustomerID)
	}
	return s
}

// want adds an id to those that are sought.
func (s *search) want(set map[string]bool, id string) {
	if !set[id] {
		set[id] = true
		s.hashes[hashOf(id)]++
	}
}

// got removes an id that is found.
func (s *search) got(set map[string]bool, id string) {
	delete(set, id)
	if h := hashOf(id); s.hashes[h] > 1 {
		s.hashes[h]--
	} else {
		delete(s.hashes, h)
	}
}

// done reports whether all are found.
func (s *search) done() bool { return len(s.hashes) == 0 }

// visit looks at the rows of a segment.
func (s *search) visit(rows pendingRows) error {
	matches := func(k key) bool { return s.hashes[k.id] > 0 || s.hashes[k.customer] > 0 }
	return rows.walk(matches, func(p predict.Prediction) (more bool) {
		sought := s.predictions[p.ID] || s.customers[p.CustomerID]
		if s.predictions[p.ID] {
			s.got(s.predictions, p.ID)
		}
		if s.customers[p.CustomerID] {
			s.got(s.customers, p.CustomerID)
		}
		if sought {
			s.found = append(s.found, p)
		}
		return !s.done()
	})
}
