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

// # Whether an answer belongs to its call
//
// HTTP/1.1 assigns an answer to a request only by their order on a connection. If a server
// or proxy sends an answer twice, or swaps two answers, a call gets the answer of another
// call. Calls therefore rotate through the probes: the answer of another call has the score
// of another probe, which does not match. That requires that the scores of the rotated
// probes differ for all models that may answer.

// toldApart is the minimum relative distance of the scores of two models for one probe, or
// of one model for two probes: many times the noise of sameScore.
const toldApart = 10 * sameScore

// rotationOf returns the probes that calls may carry, the best one first. Each of them
// distinguishes the models, and each model distinguishes them from each other.
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

// tellsApart reports whether a probe distinguishes all pairs of models that the best probe
// distinguishes.
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

// confusable reports whether the score of one probe could pass for the score of another.
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

// turns assigns probes to calls. It prefers the probe that the fewest calls in flight carry,
// and of these the least recently used one.
type turns struct {
	mu     sync.Mutex
	busy   [probeCount]int
	used   [probeCount]uint64 // number of the latest call with the probe
	number uint64
}

// take returns the probe of a call. The call must return it with give.
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

// markOf returns the mark of a call with a probe for package wire.
func markOf(rotation []int, probe int) wire.Mark {
	return wire.Mark{Value: uint8(probe), Apart: uint8(min(len(rotation)/2, wire.MaxApart))}
}

// foreign reports whether a score matches a model for a probe other than the call's. The
// answer then belongs to another call.
func foreign(models []*model, rotation []int, probe int, score float64) bool {
	return slices.ContainsFunc(rotation, func(p int) bool { return p != probe && identify(models, p, score) != nil })
}

// errForeign is wrapped by the error of a call that got the answer of another call.
var errForeign = errors.New("the answer belongs to another call")

// foreignAnswers counts answers that belong to other calls. It logs at most one of them a
// minute.
type foreignAnswers struct {
	count  atomic.Int64
	logged atomic.Int64 // time of the last log line, in seconds since 1970
}

func (f *foreignAnswers) note(log *slog.Logger, endpoint string, why error) {
	f.count.Add(1)
	now := time.Now().Unix()
	if last := f.logged.Load(); now-last >= 60 && f.logged.CompareAndSwap(last, now) {
		log.Warn("a call of the endpoint got the answer of another call; the gateway discards it, closes the connection and makes the call again if the retry budget allows",
			"endpoint", endpoint, "error", why, "since_start", f.count.Load())
	}
}

// ForeignAnswers returns the number of answers since the start that belonged to other calls.
func (c *Clients) ForeignAnswers() int64 { return c.runtime.foreign.count.Load() }
