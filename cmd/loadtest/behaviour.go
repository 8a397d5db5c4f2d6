package main

import (
	"math/rand/v2"
	"sync"
	"time"
)

// behaviour is the capacity of the runtime and its faults. With the zero value it answers any
// number of calls at once.
type behaviour struct {
	Latency    time.Duration // of a call
	PerRow     time.Duration // in addition, of each row of a call
	Concurrent int           // maximum of concurrent calls; the others queue. 0: unlimited

	StallUntil time.Time // no call is answered before
	Throttle   float64   // share of calls refused with HTTP 400 and {"message":null}
	Reset      float64   // share of calls whose connection is reset instead of an answer
	Bad        float64   // share of calls with a wrong answer
	Nonsense   string    // kind of the wrong answers
	Sound      string    // a model without wrong answers: the one of the variant before
}

// Kinds of wrong answers.
const (
	notANumber  = "nan"
	tooFew      = "few"   // one score fewer than rows
	notJSON     = "text"  // not JSON
	serverError = "error" // ModelError: the container failed with 500
)

// counts are the calls of the runtime since the last reset.
type counts struct {
	Calls         int // attempts
	Repeats       int // those of Calls that are retries of an SDK
	Rows          int // of calls with a right answer
	Throttled     int
	Reset         int
	Bad           int
	Peak          int // calls in the busiest window
	MaxConcurrent int // maximum of concurrent calls
	Accepted      int // connections

	window time.Time
	count  int
}

// tally counts calls and decides which of them have a fault.
type tally struct {
	mu        sync.Mutex
	behaviour behaviour
	counts    counts
	chance    rand.PCG
}

type verdict int

const (
	answer verdict = iota
	throttle
	reset
	bad
)

// call counts a call and decides at random whether it has a fault. A regular pattern, such as
// each second call, could coincide with the pattern of retries. The random numbers are the
// same in each run.
func (t *tally) call(repeated bool, now time.Time) (verdict, behaviour) {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := &t.counts
	c.Calls++
	if repeated {
		c.Repeats++
	}
	if now.Sub(c.window) >= window {
		c.window, c.count = now, 0
	}
	c.count++
	c.Peak = max(c.Peak, c.count)
	v := answer
	switch draw, b := rand.New(&t.chance).Float64(), t.behaviour; {
	case draw < b.Throttle:
		v = throttle
		c.Throttled++
	case draw < b.Throttle+b.Reset:
		v = reset
		c.Reset++
	case draw < b.Throttle+b.Reset+b.Bad:
		v = bad
	}
	return v, t.behaviour
}

func (t *tally) now() behaviour {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.behaviour
}

// become sets the behaviour.
func (t *tally) become(b behaviour) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.behaviour = b
	t.chance.Seed(6, 4)
}

// anew returns the counts and resets them.
func (t *tally) anew() counts {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := t.counts
	t.counts = counts{}
	return c
}

func (t *tally) count(add func(c *counts)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	add(&t.counts)
}

// slots limit the number of concurrent calls. Further calls wait in the order of their
// arrival.
type slots struct {
	mu      sync.Mutex
	most    int // 0: unlimited
	used    int
	waiting []chan struct{}
}

func (s *slots) resize(most int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.most = most
	for len(s.waiting) > 0 && s.open() {
		s.admit()
	}
}

func (s *slots) open() bool { return s.most == 0 || s.used < s.most }

func (s *slots) admit() {
	s.used++
	close(s.waiting[0])
	s.waiting = s.waiting[1:]
}

// take waits for a slot and returns the number of taken slots.
func (s *slots) take() int {
	s.mu.Lock()
	if s.open() {
		defer s.mu.Unlock()
		s.used++
		return s.used
	}
	turn := make(chan struct{})
	s.waiting = append(s.waiting, turn)
	most := s.most
	s.mu.Unlock()
	<-turn
	return most
}

func (s *slots) give() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.used--
	for len(s.waiting) > 0 && s.open() {
		s.admit()
	}
}
