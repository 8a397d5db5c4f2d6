package sandbox

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"sync"
	"time"
)

// Fault is a fault that a test orders, with the calls that it applies to.
type Fault struct {
	Kind Kind `json:"kind"`
	// Resource is a pattern (path.Match) for the name of the job, endpoint or table, for
	// bucket/key, or for the first word of the SQL (UNLOAD). Empty: any.
	Resource string `json:"resource,omitzero"`
	Skip     int    `json:"skip,omitzero"`    // matching calls that succeed first
	Times    int    `json:"times,omitzero"`   // number of calls that fail; 0: one; negative: all
	Attempt  int    `json:"attempt,omitzero"` // only this attempt of each call; 0: any

	Delay   time.Duration `json:"-"`
	Items   int           `json:"items,omitzero"`
	Status  int           `json:"status,omitzero"`
	Code    string        `json:"code,omitzero"`
	Message string        `json:"message,omitzero"`
	At      string        `json:"at,omitzero"`     // a secondary status of training
	Reason  string        `json:"reason,omitzero"` // FailureReason
}

// Ordered is a fault that was ordered.
type Ordered struct {
	Fault
	operation string
	queue     *faults
	left      int // calls that will fail; negative: all
	skip      int
	hits      int
	released  bool
}

// Hits returns the number of calls that the fault has affected.
func (o *Ordered) Hits() int {
	o.queue.mu.Lock()
	defer o.queue.mu.Unlock()
	return o.hits
}

// Cancel ends the fault. Further calls are not affected.
func (o *Ordered) Cancel() {
	o.queue.mu.Lock()
	defer o.queue.mu.Unlock()
	o.left = 0
}

// Release ends what a fault of kind Stick holds.
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

// faults are the faults that were ordered.
type faults struct {
	mu      sync.Mutex
	orders  []*Ordered
	holding []*Ordered // of kind Stick, and in effect
}

// Order makes an operation fail: CreateTrainingJob, InvokeEndpoint, PutObject and so on, or a
// pattern such as "*Endpoint". If several faults match a call, the oldest one applies. Order
// panics for an unknown kind.
func (s *Server) Order(operation string, f Fault) *Ordered {
	o, err := s.faults.add(operation, f)
	if err != nil {
		panic("sandbox: " + err.Error())
	}
	return o
}

// CancelFaults ends all faults and releases what those of kind Stick hold.
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
		return nil, fmt.Errorf("the kind of fault %q is unknown", f.Kind)
	}
	for _, pattern := range []string{operation, f.Resource} {
		if _, err := path.Match(pattern, ""); err != nil {
			return nil, fmt.Errorf("%q: %w", pattern, err)
		}
	}
	if operation == "" {
		return nil, fmt.Errorf("the fault has no operation; * stands for all")
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

// take returns the fault that applies to a call, if any, and counts the call.
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

// giveBack undoes take for a fault of what an operation starts, if the operation was refused
// and started nothing.
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

// matches is path.Match in which / is an ordinary character and an empty pattern matches
// everything.
func matches(pattern, name string) bool {
	if pattern == "" || pattern == name {
		return true
	}
	flat := strings.NewReplacer("/", "\x00")
	ok, err := path.Match(flat.Replace(pattern), flat.Replace(name))
	return ok && err == nil
}

// kind returns the kind of the fault that applies to the call, or "".
func (c *call) kind() Kind {
	if c.fault == nil {
		return ""
	}
	return c.fault.Kind
}
