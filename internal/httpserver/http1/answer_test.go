package http1

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestAfterWriteIsCalledWhenTheAnswerHasGoneOut, or when the handler has given up.
func TestAfterWriteIsCalledWhenTheAnswerHasGoneOut(t *testing.T) {
	for _, tt := range []struct {
		name  string
		panic bool
	}{{"an answer", false}, {"a handler that panics", true}} {
		synctest.Test(t, func(t *testing.T) {
			written := false
			l := Listen(newPipes(), Options{Paths: []string{"/p"}, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.(interface{ AfterWrite(func()) }).AfterWrite(func() { written = true })
				if tt.panic {
					panic(http.ErrAbortHandler)
				}
				_, _ = io.WriteString(w, "answer")
			})})
			client, server := net.Pipe() // what is written waits until it is read
			c := l.newConn(server)
			go c.serve()
			fmt.Fprint(client, "POST /p HTTP/1.1\r\nHost: g\r\nContent-Length: 1\r\n\r\nx")
			synctest.Wait()
			if written != tt.panic {
				t.Errorf("%s: before the client reads, AfterWrite was called: %t", tt.name, written)
			}
			answer := make([]byte, 1000)
			if n, err := client.Read(answer); !tt.panic && (err != nil || !strings.HasSuffix(string(answer[:n]), "answer")) {
				t.Errorf("%s: %q, %v", tt.name, answer[:n], err)
			}
			synctest.Wait()
			if !written {
				t.Errorf("%s: AfterWrite was not called", tt.name)
			}
			_ = client.Close()
		})
	}
}

// TestAnIdleConnectionHoldsNoLargeAnswer: the client may keep it for minutes.
func TestAnIdleConnectionHoldsNoLargeAnswer(t *testing.T) {
	a := newAnswer()
	_, _ = a.Write(make([]byte, 60<<10))
	_, _ = a.finish(time.Now())
	a.reset()
	if held := cap(a.body) + cap(a.out); held > 2*maxKept {
		t.Errorf("%d bytes are held", held)
	}
}
