package outbox

import (
	"context"
	"fmt"
	"time"

	"gateway/internal/failure"
	"gateway/internal/predict"
)

const (
	// settleTime is how old a prediction's id must be before it counts as
	// unknown. A younger one may be in the outbox of another gateway.
	settleTime = 3 * time.Second
	// newcomerTime is how long an unknown customer is looked for: the first
	// prediction for them may be in another gateway's outbox, and their id has no
	// time in it.
	newcomerTime = time.Second
	// The pause between two lookups doubles from minLook to maxLook.
	minLook, maxLook = 50 * time.Millisecond, 500 * time.Millisecond
)

// RecordOutcomes implements predict.Ledger. The database records them after it
// got their predictions that are still in the outbox.
//
// Where other gateways share the database, an outcome whose prediction is
// unknown and less than settleTime old is tried again, within the caller's
// time, until it is found or no longer that young. Nothing is kept of outcomes
// that match nothing, so trying them again changes nothing.
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
		timer := time.NewTimer(max(pause, took)) // a long list is looked up half of the time at most
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
		return start.Add(newcomerTime)
	}
	made, ok := failure.IDTime(o.PredictionID)
	if !ok || made.After(start.Add(settleTime)) {
		return start // not one of ours
	}
	return made.Add(settleTime)
}

// flushReferenced stores the predictions of the outbox that outcomes refer to:
// those named by id, and the newest of each customer named. They are drained
// again in their turn, which the database ignores.
func (o *Outbox) flushReferenced(ctx context.Context, outcomes []predict.Outcome) error {
	pending := o.journal.pending()
	if len(pending) == 0 {
		return nil
	}
	s := newSearch(outcomes)
	for _, l := range pending {
		if s.over() {
			break
		}
		if err := s.look(l); err != nil {
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

// search looks for predictions, from the newest on.
type search struct {
	predictions, customers map[string]bool // sought by id; by customer
	hashes                 map[uint32]int  // of those, and how many have it
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

func (s *search) want(set map[string]bool, id string) {
	if !set[id] {
		set[id] = true
		s.hashes[hashOf(id)]++
	}
}

func (s *search) got(set map[string]bool, id string) {
	delete(set, id)
	if h := hashOf(id); s.hashes[h] > 1 {
		s.hashes[h]--
	} else {
		delete(s.hashes, h)
	}
}

func (s *search) over() bool { return len(s.hashes) == 0 }

// look goes through the rows of a segment.
func (s *search) look(l look) error {
	may := func(k key) bool { return s.hashes[k.id] > 0 || s.hashes[k.customer] > 0 }
	return l.walk(may, func(p predict.Prediction) bool {
		wanted := s.predictions[p.ID] || s.customers[p.CustomerID]
		if s.predictions[p.ID] {
			s.got(s.predictions, p.ID)
		}
		if s.customers[p.CustomerID] {
			s.got(s.customers, p.CustomerID)
		}
		if wanted {
			s.found = append(s.found, p)
		}
		return !s.over()
	})
}
