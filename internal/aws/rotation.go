package aws

import (
	"errors"
	"log/slog"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"gateway/internal/aws/wire"
)

// Whose answer is it?
//
// HTTP/1.1 binds an answer to a request by their order on a connection alone. A
// server or proxy that sends an answer twice, or swaps two, gives a call the
// answer of another. So calls take turns with the probes: the answer to another
// call has the score of another probe, and does not fit. For that, the scores of
// the probes in use must differ under all models that may answer.

// toldApart is the relative distance that the scores of two models for one probe,
// or of two probes, must have: many times the noise within which scores are the
// same.
const toldApart = 10 * sameScore

// rotationOf returns the probes that calls may carry, the best one first: those
// whose scores distinguish the models, and which are distinguishable from each
// other by the scores of each model.
func rotationOf(models []*model) []int {
	best := bestProbe(models)
	rotation := []int{best}
	for p := range probeCount {
		if p == best || !tellsApart(models, p, best) {
			continue
		}
		if !slices.ContainsFunc(rotation, func(q int) bool { return confusable(models, p, q) }) {
			rotation = append(rotation, p)
		}
	}
	return rotation
}

// tellsApart reports whether a probe shows which model answered, of all that the
// best one can tell apart.
func tellsApart(models []*model, probe, best int) bool {
	for i, a := range models {
		for _, b := range models[i+1:] {
			if a.scores == nil || b.scores == nil {
				continue
			}
			enough := math.Min(toldApart, distance(a.scores[best], b.scores[best]))
			if distance(a.scores[probe], b.scores[probe]) < enough {
				return false
			}
		}
	}
	return true
}

// confusable reports whether an answer to one probe could be taken for an answer
// to another.
func confusable(models []*model, p, q int) bool {
	for _, a := range models {
		for _, b := range models {
			if a.scores != nil && b.scores != nil && distance(a.scores[p], b.scores[q]) < toldApart {
				return true
			}
		}
	}
	return false
}

// turns gives calls their probes: one that no call under way bears, if there is
// one, and of these the one that has not been used for longest.
type turns struct {
	mu     sync.Mutex
	busy   [probeCount]int
	used   [probeCount]uint64 // number of the newest call
	number uint64
}

// take chooses the probe of a call, until give.
func (t *turns) take(rotation []int) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	probe := rotation[0]
	for _, p := range rotation[1:] {
		if t.busy[p] < t.busy[probe] || t.busy[p] == t.busy[probe] && t.used[p] < t.used[probe] {
			probe = p
		}
	}
	t.number++
	t.busy[probe]++
	t.used[probe] = t.number
	return probe
}

func (t *turns) give(probe int) {
	t.mu.Lock()
	t.busy[probe]--
	t.mu.Unlock()
}

// markOf tells package wire by what the answer to a call is told from others.
func markOf(rotation []int, probe int) wire.Mark {
	return wire.Mark{Value: uint8(probe), Apart: uint8(min(len(rotation)/2, wire.MaxApart))}
}

// foreign reports whether a score that fits no model for its probe fits one for
// another probe: the answer is one to another call.
func foreign(models []*model, rotation []int, probe int, score float64) bool {
	return slices.ContainsFunc(rotation, func(p int) bool { return p != probe && identify(models, p, score) != nil })
}

// errForeign is in the errors of calls whose answers do not fit them.
var errForeign = errors.New("the answer does not fit the call")

// foreignAnswers counts answers that do not fit their calls. The log says so at
// most once a minute.
type foreignAnswers struct {
	count  atomic.Int64
	logged atomic.Int64 // when, in seconds since 1970
}

func (f *foreignAnswers) note(log *slog.Logger, endpoint string, why error) {
	f.count.Add(1)
	now := time.Now().Unix()
	if last := f.logged.Load(); now-last >= 60 && f.logged.CompareAndSwap(last, now) {
		log.Warn("an answer of the endpoint does not fit its call; it is discarded and its connection closed, and the call is made again if the retry budget allows",
			"endpoint", endpoint, "error", why, "since_start", f.count.Load())
	}
}

// ForeignAnswers is how many answers of the endpoint did not fit their calls.
func (c *Clients) ForeignAnswers() int64 { return c.runtime.foreign.count.Load() }
