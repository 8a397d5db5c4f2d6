package learn

import (
	"errors"
	"fmt"
	"slices"
)

// # Models of other programs
//
// A model that another program has trained is made of its parts, and the parts of a
// model can be written in another program's format (package artifact). Other programs
// compute with float32: such a model rounds the numbers of a row before it compares
// or multiplies them.

// Linear has the parts of a logistic regression, in log-odds and in log-odds per
// unit of a column.
type Linear struct {
	Intercept    float64
	Coefficients []float64 // by column
	Means        []float64 // by column: the background of contributions
}

// Boosted has the parts of boosted trees.
type Boosted struct {
	Base  float64      // log-odds before the first tree
	Trees [][]TreeNode // the root of each tree is at 0
}

// TreeNode is a decision or a leaf. A row goes left at a decision if its number in
// Column is less than Number.
type TreeNode struct {
	Leaf        bool
	Number      float64 // a decision's cut, a leaf's log-odds
	Column      int
	Left, Right int     // positions of the children of a decision
	MissingLeft bool    // where rows without the number go
	Cover       float64 // sum of the hessians of the training rows that came here
}

// NewLinear makes a model of the parts of a linear one. An error matches ErrArtifact.
func NewLinear(columns []string, parts Linear) (*Model, error) {
	if len(parts.Coefficients) != len(columns) || len(parts.Means) != len(columns) {
		return nil, artifactErrorf("model has %d columns, %d coefficients and %d means", len(columns), len(parts.Coefficients), len(parts.Means))
	}
	l := &linear{intercept: parts.Intercept, coef: slices.Clone(parts.Coefficients), mean: slices.Clone(parts.Means)}
	for j := range columns {
		if !finite(l.coef[j]) || !finite(l.mean[j]) {
			return nil, artifactErrorf("column %d has the coefficient %v and the mean %v", j+1, l.coef[j], l.mean[j])
		}
	}
	if !finite(l.intercept) {
		return nil, artifactErrorf("the intercept is %v", l.intercept)
	}
	return &Model{algorithm: LinearLearner, columns: slices.Clone(columns), base: sigmoid(l.margin(l.mean)), linear: l, single: true}, nil
}

// NewBoosted makes a model of the parts of boosted trees. An error matches
// ErrArtifact.
func NewBoosted(columns []string, parts Boosted) (*Model, error) {
	f := &forest{base: parts.Base}
	if !finite(f.base) {
		return nil, artifactErrorf("the log-odds before the first tree are %v", f.base)
	}
	for k, nodes := range parts.Trees {
		t, cover, err := layOut(nodes)
		if err == nil {
			err = t.check(len(columns))
		}
		if err != nil {
			return nil, fmt.Errorf("tree %d: %w", k, err)
		}
		f.add(t, cover)
	}
	return &Model{algorithm: XGBoost, columns: slices.Clone(columns), base: sigmoid(f.base), forest: f, single: true}, nil
}

// maxTreeDepth is the maximum number of decisions on a way to a leaf of a tree of
// another program.
const maxTreeDepth = 256

// layOut puts the nodes of a tree in breadth-first order, so that children are
// neighbours. Nodes that the root does not lead to are left out.
func layOut(nodes []TreeNode) (tree, []float32, error) {
	if len(nodes) == 0 {
		return nil, nil, artifactErrorf("a tree has no nodes")
	}
	from, depth := []int{0}, []int{0} // positions in nodes and depths, by position in the result
	var t tree
	var cover []float32
	for at := 0; at < len(from); at++ {
		n := nodes[from[at]]
		if !(n.Cover >= 0) || !finite(n.Cover) {
			return nil, nil, artifactErrorf("tree node %d has cover %v", from[at], n.Cover)
		}
		cover = append(cover, float32(n.Cover))
		if n.Leaf {
			t = append(t, node{number: n.Number, column: leafMark})
			continue
		}
		if n.Column < 0 || n.Column >= missingLeft {
			return nil, nil, artifactErrorf("tree node %d compares column %d", from[at], n.Column)
		}
		next := node{number: n.Number, column: int32(n.Column), left: int32(len(from))}
		if n.MissingLeft {
			next.column |= missingLeft
		}
		t = append(t, next)
		for _, child := range []int{n.Left, n.Right} {
			if child <= 0 || child >= len(nodes) || len(from) == len(nodes) {
				return nil, nil, artifactErrorf("tree node %d leads to node %d of %d", from[at], child, len(nodes))
			}
			from, depth = append(from, child), append(depth, depth[at]+1)
		}
		if depth[at] == maxTreeDepth {
			return nil, nil, artifactErrorf("a tree is deeper than %d decisions", maxTreeDepth)
		}
	}
	return t, cover, nil
}

// errParts is the error of a model that has not the parts that were asked for.
var errParts = errors.New("the model has other parts")

// Linear returns the parts of a linear model.
func (m *Model) Linear() (Linear, error) {
	if m.linear == nil || m.forest != nil || m.calibration != nil || m.codes != nil {
		return Linear{}, errParts
	}
	return Linear{m.linear.intercept, slices.Clone(m.linear.coef), slices.Clone(m.linear.mean)}, nil
}

// Boosted returns the parts of boosted trees.
func (m *Model) Boosted() (Boosted, error) {
	if m.linear != nil || m.forest == nil || m.calibration != nil || m.codes != nil {
		return Boosted{}, errParts
	}
	f := m.forest
	out := Boosted{Base: f.base}
	for k, t := range f.trees() {
		nodes := make([]TreeNode, len(t))
		for i, n := range t {
			nodes[i] = TreeNode{Leaf: n.column == leafMark, Number: n.number}
			if f.explains() {
				nodes[i].Cover = float64(f.cover[int(f.roots[k])+i])
			}
			if !nodes[i].Leaf {
				nodes[i].Column, nodes[i].MissingLeft = int(n.column&^missingLeft), n.column&missingLeft != 0
				nodes[i].Left, nodes[i].Right = int(n.left), int(n.left)+1
			}
		}
		out.Trees = append(out.Trees, nodes)
	}
	return out, nil
}
