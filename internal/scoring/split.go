package scoring

import (
	"context"
	"slices"
	"time"

	"gateway/internal/failure"
	"gateway/internal/predict"
	"gateway/internal/schema"
)

// join collects the scores of one request from the calls of its parts.
type join struct {
	out    predict.Scores
	models []string                  // by row; empty where the row failed
	parts  map[string]predict.Scores // by model, one of its parts
}

func newJoin(rows int) *join {
	return &join{
		out:    predict.Scores{Score: make([]float64, rows), Label: make([]int, rows), Errors: make([]error, rows)},
		models: make([]string, rows), parts: make(map[string]predict.Scores, 1),
	}
}

func (j *join) put(from int, part predict.Scores) {
	copy(j.out.Score[from:], part.Score)
	copy(j.out.Label[from:], part.Label)
	if part.Contributions != nil {
		if j.out.Contributions == nil {
			j.out.Contributions = make([][]float64, len(j.out.Score))
		}
		copy(j.out.Contributions[from:], part.Contributions)
	}
	if part.Unexplained != "" || j.parts[part.Model].Unexplained == "" {
		j.parts[part.Model] = part
	}
	for i := range part.Score {
		j.out.Errors[from+i] = part.ErrorOf(i)
		j.models[from+i] = part.Model
	}
}

func (j *join) fail(from, rows int, err error) {
	for i := from; i < from+rows; i++ {
		j.out.Errors[i] = err
	}
}

// model returns the model that scored the most rows; of equals the last one.
func (j *join) model() string {
	count := make(map[string]int, 1)
	best := ""
	for i, m := range j.models {
		if j.out.Errors[i] != nil {
			continue
		}
		if count[m]++; count[m] >= count[best] {
			best = m
		}
	}
	return best
}

// scores returns the scores of the request, all from one model. Rows that another
// model scored have an error. If no row has a score, it returns the first error.
func (j *join) scores() (predict.Scores, error) {
	model := j.model()
	failed := 0
	for i := range j.models {
		if j.out.Errors[i] == nil && j.models[i] != model {
			j.out.Errors[i] = &failure.Error{Kind: failure.Unavailable, RetryAfter: time.Second,
				Detail: "the model was being replaced; the row was scored by another one than its neighbours"}
		}
		if j.out.Errors[i] != nil {
			failed++
			j.out.Score[i], j.out.Label[i] = 0, 0
		}
	}
	switch failed {
	case len(j.models):
		return predict.Scores{}, j.out.Errors[0]
	case 0:
		j.out.Errors = nil
	}
	of := j.parts[model]
	j.out.Model, j.out.Schema, j.out.Base, j.out.Unexplained = model, of.Schema, of.Base, of.Unexplained
	return j.out, nil
}

// part is a range of a request's rows.
type part struct{ from, till int }

func parts(rows, size int) []part {
	all := make([]part, 0, (rows+size-1)/size)
	for from := 0; from < rows; from += size {
		all = append(all, part{from, min(from+size, rows)})
	}
	return all
}

// others returns the parts with rows that were not scored by the request's model.
func (j *join) others(all []part) []part {
	model := j.model()
	return slices.DeleteFunc(all, func(p part) bool {
		for i := p.from; i < p.till; i++ {
			if j.out.Errors[i] == nil && j.models[i] != model {
				return false
			}
		}
		return true
	})
}

// askAgain is how often the rows of other models are scored again. If two models
// answer half of the calls each, one part in sixteen still fails; if one model
// replaces the other, none does.
const askAgain = 4

// scoreParts scores a request in parts of size rows, which are queued together. Rows
// to be scored again are queued after them, in parts of the maximum size of a call:
// the rows of a request that fits one call are then of one model.
func (b *Batch) scoreParts(ctx context.Context, rows []schema.Vector, explain bool, size int) (predict.Scores, error) {
	j := newJoin(len(rows))
	todo := parts(len(rows), size)
	for again := 0; len(todo) > 0; again++ {
		sent := make([]*waiter, len(todo))
		now := time.Now()
		b.mu.Lock()
		if again == 0 {
			if err := b.refuse(ctx, len(rows), now); err != nil {
				b.mu.Unlock()
				return predict.Scores{}, err
			}
		}
		for i, p := range todo {
			sent[i] = b.newWaiter(ctx, rows[p.from:p.till], explain, now)
			sent[i].part = true
			b.queue.push(sent[i])
		}
		b.open()
		b.mu.Unlock()
		failed := false
		for i, p := range todo {
			scores, err := b.wait(ctx, sent[i])
			switch {
			case err == nil:
				j.put(p.from, scores)
			case again == 0:
				j.fail(p.from, p.till-p.from, err)
			default:
				failed = true // the rows keep their earlier scores
			}
		}
		if again == askAgain || failed || ctx.Err() != nil {
			break
		}
		todo = j.others(parts(len(rows), b.queue.rowsPerCall(rows)))
		b.metrics.remodelled.Add(float64(len(todo)))
	}
	if err := ctx.Err(); err != nil {
		return predict.Scores{}, leftError(ctx)
	}
	return j.scores()
}
