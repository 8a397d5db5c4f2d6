package scoring

import "time"

// concurrencyLimiter learns the number of slots from the time of requests, from
// their arrival to their answer. It counts requests, not rows: one slot less hardly
// delays a request of a thousand rows, which must not outvote small requests.
//
// More slots shorten the wait in our queue, at most by all of it. Fewer slots shorten
// the wait in the endpoint's queue, at most by the time that calls take beyond the
// shortest call; and calls have more rows, so that each row costs less. Where there
// is something to gain, another number of slots is tried for a round of calls:
//
//   - more slots are kept if requests take 2 % less time than before;
//   - fewer slots are kept if requests take no more time than before.
//
// This is hill climbing and needs no model of the endpoint: it may serve four calls
// and queue the rest, share one processor among all, or need longer for larger
// calls. With an endpoint of k servers it ends at k or k+1 slots: below k requests
// wait here for free servers, above k they wait there in smaller calls.
//
// At the start, and after a stall, slots double until that does not pay. A failed
// try is repeated after 1, 2, 4, … rounds: of more slots after at most 32, or 4
// while requests wait longer than maxWait; of fewer slots after at most 256, because
// it makes requests wait that did not, and it ends early if they take a quarter more
// time. Both are repeated at once when the time of a request has changed by half,
// because the load or the endpoint has changed.
//
// Two signals are stronger than the time of a request. Throttling shows how many
// calls are too many: slots stay below that number for a second, doubled each time
// up to a minute. Calls that time out halve the slots.
type concurrencyLimiter struct {
	limit, max int // slots now; the maximum
	maxWait    time.Duration

	best time.Duration // shortest call; rises slowly
	mean time.Duration // of recent calls
	slow slowCalls

	epoch int   // counts changes of limit; calls of an earlier epoch are ignored
	skip  int   // calls of this epoch to ignore, which overlap with calls of the last one
	round round // calls of this epoch
	// Requests that arrived before the last change are ignored: a new slot shortens
	// their wait once, by the rows that it takes from the queue.
	changed time.Time

	trial    int           // additional slots (negative: fewer) that are being tried; 0: none
	time     time.Duration // of a request, with the slots before the try; 0: unknown
	up, down try
	doubling bool

	refusedAt int // calls in flight when the endpoint throttled; 0: never
	hold      time.Duration
	heldUntil time.Time
}

const (
	firstSlots = 4
	roundTime  = 10 * time.Millisecond
	roundCalls = 8
	maxGap     = 32
	urgentGap  = 4
	maxFew     = 256 // rounds, after a try of fewer slots that failed
	// fewCalls is how many calls such a try lasts where requests take a quarter
	// more time with it.
	fewCalls  = 3
	firstHold = time.Second
	longHold  = time.Minute
)

// ticket holds the data of one call that the limiter learns from.
type ticket struct {
	begun    time.Time
	inFlight int // when it began, itself included
	epoch    int
	rows     int
	requests int
	waited   time.Duration // in the queue, all requests together
	took     time.Duration
	outcome  callOutcome
}

// arrived is when the requests of the call arrived, on average.
func (t *ticket) arrived() time.Time {
	return t.begun.Add(-t.waited / time.Duration(max(1, t.requests)))
}

type callOutcome int

const (
	unknown   callOutcome = iota // no information about the capacity of the endpoint
	scored                       // answered
	throttled                    // refused, because there were too many
	stalled                      // not answered in time
)

// round is the sum over some calls.
type round struct {
	began            time.Time
	calls, requests  int
	waited, answered time.Duration // of all requests
	peak             int           // most calls in flight
}

// time is what a request takes, on average.
func (r *round) time() time.Duration { return (r.waited + r.answered) / time.Duration(r.requests) }

// try is when more, or fewer, slots are tried next.
type try struct{ in, gap int } // rounds until the next, and between the last two

func (t *try) failed(longest int) { t.gap = min(max(1, 2*t.gap), longest); t.in = t.gap }

func newConcurrencyLimiter(most int, maxWait time.Duration) concurrencyLimiter {
	return concurrencyLimiter{limit: min(firstSlots, most), max: most, maxWait: maxWait, doubling: true}
}

// begin makes the ticket of a call that goes out now.
func (s *concurrencyLimiter) begin(now time.Time, inFlight int) ticket {
	return ticket{begun: now, inFlight: inFlight, epoch: s.epoch}
}

// done learns from a call that has ended.
func (s *concurrencyLimiter) done(t *ticket) {
	switch t.outcome {
	case throttled:
		s.throttled(t)
	case stalled:
		s.stalled(t)
	case scored:
		s.observe(t)
	}
}

func (s *concurrencyLimiter) observe(t *ticket) {
	switch {
	case s.best == 0 || t.took < s.best:
		s.best = t.took
	default:
		s.best += (t.took - s.best) / 256
	}
	s.average(t)
	if t.epoch != s.epoch {
		return
	}
	if s.skip > 0 || t.arrived().Before(s.changed) {
		s.skip = max(0, s.skip-1)
		return
	}
	r := &s.round
	if r.calls == 0 {
		r.began = t.begun
	}
	r.calls++
	r.requests += t.requests
	r.waited += t.waited
	r.answered += t.took * time.Duration(t.requests)
	r.peak = max(r.peak, t.inFlight)
	now := t.begun.Add(t.took)
	harm := s.trial < 0 && r.calls >= fewCalls && r.time() > s.time+s.time/4
	if !harm && (r.calls < max(roundCalls, 2*s.limit) || now.Sub(r.began) < roundTime) {
		return
	}
	full := *r
	s.round = round{}
	s.judge(full, now)
	s.propose(full, now)
}

