package httpserver

import (
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// TestNoConnectionIsEstablishedWhileAListenerStops holds the order of
// takeQueued: from dropNewConnections on none is established, and one that was
// established before is accepted.
func TestNoConnectionIsEstablishedWhileAListenerStops(t *testing.T) {
	d, err := Listen("127.0.0.1:0", 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	raw, err := d.tcp.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	// The first is handed over, the second is held by fetch, the third waits in the kernel.
	var clients []net.Conn
	for range 3 {
		client, err := net.Dial("tcp", d.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		clients = append(clients, client)
	}
	if err := raw.Control(func(fd uintptr) {
		if err := dropNewConnections(int(fd)); err != nil {
			t.Errorf("set the filter: %v", err)
		}
	}); err != nil {
		t.Fatal(err)
	}
	conn, err := net.DialTimeout("tcp", d.Addr().String(), 100*time.Millisecond)
	if err == nil {
		_ = conn.Close()
		t.Error("a connection was established after new ones were to be dropped")
	}
	go d.stopListening()
	for range clients {
		conn, err := d.Accept()
		if err != nil {
			t.Fatalf("accept a connection that was established before: %v", err)
		}
		_ = conn.Close()
	}
	if _, err := d.Accept(); err == nil {
		t.Error("a fourth connection was accepted")
	}
}

// TestStopListeningResetsNoConnection stops listeners while clients open a
// connection for each request. A connection is answered or refused. None that
// was established is reset.
func TestStopListeningResetsNoConnection(t *testing.T) {
	for range 2 {
		var listeners sync.WaitGroup
		for range 5 {
			listeners.Go(func() { stopUnderLoad(t) })
		}
		listeners.Wait()
	}
}

// stopUnderLoad stops one listener and reports requests that got no answer on
// a connection that was established.
func stopUnderLoad(t *testing.T) {
	l, err := Listen("127.0.0.1:0", 0, nil)
	if err != nil {
		t.Error(err)
		return
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Connection", "close")
		_, _ = io.WriteString(w, "ok")
	})}
	var serving, load sync.WaitGroup
	serving.Go(func() { _ = server.Serve(l) })
	answered := make(chan struct{}, 100)
	for range 8 {
		load.Go(func() {
			for {
				text, err := getOnce(l.Addr().String())
				if errors.Is(err, syscall.ECONNREFUSED) {
					return
				}
				if err != nil || !strings.HasSuffix(text, "ok") {
					t.Errorf("got %q (%v), want an answer or a refusal", text, err)
					return
				}
				select {
				case answered <- struct{}{}:
				default:
				}
			}
		})
	}
	for range cap(answered) {
		<-answered
	}
	l.stopListening()
	load.Wait()
	_ = server.Close()
	serving.Wait()
}

// getOnce sends a request on a connection of its own.
func getOnce(addr string) (string, error) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\n\r\n"); err != nil {
		return "", err
	}
	text, err := io.ReadAll(conn)
	return string(text), err
}
