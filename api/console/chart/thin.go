package chart

import "slices"

// maxStretches bounds the points that are drawn: two a stretch for each line.
const maxStretches = 120

// isMany reports whether a chart of n points is thinned.
func isMany(n int) bool { return n > 2*maxStretches }

// thin returns the indexes of the points to draw out of n: all, or of each
// stretch those with the lowest and the highest of each of the values. A stretch
// in which nothing can be drawn keeps one, and the first and the last point stay.
func thin(n int, values ...func(int) float64) []int {
	if !isMany(n) {
		all := make([]int, n)
		for i := range all {
			all[i] = i
		}
		return all
	}
	kept := []int{0, n - 1}
	for s := range maxStretches {
		from, to := s*n/maxStretches, (s+1)*n/maxStretches
		before := len(kept)
		for _, value := range values {
			kept = appendExtremes(kept, from, to, value)
		}
		if len(kept) == before {
			kept = append(kept, from)
		}
	}
	slices.Sort(kept)
	return slices.Compact(kept)
}

// appendExtremes appends the indexes of the lowest and the highest value.
func appendExtremes(kept []int, from, to int, value func(int) float64) []int {
	low, high := -1, -1
	for i := from; i < to; i++ {
		v := value(i)
		if !drawable(v) {
			continue
		}
		if low < 0 || v < value(low) {
			low = i
		}
		if high < 0 || v > value(high) {
			high = i
		}
	}
	if low < 0 {
		return kept
	}
	return append(kept, low, high)
}

// partOf says in a table that points were left out.
func partOf(shown, all int) string {
	if shown == all {
		return ""
	}
	return count(int64(shown)) + " of " + count(int64(all)) + " points, the lowest and the highest of each stretch"
}
