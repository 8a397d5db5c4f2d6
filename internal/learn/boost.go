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
	against  []float64 // odds against each row so far, e^−margin
	grower   *grower
}

// trainForest fits boosted trees to data. Only ctx can make it fail.
func trainForest(ctx context.Context, data *Table, s boostSettings, progress func(done, total int)) (*forest, error) {
	f := &forest{base: s.base(data.labels)}
	b := &booster{
		settings: s,
		labels:   data.labels,
		against:  make([]float64, data.Rows()),
		grower:   newGrower(newBinned(data, s.bins), s, len(data.columns)),
	}
	for i := range b.against {
		b.against[i] = math.Exp(-f.base)
	}
	for round := range s.rounds {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		b.differentiate()
		b.sample(uint64(round))
		f.add(b.grower.grow(b.update))
		if progress != nil {
			progress(round+1, s.rounds)
		}
	}
	return f, nil
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
