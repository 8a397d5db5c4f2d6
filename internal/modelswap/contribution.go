package modelswap

import (
	"context"
	"fmt"
	"time"

	"gateway/internal/export"
)

// Values of Overrides.JudgeBy.
const (
	JudgeByKnown = "known" // imported customers only
	JudgeByAll   = "all"   // every held-out row, with its newest label
)

// policy returns the bounds on what apps contribute to a renewal. Ages are
// measured from the renewal's creation, so that converting again gives the same
// bytes.
func (x *stepRun) policy() *export.Policy {
	return &export.Policy{
		KnownOnly: x.opts.KnownOnly,
		JudgeAll:  x.r.Overrides.JudgeBy == JudgeByAll,
		Now:       x.r.CreatedAt,
		Probation: x.opts.Probation,
	}
}

// judgedBy says why champion and challenger were compared on all held-out rows.
// It is empty where they were compared on imported ones alone.
func (x *stepRun) judgedBy() string {
	switch {
	case x.r.State.Open:
		return fmt.Sprintf("judged by all held-out rows, those of apps included: fewer than %d imported customers, or than %d of either label, are held out",
			export.MinJudged, export.MinOfLabel)
	case x.r.Overrides.JudgeBy == JudgeByAll:
		return "judged by all held-out rows, those of apps included, as the override judge_by says"
	}
	return ""
}

// NewOutcomes counts customers whose label an outcome has set.
type NewOutcomes struct {
	Settled  int64            // confirmed an imported label, or passed their probation
	ByCaller map[string]int64 // the others, by the caller that reported them
}

// learnable returns how many of them a renewal may learn from, given the policy
// for the newest outcome.
func (n NewOutcomes) learnable(newest *Renewal) int64 {
	total := n.Settled
	for _, count := range n.ByCaller {
		if newest != nil && newest.State.Settled > 0 && !newest.State.Open {
			count = min(count, export.CallerCap(newest.State.Settled))
		}
		total += count
	}
	return total
}

// outcomeCount is the last count of waiting outcomes. Counting reads a row for
// each of them, and most may be above a caller's cap.
type outcomeCount struct {
	at                     time.Time
	taken, newest, waiting int64
}

// recountAfter is how long a count is used while too few outcomes have arrived
// since to start a renewal. Outcomes that pass their probation in that time are
// counted late.
const recountAfter = time.Minute

// enough reports whether n outcomes may be waiting, judging by the last count.
func (c *outcomeCount) enough(now time.Time, taken, newest, n int64) bool {
	return c.taken != taken || c.waiting+newest-c.newest >= n || now.Sub(c.at) >= recountAfter
}

// countOutcomes counts the outcomes that wait and may be learned from.
func (e *Engine) countOutcomes(ctx context.Context, w waiting) (int64, error) {
	if w.number <= w.taken {
		return 0, nil
	}
	until := time.Time{}
	if e.opts.Probation > 0 {
		until = e.opts.Now().Add(-e.opts.Probation)
	}
	counts, err := e.ports.Schedules.OutcomesAfter(ctx, w.taken, until, e.opts.KnownOnly)
	return counts.learnable(w.newest), err
}
