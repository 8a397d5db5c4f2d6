package modelswap

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"
)

// tryAgain records a failed try in the step. It returns how long to wait before
// the next try, or false if there is none.
func (x *stepRun) tryAgain(err error) (wait time.Duration, again bool) {
	class := classOf(err)
	tries, _ := x.step.Detail["retries"].(float64) // as it will be read from the row
	if n, ok := x.step.Detail["retries"].(int); ok {
		tries = float64(n)
	}
	wait, again = class.pause(int(tries) + 1)
	x.note("class", class)
	x.note("last_error", publicText(err))
	if !again {
		return 0, false
	}
	x.note("retries", int(tries)+1)
	wait = min(wait, x.opts.MaxPause)
	x.log.Warn("step failed; trying again", "renewal", x.r.ID, "step", x.step.Name, "class", class, "in", wait, "error", err)
	return wait, true
}

// filesMissing reports whether a step failed because files of an earlier step are
// missing.
func filesMissing(err error) bool { return errors.Is(err, fs.ErrNotExist) }

// maxRedone is how often a renewal may restart because files are missing.
const maxRedone = 3

// redo restarts the renewal at export if its intermediate files are missing: they
// are on another machine, or were deleted.
func (e *Engine) redo(r *Renewal, step *Step, err error) bool {
	made := r.Step(Export)
	if step.Name == Export || r.State.Redone >= maxRedone {
		return false
	}
	r.State.Redone++
	if r.Step(Train).Attempt > 0 {
		e.renameModel(r)
	}
	r.reset(Export)
	made.Detail["redone"] = fmt.Sprintf("step %s found no files: %s", step.Name, publicText(err))
	e.log.Warn("files of the renewal are missing; restarting at export", "renewal", r.ID, "step", step.Name, "error", err)
	return true
}

// reset makes a step and all later ones pending again.
func (r *Renewal) reset(from StepName) {
	at := slices.Index(Order(), from)
	for i := range r.Steps {
		if i >= at {
			s := &r.Steps[i]
			s.Status, s.StartedAt, s.FinishedAt, s.Error, s.Detail = StepPending, nil, nil, nil, map[string]any{}
		}
	}
}
