package learn

import (
	"math"
	"sync/atomic"
)

// forest is a fitted boosted model: log-odds = base + Σ over trees of the
// value of the leaf a row falls in.
type forest struct {
	base  float64 // log-odds before the first tree
	nodes tree    // all trees, one after another
	roots []int32 // where each tree begins in nodes
	// cover is, for each node, how much of the training data came there: the sum
	// of the second derivatives. It is empty where that is not known.
	cover []float32
	// explained is made when contributions are first asked for.
	explained atomic.Pointer[explainer]
}

// tree is a binary decision tree as a flat list. The root is first; the two
// children of a node are next to each other and come after it.
type tree []node

// node is a decision or a leaf, in sixteen bytes.
type node struct {
	number float64 // a decision's cut; a leaf's value
	column int32   // column to compare, and missingLeft; leafMark for a leaf
	left   int32   // position of the left child; the right one is next
}

const (
	leafMark = -1
	// missingLeft is set in the column of a decision at which a missing number
	// goes left. At the others it goes right.
	missingLeft = 1 << 30
)

// goesLeft reports whether a number goes left at a decision; NaN is missing.
func (n *node) goesLeft(x float64) bool {
	return x < n.number || x != x && n.column&missingLeft != 0
}

// add appends a tree, and the cover of its nodes where that is known.
func (f *forest) add(t tree, cover []float32) {
	if len(f.cover) == len(f.nodes) {
		f.cover = append(f.cover, cover...)
	}
	offset := int32(len(f.nodes))
	f.roots = append(f.roots, offset)
	for _, n := range t {
		if n.column != leafMark {
			n.left += offset
		}
		f.nodes = append(f.nodes, n)
	}
}

// trees returns the trees apart, each with its root at 0.
func (f *forest) trees() []tree {
	out := make([]tree, len(f.roots))
	for k, begin := range f.roots {
		end := len(f.nodes)
		if k+1 < len(f.roots) {
			end = int(f.roots[k+1])
		}
		for _, n := range f.nodes[begin:end] {
			if n.column != leafMark {
				n.left -= begin
			}
			out[k] = append(out[k], n)
		}
	}
	return out
}

// margin returns the log-odds of row. NaN is a missing number.
func (f *forest) margin(row []float64) float64 {
	m := f.base
	nodes := f.nodes
	for _, at := range f.roots {
		n := &nodes[at]
		for n.column != leafMark {
			next := n.left + 1
			if n.goesLeft(row[n.column&^missingLeft]) {
				next = n.left
			}
			n = &nodes[next]
		}
		m += n.number
	}
	return m
}

// check reports why t cannot be walked safely with rows of the given width:
// every decision must compare a column that exists and lead on to nodes that
// come after it, so that a walk ends.
func (t tree) check(width int) error {
	if len(t) == 0 {
		return artifactErrorf("a tree has no nodes")
	}
	for i, n := range t {
		switch {
		case !finite(n.number):
			return artifactErrorf("tree node %d holds %v", i, n.number)
		case n.column == leafMark:
		case n.column < 0 || int(n.column&^missingLeft) >= width:
			return artifactErrorf("tree node %d compares column %d of %d", i, n.column, width)
		case int(n.left) <= i || n.left > math.MaxInt32-1 || int(n.left)+1 >= len(t):
			return artifactErrorf("tree node %d leads to node %d of %d", i, n.left, len(t))
		}
	}
	return nil
}
