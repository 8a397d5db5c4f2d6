package http1

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

// connPair is a connection as the server has it, and its client's end.
func connPair(t *testing.T) (*handedOffConn, net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	c := newHandedOffConn(conn, nil)
	t.Cleanup(func() { c.Close() })
	return c, client
}

// waits reads one byte, as net/http does, and returns once it waits.
func (c *handedOffConn) waits() (result <-chan error, first *byte) {
	waiting, ended, b := make(chan struct{}), make(chan error, 1), make([]byte, 1)
	look := c.look
	c.look = func(fd uintptr) bool {
		if !c.looked {
			close(waiting)
		}
		return look(fd)
	}
	go func() {
		_, err := c.Read(b)
		c.look = look
		ended <- err
	}()
	<-waiting
	return ended, &b[0]
}

func TestAClientWhoLeavesIsNoticed(t *testing.T) {
	c, client := connPair(t)
	result, _ := c.waits()
	client.Close()
	if err := <-result; !errors.Is(err, io.EOF) {
		t.Errorf("got %v, want the end", err)
	}
}

func TestAWaitForTheClientEnds(t *testing.T) {
	c, client := connPair(t)
	for range 3 {
		result, _ := c.waits()
		_ = c.SetReadDeadline(time.Unix(1, 0))
		err := <-result
		var timeout net.Error
		if !errors.Is(err, os.ErrDeadlineExceeded) || !errors.As(err, &timeout) || !timeout.Timeout() {
			t.Fatalf("got %v, want a deadline's error, which net/http expects", err)
		}
		_ = c.SetReadDeadline(time.Time{})
	}
	result, first := c.waits()
	if _, err := client.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if err := <-result; err != nil || *first != 'x' {
		t.Errorf("read %q and %v, want what the client sent", *first, err)
	}
}

// Requests of which one comes while another is handled are all answered.
func TestRequestsThatComeEarlyAreAnswered(t *testing.T) {
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := Listen(inner, Options{})
	began, goOn := make(chan struct{}), make(chan struct{})
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if len(body) == 1 {
			began <- struct{}{}
			<-goOn
		}
		_, _ = w.Write(body)
	})}
	go server.Serve(l)
	defer server.Close()
	client, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	const request = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: "
	send := func(text string) {
		t.Helper()
		if _, err := io.WriteString(client, text); err != nil {
			t.Fatal(err)
		}
	}
	send(request + "1\r\n\r\na")
	<-began
	send(request + "2\r\n\r\nbc" + request + "3\r\n\r\nd")
	goOn <- struct{}{}
	in := bufio.NewReader(client)
	for i, want := range []string{"a", "bc", "def"} {
		if i == 2 {
			send("ef")
		}
		answer, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatal(err)
		}
		var got strings.Builder
		if _, err := io.Copy(&got, answer.Body); err != nil || got.String() != want {
			t.Fatalf("answer %d is %q and %v, want %q", i, got.String(), err, want)
		}
	}
}
