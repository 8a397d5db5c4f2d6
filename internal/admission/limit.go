package admission

import (
	"cmp"
	"sync"
	"sync/atomic"
	"time"

	"github.com/failsafe-go/failsafe-go/adaptivelimiter"
	"github.com/prometheus/client_golang/prometheus"

	"gateway/internal/failure"
)

// Class is the kind of a request. Classes are shed differently.
type Class int

// The classes. Health checks, metrics and requests of operators have none: they do not pass
// a Limit.
const (
	Prediction Class = iota // refused when places are few or the queue for the model is long
	Outcome                 // calls no model; refused only when no place is free
	Stream                  // refused like Prediction; holds no place, and takes turns (see Limit.Open)
	classes
)

func (c Class) String() string { return [classes]string{"prediction", "outcome", "stream"}[c] }

// Queue is the state of the queue behind a Limit.
type Queue struct {
	Rows int           // rows that wait
	Wait time.Duration // estimated wait of a small request that arrives now
	All  time.Duration // estimated time until all rows have been sent
	Call time.Duration // time of a call
	// StalledFor is for how long the maximum number of calls has been in flight
	// without one of them ending.
	StalledFor time.Duration
	// Trial is true if the calls in flight are trial calls of the circuit breaker.
	Trial bool
}

// Options are the settings of a Limit. A zero value means the default.
type Options struct {
	// Floor and Ceiling bound the learned limit: 256 and 1,024 places. A ceiling
	// below the floor lowers the floor.
	Floor, Ceiling int
	// MaxQueueWait is the longest time that a request may wait in the queue. 500 ms.
	MaxQueueWait time.Duration
	// Memory is how many bytes large requests may hold together: bodies, what is decoded
	// from them, and responses. One caller may hold half of it. 512 MiB.
	Memory int64
	// Streams is how many streams may be open. One caller may have half of them. 128.
	Streams int
	// Queue returns the state of the queue behind the limit. It is called at most once a
	// millisecond. Nil: there is no queue.
	Queue func() Queue
}

func (o Options) withDefaults() Options {
	o.Ceiling = cmp.Or(max(0, o.Ceiling), 1024)
	o.Floor = min(cmp.Or(max(0, o.Floor), 256), o.Ceiling)
	o.MaxQueueWait = cmp.Or(max(0, o.MaxQueueWait), 500*time.Millisecond)
	o.Memory = cmp.Or(max(0, o.Memory), defaultMemory)
	o.Streams = cmp.Or(max(0, o.Streams), 128)
	return o
}

// Limit decides which requests are handled and which are refused. It is safe for
// concurrent use.
type Limit struct {
	o        Options
	adaptive adaptivelimiter.AdaptiveLimiter[any]
	metrics  *limitMetrics
	pressed  atomic.Bool  // Check might refuse a request, and takes the lock to decide
	shed     atomic.Int64 // when a request was last refused
	memory   *Budget      // bytes
	streams  *Budget
	turns    chan struct{} // holds a token for each stream that scores rows

	mu         sync.Mutex
	fairShares fairShares
	queue      standingQueue
	taken      int
	mean       time.Duration // for which a request holds its places
}

// NewLimit makes a Limit whose metrics are registered with reg.
func NewLimit(o Options, reg prometheus.Registerer) *Limit {
	o = o.withDefaults()
	l := &Limit{o: o, memory: NewBudget(o.Memory), fairShares: newFairShares(), queue: standingQueue{look: o.Queue, maxQueueWait: o.MaxQueueWait},
		streams: NewBudget(int64(o.Streams)), turns: make(chan struct{}, max(1, o.Floor/2/turnPlaces))}
	l.adaptive = adaptivelimiter.NewBuilder[any]().
		WithLimits(uint(o.Floor), uint(o.Ceiling), uint(o.Ceiling)).
		// The limit stays at the ceiling until requests become slow. By default it would
		// follow what is in use, and a burst after a quiet hour would be refused.
		WithMaxLimitFunc(func(int) float64 { return float64(o.Ceiling) }).
		WithRecentWindow(100*time.Millisecond, time.Second, 50).
		WithBaselineWindow(100).
		Build()
	l.metrics = newLimitMetrics(reg, l)
	return l
}

// Permit lets a request be handled, and holds one place or several until Leave. The
// zero Permit holds none.
type Permit struct {
	limit  *Limit
	slot   adaptivelimiter.Permit
	share  *fairShare
	class  Class
	weight int
	since  time.Time
}

// Held reports whether the permit holds places.
func (p *Permit) Held() bool { return p.limit != nil }

// placeBytes is the size of the part of a body that takes one place. What is decoded from a
// body takes many times its size, some 50 MB for a list of 10,000, so a large body takes
// several places.
const placeBytes = 4 << 10

