package predicttest

import (
	"bytes"
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"gateway/internal/failure"
	"gateway/internal/predict"
)

// Store is a customer store and a ledger in memory: it implements
// predict.Customers, predict.CustomerStore and predict.Ledger. It is safe for
// concurrent use.
type Store struct {
	mu          sync.Mutex
	err         error
	customers   map[string]predict.Customer
	predictions []predict.Prediction
	ids         map[string]bool            // of predictions
	outcomes    map[string]predict.Outcome // customer, or prediction of an anonymous one → what is known
	sequence    int64
}

// NewStore returns an empty store.
func NewStore() *Store {
	return &Store{customers: map[string]predict.Customer{}, ids: map[string]bool{}, outcomes: map[string]predict.Outcome{}}
}

// Fail makes every later call fail with err; nil heals the store.
func (s *Store) Fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

// Customer returns a stored customer.
func (s *Store) Customer(id string) (c predict.Customer, found bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, found = s.customers[id]
	return c, found
}

// Len is the number of stored customers.
func (s *Store) Len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.customers)
}

// Predictions returns what the ledger holds, oldest first.
func (s *Store) Predictions() []predict.Prediction {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.predictions)
}

// CustomersAfter returns the customers whose ids come after one, at most limit.
func (s *Store) CustomersAfter(_ context.Context, after string, limit int) ([]predict.Customer, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return nil, s.err
	}
	var page []predict.Customer
	for _, id := range slices.Sorted(maps.Keys(s.customers)) {
		if id > after && len(page) < limit {
			page = append(page, s.customers[id])
		}
	}
	return page, nil
}

// PredictionsAfter returns the predictions whose ids come after one, at most limit.
func (s *Store) PredictionsAfter(_ context.Context, after string, limit int) ([]predict.Recorded, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return nil, s.err
	}
	sorted := slices.SortedFunc(slices.Values(s.predictions), func(a, b predict.Prediction) int { return strings.Compare(a.ID, b.ID) })
	var page []predict.Recorded
	for _, p := range sorted {
		if p.ID > after && len(page) < limit {
			page = append(page, predict.Recorded{Prediction: p})
		}
	}
	return page, nil
}

// Features implements predict.Customers.
func (s *Store) Features(ctx context.Context, ids []string) (map[string][]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return nil, s.err
	}
	found := make(map[string][]byte)
	for _, id := range ids {
		if c, ok := s.customers[id]; ok {
			found[id] = slices.Clone(c.Features)
		}
	}
	return found, nil
}

// PutCustomers implements predict.CustomerStore.
func (s *Store) PutCustomers(ctx context.Context, customers []predict.Customer) (inserted, updated int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return 0, 0, s.err
	}
	for _, c := range customers {
		old, known := s.customers[c.ID]
		if known {
			updated++
		} else {
			inserted++
		}
		if c.Label == nil || old.Outcome != 0 {
			c.Label, c.Outcome = old.Label, old.Outcome
		}
		c.Features = slices.Clone(c.Features) // the caller may use its memory again
		s.customers[c.ID] = c
	}
	return inserted, updated, nil
}

// LastNumber implements predict.CustomerStore.
func (s *Store) LastNumber(ctx context.Context) (last int64, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, c := range s.customers {
		if n, err := strconv.ParseInt(id, 10, 64); err == nil && !c.Demo {
			last = max(last, n)
		}
	}
	return last, s.err
}

// RemoveDemo implements predict.CustomerStore.
func (s *Store) RemoveDemo(ctx context.Context) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return 0, s.err
	}
	var removed int64
	for id, c := range s.customers {
		if c.Demo {
			delete(s.customers, id)
			removed++
		}
	}
	return removed, nil
}

// Append implements predict.Ledger.
func (s *Store) Append(ctx context.Context, predictions []predict.Prediction) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return s.err
	}
	for _, p := range predictions {
		if !s.ids[p.ID] {
			s.ids[p.ID] = true
			p.Features, p.Personal = bytes.Clone(p.Features), bytes.Clone(p.Personal) // they are the caller's
			s.predictions = append(s.predictions, p)
		}
	}
	return nil
}

