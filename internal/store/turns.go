package store

import (
	"context"
	"slices"
	"sync"
)

// class is the priority of a write transaction.
type class int

const (
	// urgent transactions have few rows, and a caller waits for them: a single outcome,
	// an idempotency key, an operator's act, a renewal's step.
	urgent class = iota
	// lists are transactions of lists of outcomes.
	lists
	// bulk are transactions of imports, of the outbox and of removals.
	bulk

	classes
)

func (c class) String() string { return [classes]string{"urgent", "lists", "bulk"}[c] }

// fewRows is the largest number of rows of an urgent call. A single outcome stores
// at most two predictions before it.
const fewRows = 2

// classOf is the class of a call with a number of rows; many is that of many rows.
func classOf(rows int, many class) class {
	if rows <= fewRows {
		return urgent
	}
	return many
}

// smallValue is the largest size, in bytes, of a value that is written urgently.
const smallValue = 64 << 10

// classOfValue is the class of a call that writes one value.
func classOfValue(value []byte) class {
	if len(value) <= smallValue {
		return urgent
	}
	return bulk
}

// maxPasses is how many turns may go to earlier classes while a class waits. It then
// has the next turn, so that endless urgent work does not starve the outbox.
const maxPasses = 8

// turns schedules write transactions by class, and within a class in the order of
// arrival. A transaction that has begun is never interrupted. So an urgent one waits
// for earlier ones of its class, for at most one of each later class that is
// running, and for at most one of each later class that has waited for maxPasses
// turns.
type turns struct {
	places int          // concurrent transactions
	limits [classes]int // of these, by class

	mu      sync.Mutex
	taken   [classes]int
	waiting [classes][]chan struct{} // closed when the turn begins
	passed  [classes]int             // turns of earlier classes while it waits
	begun   [classes]int64
	watch   func(turnEvent) // for tests; called with mu held
}

// turnEvent is a step of a transaction through turns.
type turnEvent struct {
	class class
	what  string // asked, begun, ended
}

func newTurns(places int, limits [classes]int) *turns { return &turns{places: places, limits: limits} }

// begin waits for a turn of the class. end must be called after it.
func (t *turns) begin(ctx context.Context, c class) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	ready := make(chan struct{})
	t.mu.Lock()
	t.note(c, "asked")
	t.waiting[c] = append(t.waiting[c], ready)
	t.grant()
	t.mu.Unlock()
	select {
	case <-ready:
		return nil
	case <-ctx.Done():
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if i := slices.Index(t.waiting[c], ready); i >= 0 {
		t.waiting[c] = slices.Delete(t.waiting[c], i, i+1)
	} else { // the turn has begun at the same moment
		t.leave(c)
	}
	return ctx.Err()
}

// end gives the turn back.
func (t *turns) end(c class) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.leave(c)
}

func (t *turns) leave(c class) {
	t.taken[c]--
	t.note(c, "ended")
	t.grant()
}

// grant begins turns while there are places.
func (t *turns) grant() {
	for {
		c := t.next()
		if c == classes {
			return
		}
		for later := c + 1; later < classes; later++ {
			if t.canBegin(later) {
				t.passed[later]++
			}
		}
		t.passed[c] = 0
		t.taken[c]++
		t.begun[c]++
		t.note(c, "begun")
		close(t.waiting[c][0])
		t.waiting[c] = slices.Delete(t.waiting[c], 0, 1)
	}
}

// next returns the class of the next turn; classes if there is none.
func (t *turns) next() class {
	first := classes
	for c := bulk; c >= urgent; c-- {
		if !t.canBegin(c) {
			continue
		}
		if t.passed[c] >= maxPasses {
			return c
		}
		first = c
	}
	return first
}

func (t *turns) canBegin(c class) bool {
	all := 0
	for _, n := range t.taken {
		all += n
	}
	return len(t.waiting[c]) > 0 && all < t.places && t.taken[c] < t.limits[c]
}

func (t *turns) note(c class, what string) {
	if t.watch != nil {
		t.watch(turnEvent{c, what})
	}
}

// Writes are the numbers of write transactions of a class that have begun and that
// wait.
type Writes struct {
	Class   string
	Begun   int64
	Waiting int
}

// Writes returns the figures of each class.
func (s *Store) Writes() []Writes {
	t := s.turns
	t.mu.Lock()
	defer t.mu.Unlock()
	all := make([]Writes, classes)
	for c := range classes {
		all[c] = Writes{c.String(), t.begun[c], len(t.waiting[c])}
	}
	return all
}
