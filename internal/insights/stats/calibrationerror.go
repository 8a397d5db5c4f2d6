package stats

import (
	"math"
	"slices"
)

// calibrationGroups is how many groups of about equal counts the calibration error
// is the mean of.
const calibrationGroups = 10

// group sums rows with similar scores.
type group struct {
	count, scores, positives float64
	variance                 float64 // sum of score·(1−score)
}

// gap is by how much the mean score exceeds the rate of positives.
func (g group) gap() float64 { return (g.scores - g.positives) / g.count }

// gapVariance is the variance of the gap if it is expected to be another one: that of
// the rate of positives, given the scores. It is not less than that of half a positive.
func (g group) gapVariance(gap float64) float64 {
	score := g.scores / g.count
	ofScores := score*(1-score) - g.variance/g.count
	rate := min(max(score-gap, 0), 1)
	least := 0.5 / g.count * (1 - 0.5/g.count)
	return max(least, rate*(1-rate)-ofScores) / g.count
}

func (g *group) add(c Cell) {
	g.count += c.outcomes()
	g.scores += c.outcomes() * c.Score
	g.positives += c.Positives
	g.variance += c.outcomes() * c.Score * (1 - c.Score)
}

// equalGroups puts cells, by score, into groups of about the same number of outcomes.
// No cell is divided, so there may be fewer groups.
func equalGroups(cells []Cell) []group {
	negatives, positives := labelCounts(cells)
	var groups [calibrationGroups]group
	below := 0.0
	for _, c := range byScore(cells) {
		middle := below + c.outcomes()/2
		i := int(calibrationGroups * middle / (negatives + positives))
		groups[min(i, calibrationGroups-1)].add(c)
		below += c.outcomes()
	}
	return slices.DeleteFunc(groups[:], func(g group) bool { return g.count == 0 })
}

// expectedCalibrationError is the mean gap, without its sign, weighted by counts
// (Naeini, Cooper and Hauskrecht, AAAI 2015; groups of equal counts have less bias:
// Roelofs and others, AISTATS 2022).
func expectedCalibrationError(groups []group) (value, count float64) {
	sum := 0.0
	for _, g := range groups {
		sum += math.Abs(g.gap()) * g.count
		count += g.count
	}
	return sum / count, count
}

// calibrationError returns the expected calibration error. Chance alone makes it
// positive, more so with few rows. The interval takes that into account: it holds
// those multiples of the observed gaps that, with the sampling error of each gap
// added, would give the observed value with a probability of at least 2.5 % on either
// side. Each gap is taken to be normal, so that its size has a folded normal
// distribution (Leone, Nelson and Nottingham, Technometrics 3(4), 1961).
func calibrationError(cells []Cell) *Figure {
	groups := equalGroups(cells)
	value, count := expectedCalibrationError(groups)
	// deviation of the observed value from what is expected if the gaps are factor
	// times the observed ones, in standard deviations.
	deviation := func(factor float64) float64 {
		var mean, variance float64
		for _, g := range groups {
			gap := factor * g.gap()
			m, v := foldedNormal(gap, g.gapVariance(gap))
			mean += m * g.count / count
			variance += v * square(g.count/count)
		}
		return (value - mean) / math.Sqrt(variance)
	}
	f := &Figure{Value: value, Count: int64(count)}
	if value > 0 {
		f.Low = value * factorWhere(deviation, normal975)
		f.High = min(1, max(value, value*factorWhere(deviation, -normal975)))
	}
	return f
}

// factorWhere returns the factor, at least 0, at which a falling deviation is target.
func factorWhere(deviation func(factor float64) float64, target float64) float64 {
	low, high := 0.0, 1.0
	if deviation(low) <= target {
		return 0
	}
	for deviation(high) > target && high < 1e6 {
		high *= 2
	}
	for range 30 {
		if middle := (low + high) / 2; deviation(middle) > target {
			low = middle
		} else {
			high = middle
		}
	}
	return low
}

// foldedNormal returns the mean and variance of the absolute value of a normal variable.
func foldedNormal(mean, variance float64) (foldedMean, foldedVariance float64) {
	deviation := math.Sqrt(variance)
	if deviation == 0 {
		return math.Abs(mean), 0
	}
	foldedMean = deviation*math.Sqrt(2/math.Pi)*math.Exp(-mean*mean/(2*variance)) + mean*math.Erf(mean/(deviation*math.Sqrt2))
	return foldedMean, max(0, mean*mean+variance-foldedMean*foldedMean)
}

// calibrationTable compares scores and rates of positives in tenths of scores.
func calibrationTable(cells []Cell) []CalibrationRow {
	const rows = 10
	var groups [rows]group
	for _, c := range cells {
		groups[min(int(c.Score*rows), rows-1)].add(c)
	}
	table := make([]CalibrationRow, rows)
	for i, g := range groups {
		table[i] = CalibrationRow{From: float64(i) / rows, To: float64(i+1) / rows, Count: int64(g.count)}
		if g.count > 0 {
			rate, mean := wilson(g.positives, g.count), g.scores/g.count
			table[i].MeanScore, table[i].PositiveRate, table[i].Low, table[i].High = &mean, &rate.Value, &rate.Low, &rate.High
		}
	}
	return table
}
