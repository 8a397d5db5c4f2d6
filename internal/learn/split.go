package learn

import "math"

// sums are the first and second derivatives of the loss by the margin, of one
// row or added up over many.
type sums struct{ g, h float64 }

func (s sums) plus(o sums) sums  { return sums{s.g + o.g, s.h + o.h} }
func (s sums) minus(o sums) sums { return sums{s.g - o.g, s.h - o.h} }

// The formulas here are those of Chen and Guestrin, XGBoost: A Scalable Tree
// Boosting System, KDD 2016, equations 5 to 7, with the l1 penalty and the
// factors of XGBoost's code: it leaves the ½ of equation 7 out of the gain it
// compares with gamma.

// leafValue returns the step that minimises the loss of the rows in a leaf,
// by its quadratic model: −S(g, alpha) / (h + lambda).
func (s boostSettings) leafValue(t sums) float64 {
	if t.h+s.lambda < minCurvature {
		return 0
	}
	return -softThreshold(t.g, s.alpha) / (t.h + s.lambda)
}

// quality returns twice the loss that leafValue saves:
// S(g, alpha)² / (h + lambda).
func (s boostSettings) quality(t sums) float64 {
	g := t.g
	if s.alpha > 0 {
		g = softThreshold(g, s.alpha)
	}
	return g * g / (t.h + s.lambda)
}

// minCurvature is the least sum of second derivatives that is more than
// rounding. Below it a quotient means nothing.
const minCurvature = 1e-10

// split is a way to part the rows of a node: those whose bin of a group is in
// lo … hi go right. In terms of the data, those with x[column] ≥ cut do, and those
// of which x[column] is missing unless missingLeft.
type split struct {
	gain        float64 // 0 if there is no split
	group       int
	lo, hi      uint16
	column      int
	cut         float64
	missingLeft bool
	left, right sums
}

// decision returns the node that decides by p, with children from left on.
func (p *split) decision(left int32) node {
	n := node{column: int32(p.column), left: left, number: p.cut}
	if p.missingLeft {
		n.column |= missingLeft
	}
	return n
}

// goesRight reports whether a row in the given bin goes right.
func (p *split) goesRight(bin uint16) bool { return bin-p.lo <= p.hi-p.lo }

// bestSplit returns the split of a node on one of groups that gains most. Of
// equal ones the first wins. sampled tells which columns may be used.
func (s boostSettings) bestSplit(groups []*group, sampled []bool, n *openNode) split {
	best := split{gain: s.gamma}
	found := false
	base := s.quality(n.total)
	minH := max(s.minChildWeight, minCurvature)
	consider := func(g *group, column int, cut float64, lo, hi int, missingLeft bool, left, right sums) {
		if left.h < minH || right.h < minH {
			return
		}
		if gain := s.quality(left) + s.quality(right) - base; gain > best.gain {
			best = split{gain, g.at, uint16(lo), uint16(hi), column, cut, missingLeft, left, right}
			found = true
		}
	}
	for _, g := range groups {
		cells := n.histogram[g.first : g.first+g.size()]
		if g.indicator {
			for i, j := range g.columns {
				if sampled[j] {
					right := cells[i+1]
					consider(g, j, g.cuts[i], i+1, i+1, false, n.total.minus(right), right)
				}
			}
			continue
		}
		if j := g.columns[0]; sampled[j] {
			var left sums
			for i, cut := range g.cuts {
				left = left.plus(cells[i])
				consider(g, j, cut, i+1, len(cells)-1, false, left, n.total.minus(left))
			}
			if g.missing {
				s.missingSplits(g, n.total, cells, consider)
			}
		}
	}
	if !found {
		return split{}
	}
	return best
}

// missingSplits considers the splits of a group at which missing numbers go left.
// The last one parts them from all others.
func (s boostSettings) missingSplits(g *group, total sums, cells []sums,
	consider func(g *group, column int, cut float64, lo, hi int, missingLeft bool, left, right sums)) {
	last := len(g.cuts)
	left := cells[last+1]
	consider(g, g.columns[0], -math.MaxFloat64, 0, last, true, left, total.minus(left))
	for i, cut := range g.cuts {
		left = left.plus(cells[i])
		consider(g, g.columns[0], cut, i+1, last, true, left, total.minus(left))
	}
}
