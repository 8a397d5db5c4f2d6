package outbox

import (
	"errors"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

var (
	errClosed = errors.New("the outbox is closed")
	errFull   = errors.New("the outbox has reached its bound")
)

// journal is the outbox as bytes: segments that are appended to at one end and
// drained at the other.
//
// Appending uses group commit without a goroutine of its own. The first appender
// becomes the leader and yields once, so that runnable appenders join its write.
// Appenders that arrive during the write form the next group, and the leader makes
// one of them the next leader. So a single append is written at once, and under
// load groups grow to what the disk needs. There is no window to tune.
type journal struct {
	dir         string
	limit       int64 // of bytes that are not drained
	segmentSize int64
	flush       bool // whether every group is flushed
	dropOldest  bool // whether the oldest segment is dropped at the limit
	metrics     *metrics
	wrote       func(error)   // called with the result of each attempt to write rows, in order
	arrived     chan struct{} // has a token when rows may have been appended
	unread      int           // number of files that open could not read

	naming sync.Mutex
	next   uint64 // number of the next segment in dir or a folder below; higher than all numbers used

	mu        sync.Mutex
	segments  []*segment // oldest first
	gathering *group     // the group that appenders join while another is written; nil: none
	spare     batch      // memory of the next group
	leading   bool       // whether there is a leader
	closed    bool
	rows      int           // that are not drained, including those being written
	bytes     int64         // of these rows
	writes    int           // of rows to the disk, since the start
	freed     chan struct{} // closed and replaced when rows were drained

	dropped atomic.Int64 // number of rows lost since the start
	atLimit atomic.Int64 // number of segments dropped at the limit

	// Only the leader uses these.
	active *segment // the last of segments, or nil
	file   *os.File // of active
	dirty  bool     // whether file has data that is not flushed
}

// batch is what one call appends: frames and their keys. Offsets are relative to
// the first frame.
type batch struct {
	frames []byte
	keys   []key
	oldest int64 // when the first row was made, in microseconds
}

// group is several batches that are written, and flushed, at once.
type group struct {
	batch
	done chan struct{} // closed when err is set
	lead chan struct{} // has a token for the member of the group that is to lead
	err  error
}

// append writes the batch to the file and, if the journal flushes groups, to the
// disk. The caller may reuse the batch when it returns.
func (j *journal) append(b *batch) error {
	j.mu.Lock()
	if err := j.admit(int64(len(b.frames))); err != nil {
		j.mu.Unlock()
		return err
	}
	j.rows += len(b.keys)
	j.bytes += int64(len(b.frames))
	if !j.leading {
		j.leading = true
		j.mu.Unlock()
		runtime.Gosched()
		j.mu.Lock()
		if j.gathering == nil {
			j.mu.Unlock()
			err := j.write(b)
			j.handOver(batch{})
			return err
		}
		g := j.join(b)
		g.oldest = b.oldest
		j.mu.Unlock()
		return j.lead(g)
	}
	g := j.join(b)
	j.mu.Unlock()
	select {
	case <-g.done:
		return g.err
	case <-g.lead:
		return j.lead(g)
	}
}

// lead writes the group that has gathered.
func (j *journal) lead(g *group) error {
	memory := j.writeGroup(g)
	j.handOver(memory)
	return g.err
}

// writeGroup writes the group that has gathered, wakes its members, and returns
// its memory.
func (j *journal) writeGroup(g *group) (memory batch) {
	j.mu.Lock()
	j.gathering = nil // later appenders form another group
	j.mu.Unlock()
	if len(g.keys) > 0 {
		g.err = j.write(&g.batch)
	}
	memory, g.batch = g.batch, batch{}
	close(g.done)
	return memory
}

// join adds the batch to the group that is written next.
func (j *journal) join(b *batch) *group {
	if j.gathering == nil {
		j.gathering = &group{batch: j.spare, done: make(chan struct{}), lead: make(chan struct{}, 1)}
		j.spare = batch{}
	}
	g := j.gathering
	if len(g.keys) == 0 {
		g.oldest = b.oldest
	}
	base := uint32(len(g.frames))
	g.frames = append(g.frames, b.frames...)
	for _, k := range b.keys {
		k.offset += base
		g.keys = append(g.keys, k)
	}
	return g
}

// handOver makes a member of the gathered group the leader. If there is no such
// group, the next appender leads. The memory of a finished group is reused.
func (j *journal) handOver(memory batch) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if n := cap(memory.frames); n > cap(j.spare.frames) && n <= keepMemory {
		j.spare = batch{frames: memory.frames[:0], keys: memory.keys[:0]}
	}
	if j.gathering != nil {
		j.gathering.lead <- struct{}{}
		return
	}
	j.leading = false
}

// admit makes room for n bytes, or returns an error.
func (j *journal) admit(n int64) error {
	if j.closed {
		return errClosed
	}
	if n > j.limit {
		return errFull
	}
	for j.bytes+n > j.limit {
		if !j.dropOldest || !j.drop() {
			return errFull
		}
		j.atLimit.Add(1)
	}
	return nil
}

// drop removes the oldest segment that is not being written, and reports
// whether there was one. Rows that the drainer is storing are counted as lost only
// if that fails.
func (j *journal) drop() bool {
	if len(j.segments) == 0 || j.segments[0] == j.active {
		return false
	}
	s := j.segments[0]
	if err := os.Remove(s.path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return false
	}
	j.segments = j.segments[1:]
	s.dropped = true
	j.rows -= s.rows()
	j.bytes -= s.bytes()
	j.lost(s.rows() - s.taken)
	return true
}

