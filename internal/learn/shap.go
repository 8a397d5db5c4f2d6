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
// Gauss–Legendre quadrature with ⌈d/2⌉ points or more integrates it exactly. All
// terms of the product are positive, so that nothing cancels, however deep the tree
// is (QuadratureTreeSHAP, arXiv:2605.04497). One walk of a tree does for all
// columns: on the way down the product is extended, on the way up the leaves are
// summed (Yu et al., Linear TreeShap, arXiv:2209.08192). A walk computes with four
// points, which suffice for eight columns on a way; a tree with more is walked again
// with four further points.

// explainer has what the contributions of a forest need and no row changes. It
// is safe for concurrent use.
type explainer struct {
	forest *forest
	share  []float64    // by node: its share of the training data of its parent
	mean   float64      // log-odds of a row of which nothing is known
	depth  int          // decisions on the longest way to a leaf
	points [][]fourfold // by tree: its points of the quadrature
	walks  sync.Pool    // of *walk
}

// fourfold are four points of a quadrature: t, its weight, 1−t and 1/(1−t).
type fourfold struct {
	at, weight, rest, inverse [4]float64
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
	rules := make(map[int][]fourfold) // by their number
	for _, root := range f.roots {
		columns := 1 // most on one way
		e.measure(root, 1, nil, &columns)
		count := (columns + 7) / 8
		if rules[count] == nil {
			rules[count] = fourfolds(count)
		}
		e.points = append(e.points, rules[count])
	}
	return e
}

// fourfolds returns the points of a quadrature with four times count points.
func fourfolds(count int) []fourfold {
	out := make([]fourfold, count)
	at, weight := quadrature(4 * count)
	for i, t := range at {
		f, q := &out[i/4], i%4
		f.at[q], f.weight[q], f.rest[q], f.inverse[q] = t, weight[i], 1-t, 1/(1-t)
	}
	return out
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
	*fourfold
	// last is, by column, the depth below the last decision on it on the way; 0 if
	// there was none.
	last  []int32
	steps []step // by depth: the last decision
}

// step is a decision on the way: zero and one of its column, and 1/p at each point.
type step struct {
	zero, one float64
	inverse   [4]float64
}

// contributions adds the SHAP values of row to out, one for each column.
func (e *explainer) contributions(row, out []float64) {
	w, _ := e.walks.Get().(*walk)
	if w == nil {
		w = &walk{explainer: e, steps: make([]step, e.depth+1)}
	}
	if len(w.last) < len(row) {
		w.last = make([]int32, len(row))
	}
	w.row, w.out = row, out
	for k, root := range e.forest.roots {
		n := &e.forest.nodes[root]
		if n.column == leafMark {
			continue // no column moves it
		}
		points := e.points[k]
		for i := range points {
			w.fourfold = &points[i]
			w.visit(n, 0, w.weight[0], w.weight[1], w.weight[2], w.weight[3])
		}
	}
	w.row, w.out = nil, nil
	e.walks.Put(w)
}

// visit walks the tree below a decision at a depth. p0 to p3 are the products at the
// four points; the sums over the leaves come back. They are no array, so that they
// stay in registers.
func (w *walk) visit(n *node, depth int, p0, p1, p2, p3 float64) (s0, s1, s2, s3 float64) {
	column := n.column &^ missingLeft
	zero, one := 1.0, 1.0
	before := w.last[column]
	if before > 0 { // take its factor out of the product
		b := &w.steps[before]
		zero, one = b.zero, b.one
		p0, p1, p2, p3 = p0*b.inverse[0], p1*b.inverse[1], p2*b.inverse[2], p3*b.inverse[3]
	}
	goes := n.left + 1
	if n.goesLeft(w.row[column]) {
		goes = n.left
	}
	depth++
	w.last[column] = int32(depth)
	f, total := w.fourfold, 0.0
	for at := n.left; at <= n.left+1; at++ {
		z, o := zero*w.share[at], 0.0
		if at == goes {
			o = one
		}
		if z == 0 && o == 0 {
			continue // neither the row nor the training data comes here
		}
		f0, f1, f2, f3 := z*f.rest[0]+o*f.at[0], z*f.rest[1]+o*f.at[1], z*f.rest[2]+o*f.at[2], z*f.rest[3]+o*f.at[3]
		child := &w.forest.nodes[at]
		if child.column == leafMark {
			x0, x1, x2, x3 := p0*child.number, p1*child.number, p2*child.number, p3*child.number
			s0, s1, s2, s3 = s0+x0*f0, s1+x1*f1, s2+x2*f2, s3+x3*f3
			total += (o - z) * (x0 + x1 + x2 + x3)
			continue
		}
		b := &w.steps[depth]
		b.zero, b.one = z, o
		if o == 0 {
			r := 1 / z
			b.inverse = [4]float64{r * f.inverse[0], r * f.inverse[1], r * f.inverse[2], r * f.inverse[3]}
		} else {
			b.inverse = [4]float64{1 / f0, 1 / f1, 1 / f2, 1 / f3}
		}
		c0, c1, c2, c3 := w.visit(child, depth, p0*f0, p1*f1, p2*f2, p3*f3)
		s0, s1, s2, s3 = s0+c0, s1+c1, s2+c2, s3+c3
		total += (o - z) * (c0*b.inverse[0] + c1*b.inverse[1] + c2*b.inverse[2] + c3*b.inverse[3])
	}
	if before > 0 { // the decision before counts these leaves, too
		b := &w.steps[before]
		total -= (one - zero) * (s0*b.inverse[0] + s1*b.inverse[1] + s2*b.inverse[2] + s3*b.inverse[3])
	}
	w.out[column] += total
	w.last[column] = before
	return s0, s1, s2, s3
}
