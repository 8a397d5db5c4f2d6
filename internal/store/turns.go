package store

import (
	"context"
	"slices"
	"sync"
)

// class says how soon a write transaction gets its turn.
type class int

const (
	// urgent are transactions that a caller waits for and that have few rows:
	// a single outcome, an idempotency key, an operator's act, a renewal's step.
	urgent class = iota
	// lists are the pieces of lists of outcomes.
	lists
	// bulk are the pieces of imports, of the outbox and of what is removed.
	bulk

	classes
)

func (c class) String() string { return [classes]string{"urgent", "lists", "bulk"}[c] }

// fewRows is how many rows a call may bring and still be urgent. A single
// outcome brings along at most two predictions.
const fewRows = 2

// classOf is the class of a call that brings rows.
func classOf(rows int, many class) class {
	if rows <= fewRows {
		return urgent
	}
	return many
}

// smallValue is how many bytes a value may have and still be written urgently.
const smallValue = 64 << 10

// classOfValue is the class of a call that writes one value.
func classOfValue(value []byte) class {
	if len(value) <= smallValue {
		return urgent
	}
	return bulk
}

// passesAtMost is how many turns may pass a class by. Then it has the next
// one, so that urgent work without end does not stop the outbox.
const passesAtMost = 8

// turns gives write transactions their turns: the first class first, and
// within a class in the order of arrival. A transaction that has begun is
// never broken off. So an urgent one waits for those of its own class that
// came before it, for at most one of each later class that is under way, and
// for at most one of each later class that was passed by too often.
type turns struct {
	places int          // transactions at once
	most   [classes]int // of each class at once

	mu      sync.Mutex
	taken   [classes]int
	waiting [classes][]chan struct{} // closed when the turn is there
	passed  [classes]int             // turns that went to an earlier class
	begun   [classes]int64
	watch   func(turnEvent) // for tests; called with mu held
}

// turnEvent is a step of a transaction through turns.
type turnEvent struct {
	class class
	what  string // asked, begun, ended
}

func newTurns(places int, most [classes]int) *turns { return &turns{places: places, most: most} }

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
	} else { // the turn came at the same moment
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

// grant gives turns for as long as there are places.
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

// next is the class whose turn it is, or classes for none.
func (t *turns) next() class {
	first := classes
	for c := bulk; c >= urgent; c-- {
		if !t.canBegin(c) {
			continue
		}
		if t.passed[c] >= passesAtMost {
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
	return len(t.waiting[c]) > 0 && all < t.places && t.taken[c] < t.most[c]
}

func (t *turns) note(c class, what string) {
	if t.watch != nil {
		t.watch(turnEvent{c, what})
	}
}

// Writes tells, of a class of write transactions, how many have begun and how
// many wait for their turn.
type Writes struct {
	Class   string
	Begun   int64
	Waiting int
}

// Writes tells about each class.
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
