package scoring

import "time"

// How many calls an endpoint takes at once is learned from what its callers
// feel: how long a request takes, from its arrival to its answer. Requests
// count, not their rows: a thousand rows of one caller are hardly delayed by a
// slot less, and must not outvote those who ask for one.
//
// More slots shorten the wait in our queue, by at most that wait. Fewer slots
// shorten the wait in the endpoint's queue, by at most as much as its calls take
// longer than the best of them; and calls get larger, so that each costs less.
// So when there is something to gain, the other number of slots is tried for a
// round of calls, and kept if the time of a request says so:
//
//   - more slots must earn their keep: requests must take 2 % less time than before;
//   - fewer slots need only do no harm.
//
// That is hill climbing, and it needs no model of the endpoint: whether it
// serves four calls and queues the rest, shares one processor among all, or
// takes longer for larger calls, the time of a request is what counts. An endpoint
// with k servers ends at k slots or one more: below k requests wait here for servers
// that are free, above k they wait there in smaller and smaller calls.
//
// At first, and after a stall, slots double until that does not pay. A try that
// failed is repeated after 1, 2, 4, … rounds: one of more slots after 32 at most, or
// 4 while requests wait longer than maxWait; one of fewer slots, which makes
// requests wait where they did not, after 256 at most, and it ends early where they
// feel it. Both are repeated at once where the time of a request has changed by half,
// because load or endpoint have.
//
// Two signals are stronger than the time of a request. An endpoint that throttles
// has said how many calls are too many: slots go below that number and stay
// there for a second, twice as long each time again, a minute at most. Calls
// that the endpoint does not answer in time halve the slots.
type slots struct {
	limit, max int // calls in flight: how many there may be; how many may be learned
	maxWait    time.Duration

	best time.Duration // shortest call; forgotten slowly
	mean time.Duration // of recent calls
	slow slowCalls

	epoch int   // changes with limit; calls that began in an earlier one teach nothing
	skip  int   // calls of this epoch to pass over, which met calls of the earlier one
	round round // what calls of this epoch said
	// Requests that arrived before the last change say nothing either: a new slot
	// shortens their wait once, by what it takes out of the queue.
	changed time.Time

	trial    int           // slots more (or, below zero, fewer) than before; 0: none
	time     time.Duration // of a request, with the slots that are settled; 0: unknown
	up, down try
	doubling bool

	refusedAt int // calls in flight that were too many; 0: unknown
	hold      time.Duration
	heldUntil time.Time
}

const (
	firstSlots = 4
	roundTime  = 10 * time.Millisecond
	roundCalls = 8
	longestGap = 32
	urgentGap  = 4
	longestFew = 256 // rounds, after a try of fewer slots that failed
	// fewCalls is how many calls such a try lasts where requests take a quarter
	// more time with it.
	fewCalls  = 3
	firstHold = time.Second
	longHold  = time.Minute
)

// ticket is what is known of one call.
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
	unknown   callOutcome = iota // it says nothing about the endpoint's capacity
	scored                       // answered
	throttled                    // refused, because there were too many
	stalled                      // not answered in time
)

// round sums up calls.
type round struct {
	began            time.Time
	calls, requests  int
	waited, answered time.Duration // of all requests
	peak             int           // most calls in flight
}

// time is what a request takes, on average.
func (r *round) time() time.Duration { return (r.waited + r.answered) / time.Duration(r.requests) }

// try is a direction in which slots may be tried.
type try struct{ in, gap int } // rounds until the next, and between the last two

func (t *try) failed(longest int) { t.gap = min(max(1, 2*t.gap), longest); t.in = t.gap }

func newSlots(most int, maxWait time.Duration) slots {
	return slots{limit: min(firstSlots, most), max: most, maxWait: maxWait, doubling: true}
}

// begin makes the ticket of a call that goes out now.
func (s *slots) begin(now time.Time, inFlight int) ticket {
	return ticket{begun: now, inFlight: inFlight, epoch: s.epoch}
}

// done learns from a call.
func (s *slots) done(t *ticket) {
	switch t.outcome {
	case throttled:
		s.throttled(t)
	case stalled:
		s.stalled(t)
	case scored:
		s.observe(t)
	}
}

func (s *slots) observe(t *ticket) {
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

// average follows the time of calls. The queue is as long as it says, so a stall
// must not move it much: calls that one stall held up count once, and as slow
// calls do at most, until calls that began later are as slow.
func (s *slots) average(t *ticket) {
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

// judge ends a trial, or notes what requests take without one.
func (s *slots) judge(r round, now time.Time) {
	took := r.time()
	switch {
	case s.trial > 0 && took < s.time-s.time/50:
		s.settle(took)
		s.up = try{}
	case s.trial > 0:
		s.doubling = false
		longest := longestGap
		if r.waited/time.Duration(r.requests) > s.maxWait {
			longest = urgentGap
		}
		s.up.failed(longest)
		s.change(s.limit-s.trial, now)
	case s.trial < 0 && took <= s.time+s.time/100:
		s.settle(took)
		s.up, s.down = try{}, try{}
	case s.trial < 0:
		s.down.failed(longestFew)
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

func (s *slots) settle(took time.Duration) { s.time, s.trial = took, 0 }

// propose begins a trial where there is something to gain.
func (s *slots) propose(r round, now time.Time) {
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

func (s *slots) begins(limit int, now time.Time) {
	trial := limit - s.limit
	s.change(limit, now)
	s.trial = trial
}

// change sets the limit and begins a new epoch.
func (s *slots) change(limit int, now time.Time) {
	s.limit, s.trial, s.changed = limit, 0, now
	s.epoch++
	s.skip = limit
	s.round = round{}
}

func (s *slots) throttled(t *ticket) {
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

func (s *slots) stalled(t *ticket) {
	if t.epoch != s.epoch || t.took < 4*s.mean {
		return // a caller with little patience, or news from before
	}
	s.time, s.up, s.down, s.doubling = 0, try{}, try{}, true
	s.change(max(1, s.limit/2), t.begun.Add(t.took))
}
