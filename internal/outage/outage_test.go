package outage_test

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"gateway/internal/outage"
)

// logger returns a logger without times, and what it has written.
func logger() (*slog.Logger, *bytes.Buffer) {
	var text bytes.Buffer
	return slog.New(slog.NewTextHandler(&text, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}})), &text
}

var errDown, errSlow = errors.New("down"), errors.New("slow")

func TestAnOutageIsLoggedOnceWhenItBeginsAndOnceWhenItEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, text := logger()
		var o outage.Outage
		steps := []struct {
			err  error
			want string // is logged
		}{
			{nil, ""},
			{errDown, `level=ERROR msg="cannot read; trying again" error=down`},
			{errDown, ""},
			{errSlow, ""},
			{nil, `level=INFO msg="can read again" failed_for=3s`},
			{nil, ""},
			{errSlow, `level=ERROR msg="cannot read; trying again" error=slow`},
			{nil, `level=INFO msg="can read again" failed_for=1s`},
		}
		for i, s := range steps {
			text.Reset()
			o.Record(log, s.err, "cannot read; trying again", "can read again")
			if got := strings.TrimSpace(text.String()); got != s.want {
				t.Errorf("step %d logs %q, want %q", i, got, s.want)
			}
			if got := o.Err(); got != s.err {
				t.Errorf("step %d: the error is %v, want %v", i, got, s.err)
			}
			if o.Lasts() != (s.err != nil) {
				t.Errorf("step %d: an outage lasts: %v", i, o.Lasts())
			}
			time.Sleep(time.Second)
		}
	})
}

func TestLevelAndAttributesAreTheCallers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, text := logger()
		var o outage.Outage
		args := make([]any, 2, 8) // room that an append could write to
		args[0], args[1] = "rows", 3
		if !o.Failed(log.Warn, errDown, "cannot store", args...) || o.Failed(log.Warn, errDown, "cannot store", args...) {
			t.Error("not the first failure alone begins the outage")
		}
		time.Sleep(1500 * time.Microsecond)
		args[1] = 4
		if !o.Succeeded(log.Debug, "never", args...) || o.Succeeded(log.Info, "stored again", args...) {
			t.Error("not the first success alone ends the outage")
		}
		if !o.Failed(log.Warn, errSlow, "cannot store") || !o.Succeeded(log.Info, "stored again", args...) {
			t.Error("no second outage")
		}
		want := "level=WARN msg=\"cannot store\" rows=3 error=down\n" +
			"level=WARN msg=\"cannot store\" error=slow\n" +
			"level=INFO msg=\"stored again\" rows=4 failed_for=0s\n"
		if text.String() != want {
			t.Errorf("the log is\n%swant\n%s", text, want)
		}
		if rest := args[:cap(args)][2:]; rest[0] != nil || rest[1] != nil {
			t.Errorf("the caller's arguments were written to: %v", rest)
		}
	})
}

func TestSinceIsTheBegin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, _ := logger()
		var o outage.Outage
		if !o.Since().IsZero() {
			t.Errorf("before any failure, since is %v", o.Since())
		}
		time.Sleep(1234567 * time.Nanosecond)
		begin := time.Now()
		o.Record(log, errDown, "b", "e")
		time.Sleep(time.Hour)
		o.Record(log, errSlow, "b", "e")
		if got, want := o.Since(), begin.UTC().Truncate(time.Millisecond); !got.Equal(want) || got.Location() != time.UTC {
			t.Errorf("since is %v, want %v", got, want)
		}
		o.Record(log, nil, "b", "e")
		if !o.Since().IsZero() {
			t.Errorf("after its end, since is %v", o.Since())
		}
	})
}

func TestEachOutageOfManyGoroutinesHasOneBeginAndOneEnd(t *testing.T) {
	var o outage.Outage
	var begins, ends atomic.Int64
	begin := func(string, ...any) { begins.Add(1) }
	end := func(string, ...any) { ends.Add(1) }
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 20_000 {
				o.Failed(begin, errDown, "begins")
				o.Succeeded(end, "ends")
			}
		})
	}
	group.Wait()
	o.Succeeded(end, "ends")
	if begins.Load() != ends.Load() || begins.Load() < 2 {
		t.Errorf("%d begins and %d ends were logged, want as many", begins.Load(), ends.Load())
	}
}

func TestASuccessAllocatesNothing(t *testing.T) {
	log, _ := logger()
	var o outage.Outage
	if n := testing.AllocsPerRun(1000, func() { o.Record(log, nil, "begins", "ends") }); n != 0 {
		t.Errorf("a success without an outage allocates %v times", n)
	}
	if n := testing.AllocsPerRun(1000, func() { o.Succeeded(log.Info, "ends") }); n != 0 {
		t.Errorf("a success without an outage allocates %v times", n)
	}
}
