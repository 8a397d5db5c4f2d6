package logging

import (
	"bytes"
	"errors"
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
		l := NewWriter(pipe, missingLines)
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
	})
}

func TestALoneLineIsWrittenAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pipe := &slowPipe{gate: make(chan struct{})}
		close(pipe.gate)
		l := NewWriter(pipe, missingLines)
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

// missingLines reports dropped lines in the tests of a Writer.
func missingLines(dropped int64) []byte { return fmt.Appendf(nil, "%d are missing\n", dropped) }

func TestLoggingNeverWaitsForAReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pipe := &slowPipe{gate: make(chan struct{})}
		l := NewWriter(pipe, missingLines)
		fmt.Fprint(l, "the first line\n")
		synctest.Wait() // it is being written
		line := bytes.Repeat([]byte("x"), 64<<10-1)
		line = append(line, '\n')
		const waiting = MaxUnwritten / (64 << 10)
		for range waiting + 5 {
			_, _ = l.Write(line)
		}
		if n := l.Dropped(); n != 5 {
			t.Errorf("%d lines were dropped, want 5", n)
		}
		close(pipe.gate)
		synctest.Wait()
		fmt.Fprint(l, "afterwards\n")
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		want := "the first line\n" + strings.Repeat(string(line), waiting) + "5 are missing\nafterwards\n"
		if got := pipe.text.String(); got != want {
			t.Errorf("%d bytes were written, want %d; they end with %q", len(got), len(want), got[max(0, len(got)-60):])
		}
	})
}

// fullDisk writes nothing, or the first bytes, while it is full.
type fullDisk struct {
	full  bool
	room  int
	text  bytes.Buffer
	tries int
}

func (d *fullDisk) Write(b []byte) (int, error) {
	d.tries++
	if !d.full {
		return d.text.Write(b)
	}
	n, _ := d.text.Write(b[:min(d.room, len(b))])
	return n, errors.New("no space left on device")
}

func TestLinesThatCannotBeWrittenAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := &fullDisk{full: true}
		l := NewWriter(disk, missingLines)
		for i := range 3 {
			fmt.Fprintf(l, "lost %d\n", i)
			synctest.Wait()
		}
		if n := l.Dropped(); n != 3 || disk.tries != 3 {
			t.Errorf("%d lines were dropped in %d tries, want 3 in 3", n, disk.tries)
		}
		// Of the next line and the report before it the report alone is written.
		disk.room = len("3 are missing\n")
		fmt.Fprint(l, "lost 3\n")
		synctest.Wait()
		disk.full = false
		fmt.Fprint(l, "written\n")
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if want := "3 are missing\n1 are missing\nwritten\n"; disk.text.String() != want {
			t.Errorf("got %q, want %q", disk.text.String(), want)
		}
	})
}

// TestALogThatIsNeverReadDoesNotHoldUpTheEnd gives up the lines that wait.
func TestALogThatIsNeverReadDoesNotHoldUpTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pipe := &slowPipe{gate: make(chan struct{})}
		l := NewWriter(pipe, missingLines)
		fmt.Fprint(l, "a line\n")
		begun := time.Now()
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(begun); took != CloseTime {
			t.Errorf("Close took %s, want %s", took, CloseTime)
		}
		fmt.Fprint(l, "afterwards\n")
		if n := l.Dropped(); n != 1 {
			t.Errorf("%d lines were dropped, want the one after Close", n)
		}
		close(pipe.gate)
	})
}
