package app

import (
	"sync"
	"time"

	"gateway/internal/demo"
)

// simulation is the clock of a simulated time and the generator of its ids. The clock
// runs on from where it was set last, so that what takes time takes it in the records
// too.
type simulation struct {
	month *demo.Month

	mu  sync.Mutex
	at  time.Time // the simulated time at
	set time.Time // this time of the system
}

func newSimulation(month *demo.Month, at time.Time) *simulation {
	return &simulation{month: month, at: at, set: time.Now()}
}

// now is the simulated time.
func (s *simulation) now() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.at.Add(time.Since(s.set)).UTC()
}

// advance sets the clock forward. A time that has passed leaves it as it is.
func (s *simulation) advance(to time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now := time.Now(); s.at.Add(now.Sub(s.set)).Before(to) {
		s.at, s.set = to, now
	}
}

// newID makes an id of the simulated time.
func (s *simulation) newID() string { return s.month.NewID(s.now()) }
