package learn

// A histogram holds, for one node, the sums over the node's rows in every bin
// of every group: group g's bin b is at g.first + b.

// groupBlock is how many groups are added up in one go over the rows. A row's
// bins are then read from one cache line, and its derivatives once.
const groupBlock = 10

// blocks returns into how many blocks the groups fall.
func (b *binned) blocks() int { return (len(b.groups) + groupBlock - 1) / groupBlock }

// block returns the groups of block k and the part of a histogram they fill.
func (b *binned) block(k int) (groups []group, begin, end int) {
	groups = b.groups[k*groupBlock : min((k+1)*groupBlock, len(b.groups))]
	last := &groups[len(groups)-1]
	return groups, groups[0].first, last.first + last.size()
}

// addUp fills block k of histogram with the sums over rows.
func (b *binned) addUp(k int, rows []int32, derivatives, histogram []sums) {
	groups, begin, end := b.block(k)
	cells := histogram[begin:end]
	clear(cells)
	var first [groupBlock]int
	for i := range groups {
		first[i] = groups[i].first - begin
	}
	width, from := len(b.groups), groups[0].at
	to := from + len(groups)
	for _, i := range rows {
		d := derivatives[i]
		for k, bin := range b.bin[int(i)*width+from : int(i)*width+to] {
			c := &cells[first[k]+int(bin)]
			c.g += d.g
			c.h += d.h
		}
	}
}

// subtract turns block k of a parent's histogram into that of one child, given
// the other child's.
func (b *binned) subtract(k int, parent, child []sums) {
	_, begin, end := b.block(k)
	for i := begin; i < end; i++ {
		parent[i] = parent[i].minus(child[i])
	}
}
