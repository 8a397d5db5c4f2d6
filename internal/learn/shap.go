package learn

// A forest's contributions are SHAP values: what each column adds to the log-odds
// of a row of which nothing is known, averaged over all orders in which the
// columns of the row may become known. A decision on a column that is not known
// yet goes both ways, weighted by how much of the training data went either way
// (the path-dependent algorithm of Lundberg, Erion and Lee, Consistent
// Individualized Feature Attribution for Tree Ensembles, arXiv:1802.03888,
// algorithm 2; XGBoost's pred_contribs). They sum to the log-odds less expected.

// step is a decision on the way from the root of a tree to a node.
type step struct {
	column int32
	zero   float64 // share of the training data that goes this way
	one    float64 // 1 if the row goes this way, else 0
	weight float64 // of the sets of known columns, by their size
}

// explains reports whether f knows how much data went each way.
func (f *forest) explains() bool { return len(f.cover) == len(f.nodes) }

// contributions adds the SHAP values of row to out, one for each column.
func (f *forest) contributions(row, out []float64) {
	s := &shapley{forest: f, row: row, out: out}
	for _, root := range f.roots {
		s.visit(root, nil, 0, step{column: leafMark, zero: 1, one: 1})
	}
}

// expected returns the log-odds of a row of which nothing is known.
func (f *forest) expected() float64 {
	sum := f.base
	var mean func(at int32) float64
	mean = func(at int32) float64 {
		n := f.nodes[at]
		if n.column == leafMark {
			return n.number
		}
		left := f.leftShare(at)
		return left*mean(n.left) + (1-left)*mean(n.left+1)
	}
	for _, root := range f.roots {
		sum += mean(root)
	}
	return sum
}

// leftShare returns the share of the training data at a decision that went left.
func (f *forest) leftShare(at int32) float64 {
	left, right := float64(f.cover[f.nodes[at].left]), float64(f.cover[f.nodes[at].left+1])
	if left+right == 0 {
		return 0.5
	}
	return left / (left + right)
}

// shapley explains one row.
type shapley struct {
	forest *forest
	row    []float64
	out    []float64
	paths  [][]step // one for each depth, used again
}

// visit walks the tree below the node at, to which the step next leads from the
// end of path.
func (s *shapley) visit(at int32, path []step, depth int, next step) {
	if depth == len(s.paths) {
		s.paths = append(s.paths, nil)
	}
	s.paths[depth] = append(append(s.paths[depth][:0], path...), step{})
	path = extend(s.paths[depth], next)
	n := s.forest.nodes[at]
	if n.column == leafMark {
		for i := 1; i < len(path); i++ {
			p := path[i]
			s.out[p.column] += unwoundWeight(path, i) * (p.one - p.zero) * n.number
		}
		return
	}
	column := n.column &^ missingLeft
	zero, one := 1.0, 1.0
	for i := 1; i < len(path); i++ {
		if path[i].column == column {
			zero, one = path[i].zero, path[i].one
			path = unwind(path, i)
			break
		}
	}
	share := s.forest.leftShare(at)
	left, right := one, 0.0
	if !n.goesLeft(s.row[column]) {
		left, right = 0, one
	}
	s.visit(n.left, path, depth+1, step{column: column, zero: zero * share, one: left})
	s.visit(n.left+1, path, depth+1, step{column: column, zero: zero * (1 - share), one: right})
}

// extend makes next the last step of path, of which the last element is free.
func extend(path []step, next step) []step {
	l := len(path) - 1
	if l == 0 {
		next.weight = 1
	}
	path[l] = next
	for i := l - 1; i >= 0; i-- {
		path[i+1].weight += next.one * path[i].weight * float64(i+1) / float64(l+1)
		path[i].weight = next.zero * path[i].weight * float64(l-i) / float64(l+1)
	}
	return path
}

// unwind undoes the extension by step i.
func unwind(path []step, i int) []step {
	l := len(path) - 1
	zero, one := path[i].zero, path[i].one
	rest := path[l].weight
	for j := l - 1; j >= 0; j-- {
		if one != 0 {
			w := path[j].weight
			path[j].weight = rest * float64(l+1) / (float64(j+1) * one)
			rest = w - path[j].weight*zero*float64(l-j)/float64(l+1)
		} else {
			path[j].weight = path[j].weight * float64(l+1) / (zero * float64(l-j))
		}
	}
	for j := i; j < l; j++ {
		path[j].column, path[j].zero, path[j].one = path[j+1].column, path[j+1].zero, path[j+1].one
	}
	return path[:l]
}

// unwoundWeight returns the sum of the weights of path without step i.
func unwoundWeight(path []step, i int) float64 {
	l := len(path) - 1
	zero, one := path[i].zero, path[i].one
	rest, total := path[l].weight, 0.0
	for j := l - 1; j >= 0; j-- {
		if one != 0 {
			w := rest * float64(l+1) / (float64(j+1) * one)
			total += w
			rest = path[j].weight - w*zero*float64(l-j)/float64(l+1)
		} else {
			total += path[j].weight * float64(l+1) / (zero * float64(l-j))
		}
	}
	return total
}
