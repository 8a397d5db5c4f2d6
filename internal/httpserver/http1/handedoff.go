package http1

import (
	"net"
	"syscall"
)

// handedOffConn is a connection that was passed to net/http, with the bytes that have been
// read from it. It detects at a low cost that the client has left.
type handedOffConn struct {
	net.Conn
	rest []byte

	header  headerLines // lines of the header that is being read
	preface int         // bytes of http2Preface that were read
	http2   bool        // the whole preface was read; constant from then on

	raw    syscall.RawConn
	look   func(fd uintptr) bool // of raw.Read
	looked bool                  // look has been called since the last Read began
}

func newHandedOffConn(conn net.Conn, rest []byte) *handedOffConn {
	c := &handedOffConn{Conn: conn, rest: rest}
	if socket, ok := conn.(syscall.Conn); ok {
		if raw, err := socket.SyscallConn(); err == nil {
			c.raw = raw
		}
	}
	c.look = func(uintptr) bool { // false first, so that Read waits for an event
		looked := c.looked
		c.looked = true
		return looked
	}
	return c
}

// Read implements net.Conn. It returns errHeaderLines if the header of a request has too many
// lines.
//
// While a request is handled, net/http reads a single byte ahead to detect that
// the client has left. Most clients send nothing then, and the read is a system
// call that takes a twentieth of a request's time. Here it is made only when the
// kernel reports an event on the connection. An event between the request and
// this call is not reported: a client that leaves then is not detected. Bytes
// that it sends are read with the next request.
func (c *handedOffConn) Read(b []byte) (int, error) {
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

func (c *handedOffConn) read(b []byte) (int, error) {
	if len(c.rest) > 0 {
		n := copy(b, c.rest)
		if c.rest = c.rest[n:]; len(c.rest) == 0 {
			c.rest = nil
		}
		return n, nil
	}
	if len(b) == 1 && c.raw != nil && !c.http2 { // in HTTP/2 a frame may lack one byte
		c.looked = false
		if err := c.raw.Read(c.look); err != nil { // net/http sets a deadline when the response is complete
			return 0, err
		}
	}
	return c.Conn.Read(b)
}

// CloseWrite allows net/http to close a connection in two steps, so that a client that still
// sends can read the response.
func (c *handedOffConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// http2Preface is the beginning of a connection of HTTP/2 (RFC 9113, section 3.4). The server
// of HTTP/2 bounds headers, and its goroutines must not share the count of header lines.
const http2Preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

// begunHTTP2 reports whether the bytes complete the preface. It looks at the
// first bytes of the connection only.
func (c *handedOffConn) begunHTTP2(p []byte) bool {
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
