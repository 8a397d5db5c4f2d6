package http1

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"runtime/debug"
	"sync/atomic"
	"time"
)

// conn is a connection whose requests are answered by this package. It has two goroutines:
// the reader reads all the time, and so notices at once when the client leaves; the handler,
// which starts with the first request, handles requests and writes responses.
type conn struct {
	net.Conn
	l        *Listener
	ctx      context.Context // ends when the client leaves
	leave    context.CancelFunc
	blank    *http.Request // the fields that all requests have in common
	requests chan *request // from the reader to the handler
	answered chan struct{} // closed when the handler has ended; nil: it has not started
	open     atomic.Int32  // requests without a response
	over     atomic.Bool   // no further request is handled

	// Used by the handler.
	writeBy time.Time // deadline for writing
	answer  answer
}

func (l *Listener) newConn(tcp net.Conn) *conn {
	c := &conn{Conn: tcp, l: l, requests: make(chan *request), answer: newAnswer()}
	c.ctx, c.leave = context.WithCancel(context.Background())
	c.blank = (&http.Request{RemoteAddr: tcp.RemoteAddr().String()}).WithContext(c.ctx)
	return c
}

// serve reads requests until the connection ends or a request is not plain. Then it passes
// the connection to net/http.
func (c *conn) serve() {
	defer c.leave()
	rest, handOff := c.read()
	if !handOff {
		c.leave() // cancels the request that is being handled
	}
	close(c.requests)
	if c.answered != nil {
		<-c.answered
	}
	c.l.forget(c)
	if !handOff || c.over.Load() {
		_ = c.Conn.Close()
		return
	}
	_ = c.Conn.SetDeadline(time.Time{})
	c.l.handOff(newHandedOffConn(c.Conn, rest))
}

const (
	// restTimeout is how long the rest of a request may take after its first bytes; later
	// net/http reads it. Many clients write header and body separately.
	restTimeout = 50 * time.Millisecond
	// lingerTimeout is how long a client has to read the last response before its connection
	// is closed. What it sends meanwhile is read and discarded: unread data would make the
	// kernel reset the connection.
	lingerTimeout = 500 * time.Millisecond
)

// maxBreaks is how many bytes of line breaks after the body of a POST are ignored, as in
// net/http (RFC 9112, section 2.2). net/http does so for the requests that it has read
// itself only.
const maxBreaks = 4

// minNext is how many bytes after a request net/http takes for the beginning of another one.
// If the connection ends within that, net/http answers with an error.
const minNext = 4

// waiting is what the deadline of the reader bounds.
type waiting byte

const (
	forNothing waiting = iota
	forFirst           // the first request
	forRest            // the rest of a request
	forNext            // the next request
)

// read passes requests to the handler as they arrive. It returns with handOff if a request
// is for net/http; rest is what has been read of it.
func (c *conn) read() (rest []byte, handOff bool) {
	now := time.Now()
	by := now.Add(c.l.o.ReadTimeout) // as in net/http
	c.waitUntil(by)
	r := requestFor(c.blank)
	breaks := 0 // bytes of line breaks that may precede the next request
	for waits := forFirst; ; {
		breaks -= r.skipBreaks(breaks)
		switch r.parse(c.l.paths) {
		case plain:
			breaks = maxBreaks
			if c.l.o.Leave() {
				return r.in, true
			}
			next := requestFor(c.blank)
			next.in = append(next.in, r.in[r.end:]...)
			r.at = now
			c.hand(r)
			if r = next; waits != forNext {
				waits = forNothing
			}
			continue
		case other:
			return r.in, true
		}
		switch idle := c.l.o.IdleTimeout; {
		case len(r.in) > 0 && waits != forRest:
			waits, by = forRest, now.Add(restTimeout)
			c.waitUntil(by)
		case len(r.in) == 0 && waits != forFirst && (waits != forNext || by.Sub(now) < idle):
			// Setting a deadline is slow, so it is set a little later than required and not for
			// each request.
			waits, by = forNext, now.Add(idle+idle/8)
			c.waitUntil(by)
		}
		n, err := c.Conn.Read(r.in[len(r.in):cap(r.in)])
		r.in = r.in[:len(r.in)+n]
		now = time.Now()
		switch {
		case c.over.Load():
			if err != nil {
				return nil, false
			}
			r.in = r.in[:0]
		case n > 0:
		case errors.Is(err, io.EOF) && len(r.in) > 0 && (c.answered == nil || maxBreaks-breaks+len(r.in) >= minNext):
			return r.in, true // the client has closed its sending side, and may still read
		case !errors.Is(err, os.ErrDeadlineExceeded):
			return nil, false
		case len(r.in) > 0:
			return r.in, true // the client is slow
		case c.open.Load() == 0:
			return nil, false // the connection is idle
		}
	}
}

// waitUntil sets the deadline of the reader, unless the connection is over.
func (c *conn) waitUntil(by time.Time) {
	_ = c.Conn.SetReadDeadline(by)
	if c.over.Load() { // if it is still false, the handler sets the deadline later
		c.closeAfterLinger()
	}
}

func (c *conn) closeAfterLinger() { _ = c.Conn.SetReadDeadline(time.Now().Add(lingerTimeout)) }

// hand passes a request to the handler, and waits until the handler is free.
func (c *conn) hand(r *request) {
	c.open.Add(1)
	if c.answered == nil {
		c.answered = make(chan struct{})
		go c.answerAll()
	}
	c.requests <- r
}

// answerAll is the handler: it handles requests in their order.
func (c *conn) answerAll() {
	defer close(c.answered)
	for r := range c.requests {
		if !c.over.Load() {
			c.handle(r)
		}
		r.free()
		c.open.Add(-1)
	}
}

// handle answers one request. It sets over if the connection is closed after the response.
func (c *conn) handle(r *request) {
	done := false
	defer func() {
		if done {
			return
		}
		cause := recover()
		if err, _ := cause.(error); cause != nil && !errors.Is(err, http.ErrAbortHandler) {
			c.l.logf("panic serving %s: %v\n%s", r.RemoteAddr, cause, debug.Stack())
		}
		c.over.Store(true)
		_ = c.Conn.Close()
		c.answer.reset()
	}()
	c.l.o.Handler.ServeHTTP(&c.answer, &r.Request)
	out, last := c.answer.finish(time.Now())
	if r.at.Add(c.l.o.WriteTimeout).After(c.writeBy) { // not for each request, because it is slow
		c.writeBy = r.at.Add(2 * c.l.o.WriteTimeout)
		_ = c.Conn.SetWriteDeadline(c.writeBy)
	}
	_, err := c.Conn.Write(out)
	c.answer.reset() // at once, so that an idle connection holds little memory
	if done = err == nil; done && last {
		c.over.Store(true)
		if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
			_ = half.CloseWrite()
		}
		c.closeAfterLinger()
	}
}
