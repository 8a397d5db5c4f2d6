package main

import (
	"net"
	"sync"
	"sync/atomic"
	"syscall"
)

// clientConn is a connection of a client. It takes itself off the count when it
// is closed, and waits for the client to leave at less cost than others.
type clientConn struct {
	net.Conn
	count *atomic.Int64
	once  sync.Once

	raw    syscall.RawConn
	look   func(fd uintptr) bool // of raw.Read
	looked bool                  // once, since the reader came
}

func newClientConn(conn net.Conn, count *atomic.Int64) *clientConn {
	c := &clientConn{Conn: conn, count: count}
	if tcp, ok := conn.(*net.TCPConn); ok {
		if raw, err := tcp.SyscallConn(); err == nil {
			c.raw = raw
		}
	}
	c.look = func(uintptr) bool { // not at first, and then yes
		looked := c.looked
		c.looked = true
		return looked
	}
	return c
}

// Read implements net.Conn.
//
// While a request is handled net/http reads a single byte ahead, to learn when
// the client leaves. A client waits for its answer, so that read finds nothing,
// in a system call of a twentieth of all that a request costs. Here it is made
// only once the kernel has news of the connection. News that came between the
// request and this call is not noticed: who leaves in that moment is answered in
// vain. Whatever else the client sends is read when the next request is.
func (c *clientConn) Read(b []byte) (int, error) {
	if len(b) == 1 && c.raw != nil {
		c.looked = false
		if err := c.raw.Read(c.look); err != nil { // by a deadline, when the answer is made
			return 0, err
		}
	}
	return c.Conn.Read(b)
}

func (c *clientConn) Close() error {
	defer c.once.Do(func() { c.count.Add(-1) })
	return c.Conn.Close()
}
