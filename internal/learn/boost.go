package learn

import (
	"context"
	"math"
	"math/rand/v2"
)

// booster fits a forest to labels, tree by tree: each tree is grown for the
// derivatives of the logistic loss at the margins, which are the log-odds that
// the trees before it give.
type booster struct {
	settings boostSettings
	labels   []float64
	held     []bool    // rows that are not learned from and only get margins; nil for none
	against  []float64 // odds against each row so far, e^−margin
	grower   *grower
	forest   *forest
}

// newBooster returns a booster that has grown no tree yet.
func newBooster(data *binned, labels []float64, held []bool, s boostSettings) *booster {
	b := &booster{
		settings: s,
		labels:   labels,
		held:     held,
		against:  make([]float64, len(labels)),
		grower:   newGrower(data, s),
		forest:   &forest{base: s.base(learnedFrom(labels, held))},
	}
	for i := range b.against {
		b.against[i] = math.Exp(-b.forest.base)
	}
	return b
}

// trainForest fits boosted trees to data. Only ctx can make it fail.
func trainForest(ctx context.Context, data *binned, labels []float64, s boostSettings, progress func(done, total int)) (*forest, error) {
	b := newBooster(data, labels, nil, s)
	for round := range s.rounds {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		b.addTree(round)
		if progress != nil {
			progress(round+1, s.rounds)
		}
	}
	return b.forest, nil
}

// addTree grows the tree of one round.
func (b *booster) addTree(round int) {
	b.differentiate()
	b.sample(uint64(round))
	t, cover := b.grower.grow(b.update)
	b.forest.add(t, cover)
}

// learnedFrom returns the labels of the rows that are not held.
func learnedFrom(labels []float64, held []bool) []float64 {
	if held == nil {
		return labels
	}
	var out []float64
	for i, y := range labels {
		if !held[i] {
			out = append(out, y)
		}
	}
	return out
}

// base returns the log-odds to start from: those of base_score, or of the
// weighted share of positive labels.
func (s boostSettings) base(labels []float64) float64 {
	p := s.baseScore
	if p == 0 {
		rate := positiveRate(labels)
		p = s.positiveWeight * rate / (s.positiveWeight*rate + 1 - rate)
	}
	return logit(min(max(p, 1e-9), 1-1e-9))
}

// differentiate sets the derivatives of each row's loss by its margin m: with
// p = sigmoid(m) and weight w, g = w·(p − y) and h = w·p·(1 − p).
func (b *booster) differentiate() {
	parallel(shards, func(k int) {
		begin, end := shard(k, len(b.labels))
		for i := begin; i < end; i++ {
			if b.held != nil && b.held[i] {
				b.grower.derivatives[i] = sums{}
				continue
			}
			y, p, w := b.labels[i], 1/(1+b.against[i]), 1.0
			if y == 1 {
				w = b.settings.positiveWeight
			}
			b.grower.derivatives[i] = sums{w * (p - y), w * p * (1 - p)}
		}
	})
}

// sample draws the rows and columns of one round. A row left out keeps its
// place, so that it still gets a margin, but has derivatives of 0.
func (b *booster) sample(round uint64) {
	random := rand.New(rand.NewPCG(b.settings.seed, round))
	if b.settings.subsample < 1 {
		for i := range b.grower.derivatives {
			if random.Float64() >= b.settings.subsample {
				b.grower.derivatives[i] = sums{}
			}
		}
	}
	sampled := b.grower.sampled
	clear(sampled)
	take := int(math.Ceil(b.settings.columnSample * float64(len(sampled))))
	if take == len(sampled) {
		for j := range sampled {
			sampled[j] = true
		}
		return
	}
	for _, j := range random.Perm(len(sampled))[:take] {
		sampled[j] = true
	}
}

// update adds the value of a leaf to the margins of its rows. The margins are
// kept as odds because adding is multiplying there: one exponential a leaf
// does for all its rows.
func (b *booster) update(rows []int32, value float64) {
	const largest = 1e300 // short of infinity, from where no factor leads back
	factor := math.Exp(-value)
	for _, i := range rows {
		b.against[i] = min(max(b.against[i]*factor, 1/largest), largest)
	}
}
