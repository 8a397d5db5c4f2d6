package stats

import (
	"cmp"
	"math"
	"slices"
)

// ranking is how well scores order rows of two labels. Rows are counted in cells.
type ranking struct {
	auc                  float64
	negatives, positives float64

	cells []ranked // by score
}

// ranked is a cell with the placements of its rows: the share of rows of the other
// label that a row is on the right side of, a tie counting half.
type ranked struct {
	Cell
	negativesPlacement, positivesPlacement float64
}

// rank orders cells, which need not have whole numbers of labels, by score. There must be
// rows of either label.
func rank(cells []Cell) ranking {
	var r ranking
	r.negatives, r.positives = labelCounts(cells)
	cells = byScore(cells)
	r.cells = make([]ranked, len(cells))
	var negativesBelow, positivesBelow float64
	for begin := 0; begin < len(cells); {
		end, negatives, positives := begin, 0.0, 0.0
		for ; end < len(cells) && cells[end].Score == cells[begin].Score; end++ {
			negatives += cells[end].Negatives
			positives += cells[end].Positives
		}
		ofPositives := (negativesBelow + negatives/2) / r.negatives
		ofNegatives := 1 - (positivesBelow+positives/2)/r.positives
		for i := begin; i < end; i++ {
			r.cells[i] = ranked{cells[i], ofNegatives, ofPositives}
		}
		r.auc += positives * ofPositives / r.positives
		negativesBelow += negatives
		positivesBelow += positives
		begin = end
	}
	return r
}

// byScore returns the cells that have an outcome, with rising scores.
func byScore(cells []Cell) []Cell {
	rising := func(a, b Cell) int { return cmp.Compare(a.Score, b.Score) }
	empty := func(c Cell) bool { return c.outcomes() == 0 }
	if slices.IsSortedFunc(cells, rising) && !slices.ContainsFunc(cells, empty) {
		return cells
	}
	cells = slices.DeleteFunc(slices.Clone(cells), empty)
	slices.SortStableFunc(cells, rising)
	return cells
}

// variance of the AUC (DeLong, DeLong and Clarke-Pearson, Biometrics 44(3), 1988,
// from placements as in Sun and Xu, IEEE Signal Processing Letters 21(11), 2014).
func (r ranking) variance() float64 {
	var ofNegatives, ofPositives float64
	for _, c := range r.cells {
		ofNegatives += c.Negatives * square(c.negativesPlacement-r.auc)
		ofPositives += c.Positives * square(c.positivesPlacement-r.auc)
	}
	return ofNegatives/(r.negatives-1)/r.negatives + ofPositives/(r.positives-1)/r.positives
}

// figure returns the AUC. Its interval is symmetric in the log-odds of the AUC, so
// that it stays between 0 and 1 (Pepe, The Statistical Evaluation of Medical Tests,
// 2003, 5.2). Where no row is misplaced, or every one, the placements show no
// variance: the AUC is then taken to be half a row of the rarer label short of
// that, with the variance that Hanley and McNeil give it (Radiology 143(1), 1982).
func (r ranking) figure() *Figure {
	auc, variance := r.auc, r.variance()
	edge := 1 / (2 * min(r.positives, r.negatives))
	if auc < edge || auc > 1-edge {
		auc = min(max(auc, edge), 1-edge)
		variance = max(variance, hanleyMcNeil(auc, r.negatives, r.positives))
	}
	low, high := logitInterval(auc, variance)
	return &Figure{Value: r.auc, Low: min(low, r.auc), High: max(high, r.auc), Count: int64(r.negatives + r.positives)}
}

func hanleyMcNeil(auc, negatives, positives float64) float64 {
	q1, q2 := auc/(2-auc), 2*auc*auc/(1+auc)
	return (auc*(1-auc) + (positives-1)*(q1-auc*auc) + (negatives-1)*(q2-auc*auc)) / (negatives * positives)
}

// logitInterval returns bounds of 95 % confidence of a share, symmetric in its log-odds.
func logitInterval(share, variance float64) (low, high float64) {
	if !(share > 0 && share < 1) {
		return share, share
	}
	center := math.Log(share) - math.Log1p(-share)
	width := normal975 * math.Sqrt(variance) / (share * (1 - share))
	return sigmoid(center - width), sigmoid(center + width)
}

func sigmoid(z float64) float64 { return 1 / (1 + math.Exp(-z)) }
func square(x float64) float64  { return x * x }
