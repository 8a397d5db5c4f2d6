package sandbox

import (
	"sync"
	"time"
)

// Clock is the time of the life cycles. The HTTP Date header always has the real time,
// because the SDK retries refused calls if it differs much.
type Clock interface {
	Now() time.Time
}

// realClock is the clock of the system. In a bubble of testing/synctest it is that of the
// bubble.
type realClock struct{}

func (realClock) Now() time.Time { return time.Now() }

// ManualClock is a clock that only Server.Advance moves.
type ManualClock struct {
	mu  sync.Mutex
	now time.Time
}

// NewManualClock returns a clock that shows the real time of this call.
func NewManualClock() *ManualClock { return &ManualClock{now: time.Now().UTC()} }

// Now implements Clock.
func (c *ManualClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *ManualClock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// Pace is the duration of each state of a life cycle.
type Pace struct {
	Starting, Downloading, Training, Uploading, Stopping time.Duration // of a training job

	Creating time.Duration // of an endpoint
	Updating time.Duration // until the new fleet is healthy
	Shifting time.Duration // while both fleets answer, if the deployment sets no times
	RollBack time.Duration
	Scaling  time.Duration // after a change of weights or counts
	System   time.Duration // SystemUpdating
	Deleting time.Duration

	Exporting time.Duration // of a table

	Queued, Querying time.Duration // of a query; it runs for as long as its SQL does, if that is longer

	// Speed divides the times in requests, such as MaxRuntimeInSeconds and
	// WaitIntervalInSeconds. Zero counts as 1.
	Speed float64
}

// RealPace returns about the durations of the real services.
func RealPace() Pace {
	return Pace{
		Starting: 90 * time.Second, Downloading: 15 * time.Second, Training: time.Minute, Uploading: 10 * time.Second,
		Stopping: 30 * time.Second,
		Creating: 4 * time.Minute, Updating: 5 * time.Minute, Shifting: 20 * time.Second, RollBack: 2 * time.Minute,
		Scaling: 3 * time.Minute, System: 5 * time.Minute, Deleting: 10 * time.Second,
		Exporting: 3 * time.Minute,
		Queued:    200 * time.Millisecond, Querying: time.Second,
		Speed: 1,
	}
}

// Faster returns the pace with every time divided by n.
func (p Pace) Faster(n float64) Pace {
	for _, d := range []*time.Duration{
		&p.Starting, &p.Downloading, &p.Training, &p.Uploading, &p.Stopping,
		&p.Creating, &p.Updating, &p.Shifting, &p.RollBack, &p.Scaling, &p.System, &p.Deleting, &p.Exporting, &p.Queued, &p.Querying,
	} {
		*d = time.Duration(float64(*d) / n)
	}
	p.Speed = p.speed() * n
	return p
}

func (p Pace) speed() float64 {
	if p.Speed <= 0 {
		return 1
	}
	return p.Speed
}

// seconds returns the duration of n seconds of a request at this pace.
func (p Pace) seconds(n int64) time.Duration {
	return time.Duration(float64(n) * float64(time.Second) / p.speed())
}

// Advance moves a ManualClock forward and completes everything that is due by then, with the
// training of models, so that the next answer is deterministic. It panics with any other
// clock.
func (s *Server) Advance(d time.Duration) {
	clock, ok := s.clock.(*ManualClock)
	if !ok {
		panic("sandbox: Advance without a ManualClock")
	}
	s.settleAll()
	clock.advance(d)
	s.settleAll()
}

// manual reports whether the clock is a ManualClock.
func (s *Server) manual() bool {
	_, ok := s.clock.(*ManualClock)
	return ok
}

// settleAll brings every life cycle to the present, and waits for the work that this
// requires.
func (s *Server) settleAll() {
	for {
		s.settle()
		s.mu.Lock()
		var pending []<-chan struct{}
		for _, j := range s.jobs {
			if j.work != nil && !j.work.done() && j.wants(s, s.clock.Now()) {
				pending = append(pending, j.work.finished)
			}
		}
		for _, q := range s.queries {
			if q.wants(s, s.clock.Now()) {
				pending = append(pending, q.work.finished)
			}
		}
		for _, e := range s.exports {
			if !e.isRead() {
				pending = append(pending, e.read)
			}
		}
		s.mu.Unlock()
		if len(pending) == 0 {
			return
		}
		for _, finished := range pending {
			<-finished
		}
	}
}

// settle brings every life cycle to the present, as far as its work is done.
func (s *Server) settle() {
	now := s.clock.Now()
	s.mu.Lock()
	for _, j := range s.jobs {
		j.settle(s, now)
	}
	for _, e := range s.endpoints {
		e.settle(s, now)
	}
	for _, q := range s.queries {
		q.settle(s, now)
	}
	due := s.dueExports(now)
	s.mu.Unlock()
	for _, e := range due {
		s.finishExport(e)
	}
}
