package main

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// slowPipe takes what it is given when it is let.
type slowPipe struct {
	gate   chan struct{}
	mu     sync.Mutex
	text   bytes.Buffer
	writes int
}

func (p *slowPipe) Write(b []byte) (int, error) {
	<-p.gate
	p.mu.Lock()
	defer p.mu.Unlock()
	p.writes++
	return p.text.Write(b)
}

func TestLinesAreWrittenTogetherAndInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pipe := &slowPipe{gate: make(chan struct{})}
		l := newLogWriter(pipe)
		var want strings.Builder
		for i := range 1000 {
			fmt.Fprintf(&want, "line %d\n", i)
			fmt.Fprintf(l, "line %d\n", i)
			if i == 0 {
				synctest.Wait() // it is being written, and the others gather
			}
		}
		close(pipe.gate)
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if pipe.text.String() != want.String() {
			t.Error("lines are missing, or not in order")
		}
		if pipe.writes != 2 {
			t.Errorf("%d writes, want the first line and then the others", pipe.writes)
		}
		fmt.Fprint(l, "afterwards\n")
		if !strings.HasSuffix(pipe.text.String(), "afterwards\n") {
			t.Error("a line after the end is lost")
		}
	})
}

func TestALoneLineIsWrittenAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pipe := &slowPipe{gate: make(chan struct{})}
		close(pipe.gate)
		l := newLogWriter(pipe)
		defer func() { _ = l.Close() }()
		for i := range 3 {
			before := time.Now()
			fmt.Fprintln(l, i)
			synctest.Wait()
			if pipe.writes != i+1 || time.Since(before) > 0 {
				t.Errorf("after line %d there were %d writes", i, pipe.writes)
			}
		}
	})
}

func TestWhoLogsWaitsForAReaderThatIsSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pipe := &slowPipe{gate: make(chan struct{})}
		l := newLogWriter(pipe)
		line := bytes.Repeat([]byte("x"), 64<<10)
		logged := 0
		go func() {
			for range 100 {
				_, _ = l.Write(line)
				logged++
			}
		}()
		synctest.Wait()
		if most := 2*mostUnwritten/len(line) + 2; logged > most || logged < mostUnwritten/len(line) {
			t.Errorf("%d lines of 64 KiB are in memory, want at most %d", logged, most)
		}
		close(pipe.gate)
		synctest.Wait()
		if logged != 100 {
			t.Errorf("only %d lines were logged when the reader came back", logged)
		}
		if err := l.Close(); err != nil || pipe.text.Len() != 100*len(line) {
			t.Errorf("%v, %d bytes", err, pipe.text.Len())
		}
	})
}