// lost counts rows that were removed without being drained.
func (j *journal) lost(rows int) {
	j.dropped.Add(int64(rows))
	j.metrics.dropped.Add(float64(rows))
}

// write appends a batch to the active segment. Only the leader calls it.
func (j *journal) write(b *batch) error {
	err := j.put(b.frames)
	j.wrote(err)
	for err != nil && j.dropOldest && errors.Is(err, syscall.ENOSPC) {
		j.mu.Lock()
		more := j.drop()
		j.mu.Unlock()
		if !more {
			break
		}
		err = j.put(b.frames)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if err != nil {
		j.rows -= len(b.keys)
		j.bytes -= int64(len(b.frames))
		return err
	}
	s := j.active
	if s.rows() == 0 {
		s.oldest = b.oldest
	}
	for _, k := range b.keys {
		k.offset += uint32(s.size)
		s.keys = append(s.keys, k)
	}
	s.size += int64(len(b.frames))
	j.writes++
	j.metrics.appended.Add(float64(len(b.keys)))
	select {
	case j.arrived <- struct{}{}:
	default:
	}
	return nil
}

// put writes frames at the end of the active segment, and flushes them. If it fails
// it truncates the file to its former size.
func (j *journal) put(frames []byte) error {
	if j.file != nil && j.active.size > int64(len(magic)) && j.active.size+int64(len(frames)) > j.segmentSize {
		if err := j.seal(); err != nil {
			return err
		}
	}
	if j.file == nil {
		if err := j.begin(); err != nil {
			return err
		}
	}
	if _, err := j.file.WriteAt(frames, j.active.size); err != nil {
		if undo := j.file.Truncate(j.active.size); undo != nil {
			err = errors.Join(err, undo, j.seal())
		}
		return err
	}
	j.dirty = true
	if !j.flush {
		return nil
	}
	if err := j.sync(j.file); err != nil {
		// After a failed flush the contents of the file are undefined, and the next
		// flush may succeed all the same: this file is not written any more.
		return errors.Join(err, j.file.Truncate(j.active.size), j.seal())
	}
	j.dirty = false
	return nil
}

// begin makes a new segment the active one.
func (j *journal) begin() error {
	s, file, err := j.create(j.dir)
	if err != nil {
		return err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.active, j.file = s, file
	j.segments = append(j.segments, s)
	return nil
}

// create makes a segment in a folder, with a number that was never used. Any
// goroutine may call it.
func (j *journal) create(dir string) (*segment, *os.File, error) {
	j.naming.Lock()
	defer j.naming.Unlock()
	for ; j.next <= maxNumber; j.next++ {
		s, file, err := createSegment(dir, j.next)
		switch {
		case err == nil:
			j.next++
			return s, file, nil
		case !errors.Is(err, os.ErrExist):
			return nil, nil, err
		}
		// A file of that name was put there by hand since the start.
	}
	return nil, nil, errNumbers
}

// seal flushes and closes the active segment.
func (j *journal) seal() error {
	if j.file == nil {
		return nil
	}
	var err error
	if j.dirty {
		err = j.sync(j.file)
		j.dirty = false // a flush that failed is not repeated
	}
	err = errors.Join(err, j.file.Close())
	j.mu.Lock()
	defer j.mu.Unlock()
	j.active, j.file = nil, nil
	return err
}

func (j *journal) sync(file *os.File) error {
	start := time.Now()
	err := file.Sync()
	j.metrics.fsync.Observe(time.Since(start).Seconds())
	return err
}

// exclusively runs fn as the leader, between two groups.
func (j *journal) exclusively(fn func() error) error {
	j.mu.Lock()
	for j.leading {
		g := j.join(&batch{})
		j.mu.Unlock()
		select {
		case <-g.done:
			j.mu.Lock()
			continue
		case <-g.lead:
		}
		// This goroutine leads now, and writes the group that it had joined.
		memory := j.writeGroup(g)
		err := fn()
		j.handOver(memory)
		return err
	}
	j.leading = true
	j.mu.Unlock()
	err := fn()
	j.handOver(batch{})
	return err
}

// flushNow flushes what was written without a flush, and reports whether there was
// anything. Appends go on meanwhile; the next flush is for what they write.
func (j *journal) flushNow() (flushed bool, err error) {
	var file *os.File
	var size int64
	err = j.exclusively(func() error {
		if j.dirty {
			file, size = j.file, j.active.size
		}
		return nil
	})
	if err != nil || file == nil {
		return false, err
	}
	failure := j.sync(file)
	if errors.Is(failure, os.ErrClosed) {
		return false, nil // the segment was sealed meanwhile, and so flushed
	}
	err = j.exclusively(func() error {
		switch {
		case j.file != file:
		case failure != nil:
			// The next flush of this file might succeed although rows are lost: it is
			// not written any more.
			j.dirty = false
			return j.seal()
		case j.active.size == size:
			j.dirty = false
		}
		return nil
	})
	return failure == nil, errors.Join(failure, err)
}

// close closes the journal after the gathered group is written.
func (j *journal) close() error {
	j.mu.Lock()
	if j.closed {
		j.mu.Unlock()
		return nil
	}
	j.closed = true
	j.mu.Unlock()
	return j.exclusively(j.seal)
}
