package learn

// A histogram holds, for one node, the sums over the node's rows in every bin
// of every group: group g's bin b is at g.first + b. Only the groups that a tree may be
// split on are filled.

// groupBlock is how many groups are added up in one go over the rows. A row's
// bins are then read from few cache lines, and its derivatives once.
const groupBlock = 10

// blocks divides the groups that have a sampled column into blocks.
func (b *binned) blocks(sampled []bool) [][]*group {
	var active []*group
	for i := range b.groups {
		g := &b.groups[i]
		for _, j := range g.columns {
			if sampled[j] {
				active = append(active, g)
				break
			}
		}
	}
	var all [][]*group
	for begin := 0; begin < len(active); begin += groupBlock {
		all = append(all, active[begin:min(begin+groupBlock, len(active))])
	}
	return all
}

// addUp fills the part of histogram that is of a block of groups with the sums over rows.
func (b *binned) addUp(block []*group, rows []int32, derivatives, histogram []sums) {
	var at, first [groupBlock]int
	for k, g := range block {
		at[k], first[k] = g.at, g.first
		clear(histogram[g.first : g.first+g.size()])
	}
	width := len(b.groups)
	for _, i := range rows {
		d := derivatives[i]
		bins := b.bin[int(i)*width : int(i)*width+width]
		for k := range block {
			c := &histogram[first[k]+int(bins[at[k]])]
			c.g += d.g
			c.h += d.h
		}
	}
}

// subtract turns the part of a parent's histogram that is of a block of groups into that
// of one child, given the other child's.
func (b *binned) subtract(block []*group, parent, child []sums) {
	for _, g := range block {
		for i := g.first; i < g.first+g.size(); i++ {
			parent[i] = parent[i].minus(child[i])
		}
	}
}
