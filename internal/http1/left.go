package http1

import (
	"net"
	"syscall"
)

// left is a connection that net/http serves, with what had been read of it. It
// waits for the client to leave at less cost than others.
type left struct {
	net.Conn
	rest []byte

	header  headerLines // of the request that is read
	preface int         // bytes of http2Preface that were read
	http2   bool        // the whole preface was read; constant from then on

	raw    syscall.RawConn
	look   func(fd uintptr) bool // of raw.Read
	looked bool                  // once, since the reader came
}

func newLeft(conn net.Conn, rest []byte) *left {
	c := &left{Conn: conn, rest: rest}
	if socket, ok := conn.(syscall.Conn); ok {
		if raw, err := socket.SyscallConn(); err == nil {
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

// Read implements net.Conn. It fails where the header of a request has too many
// lines.
//
// While a request is handled net/http reads a single byte ahead, to learn when
// the client leaves. A client waits for its answer, so that read finds nothing,
// in a system call of a twentieth of all that a request costs. Here it is made
// only once the kernel has news of the connection. News that came between the
// request and this call is not noticed: who leaves in that moment is answered in
// vain. Whatever else the client sends is read when the next request is.
func (c *left) Read(b []byte) (int, error) {
	if c.header.over {
		return 0, errHeaderLines
	}
	n, err := c.read(b)
	if c.http2 || c.begunHTTP2(b[:n]) {
		return n, err
	}
	if n = c.header.add(b[:n]); n == 0 && c.header.over {
		return 0, errHeaderLines
	}
	return n, err
}

func (c *left) read(b []byte) (int, error) {
	if len(c.rest) > 0 {
		n := copy(b, c.rest)
		if c.rest = c.rest[n:]; len(c.rest) == 0 {
			c.rest = nil
		}
		return n, nil
	}
	if len(b) == 1 && c.raw != nil {
		c.looked = false
		if err := c.raw.Read(c.look); err != nil { // by a deadline, when the answer is made
			return 0, err
		}
	}
	return c.Conn.Read(b)
}

// CloseWrite lets net/http close a connection in two steps, so that a client
// which still sends can read its answer.
func (c *left) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// http2Preface begins a connection of HTTP/2, see RFC 9113, section 3.4. The
// server of HTTP/2 bounds headers by itself, and its goroutines must not share
// the count of header lines.
const http2Preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

// begunHTTP2 reports whether the bytes complete the preface. It looks at the
// first bytes of the connection only.
func (c *left) begunHTTP2(p []byte) bool {
	if c.preface < 0 {
		return false
	}
	expected := http2Preface[c.preface:]
	n := min(len(expected), len(p))
	if string(p[:n]) != expected[:n] {
		c.preface = -1
		return false
	}
	c.preface += n
	c.http2 = c.preface == len(http2Preface)
	return c.http2
}
