package learn

import (
	"math"
	"sync"
)

// # Contributions of trees
//
// A forest's contributions are SHAP values: what each column adds to the log-odds
// of a row of which nothing is known, averaged over all orders in which the
// columns of the row may become known. A decision on a column that is not known
// yet goes both ways, weighted by how much of the training data went either way
// (the path-dependent values of Lundberg, Erion and Lee, Consistent
// Individualized Feature Attribution for Tree Ensembles, arXiv:1802.03888;
// XGBoost's pred_contribs). They sum to the log-odds less expected.
//
// Let each column be known with probability t, independently. On the way to a leaf,
// column j then lets the row pass with probability
//
//	p(j, t) = zero(j)·(1−t) + one(j)·t
//
// where one is 1 if the row passes all decisions on j on that way, else 0, and zero
// is the share of the training data that does. The contribution of column i is
//
//	Σ over leaves of value · (one(i) − zero(i)) · ∫₀¹ Π over j≠i of p(j, t) dt
//
// The integrand is a polynomial in t of degree d−1, if d columns are on the way.
// Gauss–Legendre quadrature with ⌈d/2⌉ points integrates it exactly. All terms of
// the product are positive, so that nothing cancels, however deep the tree is
// (QuadratureTreeSHAP, arXiv:2605.04497). One walk of a tree does for all columns:
// on the way down the product is extended, on the way up the leaves are summed
// (Yu et al., Linear TreeShap, arXiv:2209.08192).

// explainer has what the contributions of a forest need and no row changes. It
// is safe for concurrent use.
type explainer struct {
	forest *forest
	share  []float64 // by node: its share of the training data of its parent
	mean   float64   // log-odds of a row of which nothing is known
	at     []float64 // points of the quadrature, in (0, 1)
	weight []float64 // of each point
	depth  int       // decisions on the longest way to a leaf
	walks  sync.Pool // of *walk
}

// explains reports whether f knows how much data went each way.
func (f *forest) explains() bool { return len(f.cover) == len(f.nodes) }

// explainer returns the explainer of a complete forest. It makes it at the first
// call.
func (f *forest) explainer() *explainer {
	if e := f.explained.Load(); e != nil {
		return e
	}
	e := newExplainer(f)
	f.explained.CompareAndSwap(nil, e)
	return e
}

func newExplainer(f *forest) *explainer {
	e := &explainer{forest: f, share: make([]float64, len(f.nodes)), mean: f.base}
	columns := 1 // most on one way
	for _, root := range f.roots {
		e.measure(root, 1, nil, &columns)
	}
	e.at, e.weight = quadrature((columns + 1) / 2)
	return e
}

// measure walks the tree below a node and sets the shares, the mean and the depth.
// reach is the share of the training data of the tree that came to the node, path
// the columns on the way.
func (e *explainer) measure(at int32, reach float64, path []int32, columns *int) {
	n := e.forest.nodes[at]
	if n.column == leafMark {
		e.mean += reach * n.number
		seen := make(map[int32]bool, len(path))
		for _, c := range path {
			seen[c] = true
		}
		e.depth, *columns = max(e.depth, len(path)), max(*columns, len(seen))
		return
	}
	path = append(path, n.column&^missingLeft)
	for child := n.left; child <= n.left+1; child++ {
		e.share[child] = e.forest.shareOf(child, at)
		e.measure(child, reach*e.share[child], path, columns)
	}
}

// shareOf returns the share of the training data at a node that came to its child.
// As in XGBoost it is one half where no data came to the node.
func (f *forest) shareOf(child, parent int32) float64 {
	if !(f.cover[parent] > 0) {
		return 0.5
	}
	return float64(f.cover[child]) / float64(f.cover[parent])
}

// quadrature returns the points and the weights of Gauss–Legendre quadrature on
// [0, 1], which integrates polynomials of degree 2n−1 exactly. The points are the
// roots of the Legendre polynomial of degree n, found by Newton's method.
func quadrature(n int) (at, weight []float64) {
	at, weight = make([]float64, n), make([]float64, n)
	for i := range n {
		x := math.Cos(math.Pi * (float64(i) + 0.75) / (float64(n) + 0.5))
		slope := 0.0
		for range 100 {
			before, p := 1.0, x // of degree k-1 and k
			for k := 2; k <= n; k++ {
				before, p = p, (float64(2*k-1)*x*p-float64(k-1)*before)/float64(k)
			}
			slope = float64(n) * (x*p - before) / (x*x - 1)
			step := p / slope
			x -= step
			if math.Abs(step) < 1e-15 {
				break
			}
		}
		at[i], weight[i] = (1+x)/2, 1/((1-x*x)*slope*slope)
	}
	return at, weight
}

