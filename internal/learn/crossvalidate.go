package learn

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"
)

// folds tells in which of count parts each row of the training data is. In
// cross-validation each part is scored by a model that learned from the others.
type folds struct {
	of    []uint8
	count int
}

// Streams of random numbers, apart from those of boosting rounds, whose streams
// are their numbers.
const (
	foldStream   = math.MaxUint64
	sampleStream = math.MaxUint64 - 1
)

// newFolds deals the rows of each label out to count parts in a random order, so
// that every part has its share of both labels.
func newFolds(labels []float64, count int, seed uint64) folds {
	return dealt(labels, count, seed, foldStream)
}

func dealt(labels []float64, count int, seed, stream uint64) folds {
	random := rand.New(rand.NewPCG(seed, stream))
	f := folds{of: make([]uint8, len(labels)), count: count}
	var dealt [2]int
	for _, i := range random.Perm(len(labels)) {
		label := int(labels[i])
		f.of[i] = uint8(dealt[label] % count)
		dealt[label]++
	}
	return f
}

// sampleRows returns a random choice of count of the rows, in their order.
func sampleRows(rows, count int, seed uint64) []int32 {
	chosen := make([]int32, count)
	for n, i := range rand.New(rand.NewPCG(seed, sampleStream)).Perm(rows)[:count] {
		chosen[n] = int32(i)
	}
	slices.Sort(chosen)
	return chosen
}

// held marks the rows of part k.
func (f folds) held(k int) []bool {
	held := make([]bool, len(f.of))
	for i, part := range f.of {
		held[i] = int(part) == k
	}
	return held
}

// rows returns the rows that are in part k, or else those that are not.
func (f folds) rows(k int, in bool) []int32 {
	var rows []int32
	for i, part := range f.of {
		if (int(part) == k) == in {
			rows = append(rows, int32(i))
		}
	}
	return rows
}

// minImprovement is how much lower the mean log loss must be to count as lower:
// less than any difference that matters, more than rounding.
const minImprovement = 1e-5

// boostRun is what boostFolds found.
type boostRun struct {
	rounds  int       // after which the loss was lowest
	margins []float64 // log-odds of each row then, by the trees of the other folds
	curve   []float64 // loss after each round
}

// boostFolds grows a forest for each fold, on the rows outside of it, all of them
// round by round. data has all rows, for each fold. It stops when the mean log loss on the held-out rows has not
// fallen for some rounds. Only ctx can make it fail.
func boostFolds(ctx context.Context, data []*binned, labels []float64, f folds, s boostSettings) (*boostRun, error) {
	boosters := make([]*booster, f.count)
	losses := make([]float64, f.count)
	parallel(f.count, func(k int) { boosters[k] = newBooster(data[k], labels, f.held(k), s) })
	run := &boostRun{margins: make([]float64, len(labels))}
	best := math.Inf(1)
	for round := 0; round < s.rounds && round-run.rounds < patience; round++ {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		parallel(f.count, func(k int) {
			boosters[k].addTree(round)
			losses[k] = boosters[k].heldLoss()
		})
		loss := 0.0
		for _, l := range losses {
			loss += l / float64(len(labels))
		}
		run.curve = append(run.curve, loss)
		if loss < best-minImprovement {
			best, run.rounds = loss, round+1
			for _, b := range boosters {
				b.heldMargins(run.margins)
			}
		}
	}
	return run, nil
}

// heldLoss returns the summed log loss of the rows that are held.
func (b *booster) heldLoss() float64 {
	loss := 0.0
	for i, held := range b.held {
		switch {
		case !held:
		case b.labels[i] == 1:
			loss += math.Log1p(b.against[i])
		default:
			loss += math.Log1p(1 / b.against[i])
		}
	}
	return loss
}

// heldMargins sets the log-odds of the rows that are held.
func (b *booster) heldMargins(margins []float64) {
	for i, held := range b.held {
		if held {
			margins[i] = -math.Log(b.against[i])
		}
	}
}
