package api

import (
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// deadlines is a connection that notes the deadlines that are set on it.
type deadlines struct {
	*httptest.ResponseRecorder
	read, write time.Time
}

func (d *deadlines) SetReadDeadline(t time.Time) error  { d.read = t; return nil }
func (d *deadlines) SetWriteDeadline(t time.Time) error { d.write = t; return nil }
func (d *deadlines) EnableFullDuplex() error            { return nil }

func TestWhoeverStillSendsIsNotDroppedForNotReading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &api{o: Options{StreamIdle: time.Minute}.withDefaults()}
		w := &deadlines{ResponseRecorder: httptest.NewRecorder()}
		s := a.newStream(w, httptest.NewRequest("POST", "/predict/batch", strings.NewReader("abc")))
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
