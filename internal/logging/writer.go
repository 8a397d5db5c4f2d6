package logging

import (
	"bytes"
	"io"
	"runtime"
	"sync"
	"time"
)

// Writer writes log lines in the background, so that logging never blocks a
// request. Lines that arrive while others are being written are written
// together: a line costs a system call, which under load is more than making
// it. A single line is written at once, and the order is kept.
//
// If the log is not read, as with a full pipe, MaxUnwritten bytes wait. Further
// lines are dropped and counted, as are lines whose write fails, as on a full
// disk. Once writing works again, a line in their place says how many are
// missing. Lines that were not written when the process was killed are lost.
type Writer struct {
	w io.Writer
	// missing returns the line that reports dropped lines.
	missing func(dropped int64) []byte

	mu      sync.Mutex
	changed sync.Cond // of mu: there are lines to write, or Close was called
	lines   []byte
	spare   []byte // memory of lines
	writing bool
	closed  bool
	gap     int64 // lines dropped that no line has reported
	reports int64 // lines among lines that report dropped ones
	told    int64 // how many those report
	dropped int64 // lines dropped in all
	done    chan struct{}
}

const (
	// MaxUnwritten bounds the lines that wait, in bytes. As many again may be
	// in the write that is under way.
	MaxUnwritten = 1 << 20
	// CloseTime is how long Close waits for the lines to be written.
	CloseTime = time.Second
)

func NewWriter(w io.Writer, missing func(dropped int64) []byte) *Writer {
	l := &Writer{w: w, missing: missing, done: make(chan struct{})}
	l.changed.L = &l.mu
	go l.run()
	return l
}

// Write implements io.Writer. It never waits and reports no error.
func (l *Writer) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || len(l.lines)+len(line) > MaxUnwritten {
		l.gap++
		l.dropped++
		return len(line), nil
	}
	if len(l.lines) == 0 && !l.writing {
		l.changed.Signal()
	}
	l.reportGap()
	l.lines = append(l.lines, line...)
	return len(line), nil
}

// reportGap adds the line that says how many lines are missing at this point.
// l.mu is held.
func (l *Writer) reportGap() {
	if l.gap > 0 {
		l.lines = append(l.lines, l.missing(l.gap)...)
		l.reports++
		l.told += l.gap
		l.gap = 0
	}
}

func (l *Writer) run() {
	defer close(l.done)
	l.mu.Lock()
	defer l.mu.Unlock()
	for {
		for len(l.lines) == 0 && !l.closed {
			l.changed.Wait()
		}
		if len(l.lines) == 0 {
			return
		}
		l.writing = true
		l.mu.Unlock()
		runtime.Gosched() // let other goroutines that are about to log add their lines
		l.mu.Lock()
		lines, reports, told := l.lines, l.reports, l.told
		l.lines, l.reports, l.told = l.spare[:0], 0, 0
		l.mu.Unlock()
		n, err := l.w.Write(lines)
		l.mu.Lock()
		l.spare, l.writing = lines[:0], false
		if err == nil {
			l.reportGap()
			continue
		}
		// The gap is reported with the next line, not at once: that would fail, too.
		lost := int64(bytes.Count(lines[n:], []byte("\n")))
		if n == 0 { // no report was written
			lost -= reports
			l.gap += told
		}
		l.dropped += lost
		l.gap += lost
	}
}

// Dropped returns how many lines were dropped.
func (l *Writer) Dropped() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.dropped
}

// Close writes the lines that wait, or gives up after CloseTime. Lines that
// come later are dropped.
func (l *Writer) Close() error {
	l.mu.Lock()
	l.closed = true
	l.changed.Signal()
	l.mu.Unlock()
	late := time.NewTimer(CloseTime)
	defer late.Stop()
	select {
	case <-l.done:
	case <-late.C:
	}
	return nil
}
