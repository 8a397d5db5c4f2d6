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

// Answer is the answer to a request. The slices of a plain answer point into the
// buffer of its connection, and are valid until Release.
type Answer struct {
	Status      int
	ContentType []byte
	Body        []byte
	// Header is nil for a plain answer: a status of 2xx with a Content-Length and
	// without a content encoding.
	Header http.Header
	// Err is why the body is incomplete; nil if it is complete.
	Err error
}

// Conn is a connection with the answer to its latest request.
type Conn struct {
	Answer

	pool      *Pool
	net       net.Conn
	peek      peeker
	interrupt func() // makes blocked reads and writes return
	since     time.Time
	marks     Marks
	in        []byte // the bytes of the answer that were read
	reusable  bool
	timed     bool // the deadline of the last exchange is still set
}

// Sizes of the buffer of a connection, in bytes: the first one, and the largest that is
// kept for the next answer.
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

// decrypted reports whether TLS has decrypted bytes that were not read yet. It reads
// nothing from the network.
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

// Discard closes the connection, instead of Release, if the answer may belong to another
// request.
func (c *Conn) Discard() { c.close() }

// Release returns the connection to its pool. The answer must not be used afterwards.
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

// roundTrip sends a request and reads its answer, until ctx ends. A deadline of
// callctx.Split is set on the connection, whose timer costs less than one of a context.
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
			c.reusable = false // interrupt may still be running
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
	// A server that refuses a request may answer before it has read the whole request.
	if c.read() == nil && c.Status >= http.StatusMultipleChoices {
		c.reusable = false
		return nil
	}
	c.Answer = Answer{}
	return unsent
}

// fill makes one read into c.in.
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

// read reads the answer into c.Answer.
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
