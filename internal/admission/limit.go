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

// The classes. Health checks, metrics and requests of operators have none: they
// do not pass a Limit.
const (
	Prediction Class = iota // shed when places or the model's queue run short
	Outcome                 // asks no model, and is shed only when no place is left at all
	Stream                  // as Prediction; holds no place, but takes turns (see Limit.Open)
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
	// Trial: the calls in flight are trial calls of the circuit breaker.
	Trial bool
}

// Options are the settings of a Limit. A zero value means the default.
type Options struct {
	// Floor and Ceiling bound the learned limit: 256 and 1,024 places. A ceiling
	// below the floor lowers the floor.
	Floor, Ceiling int
	// MaxQueueWait is the longest time that a request may wait in the queue. 500 ms.
	MaxQueueWait time.Duration
	// Memory is how many bytes large requests may hold together: bodies, what is
	// decoded of them, and answers. One caller has at most half. 512 MiB.
	Memory int64
	// Streams is how many streams may be open; one caller has at most half. 128.
	Streams int
	// Queue returns the state of the queue behind the limit. It is called once in a
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
	pressed  atomic.Bool  // a request might be refused, so Check takes the lock
	shed     atomic.Int64 // when a request was last refused
	memory   *Budget      // bytes
	streams  *Budget
	turns    chan struct{} // holds a token for each stream that scores rows

	mu         sync.Mutex
	fairShares fairShares
	queue      standingQueue
	taken      int
	mean       time.Duration // that a request holds its place
}

// NewLimit makes a Limit whose metrics are registered with reg.
func NewLimit(o Options, reg prometheus.Registerer) *Limit {
	o = o.withDefaults()
	l := &Limit{o: o, memory: NewBudget(o.Memory), fairShares: newFairShares(), queue: standingQueue{look: o.Queue, maxQueueWait: o.MaxQueueWait},
		streams: NewBudget(int64(o.Streams)), turns: make(chan struct{}, max(1, o.Floor/2/turnPlaces))}
	l.adaptive = adaptivelimiter.NewBuilder[any]().
		WithLimits(uint(o.Floor), uint(o.Ceiling), uint(o.Ceiling)).
		// As many as allowed while nothing speaks against it: by default the
		// limit follows what is in use, and a burst after a quiet hour is refused.
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

// placeBytes is how much of a body a place is for. What is made of a body takes
// many times its size, some 50 MB for a list of 10,000, so a large one takes more
// than one place.
const placeBytes = 4 << 10

// Check tells, before a body is read, whether the request would be refused
// now. It takes no place: a body that comes slowly must not hold one.
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

// Enter takes places for a request with a body of the given size, or returns why
// there are none. Requests with the same key share one caller's part.
func (l *Limit) Enter(key string, class Class, bytes int) (Permit, error) {
	weight := min(1+bytes/placeBytes, max(1, l.o.Floor/2)) // so that the largest body has its turn
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.fairShares.of(key, now)
	if err := l.refuse(s, class, weight, now); err != nil {
		return Permit{}, err
	}
	slot, ok := l.adaptive.TryAcquirePermit()
	if !ok { // the limit has sunk since refuse looked
		return Permit{}, l.refused(noPlace, s, class, l.mean)
	}
	l.taken += weight
	s.taken += weight
	return Permit{limit: l, slot: slot, share: s, class: class, weight: weight, since: now}, nil
}

// Leave gives the places back. It may be called again.
//
// The limit learns from how long places are held, but not where rows wait for
// the endpoint: that wait is the queue's to bound, and shows neither that the
// gateway has too much to do nor that fewer requests would be better off.
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

// reason is why a request was shed.
type reason int

const (
	noPlace     reason = iota // all places are taken
	overShare                 // few are left, and this caller has more than its share
	queueLong                 // the queue for the model does not get shorter
	noAnswer                  // the model does not answer, and the maximum number of requests waits for it
	noMemory                  // large requests hold all memory that they may
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
		reserve, callers = limit/8, max(2, callers) // for those who have little, and may come yet
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
		// It brings rows for as long as it lasts, and would break off where they
		// have no room.
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

// Shedding reports whether a request was refused within the last second. Calls
// that are not needed, such as second attempts, should not be made then.
func (l *Limit) Shedding() bool { return time.Since(time.Unix(0, l.shed.Load())) < time.Second }

// LimitStatus is what an operator asks of a Limit.
type LimitStatus struct {
	Places    int  `json:"places"` // as learned
	Floor     int  `json:"floor"`
	Ceiling   int  `json:"ceiling"`
	InUse     int  `json:"in_use"`
	Callers   int  `json:"callers"`    // who hold places, or asked within a second
	QueueFull bool `json:"queue_full"` // requests are shed because the model has too many, or does not answer
	Streams   int  `json:"streams"`    // that are open
	Scoring   int  `json:"scoring"`    // streams whose rows are being scored
	// Memory is how many bytes large requests hold, and MemoryMax how many they may.
	Memory    int64 `json:"memory_bytes"`
	MemoryMax int64 `json:"memory_max_bytes"`
}

// Status tells how things are now.
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
