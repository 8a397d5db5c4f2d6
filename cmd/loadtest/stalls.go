package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"runtime"
	"strconv"
	"sync"
	"time"
)

// stalls stalls the gateway from time to time, under a closed loop within the capacity of the
// endpoint. The run fails if a request was refused, because there was no overload.
func stalls(ctx context.Context, o options, r *report) (err error) {
	s, err := newStage(ctx, o, r, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	if err := s.endpoint.become(ctx, behaviour{}); err != nil {
		return err
	}
	kinds, err := s.stallKinds()
	if err != nil {
		return err
	}
	long := o.stalls
	if o.quick {
		long = min(long, 15*time.Second)
	}
	h := &holdups{kinds: kinds, seen: make([]heldUp, len(kinds))}
	to := s.through(ctx)
	to.keep = h.count
	const conns = 256
	load, err := start(ctx, to, conns, 0)
	if err != nil {
		return err
	}
	defer load.close()
	if err := h.happen(ctx, load, long); err != nil {
		return errors.Join(err, s.gateway.alive())
	}
	failed := load.stop()
	r.judge(load, failed)
	r.head("Stalls")
	r.note("Closed loop of %d connections for %v, endpoint without latency. Every %v to %v there is a stall of %v to %v. "+
		"Requests are those that ended during such a stall and until the next one begins.", conns, long, calmMin, calmMax, stallMin, stallMax)
	h.tell(r)
	if err := s.gateway.alive(); err != nil {
		return err
	}
	if n := len(failed); n > 0 {
		return fmt.Errorf("of %d requests %s did not get a prediction", h.requests(), failures(failed))
	}
	return nil
}

// Times of stalls and of the calm between them.
const (
	stallMin, stallMax = 50 * time.Millisecond, 300 * time.Millisecond
	calmMin, calmMax   = 200 * time.Millisecond, 1500 * time.Millisecond
)

// stallKind is a kind of stall.
type stallKind struct {
	name string
	stop []*process // stopped during the stall
	run  []*process // running only during the stall
}

// stallKinds returns the kinds of stalls. One of them needs a process that only uses the
// processors; it is started and stopped here.
func (s *stage) stallKinds() ([]stallKind, error) {
	const neighboursEach = 4 // threads for each processor
	neighbours, _, err := s.play("neighbours", fmt.Sprint(neighboursEach*runtime.NumCPU()))
	if err != nil {
		return nil, err
	}
	if err := neighbours.freeze(); err != nil {
		return nil, err
	}
	return []stallKind{
		{"the gateway", []*process{s.gateway.process}, nil},
		{"gateway and endpoint", []*process{s.gateway.process, s.endpoint.process}, nil},
		{"busy neighbours", nil, []*process{neighbours}},
	}, nil
}

// during stalls for a while. Stopped processes run again when it returns.
func (k *stallKind) during(ctx context.Context, long time.Duration) (err error) {
	for _, p := range k.stop {
		defer func() { err = errors.Join(err, p.thaw()) }()
		if err := p.freeze(); err != nil {
			return err
		}
	}
	for _, p := range k.run {
		defer func() { err = errors.Join(err, p.freeze()) }()
		if err := p.thaw(); err != nil {
			return err
		}
	}
	return wait(ctx, long)
}

// holdups are the stalls of a run with the results of requests.
type holdups struct {
	kinds []stallKind

	mu   sync.Mutex
	now  int // kind of the latest stall
	seen []heldUp
}

// heldUp are the results of one kind of stall.
type heldUp struct {
	stalls   int
	long     time.Duration // of all stalls of the kind
	requests int
	by       map[int]int // requests without a prediction, by status
	wrong    int
	slowest  time.Duration
}

// happen makes stalls of all kinds in turn, until the load has run for the time until.
func (h *holdups) happen(ctx context.Context, load *run, until time.Duration) error {
	random := rand.New(rand.NewPCG(18, 5))
	between := func(least, most time.Duration) time.Duration {
		return least + time.Duration(random.Int64N(int64(most-least)))
	}
	for i := 0; ; i++ {
		if err := wait(ctx, between(calmMin, calmMax)); err != nil || load.now() >= until {
			return err
		}
		kind, long := i%len(h.kinds), between(stallMin, stallMax)
		h.mu.Lock()
		h.now = kind
		h.seen[kind].stalls++
		h.seen[kind].long += long
		h.mu.Unlock()
		if err := h.kinds[kind].during(ctx, long); err != nil {
			return fmt.Errorf("%s: %w", h.kinds[kind].name, err)
		}
	}
}

// count counts a request. It reports whether the record is kept, which it is if the request
// failed.
func (h *holdups) count(r *record) (keep bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	k := &h.seen[h.now]
	k.requests++
	k.slowest = max(k.slowest, r.took)
	if r.wrong {
		k.wrong++
	}
	if r.status == http.StatusOK {
		return r.wrong
	}
	if k.by == nil {
		k.by = make(map[int]int)
	}
	k.by[int(r.status)]++
	return true
}

func (h *holdups) requests() (n int) {
	for i := range h.seen {
		n += h.seen[i].requests
	}
	return n
}

func (h *holdups) tell(r *report) {
	rows := make([][]string, len(h.kinds))
	for i, k := range h.kinds {
		seen := &h.seen[i]
		refused, others := seen.by[http.StatusServiceUnavailable], 0
		for status, n := range seen.by {
			if status != http.StatusServiceUnavailable {
				others += n
			}
		}
		rows[i] = []string{k.name, count(seen.stalls), ms(seen.long / time.Duration(max(1, seen.stalls))), count(seen.requests),
			count(refused), count(others), count(seen.wrong), ms(seen.slowest)}
	}
	r.table([]string{"held up", "stalls", "mean ms", "requests", "503", "other failures", "wrong", "slowest ms"}, rows)
}

// playNeighbours is the process "neighbours", which keeps the processors busy with a number of
// threads.
func playNeighbours(ctx context.Context, out io.Writer, args []string) error {
	if len(args) != 1 {
		return errors.New("neighbours: want one argument, the number of threads")
	}
	threads, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintln(out, threads); err != nil {
		return err
	}
	runtime.GOMAXPROCS(threads + 1) // one for the end of ctx
	for range threads {
		go func() {
			for ctx.Err() == nil { //nolint:revive // a busy loop on purpose
			}
		}()
	}
	<-ctx.Done()
	return nil
}