// RecordOutcomes implements predict.Ledger. Of two labels for one customer the
// one observed later wins.
func (s *Store) RecordOutcomes(ctx context.Context, outcomes []predict.Outcome) ([]predict.Match, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return nil, s.err
	}
	matches := make([]predict.Match, len(outcomes))
	for i, o := range outcomes {
		matches[i] = s.record(o)
	}
	return matches, nil
}

func (s *Store) record(o predict.Outcome) predict.Match {
	m := s.match(o)
	if !m.Found {
		return m
	}
	if known, ok := s.outcomes[m.CustomerID]; ok {
		if known.Label == o.Label {
			m.Duplicate = true
			return m
		}
		if o.ObservedAt.Before(known.ObservedAt) {
			m.Superseded = true
			return m
		}
	}
	s.outcomes[m.CustomerID] = o
	if c, ok := s.customers[m.CustomerID]; ok {
		s.sequence++
		label := o.Label
		c.Label, c.Outcome = &label, s.sequence
		s.customers[c.ID] = c
	}
	return m
}

// match finds the customer and the latest prediction that an outcome is about.
func (s *Store) match(o predict.Outcome) predict.Match {
	var m predict.Match
	if _, known := s.customers[o.CustomerID]; known && o.PredictionID == "" {
		m = predict.Match{Found: true, CustomerID: o.CustomerID}
	}
	var latest time.Time
	for _, p := range s.predictions {
		isIt := p.ID == o.PredictionID || (o.PredictionID == "" && p.CustomerID == o.CustomerID)
		if !isIt || p.CreatedAt.Before(latest) {
			continue
		}
		latest = p.CreatedAt
		m = predict.Match{Found: true, PredictionID: p.ID, CustomerID: p.CustomerID, Model: p.Model}
		if p.CustomerID == "" {
			m.CustomerID = p.ID
		}
	}
	return m
}

// Search returns a page of predictions, the newest first.
func (s *Store) Search(_ context.Context, q predict.Search) (predict.Found, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return predict.Found{}, s.err
	}
	sorted := slices.SortedFunc(slices.Values(s.predictions), func(a, b predict.Prediction) int { return strings.Compare(b.ID, a.ID) })
	var found predict.Found
	for _, p := range sorted {
		if q.Before.ID != "" && p.ID >= q.Before.ID || q.CustomerID != "" && p.CustomerID != q.CustomerID ||
			!q.From.IsZero() && p.CreatedAt.Before(q.From) || !q.To.IsZero() && !p.CreatedAt.Before(q.To) {
			continue
		}
		if q.Model != "" && found.Looked == q.MaxLooked {
			break
		}
		found.Looked++
		if q.Model != "" && p.Model != q.Model {
			continue
		}
		if len(found.Predictions) == q.Limit {
			last := &found.Predictions[q.Limit-1]
			found.Next = predict.Place{At: last.CreatedAt, ID: last.ID}
			break
		}
		p.Features, p.Personal, p.Bins = nil, nil, nil
		found.Predictions = append(found.Predictions, s.recorded(p))
	}
	return found, nil
}

// Prediction returns one with the outcome of its customer; kind NotFound if there is none.
func (s *Store) Prediction(_ context.Context, id string) (predict.Full, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return predict.Full{}, s.err
	}
	at := slices.IndexFunc(s.predictions, func(p predict.Prediction) bool { return p.ID == id })
	if at < 0 {
		return predict.Full{}, failure.Errorf(failure.NotFound, "there is no prediction %q", id)
	}
	full := predict.Full{Recorded: s.recorded(s.predictions[at])}
	if full.Outcome != nil {
		full.Outcomes = []predict.Reported{{Label: *full.Outcome, PredictionID: id, ObservedAt: *full.OutcomeAt, ReceivedAt: *full.OutcomeAt}}
	}
	return full, nil
}

// recorded adds what is known of the outcome. s.mu is held.
func (s *Store) recorded(p predict.Prediction) predict.Recorded {
	r := predict.Recorded{Prediction: p}
	customer := p.CustomerID
	if customer == "" {
		customer = p.ID
	}
	if o, known := s.outcomes[customer]; known {
		r.Outcome, r.OutcomeAt = &o.Label, &o.ObservedAt
	}
	return r
}
