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

// conn is a connection whose requests are answered here. One goroutine reads
// it, always, and so knows at once when the client leaves; another one, from the
// first request on, handles the requests and writes the answers.
type conn struct {
	net.Conn
	l        *Listener
	ctx      context.Context // ends when the client leaves
	leave    context.CancelFunc
	blank    *http.Request // what all requests have in common
	requests chan *request // to the one who answers
	answered chan struct{} // closed when that one has ended; nil: there is none
	open     atomic.Int32  // requests that have no answer yet
	over     atomic.Bool   // no request more is handled

	// Of the one who answers.
	writeBy time.Time // the deadline
	answer  answer
}

func (l *Listener) newConn(tcp net.Conn) *conn {
	c := &conn{Conn: tcp, l: l, requests: make(chan *request), answer: newAnswer()}
	c.ctx, c.leave = context.WithCancel(context.Background())
	c.blank = (&http.Request{RemoteAddr: tcp.RemoteAddr().String()}).WithContext(c.ctx)
	return c
}

// serve reads requests until the connection ends, or until one of them is not
// plain. Then it leaves the connection to the other server.
func (c *conn) serve() {
	defer c.leave()
	rest, others := c.read()
	if !others {
		c.leave() // before the answer under way is waited for
	}
	close(c.requests)
	if c.answered != nil {
		<-c.answered
	}
	c.l.forget(c)
	if !others || c.over.Load() {
		_ = c.Conn.Close()
		return
	}
	_ = c.Conn.SetDeadline(time.Time{})
	c.l.handOff(newHandedOffConn(c.Conn, rest))
}

const (
	// restTimeout is the time for the rest of a request after its first bytes. Many
	// clients write header and body separately.
	restTimeout = 50 * time.Millisecond
	// lingerTimeout is the time that a client has to read its answer before its
	// connection is closed. What it sends meanwhile is read and dropped: unread
	// data would make the kernel reset the connection.
	lingerTimeout = 500 * time.Millisecond
)

// maxBreaks is how many bytes of line breaks after the body of a POST are
// ignored, as in net/http (RFC 9112, section 2.2). net/http would not do so for
// a connection whose last request was answered here.
const maxBreaks = 4

// minNext is how many bytes net/http has to see behind a request to take them for
// another one, whose error it answers where the connection ends within it.
const minNext = 4

// What a deadline of the reader is for.
type waiting byte

const (
	forNothing waiting = iota
	forFirst           // request
	forRest            // of a request that has begun to come
	forNext            // request
)

// read hands over the requests as they come. In the end it returns what it has
// read of one that is the other server's, or that there is none.
func (c *conn) read() (rest []byte, others bool) {
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
			// Not for each request: to set it costs more than to look at it.
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
			return r.in, true // the client sends no more, and may still read
		case !errors.Is(err, os.ErrDeadlineExceeded):
			return nil, false
		case len(r.in) > 0:
			return r.in, true // it is slow
		case c.open.Load() == 0:
			return nil, false // it is idle
		}
	}
}

// waitUntil sets the reader's deadline, unless the connection is over.
func (c *conn) waitUntil(by time.Time) {
	_ = c.Conn.SetReadDeadline(by)
	if c.over.Load() { // false: the goroutine that ends the connection sets it later
		c.closeAfterLinger()
	}
}

func (c *conn) closeAfterLinger() { _ = c.Conn.SetReadDeadline(time.Now().Add(lingerTimeout)) }

// hand waits until the request before has been answered, and hands over one.
func (c *conn) hand(r *request) {
	c.open.Add(1)
	if c.answered == nil {
		c.answered = make(chan struct{})
		go c.answerAll()
	}
	c.requests <- r
}

// answerAll handles requests in their order.
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

// handle answers one request. A connection that cannot go on after it is over.
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
	if r.at.Add(c.l.o.WriteTimeout).After(c.writeBy) { // not for each request either
		c.writeBy = r.at.Add(2 * c.l.o.WriteTimeout)
		_ = c.Conn.SetWriteDeadline(c.writeBy)
	}
	_, err := c.Conn.Write(out)
	c.answer.reset() // now, lest an idle connection hold what its last request left
	if done = err == nil; done && last {
		c.over.Store(true)
		if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
			_ = half.CloseWrite()
		}
		c.closeAfterLinger()
	}
}
