package main

import (
	"math/rand/v2"
	"sync"
	"time"
)

// behaviour is how the runtime is to behave: its size and its faults. The zero
// behaviour answers at once, as many calls as come.
type behaviour struct {
	Latency    time.Duration // of a call
	PerRow     time.Duration // and of each row in it
	Concurrent int           // calls that are served at once; the rest queue. 0: any number

	StallUntil time.Time // until then nothing is answered
	Throttle   float64   // share of calls refused with HTTP 400 and {"message":null}
	Reset      float64   // share of calls whose connection is reset instead of an answer
	Bad        float64   // share of calls that are answered with Nonsense
	Nonsense   string    // one of nonsense
	Sound      string    // model whose answers are never bad: that of the variant before
}

// nonsense is what a bad answer may be.
const (
	notANumber  = "nan"
	tooFew      = "few"   // a score less than rows
	notJSON     = "text"  // not JSON at all
	serverError = "error" // ModelError: the container failed with 500
)

// counts is what the runtime has seen since it was last asked to begin anew.
type counts struct {
	Calls     int // attempts, that is
	Repeats   int // of them, those that an SDK's client made again
	Rows      int // in calls that were answered well
	Throttled int
	Reset     int
	Bad       int
	Peak      int // calls in the busiest window
	MostAt    int // calls being served at once, at most
	Accepted  int // connections

	window time.Time
	count  int
}

// tally counts, and deals out faults.
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

// call counts a call that has come in, and says what is to become of it. By
// chance: faults that come in turns, every second call, say, fall into step with
// calls that are made again. But the same chance in every run.
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

// become sets the behaviour from now on.
func (t *tally) become(b behaviour) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.behaviour = b
	t.chance.Seed(6, 4)
}

// anew returns the counts, and begins others.
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

// slots bound the calls that are served at once; the others wait in the order in which
// they came.
type slots struct {
	mu      sync.Mutex
	most    int // 0: any number
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

// take waits for a slot, and returns how many are taken.
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
