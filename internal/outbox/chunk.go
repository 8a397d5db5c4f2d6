package outbox

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
)

// chunk is the oldest rows that are not drained, all of one segment.
type chunk struct {
	segment *segment
	from    int64    // offset of the first
	records [][]byte // nil for a frame that is damaged
	ends    []uint32 // offsets at which they end
}

// length is how many bytes row i takes.
func (c *chunk) length(i int) int64 {
	if i == 0 {
		return int64(c.ends[0]) - c.from
	}
	return int64(c.ends[i] - c.ends[i-1])
}

// nextChunk returns the oldest rows that are not drained: at most maxRows, and none
// after the one that reaches maxBytes. It returns them again unless done is called for them.
// Only one chunk is in use at a time. The records are in buf, or in a larger
// buffer, which is returned.
func (j *journal) nextChunk(maxRows int, maxBytes int64, buf []byte) (chunk, []byte, error) {
	c, to := j.claim(maxRows, maxBytes)
	if c.segment == nil {
		return chunk{}, buf, nil
	}
	data, err := readRange(c.segment.path, c.from, to, buf)
	if err != nil {
		if j.release(&c) && errors.Is(err, fs.ErrNotExist) {
			return chunk{}, buf, nil // the segment was dropped meanwhile, at the bound
		}
		return chunk{}, buf, err
	}
	for i, end := range c.ends {
		if record, ok := frameAt(data[int64(end)-c.length(i)-c.from : int64(end)-c.from]); ok {
			c.records[i] = record
		}
	}
	return c, data, nil
}

// claim chooses the rows. to is where the last of them ends.
func (j *journal) claim(maxRows int, maxBytes int64) (c chunk, to int64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	first := slices.IndexFunc(j.segments, func(s *segment) bool { return s.rows() > 0 })
	if first < 0 {
		return chunk{}, 0
	}
	s := j.segments[first]
	from := int64(s.keys[s.drained].offset)
	for i := s.drained; i < len(s.keys) && len(c.ends) < maxRows && to-from < maxBytes; i++ {
		to = s.end(i)
		c.ends = append(c.ends, uint32(to))
	}
	s.taken = len(c.ends)
	c.segment, c.from, c.records = s, from, make([][]byte, len(c.ends))
	return c, to
}

// hasDrained reports whether there is anything for removeDrained to remove.
func (j *journal) hasDrained() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return len(j.segments) > 0 && j.segments[0].rows() == 0 && (j.segments[0] != j.active || len(j.active.keys) > 0)
}

// removeDrained removes drained rows from the disk. The database must have flushed
// all rows that it was given. The active segment is emptied but not removed, so
// that its number is not used again after a start.
func (j *journal) removeDrained() error {
	err := j.exclusively(j.emptyActive)
	j.mu.Lock()
	defer j.mu.Unlock()
	for len(j.segments) > 0 && j.segments[0].rows() == 0 && j.segments[0] != j.active {
		if err := j.remove(); err != nil {
			return err
		}
	}
	return err
}

// emptyActive removes the rows of the active segment if all of them are drained.
// Only the leader calls it.
func (j *journal) emptyActive() error {
	j.mu.Lock()
	s := j.active
	drained := s != nil && len(s.keys) > 0 && s.rows() == 0
	j.mu.Unlock()
	switch {
	case s == nil:
		_ = j.begin() // if this fails, the next append reports it
		return nil
	case !drained:
		return nil
	case s.damaged:
		return errors.Join(j.seal(), j.begin()) // the file is kept
	}
	if err := j.file.Truncate(int64(len(magic))); err != nil {
		return fmt.Errorf("drained segment: %w", err)
	}
	j.dirty = false
	j.mu.Lock()
	defer j.mu.Unlock()
	s.size, s.keys, s.drained = int64(len(magic)), nil, 0
	return nil
}

// remove removes the oldest segment, which is drained, or moves it to the folder
// of damaged segments.
func (j *journal) remove() error {
	s := j.segments[0]
	var err error
	if s.damaged {
		_, err = moveTo(s.path, damagedFolder)
	} else {
		err = os.Remove(s.path)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("drained segment: %w", err)
	}
	j.segments = j.segments[1:]
	return nil
}

// done notes that the database has the first n rows of the chunk, the last of
// them made at created (0: unknown). They stay on disk until removeDrained.
func (j *journal) done(c *chunk, n int, created int64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	s := c.segment
	s.taken -= n
	before := s.bytes()
	s.drained += n
	if !s.dropped {
		j.rows -= n
		j.bytes -= before - s.bytes()
	}
	if created > 0 {
		s.oldest = created // rows are roughly in the order of their time
	}
	c.from = int64(c.ends[n-1])
	c.records, c.ends = c.records[n:], c.ends[n:]
	close(j.freed)
	j.freed = make(chan struct{})
}

// release gives up the rest of the chunk, which nextChunk returns again, and
// reports whether the chunk's segment has been dropped meanwhile.
func (j *journal) release(c *chunk) (dropped bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if c.segment.dropped {
		j.lost(c.segment.taken)
	}
	c.segment.taken = 0
	return c.segment.dropped
}

// markDamaged marks the segment of a chunk as damaged, and reports whether it was
// not marked before.
func (j *journal) markDamaged(c *chunk) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	first := !c.segment.damaged
	c.segment.damaged = true
	return first
}

// pendingRows are the rows of one segment that were not drained at one moment.
type pendingRows struct {
	path string
	keys []key
}

// pending returns the rows that are not drained, newest segment first.
func (j *journal) pending() []pendingRows {
	j.mu.Lock()
	defer j.mu.Unlock()
	var all []pendingRows
	for i := len(j.segments) - 1; i >= 0; i-- {
		if s := j.segments[i]; s.rows() > 0 {
			all = append(all, pendingRows{s.path, s.keys[s.drained:len(s.keys):len(s.keys)]})
		}
	}
	return all
}

// level is how much is not drained at one moment.
type level struct {
	rows    int
	bytes   int64
	writes  int   // of rows to the disk, since the start
	oldest  int64 // when the oldest row was made, in microseconds; 0 if there is none
	damaged int   // damaged segments
	freed   <-chan struct{}
}

func (j *journal) level() level {
	j.mu.Lock()
	defer j.mu.Unlock()
	l := level{rows: j.rows, bytes: j.bytes, writes: j.writes, freed: j.freed}
	for _, s := range j.segments {
		if s.rows() > 0 && l.oldest == 0 {
			l.oldest = s.oldest
		}
		if s.damaged {
			l.damaged++
		}
	}
	return l
}
