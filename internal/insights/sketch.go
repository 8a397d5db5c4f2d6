package insights

import (
	"maps"
	"math"
	"slices"
)

// sketch counts the values of a feature in bounded memory. While there are at most
// maxSketch different ones it counts each. Then it drops low bits of their mantissas
// until there are few enough: each number stays the exact count of the values between
// two bounds, and the bounds become coarser. The result does not depend on the order
// of the values.
type sketch struct {
	drop  uint // number of low bits
	cells map[uint64]sketchCell
}

type sketchCell struct {
	count       int64
	least, most float64
}

const maxSketch = 4096

// orderedBits maps numbers to integers of the same order.
func orderedBits(x float64) uint64 {
	bits := math.Float64bits(x)
	if bits>>63 == 1 {
		return ^bits
	}
	return bits | 1<<63
}

func (s *sketch) add(x float64) {
	if s.cells == nil {
		s.cells = make(map[uint64]sketchCell)
	}
	s.put(orderedBits(x)>>s.drop, sketchCell{1, x, x})
	for len(s.cells) > maxSketch {
		s.drop++
		finer := s.cells
		s.cells = make(map[uint64]sketchCell, len(finer))
		for key, cell := range finer {
			s.put(key>>1, cell)
		}
	}
}

func (s *sketch) put(key uint64, c sketchCell) {
	if known, ok := s.cells[key]; ok {
		c = sketchCell{known.count + c.count, min(known.least, c.least), max(known.most, c.most)}
	}
	s.cells[key] = c
}

const (
	// wantedRanges is how many ranges of about equal counts the values of a number have.
	wantedRanges = 10
	// minRangeShare is the least share of the rows that a range has where a frequent
	// value follows it, which has a range of its own.
	minRangeShare = 0.01
)

// ranges divides the values into about wantedRanges ranges of about equal counts. A
// value that is as frequent as a whole range gets one of its own.
func (s *sketch) ranges() (ranges [][2]float64, counts []int64) {
	var total int64
	keys := slices.Sorted(maps.Keys(s.cells))
	for _, key := range keys {
		total += s.cells[key].count
	}
	var open sketchCell // the range that is being filled
	var seen int64      // in the ranges before it, and in it
	end := func() {
		if open.count > 0 {
			ranges, counts = append(ranges, [2]float64{open.least, open.most}), append(counts, open.count)
		}
		open = sketchCell{}
	}
	for _, key := range keys {
		c := s.cells[key]
		if c.count*wantedRanges >= total && float64(open.count) >= minRangeShare*float64(total) {
			end()
		}
		if open.count == 0 {
			open = c
		} else {
			open.count, open.most = open.count+c.count, c.most
		}
		before := seen * wantedRanges / total
		seen += c.count
		if seen*wantedRanges/total > before {
			end()
		}
	}
	end()
	return ranges, counts
}