// average updates the mean duration of calls, from which the wait in the queue is
// estimated. A stall must not move it much: the calls that one stall delayed count
// once, and at most as farOff times the mean, until later calls are as slow.
func (s *concurrencyLimiter) average(t *ticket) {
	switch {
	case s.mean == 0:
		s.mean = t.took
	case t.took < s.mean: // good news at once: after a stall the mean is far off
		s.mean = (s.mean + t.took) / 2
		s.slow.rounds = 0
	case t.took <= farOff*s.mean:
		s.mean += (t.took - s.mean) / 8
		s.slow.rounds = 0
	case t.begun.Before(s.slow.ended): // held up by the same stall
	default:
		s.slow.ended = t.begun.Add(t.took)
		if s.slow.rounds++; s.slow.rounds < slowRounds {
			s.mean += (farOff*s.mean - s.mean) / 8
		} else {
			s.mean, s.slow.rounds = t.took, 0
		}
	}
}

// slowCalls are calls that took far longer than others.
type slowCalls struct {
	rounds int       // without a call between them that was not slow; those under way together are one
	ended  time.Time // of the last round, when the first call ended
}

// slowRounds is after how many rounds slow calls are how the endpoint is.
const slowRounds = 3

// judge ends a trial, or updates the time of a request if there is none.
func (s *concurrencyLimiter) judge(r round, now time.Time) {
	took := r.time()
	switch {
	case s.trial > 0 && took < s.time-s.time/50:
		s.settle(took)
		s.up = try{}
	case s.trial > 0:
		s.doubling = false
		longest := maxGap
		if r.waited/time.Duration(r.requests) > s.maxWait {
			longest = urgentGap
		}
		s.up.failed(longest)
		s.change(s.limit-s.trial, now)
	case s.trial < 0 && took <= s.time+s.time/100:
		s.settle(took)
		s.up, s.down = try{}, try{}
	case s.trial < 0:
		s.down.failed(maxFew)
		s.change(s.limit-s.trial, now)
	case s.time == 0:
		s.time = took
	case took > s.time+s.time/2 || took < s.time-s.time/3:
		s.time, s.up, s.down = took, try{}, try{}
	default:
		s.time += (took - s.time) / 4
		s.up.in, s.down.in = s.up.in-1, s.down.in-1
	}
}

func (s *concurrencyLimiter) settle(took time.Duration) { s.time, s.trial = took, 0 }

// propose begins a trial where there is something to gain.
func (s *concurrencyLimiter) propose(r round, now time.Time) {
	if s.trial != 0 || s.time == 0 || s.skip > 0 {
		return
	}
	wait := r.waited / time.Duration(r.requests)
	excess := r.answered/time.Duration(r.requests) - s.best
	most := s.max
	if s.refusedAt > 0 && now.Before(s.heldUntil) {
		most = min(most, s.refusedAt-1)
	}
	more := s.up.in <= 0 && s.limit < most && wait > s.time/50
	less := s.down.in <= 0 && r.peak > 1 && excess > s.time/10
	switch {
	case more && (!less || wait > excess):
		step := max(1, s.limit/4)
		if s.doubling {
			step = s.limit
		}
		s.begins(min(s.limit+step, most), now)
	case less:
		// As many as would be busy if calls took the shortest time, or half.
		peak := min(s.limit, r.peak)
		fit := int(int64(peak)*int64(s.best)/int64(s.best+excess)) + 1
		s.begins(max(1, min(peak-1, max(fit, peak/2))), now)
	}
}

func (s *concurrencyLimiter) begins(limit int, now time.Time) {
	trial := limit - s.limit
	s.change(limit, now)
	s.trial = trial
}

// change sets the limit and begins a new epoch.
func (s *concurrencyLimiter) change(limit int, now time.Time) {
	s.limit, s.trial, s.changed = limit, 0, now
	s.epoch++
	s.skip = limit
	s.round = round{}
}

func (s *concurrencyLimiter) throttled(t *ticket) {
	if t.epoch != s.epoch {
		return
	}
	now := t.begun.Add(t.took)
	if now.Sub(s.heldUntil) < s.hold {
		s.hold = min(2*s.hold, longHold)
	} else {
		s.hold = firstHold
	}
	s.refusedAt = max(2, min(t.inFlight, s.limit))
	s.heldUntil = now.Add(s.hold)
	s.doubling = false
	s.change(max(1, s.limit/2, s.refusedAt-1), now)
}

func (s *concurrencyLimiter) stalled(t *ticket) {
	if t.epoch != s.epoch || t.took < 4*s.mean {
		return // the caller's deadline was short, or the call is of an earlier epoch
	}
	s.time, s.up, s.down, s.doubling = 0, try{}, try{}, true
	s.change(max(1, s.limit/2), t.begun.Add(t.took))
}
