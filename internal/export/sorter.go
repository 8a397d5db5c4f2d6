package export

import (
	"context"
	"slices"
)

// sorter orders any number of rows within a limited amount of memory. It keeps
// rows in memory up to the limit. Beyond it, all rows go to temporary files, by
// the leading bits of their place. Afterwards the files are sorted one by one,
// and split again if one exceeds the limit.
type sorter struct {
	budget  int64  // bytes
	tempDir string // of the temporary files
	held    batch
	spilled *buckets // nil while all rows are in memory
	repeats int64    // rows left out because their id occurred before
}

// batch is a list of records in memory. Their bytes lie in blocks, so that
// hundreds of thousands of rows cost a few dozen allocations.
type batch struct {
	records []record
	block   []byte
	cost    int64
}

const blockSize = 1 << 20

// add copies a record into the batch.
func (b *batch) add(r record) {
	b.records = append(b.records, record{r.place, append(b.room(len(r.data)), r.data...)})
	b.cost += r.cost()
}

// room returns an empty slice with capacity for n bytes.
func (b *batch) room(n int) []byte {
	if n > blockSize/4 {
		return make([]byte, 0, n)
	}
	if len(b.block) < n {
		b.block = make([]byte, blockSize)
	}
	piece := b.block[:0:n]
	b.block = b.block[n:]
	return piece
}

// add adds a record. It does not keep r's bytes.
func (s *sorter) add(r record) error {
	if s.spilled != nil {
		return s.spilled.add(r)
	}
	s.held.add(r)
	if s.held.cost <= s.budget {
		return nil
	}
	s.spilled = newBuckets(s.tempDir, 0)
	for _, r := range s.held.records {
		if err := s.spilled.add(r); err != nil {
			return err
		}
	}
	s.held = batch{}
	return nil
}

// each calls fn with the records in order, one for each id: of several rows of
// one customer the first by bytes. It may be called once.
func (s *sorter) each(ctx context.Context, fn func(record) error) error {
	if s.spilled == nil {
		return s.emit(ctx, s.held.records, fn)
	}
	all, err := s.spilled.finish()
	if err != nil {
		return err
	}
	for _, b := range all {
		if err := s.drain(ctx, b, 1, fn); err != nil {
			return err
		}
	}
	return nil
}

// drain emits one bucket and closes its file. depth counts how often its rows
// have been split.
func (s *sorter) drain(ctx context.Context, b *bucket, depth int, fn func(record) error) error {
	switch {
	case b.cost <= s.budget:
		var rows batch
		if err := b.read(ctx, func(r record) error { rows.add(r); return nil }); err != nil {
			return err
		}
		return s.emit(ctx, rows.records, fn)
	case b.low == b.high:
		// Splitting does not help: all rows have one place, so they are rows of one
		// customer, barring a deliberate collision.
		var first []record
		err := b.read(ctx, func(r record) error { first = s.keepFirst(first, r); return nil })
		if err != nil {
			return err
		}
		return s.emit(ctx, first, fn)
	}
	parts := newBuckets(s.tempDir, depth)
	defer parts.close()
	if err := b.read(ctx, parts.add); err != nil {
		return err
	}
	all, err := parts.finish()
	if err != nil {
		return err
	}
	for _, part := range all {
		if err := s.drain(ctx, part, depth+1, fn); err != nil {
			return err
		}
	}
	return nil
}

// keepFirst adds r to a list that holds the first record of each id.
func (s *sorter) keepFirst(list []record, r record) []record {
	for i, old := range list {
		if old.sameCustomer(r) {
			s.repeats++
			if r.compare(old) < 0 {
				list[i].data = slices.Clone(r.data)
			}
			return list
		}
	}
	return append(list, record{r.place, slices.Clone(r.data)})
}

// emit sorts records and calls fn with the first of each id.
func (s *sorter) emit(ctx context.Context, records []record, fn func(record) error) error {
	slices.SortFunc(records, record.compare)
	for i, r := range records {
		if i%1024 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		if i > 0 && r.sameCustomer(records[i-1]) {
			s.repeats++
			continue
		}
		if err := fn(r); err != nil {
			return err
		}
	}
	return nil
}

// close removes the temporary files.
func (s *sorter) close() {
	if s.spilled != nil {
		s.spilled.close()
	}
}
