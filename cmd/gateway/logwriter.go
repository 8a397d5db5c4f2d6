package main

import (
	"io"
	"runtime"
	"sync"
)

// logWriter writes lines in the background, together what comes together: a
// line costs a system call, which under load is more than making it. A lone
// line is written at once, and their order is kept. What the process had not
// written when it was killed is lost; that is what came in the last moment.
//
// Close writes what is left, and from then on a line is written by whoever has
// it to say.
type logWriter struct {
	w io.Writer

	mu      sync.Mutex
	changed sync.Cond // of mu: there are lines, there is room, there is an end
	lines   []byte
	spare   []byte // memory of lines
	writing bool
	closed  bool
	done    chan struct{}
}

// mostUnwritten bounds the lines that wait, in bytes. Beyond it whoever logs
// waits for the reader of the log, as everybody does who writes by himself.
const mostUnwritten = 1 << 20

func newLogWriter(w io.Writer) *logWriter {
	l := &logWriter{w: w, done: make(chan struct{})}
	l.changed.L = &l.mu
	go l.run()
	return l
}

// Write implements io.Writer. It reports no error: nobody could log it.
func (l *logWriter) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return l.w.Write(line)
	}
	for len(l.lines) > mostUnwritten && !l.closed {
		l.changed.Wait()
	}
	if len(l.lines) == 0 && !l.writing {
		l.changed.Broadcast()
	}
	l.lines = append(l.lines, line...)
	return len(line), nil
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
		runtime.Gosched() // whoever is ready to log at this moment comes along
		l.mu.Lock()
		lines := l.lines
		l.lines = l.spare[:0]
		l.mu.Unlock()
		_, _ = l.w.Write(lines)
		l.mu.Lock()
		l.spare, l.writing = lines[:0], false
		l.changed.Broadcast()
	}
}

// Close writes what is left.
func (l *logWriter) Close() error {
	l.mu.Lock()
	l.closed = true
	l.changed.Broadcast()
	l.mu.Unlock()
	<-l.done
	return nil
}