// walk is the state of a walk through a tree with one row.
type walk struct {
	*explainer
	row []float64
	out []float64
	// last is, by column, the depth below the last decision on it on the way; 0 if
	// there was none.
	last []int32
	// By depth: of the column of the last decision, what zero and one are there.
	zero, one []float64
	// By depth and point: 1/p of the column of the last decision; the product of p over
	// all columns on the way, and the same without the column of the next decision; the
	// sum over the leaves below.
	inverse, product, bare, sum []float64
}

// contributions adds the SHAP values of row to out, one for each column.
func (e *explainer) contributions(row, out []float64) {
	w, _ := e.walks.Get().(*walk)
	if w == nil {
		points, levels := len(e.at), e.depth+1
		w = &walk{explainer: e, zero: make([]float64, levels), one: make([]float64, levels),
			inverse: make([]float64, points*levels), product: make([]float64, points*levels),
			bare: make([]float64, points*levels), sum: make([]float64, points*levels)}
		copy(w.product, e.weight)
	}
	if len(w.last) < len(row) {
		w.last = make([]int32, len(row))
	}
	w.row, w.out = row, out
	for _, root := range e.forest.roots {
		w.visit(root, 0)
	}
	w.row, w.out = nil, nil
	e.walks.Put(w)
}

// visit walks the tree below a node at a depth, and leaves the sums over its
// leaves in w.sum.
func (w *walk) visit(at int32, depth int) {
	points := len(w.at)
	n := &w.forest.nodes[at]
	sum := w.sum[depth*points:][:points]
	product := w.product[depth*points:][:points]
	if n.column == leafMark { // only a root: visit looks at other leaves from above
		for q := range sum {
			sum[q] = product[q] * n.number
		}
		return
	}
	clear(sum)
	column := n.column &^ missingLeft
	zero, one, bare := 1.0, 1.0, product
	before := int(w.last[column])
	if before > 0 {
		zero, one, bare = w.zero[before], w.one[before], w.bare[depth*points:][:points]
		for q, x := range w.inverse[before*points:][:points] {
			bare[q] = product[q] * x
		}
	}
	goes := n.left + 1
	if n.goesLeft(w.row[column]) {
		goes = n.left
	}
	w.last[column] = int32(depth + 1)
	total := 0.0
	for child := n.left; child <= n.left+1; child++ {
		z, o := zero*w.share[child], 0.0
		if child == goes {
			o = one
		}
		if z == 0 && o == 0 {
			continue // neither the row nor the training data comes here
		}
		var without float64
		if leaf := &w.forest.nodes[child]; leaf.column == leafMark {
			for q, t := range w.at {
				x := bare[q] * leaf.number
				without += x
				sum[q] += x * (z + (o-z)*t)
			}
		} else {
			without = w.descend(child, depth+1, z, o, bare, sum)
		}
		total += (o - z) * without
	}
	if before > 0 {
		// The decision before has counted these leaves too.
		without := 0.0
		for q, x := range w.inverse[before*points:][:points] {
			without += sum[q] * x
		}
		total -= (one - zero) * without
	}
	w.out[column] += total
	w.last[column] = int32(before)
}

// descend visits the node below a decision and adds the sums over its leaves to sum.
// It returns that of the leaves without the factor of the decision's column.
func (w *walk) descend(at int32, depth int, zero, one float64, bare, sum []float64) (without float64) {
	points := len(w.at)
	inverse := w.inverse[depth*points:][:points]
	product := w.product[depth*points:][:points]
	for q, t := range w.at {
		p := zero + (one-zero)*t
		inverse[q] = 1 / p
		product[q] = bare[q] * p
	}
	w.zero[depth], w.one[depth] = zero, one
	w.visit(at, depth)
	for q, x := range w.sum[depth*points:][:points] {
		without += x * inverse[q]
		sum[q] += x
	}
	return without
}
