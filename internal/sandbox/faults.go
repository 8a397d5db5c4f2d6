package sandbox

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"sync"
	"time"
)

// Fault is an order: what goes wrong, and when.
type Fault struct {
	Kind Kind `json:"kind"`
	// Resource is a pattern (path.Match) of the job, endpoint, table or
	// bucket/key; empty: any.
	Resource string `json:"resource,omitzero"`
	Skip     int    `json:"skip,omitzero"`    // calls that pass first
	Times    int    `json:"times,omitzero"`   // how often; 0 is once, below zero for ever
	Attempt  int    `json:"attempt,omitzero"` // only this attempt of each call; 0: any

	Delay   time.Duration `json:"-"`
	Items   int           `json:"items,omitzero"`
	Status  int           `json:"status,omitzero"`
	Code    string        `json:"code,omitzero"`
	Message string        `json:"message,omitzero"`
	At      string        `json:"at,omitzero"`     // a secondary status of training
	Reason  string        `json:"reason,omitzero"` // FailureReason
}

// Ordered is a fault that waits for its calls.
type Ordered struct {
	Fault
	operation string
	queue     *faults
	left      int // below zero: no end
	skip      int
	hits      int
	released  bool
}

// Hits tells how often it has struck.
func (o *Ordered) Hits() int {
	o.queue.mu.Lock()
	defer o.queue.mu.Unlock()
	return o.hits
}

// Cancel takes the order back.
func (o *Ordered) Cancel() {
	o.queue.mu.Lock()
	defer o.queue.mu.Unlock()
	o.left = 0
}

// Release lets go what a Stick holds.
func (o *Ordered) Release() {
	o.queue.mu.Lock()
	defer o.queue.mu.Unlock()
	o.released = true
}

func (o *Ordered) sticks() bool {
	o.queue.mu.Lock()
	defer o.queue.mu.Unlock()
	return !o.released
}

// faults are the orders in effect.
type faults struct {
	mu      sync.Mutex
	orders  []*Ordered
	holding []*Ordered // the Sticks that have struck
}

// Order makes the operation go wrong: CreateTrainingJob, InvokeEndpoint,
// PutObject and so on, or a pattern of them as "*Endpoint". Of several orders
// that fit a call the oldest strikes. A kind that does not exist is a panic.
func (s *Server) Order(operation string, f Fault) *Ordered {
	o, err := s.faults.add(operation, f)
	if err != nil {
		panic("sandbox: " + err.Error())
	}
	return o
}

// CancelFaults takes back all orders, and lets go what a Stick holds.
func (s *Server) CancelFaults() {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	for _, o := range s.faults.orders {
		o.left = 0
	}
	for _, o := range s.faults.holding {
		o.released = true
	}
	s.faults.orders, s.faults.holding = nil, nil
}

func (q *faults) add(operation string, f Fault) (*Ordered, error) {
	if f.Kind.Does() == "" {
		return nil, fmt.Errorf("there is no fault of the kind %q", f.Kind)
	}
	for _, pattern := range []string{operation, f.Resource} {
		if _, err := path.Match(pattern, ""); err != nil {
			return nil, fmt.Errorf("%q: %w", pattern, err)
		}
	}
	if operation == "" {
		return nil, fmt.Errorf("a fault needs an operation, or *")
	}
	o := &Ordered{Fault: f, operation: operation, queue: q, left: f.Times, skip: f.Skip}
	if o.left == 0 {
		o.left = 1
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.orders = append(q.orders, o)
	return o, nil
}

// take finds the fault that strikes a call, if any, and counts it.
func (q *faults) take(c *Call) *Ordered {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.orders = slices.DeleteFunc(q.orders, func(o *Ordered) bool { return o.left == 0 })
	for _, o := range q.orders {
		if !matches(o.operation, c.Operation) || !matches(o.Resource, c.Resource) || o.Attempt != 0 && o.Attempt != c.Attempt {
			continue
		}
		if o.skip > 0 {
			o.skip--
			continue
		}
		if o.left > 0 {
			o.left--
		}
		o.hits++
		if o.Kind == Stick {
			q.holding = append(q.holding, o)
		}
		return o
	}
	return nil
}

// giveBack undoes take for an outcome whose operation was refused: nothing
// began that could come to such an end.
func (q *faults) giveBack(o *Ordered) {
	if o == nil || !o.Kind.outcome() {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	o.hits--
	if o.left >= 0 {
		o.left++
	}
	if !slices.Contains(q.orders, o) {
		q.orders = append(q.orders, o)
	}
}

// matches is path.Match with / as any other character, and with an empty
// pattern for everything.
func matches(pattern, name string) bool {
	if pattern == "" || pattern == name {
		return true
	}
	flat := strings.NewReplacer("/", "\x00")
	ok, err := path.Match(flat.Replace(pattern), flat.Replace(name))
	return ok && err == nil
}

// kind is the kind of the fault that strikes the call, or nothing.
func (c *call) kind() Kind {
	if c.fault == nil {
		return ""
	}
	return c.fault.Kind
}
