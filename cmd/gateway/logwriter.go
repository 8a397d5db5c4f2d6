package main

import (
	"bytes"
	"io"
	"runtime"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// logWriter writes log lines in the background, so that logging never blocks a
// request. Lines that arrive while others are being written are written
// together: a line costs a system call, which under load is more than making
// it. A single line is written at once, and the order is kept.
//
// If the log is not read, as with a full pipe, unwrittenMax bytes wait. Further
// lines are dropped and counted, as are lines whose write fails, as on a full
// disk. Once writing works again, a line in their place says how many are
// missing. Lines that were not written when the process was killed are lost.
type logWriter struct {
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
	// unwrittenMax bounds the lines that wait, in bytes. As many again may be
	// in the write that is under way.
	unwrittenMax = 1 << 20
	// closeTime is how long Close waits for the lines to be written.
	closeTime = time.Second
)

func newLogWriter(w io.Writer, missing func(dropped int64) []byte) *logWriter {
	l := &logWriter{w: w, missing: missing, done: make(chan struct{})}
	l.changed.L = &l.mu
	go l.run()
	return l
}

// Write implements io.Writer. It never waits and reports no error.
func (l *logWriter) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || len(l.lines)+len(line) > unwrittenMax {
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
func (l *logWriter) reportGap() {
	if l.gap > 0 {
		l.lines = append(l.lines, l.missing(l.gap)...)
		l.reports++
		l.told += l.gap
		l.gap = 0
	}
}

func (l *logWriter) run() {
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
func (l *logWriter) Dropped() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.dropped
}

// Close writes the lines that wait, or gives up after closeTime. Lines that
// come later are dropped.
func (l *logWriter) Close() error {
	l.mu.Lock()
	l.closed = true
	l.changed.Signal()
	l.mu.Unlock()
	late := time.NewTimer(closeTime)
	defer late.Stop()
	select {
	case <-l.done:
	case <-late.C:
	}
	return nil
}

// measureLog registers the metric of dropped log lines.
func measureLog(reg prometheus.Registerer, dropped func() int64) {
	if dropped == nil {
		dropped = func() int64 { return 0 }
	}
	reg.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
		Name: "gateway_log_lines_dropped_total", Help: "Log lines that were dropped because the log was not read fast enough, or could not be written.",
	}, func() float64 { return float64(dropped()) }))
}
