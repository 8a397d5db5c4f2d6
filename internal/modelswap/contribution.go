package modelswap

import (
	"context"
	"fmt"
	"time"

	"gateway/internal/export"
)

// What Overrides.JudgeBy may be.
const (
	JudgeByKnown = "known" // customers that apps cannot reach
	JudgeByAll   = "all"   // every held-out row, with its newest label
)

// policy is what bounds the contributions of apps to a renewal. Ages count from
// the renewal's beginning, so that converting again gives the same bytes.
func (x *stepRun) policy() *export.Policy {
	return &export.Policy{
		KnownOnly: x.opts.KnownOnly,
		JudgeAll:  x.r.Overrides.JudgeBy == JudgeByAll,
		Now:       x.r.CreatedAt,
		Probation: x.opts.Probation,
	}
}

// judgedBy says whose rows champion and challenger are judged by, where apps
// contributed to them; empty where they did not.
func (x *stepRun) judgedBy() string {
	switch {
	case x.r.State.Open:
		return fmt.Sprintf("judged by rows that apps contributed: fewer than %d held-out customers, or than %d of either label, were imported",
			export.MinJudged, export.MinOfLabel)
	case x.r.Overrides.JudgeBy == JudgeByAll:
		return "judged by rows that apps contributed, as the override judge_by says"
	}
	return ""
}

// NewOutcomes counts customers whose label an outcome has set.
type NewOutcomes struct {
	Settled  int64            // confirmed an imported label, or passed their probation
	ByCaller map[string]int64 // the others, by who reported them
}

// learnable is how many of them a renewal may learn from, by what the newest one
// found.
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

// outcomeCount is the last count of outcomes that wait. A count reads a row for
// each of them, which may be many where most are beyond a caller's cap.
type outcomeCount struct {
	at                     time.Time
	taken, newest, waiting int64
}

// recountAfter is how long a count stands where too few outcomes came since to
// start a renewal. It may have grown meanwhile by those that passed their probation.
const recountAfter = time.Minute

// enough reports whether n outcomes may have come in, by the last count.
func (c *outcomeCount) enough(taken, newest, n int64) bool {
	return c.taken != taken || c.waiting+newest-c.newest >= n || time.Since(c.at) >= recountAfter
}

// countOutcomes counts the outcomes that wait and may be learned from.
func (e *Engine) countOutcomes(ctx context.Context, w waiting) (int64, error) {
	if w.number <= w.taken {
		return 0, nil
	}
	until := time.Time{}
	if e.opts.Probation > 0 {
		until = time.Now().Add(-e.opts.Probation)
	}
	counts, err := e.ports.Schedules.OutcomesAfter(ctx, w.taken, until, e.opts.KnownOnly)
	return counts.learnable(w.newest), err
}
