package learn

// grower grows one tree after another on the same rows, reusing its memory.
type grower struct {
	settings boostSettings
	data     *binned

	derivatives []sums     // of each row, set before grow
	sampled     []bool     // columns that may be split on, set before grow
	rows        []int32    // row numbers; those of a node are next to each other
	scratch     []int32    // as long as rows
	blocks      [][]*group // of the groups with a sampled column
	free        [][]sums
}

// openNode is a node that may still be split.
type openNode struct {
	at         int // position in the tree
	begin, end int // its part of grower.rows
	total      sums
	histogram  []sums
	smaller    *openNode // if set, histogram is still the parent's: take smaller's off
	candidates []split   // the best of each block of groups
	best       split     // the best of all; gain 0 if there is none
}

func newGrower(b *binned, s boostSettings) *grower {
	return &grower{
		settings:    s,
		data:        b,
		derivatives: make([]sums, b.rows),
		sampled:     make([]bool, b.columns),
		rows:        make([]int32, b.rows),
		scratch:     make([]int32, b.rows),
	}
}

// grow returns a tree for the derivatives, grown level by level, with the cover of
// its nodes, and reports every leaf with the rows in it. Leaf values are scaled by
// eta.
func (w *grower) grow(leaf func(rows []int32, value float64)) (tree, []float32) {
	w.blocks = w.data.blocks(w.sampled)
	t := tree{{}}
	level := []*openNode{w.root()}
	cover := []float32{float32(level[0].total.h)}
	for depth := 0; len(level) > 0; depth++ {
		if depth < w.settings.depth {
			w.search(level)
		}
		var parents []*openNode
		for _, n := range level {
			if n.best.gain > 0 {
				t[n.at] = n.best.decision(int32(len(t)))
				t = append(t, node{}, node{})
				cover = append(cover, float32(n.best.left.h), float32(n.best.right.h))
				parents = append(parents, n)
				continue
			}
			value := w.settings.eta * w.settings.leafValue(n.total)
			t[n.at] = node{column: leafMark, number: value}
			leaf(w.rows[n.begin:n.end], value)
			w.release(n)
		}
		level = w.part(parents, t)
		if depth+1 < w.settings.depth {
			w.share(parents, level)
		} else {
			for _, n := range parents {
				w.release(n)
			}
		}
	}
	return t, cover
}

// root returns the node of all rows.
func (w *grower) root() *openNode {
	n := &openNode{end: len(w.rows), histogram: w.acquire()}
	for i := range w.rows {
		w.rows[i] = int32(i)
		n.total = n.total.plus(w.derivatives[i])
	}
	return n
}

// search finds the best split of every node in a level. A task takes one block
// of groups through all of it: add up the smaller siblings, subtract to get
// the larger, look for splits. So even the root keeps several processors busy.
func (w *grower) search(level []*openNode) {
	for _, n := range level {
		n.candidates = make([]split, len(w.blocks))
	}
	parallel(len(w.blocks), func(k int) {
		block := w.blocks[k]
		for _, n := range level {
			if n.smaller == nil {
				w.data.addUp(block, w.rows[n.begin:n.end], w.derivatives, n.histogram)
			}
		}
		for _, n := range level {
			if n.smaller != nil {
				w.data.subtract(block, n.histogram, n.smaller.histogram)
			}
			n.candidates[k] = w.settings.bestSplit(block, w.sampled, n)
		}
	})
	for _, n := range level {
		for _, c := range n.candidates {
			if c.gain > n.best.gain {
				n.best = c
			}
		}
	}
}

// part divides the rows of parents among their children and returns those, in
// the order of their positions in t.
func (w *grower) part(parents []*openNode, t tree) []*openNode {
	children := make([]*openNode, 2*len(parents))
	parallel(len(parents), func(i int) {
		n := parents[i]
		left, middle := int(t[n.at].left), w.partition(n)
		children[2*i] = &openNode{at: left, begin: n.begin, end: middle, total: n.best.left}
		children[2*i+1] = &openNode{at: left + 1, begin: middle, end: n.end, total: n.best.right}
	})
	return children
}

// share gives each pair of children two histograms: a fresh one to the child
// of fewer rows and the parent's to the other.
func (w *grower) share(parents, children []*openNode) {
	for i, n := range parents {
		small, large := children[2*i], children[2*i+1]
		if large.end-large.begin < small.end-small.begin {
			small, large = large, small
		}
		small.histogram = w.acquire()
		large.histogram, large.smaller = n.histogram, small
	}
}

// partition reorders the rows of n so that those of its left child come first,
// keeping their order otherwise, and returns where the right child begins.
func (w *grower) partition(n *openNode) int {
	rows, right := w.rows[n.begin:n.end], w.scratch[n.begin:n.end]
	width, bins := len(w.data.groups), w.data.bin[n.best.group:]
	l, r := 0, 0
	for _, i := range rows {
		// Written to both sides and counted on one: no branch to mispredict.
		rows[l], right[r] = i, i
		step := 0
		if n.best.goesRight(bins[int(i)*width]) {
			step = 1
		}
		r += step
		l += 1 - step
	}
	copy(rows[l:], right[:r])
	return n.begin + l
}

// acquire and release keep histograms for reuse. What an acquired one holds is
// undefined.
func (w *grower) acquire() []sums {
	if k := len(w.free) - 1; k >= 0 {
		h := w.free[k]
		w.free = w.free[:k]
		return h
	}
	return make([]sums, w.data.cells)
}

func (w *grower) release(n *openNode) {
	if n.histogram != nil {
		w.free = append(w.free, n.histogram)
		n.histogram = nil
	}
}
