package stats

import "sort"

// isotonic fits rates that never fall as scores rise, by least squares, to points with
// weights (pool adjacent violators: Barlow and others, Statistical Inference under Order
// Restrictions, 1972). Scores must rise and weights be positive. It returns one rate a point.
func isotonic(rates, weights []float64) []float64 {
	type block struct {
		sum, weight float64
		points      int
	}
	var blocks []block
	for i, rate := range rates {
		blocks = append(blocks, block{rate * weights[i], weights[i], 1})
		for len(blocks) > 1 {
			last, before := blocks[len(blocks)-1], blocks[len(blocks)-2]
			if before.sum*last.weight < last.sum*before.weight {
				break
			}
			blocks = blocks[:len(blocks)-1]
			blocks[len(blocks)-1] = block{before.sum + last.sum, before.weight + last.weight, before.points + last.points}
		}
	}
	fitted := make([]float64, 0, len(rates))
	for _, b := range blocks {
		for range b.points {
			fitted = append(fitted, b.sum/b.weight)
		}
	}
	return fitted
}

// interpolate returns the value at x of the lines between points with rising xs; outside
// of them, that of the nearest point.
func interpolate(xs, ys []float64, x float64) float64 {
	i := sort.SearchFloat64s(xs, x)
	switch {
	case i == 0:
		return ys[0]
	case i == len(xs):
		return ys[len(ys)-1]
	}
	share := (x - xs[i-1]) / (xs[i] - xs[i-1])
	return ys[i-1] + share*(ys[i]-ys[i-1])
}
