package wire

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"

	"gateway/internal/callctx"
)

// Answer is what came back. The slices of a plain answer lie in the buffer of
// its connection until Release.
type Answer struct {
	Status      int
	ContentType []byte
	Body        []byte
	// Header is nil for an answer that is plain: 2xx, its length told, its body
	// whole and as it is.
	Header http.Header
	// Err says why the body ends early; nil if it is whole.
	Err error
}

// Conn is a connection with the answer to the request that was sent last.
type Conn struct {
	Answer

	pool      *Pool
	net       net.Conn
	peek      peeker
	interrupt func() // ends what waits
	since     time.Time
	marks     Marks
	in        []byte // what was read of the answer
	reusable  bool
	timed     bool // the last exchange had a deadline, which is set still
}

// Sizes of the buffer of a connection: at first, and what is kept at most.
const (
	firstBuffer = 4 << 10
	maxBuffer   = 64 << 10
)

func newConn(p *Pool, conn net.Conn) *Conn {
	c := &Conn{pool: p, net: conn, peek: newPeeker(conn), in: make([]byte, 0, firstBuffer)}
	c.interrupt = func() { _ = conn.SetDeadline(time.Unix(1, 0)) }
	return c
}

// alive reports whether an idle connection can be used, and closes it if not. All
// its requests have been answered. If there is something to be read, the server has
// closed the connection, or has sent an answer that belongs to no request.
func (c *Conn) alive() bool {
	if c.peek.readable() || c.decrypted() {
		c.close()
		return false
	}
	return true
}

// decrypted reports whether TLS has read more from the connection than it has
// handed on. It reads nothing from the connection itself.
func (c *Conn) decrypted() bool {
	secured, ok := c.net.(*tls.Conn)
	if !ok {
		return false
	}
	_ = secured.SetReadDeadline(time.Unix(1, 0))
	var one [1]byte
	n, err := secured.Read(one[:])
	_ = secured.SetReadDeadline(time.Time{})
	return n > 0 || !errors.Is(err, os.ErrDeadlineExceeded)
}

// Discard closes the connection, whose answer is not one to the request.
func (c *Conn) Discard() { c.close() }

// Release gives the connection back, and the answer's memory with it.
func (c *Conn) Release() {
	if !c.reusable {
		c.close()
		return
	}
	if cap(c.in) > maxBuffer {
		c.in = make([]byte, 0, firstBuffer)
	}
	c.Answer = Answer{}
	c.pool.keep(c)
}

func (c *Conn) close() { _ = c.net.Close() }

// roundTrip fills in the answer. The end of ctx ends it. The deadline of a
// callctx.Deadline becomes that of the connection, which has a timer already.
func (c *Conn) roundTrip(ctx context.Context, request []byte) error {
	c.Answer, c.in, c.reusable = Answer{}, c.in[:0], false
	ends, deadline := callctx.Split(ctx)
	if timed := !deadline.IsZero(); timed || c.timed {
		_ = c.net.SetDeadline(deadline)
		c.timed = timed
	}
	var err error
	if ends.Done() == nil {
		err = c.exchange(request)
	} else {
		stop := context.AfterFunc(ends, c.interrupt)
		err = c.exchange(request)
		if !stop() {
			c.reusable = false // interrupt may still come
		}
	}
	if (err != nil || c.Err != nil) && ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// exchange writes the request and reads the answer.
func (c *Conn) exchange(request []byte) error {
	_, unsent := c.net.Write(request)
	if unsent == nil {
		return c.read()
	}
	// A server that refuses a request may answer before it has read it all.
	if c.read() == nil && c.Status >= http.StatusMultipleChoices {
		c.reusable = false
		return nil
	}
	c.Answer = Answer{}
	return unsent
}

// fill reads once more.
func (c *Conn) fill() error {
	if len(c.in) == cap(c.in) {
		grown := make([]byte, len(c.in), 2*cap(c.in))
		copy(grown, c.in)
		c.in = grown
	}
	n, err := c.net.Read(c.in[len(c.in):cap(c.in)])
	c.in = c.in[:len(c.in)+n]
	if n > 0 {
		return nil
	}
	if err == nil {
		return io.ErrNoProgress
	}
	return err
}

// read reads the answer.
func (c *Conn) read() error {
	head := 0
	for head == 0 {
		if len(c.in) > c.pool.o.MaxHeader {
			return fmt.Errorf("the answer's header is larger than %d bytes", c.pool.o.MaxHeader)
		}
		from := max(0, len(c.in)-3)
		if err := c.fill(); err != nil {
			if errors.Is(err, io.EOF) && len(c.in) > 0 {
				return io.ErrUnexpectedEOF
			}
			return err
		}
		head = endOfHead(c.in, from)
	}
	length, plain := c.Answer.parse(c.in[:head])
	if !plain {
		return c.readOther()
	}
	if length > c.pool.o.MaxBody {
		c.Err = tooLarge(c.pool.o.MaxBody)
		c.Header = http.Header{"Content-Type": {string(c.ContentType)}}
		return nil
	}
	if total := head + length; total > cap(c.in) {
		grown := make([]byte, len(c.in), total)
		copy(grown, c.in)
		c.in = grown
	}
	for len(c.in) < head+length {
		if err := c.fill(); err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			c.Body, c.Err = c.in[head:], err
			c.Header = http.Header{"Content-Type": {string(c.ContentType)}}
			return nil
		}
	}
	c.Body = c.in[head : head+length]
	c.reusable = len(c.in) == head+length
	return nil
}

func tooLarge(limit int) error {
	return fmt.Errorf("the answer is larger than %d bytes", limit)
}
