package stats

import "math"

// wilson returns a share with the score interval of Wilson (Journal of the American
// Statistical Association 22(158), 1927), which holds for few rows and for shares
// near 0 and 1 too (Brown, Cai and DasGupta, Statistical Science 16(2), 2001).
func wilson(successes, count float64) *Figure {
	share := successes / count
	const z2 = normal975 * normal975
	center := (share + z2/(2*count)) / (1 + z2/count)
	width := normal975 / (1 + z2/count) * math.Sqrt(share*(1-share)/count+z2/(4*count*count))
	return &Figure{
		Value: share,
		Low:   min(share, max(0, center-width)),
		High:  max(share, min(1, center+width)),
		Count: int64(count),
	}
}

// confusion counts rows by predicted label and label.
type confusion struct {
	truePositives, falsePositives, trueNegatives, falseNegatives float64
}

func confusionOf(cells []Cell) (out confusion) {
	for _, c := range cells {
		if c.PredictedPositive {
			out.truePositives += c.Positives
			out.falsePositives += c.Negatives
		} else {
			out.falseNegatives += c.Positives
			out.trueNegatives += c.Negatives
		}
	}
	return out
}
