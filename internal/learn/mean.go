package learn

import (
	"cmp"
	"context"
	"slices"
)

// worthwhileMean is how much lower than that of the best boosted candidate the log
// loss of a mean of candidates must be for it to be used: it takes longer to score.
const worthwhileMean = 5e-4

// average returns the best candidate, or the mean of the best ones if its log loss
// is lower by enough. all are the boosted candidates.
func (t *tuner) average(best *tried, all []*tried) *tried {
	slices.SortStableFunc(all, func(a, b *tried) int { return cmp.Compare(a.logLoss, b.logLoss) })
	sum := make([]float64, t.data.Rows())
	var members []boostSettings
	for n, one := range all {
		mean := &tried{margins: make([]float64, len(sum))}
		for i, margin := range one.margins {
			sum[i] += margin
			mean.margins[i] = sum[i] / float64(n+1)
		}
		members = append(members, one.boosting...)
		if n == 0 {
			continue
		}
		found := Candidate{Algorithm: XGBoost, Hyperparameters: map[string]string{}, MeanOf: n + 1}
		t.judge(&found, mean.margins)
		t.record.Candidates = append(t.record.Candidates, found)
		if found.LogLoss < best.logLoss-worthwhileMean {
			mean.boosting, mean.logLoss = slices.Clone(members), found.LogLoss
			best = mean
		}
	}
	return best
}

// trainMean returns the forest whose log-odds are the mean of those of forests with
// the given settings.
func trainMean(ctx context.Context, data *Table, settings []boostSettings) (*forest, error) {
	binned := newBinned(data, settings[0].bins)
	mean, share := &forest{}, 1/float64(len(settings))
	for _, s := range settings {
		f, err := trainForest(ctx, binned, data.labels, s, nil)
		if err != nil {
			return nil, err
		}
		if len(settings) == 1 {
			return f, nil
		}
		mean.join(f.scaled(share))
	}
	return mean, nil
}

// join appends the base and the trees of o, so that the log-odds are the sum of those
// of both.
func (f *forest) join(o *forest) {
	offset := int32(len(f.nodes))
	f.base += o.base
	f.cover = append(f.cover, o.cover...)
	for _, root := range o.roots {
		f.roots = append(f.roots, root+offset)
	}
	for _, n := range o.nodes {
		if n.column != leafMark {
			n.left += offset
		}
		f.nodes = append(f.nodes, n)
	}
}