// Check returns an error if the request would be refused now. It is called before the body
// is read. It takes no place, because a body may come slowly.
func (l *Limit) Check(key string, class Class) error {
	if !l.pressed.Load() {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	s := l.fairShares.of(key, now)
	if err := l.refuse(s, class, 1, now); err != nil {
		return err
	}
	return nil
}

// Enter takes places for a request with a body of a number of bytes, or returns why it is
// refused: a *failure.Error of kind Unavailable with a RetryAfter. Requests with the same
// key belong to one caller.
func (l *Limit) Enter(key string, class Class, bytes int) (Permit, error) {
	weight := min(1+bytes/placeBytes, max(1, l.o.Floor/2)) // so that the largest body can be admitted
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.fairShares.of(key, now)
	if err := l.refuse(s, class, weight, now); err != nil {
		return Permit{}, err
	}
	slot, ok := l.adaptive.TryAcquirePermit()
	if !ok { // the limit has fallen since refuse read it
		return Permit{}, l.refused(noPlace, s, class, l.mean)
	}
	l.taken += weight
	s.taken += weight
	return Permit{limit: l, slot: slot, share: s, class: class, weight: weight, since: now}, nil
}

// Leave gives the places back. It may be called again.
//
// The limit is learned from how long places are held, except while rows wait for the
// endpoint: the queue bounds that wait, and it does not show that the gateway itself has
// too many requests.
func (p *Permit) Leave() {
	l := p.limit
	if l == nil {
		return
	}
	p.limit = nil
	took := time.Since(p.since)
	l.mu.Lock()
	l.taken -= p.weight
	p.share.taken -= p.weight
	waited := !l.queue.busy.Before(p.since)
	l.mean += (took - l.mean) / 16
	l.mu.Unlock()
	if waited || p.class != Prediction || p.weight > 1 {
		p.slot.Drop()
	} else {
		p.slot.Record()
	}
}

// reason is why a request was refused.
type reason int

const (
	noPlace     reason = iota // all places are taken
	overShare                 // few are left, and this caller has more than its share
	queueLong                 // the queue for the model does not get shorter
	noAnswer                  // the model does not answer, and the maximum number of calls waits for it
	noMemory                  // large requests hold all of Options.Memory
	memoryShare               // this caller's large requests hold half of it
	streamsOpen               // too many streams are open
	streamTurns               // too many streams score rows
	reasons
)

func (r reason) String() string {
	return [reasons]string{"places", "share", "queue", "stall", "memory", "memory_share", "streams", "turns"}[r]
}

var details = [reasons]string{
	noPlace:   "the service has as many requests as it can take",
	overShare: "the service is nearly full, and this key has more than its share of requests in it",
	queueLong: "more requests come than the model can answer",
	noAnswer:  "the model does not answer those who have asked it",

	noMemory:    "the service has as many large requests as its memory takes",
	memoryShare: "this caller has as many large requests as one caller may have at once",

	streamsOpen: "as many streams are open as the service can take",
	streamTurns: "the rows of other streams took all of the time",
}

// refuse says why a request cannot be let in, or nil. l.mu is held.
func (l *Limit) refuse(s *fairShare, class Class, weight int, now time.Time) error {
	l.queue.refresh(now)
	limit := l.adaptive.Limit()
	reserve, callers := 0, l.fairShares.count()
	several := l.fairShares.several()
	if several {
		reserve, callers = limit/8, max(2, callers) // for callers with few places, and for new ones
	}
	l.pressed.Store(l.taken+weight > limit-reserve || l.queue.full || l.queue.stuck || l.queue.rowsLong)
	switch {
	case l.taken+weight > limit && l.taken > 0:
		return l.refused(noPlace, s, class, l.mean)
	case class == Outcome:
		return nil
	case l.taken+weight > limit-reserve && s.taken+weight > limit/callers:
		return l.refused(overShare, s, class, l.mean)
	case l.queue.stuck:
		return l.refused(noAnswer, s, class, l.queue.stalled)
	case l.queue.tooLong(several && s.taken*callers < l.taken):
		return l.refused(queueLong, s, class, l.queue.wait)
	case class == Stream && l.queue.rowsLong:
		// A stream brings many rows. If they had no room, it would end early.
		return l.refused(queueLong, s, class, l.queue.all)
	}
	return nil
}

// refused counts a refusal and returns its error. RetryAfter is the time in which
// what is queued now will have been handled.
func (l *Limit) refused(why reason, s *fairShare, class Class, wait time.Duration) error {
	l.shed.Store(time.Now().UnixNano())
	l.metrics.shed(why, class, l.fairShares.kindOf(s, l.taken))
	return &failure.Error{Kind: failure.Unavailable, Detail: details[why], RetryAfter: max(wait, time.Millisecond)}
}

// Shedding reports whether a request was refused within the last second. Calls that can be
// omitted, such as second attempts, should not be made then.
func (l *Limit) Shedding() bool { return time.Since(time.Unix(0, l.shed.Load())) < time.Second }

// LimitStatus is the state of a Limit, as /admin/status shows it.
type LimitStatus struct {
	Places    int  `json:"places"` // as learned
	Floor     int  `json:"floor"`
	Ceiling   int  `json:"ceiling"`
	InUse     int  `json:"in_use"`
	Callers   int  `json:"callers"`    // that hold places, or sent a request within a second
	QueueFull bool `json:"queue_full"` // requests are refused because the queue for the model is long, or the model does not answer
	Streams   int  `json:"streams"`    // that are open
	Scoring   int  `json:"scoring"`    // streams whose rows are being scored
	// Memory is how many bytes large requests hold, and MemoryMax how many they may.
	Memory    int64 `json:"memory_bytes"`
	MemoryMax int64 `json:"memory_max_bytes"`
}

// Status returns the state.
func (l *Limit) Status() LimitStatus {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	l.queue.refresh(now)
	l.fairShares.sweep(now)
	return LimitStatus{Places: l.adaptive.Limit(), Floor: l.o.Floor, Ceiling: l.o.Ceiling, InUse: l.taken,
		Callers: len(l.fairShares.all), QueueFull: l.queue.full || l.queue.stuck,
		Memory: l.memory.Held(), MemoryMax: l.memory.Max(),
		Streams: int(l.streams.Held()), Scoring: len(l.turns)}
}
