package api

import (
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gateway/api/edge"
	"gateway/internal/admission"
	"gateway/internal/audit/audittest"

	"github.com/prometheus/client_golang/prometheus"
)

// deadlines is a connection that notes the deadlines that are set on it.
type deadlines struct {
	*httptest.ResponseRecorder
	read, write time.Time
}

func (d *deadlines) SetReadDeadline(t time.Time) error  { d.read = t; return nil }
func (d *deadlines) SetWriteDeadline(t time.Time) error { d.write = t; return nil }
func (d *deadlines) EnableFullDuplex() error            { return nil }

func TestACallerThatStillSendsIsNotDroppedForNotReading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &api{o: Options{StreamIdle: time.Minute}.withDefaults()}
		w := &deadlines{ResponseRecorder: httptest.NewRecorder()}
		s := a.newStream(w, httptest.NewRequest("POST", "/predict/batch", strings.NewReader("abc")), "caller")
		for range 3 {
			time.Sleep(40 * time.Second) // in the bubble's time
			if _, err := s.Read(make([]byte, 1)); err != nil {
				t.Fatal(err)
			}
			if due := time.Now().Add(time.Minute); !w.read.Equal(due) || !w.write.Equal(due) {
				t.Errorf("deadlines %v and %v, want %v", w.read, w.write, due)
			}
		}
		last := w.write
		time.Sleep(time.Second)
		if _, err := s.Read(make([]byte, 1)); err == nil {
			t.Fatal("there is more")
		}
		if !w.write.Equal(last) {
			t.Error("a read that brought nothing renewed the answer's deadline")
		}
		if got := w.Header().Get("Connection"); got != "close" {
			t.Errorf("the deadlines outlive the stream: Connection is %q", got)
		}
	})
}

// trickle is a body that brings a few bytes every ten seconds.
type trickle int

func (n trickle) Read(p []byte) (int, error) {
	time.Sleep(10 * time.Second)
	return min(len(p), int(n)), nil
}

// A caller has a credit of time. Waiting for the caller uses it up, and each byte
// that the caller sends restores some of it.
func TestAStreamMustKeepItsPace(t *testing.T) {
	for _, test := range []struct {
		name    string
		bytes   int // each ten seconds
		lasting bool
	}{{"a byte", 1, false}, {"half of what is due", 1280, false}, {"what is due", 2560, true}, {"more", 100_000, true}} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := &api{o: Options{}.withDefaults()}
				w := &deadlines{ResponseRecorder: httptest.NewRecorder()}
				a.spills = newSpillBudget(1<<20, nil)
				s := a.newStream(w, httptest.NewRequest("POST", "/predict/batch", trickle(test.bytes)), "caller")
				for range 100 {
					if _, err := s.Read(make([]byte, 1<<20)); err != nil {
						t.Fatal(err)
					}
					if late := !w.read.After(time.Now()); late {
						if test.lasting {
							t.Fatalf("it is ended at %v", time.Now())
						}
						return
					}
				}
				if !test.lasting {
					t.Errorf("it goes on: the next read has until %v", w.read)
				}
			})
		})
	}
}

// The time that the gateway itself takes does not count against the caller.
func TestScoringCostsAStreamNoPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &api{o: Options{}.withDefaults()}
		w := &deadlines{ResponseRecorder: httptest.NewRecorder()}
		s := a.newStream(w, httptest.NewRequest("POST", "/predict/batch", strings.NewReader("abc")), "caller")
		for range 3 {
			if _, err := s.Read(make([]byte, 1)); err != nil {
				t.Fatal(err)
			}
			if due := time.Now().Add(30 * time.Second); !w.read.Equal(due) {
				t.Errorf("the read has until %v, want %v", w.read, due)
			}
			time.Sleep(time.Hour)
		}
	})
}

// The server reads on to notice that the caller leaves: its deadline for reading
// the request would look like that, and end an export that takes longer.
func TestAnExportOutlivesTheDeadlinesOfARequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		signIns := edge.NewSignIns(&audittest.Log{}, nil, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
		a := &api{o: Options{StreamIdle: time.Minute}.withDefaults(), exports: admission.NewBudget(maxExports),
			edge: edge.New(edge.Deps{SignIns: signIns, Registry: prometheus.NewRegistry()}, edge.Options{})}
		w := &deadlines{ResponseRecorder: httptest.NewRecorder(), read: time.Now().Add(10 * time.Second), write: time.Now().Add(10 * time.Second)}
		r := httptest.NewRequest("GET", "/admin/customers", nil)
		err := a.exporting(w, r, csvType, func(x *export) error {
			for range 3 {
				if due := time.Now().Add(time.Minute); !w.read.IsZero() || !w.write.Equal(due) {
					t.Errorf("deadlines %v and %v, want none and %v", w.read, w.write, due)
				}
				time.Sleep(40 * time.Second) // in the bubble's time
				x.extendDeadline()
			}
			return nil
		})
		if err != nil || w.Header().Get(EndTrailer) != Complete || w.Header().Get("Connection") != "close" {
			t.Errorf("%v, headers %v", err, w.Header())
		}
	})
}
