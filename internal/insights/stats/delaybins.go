package stats

import (
	"sort"
	"time"
)

// DelayBins is the number of bins of delays between a prediction and its outcome, and
// of ages of predictions. Bins grow from a minute to a week. The last one is open:
// delays of more than a year.
var DelayBins = len(delayEnds) + 1

// delayEnds has the ends of the bins: bin i is (delayEnds[i-1], delayEnds[i]].
var delayEnds = makeDelayEnds()

func makeDelayEnds() (ends []time.Duration) {
	const day = 24 * time.Hour
	end := time.Duration(0)
	for _, part := range []struct{ step, until time.Duration }{
		{time.Minute, 5 * time.Minute},
		{5 * time.Minute, 30 * time.Minute},
		{15 * time.Minute, 2 * time.Hour},
		{30 * time.Minute, 6 * time.Hour},
		{time.Hour, day},
		{6 * time.Hour, 14 * day},
		{day, 84 * day},
		{7 * day, 364 * day},
	} {
		for end < part.until {
			end += part.step
			ends = append(ends, end)
		}
	}
	return ends
}

// DelayBin returns the bin, from 0 to DelayBins-1, that counts a delay or an age. An
// outcome before its prediction, by clocks that differ, counts in the first.
func DelayBin(delay time.Duration) int {
	return sort.Search(len(delayEnds), func(i int) bool { return delay <= delayEnds[i] })
}

// DelayBinEnd returns the end of a bin, the longest delay in it. The last bin has none:
// it returns the end of the one before.
func DelayBinEnd(bin int) time.Duration {
	return delayEnds[min(bin, len(delayEnds)-1)]
}
