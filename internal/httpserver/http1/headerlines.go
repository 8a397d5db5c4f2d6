package http1

import (
	"bytes"
	"errors"
	"net"
	"net/http"
)

// headerLinesMax is how many lines the header of a request may have that is left
// to net/http. That keeps each line in a map of its own size while the rest is
// waited for: 36 KiB of short lines take a megabyte.
const headerLinesMax = 128

var errHeaderLines = errors.New("the header of the request has too many lines")

// headerLines counts the lines of a header in the bytes of a connection as they
// are read.
type headerLines struct {
	count int
	begun bool // the current line has bytes
	ended bool // a blank line came: what follows is the body
	over  bool // there are more lines than may be
}

// next begins the next header. Part of its first line may have been read
// already, so that the line break which is read next ends no blank line.
func (h *headerLines) next() { *h = headerLines{begun: true} }

// add looks at bytes that were read, and returns how many of them are within the
// limit.
func (h *headerLines) add(p []byte) int {
	for at := 0; !h.ended && at < len(p); {
		rest := p[at:]
		i := bytes.IndexByte(rest, '\n')
		if i < 0 {
			h.begun = h.begun || len(rest) > 1 || rest[0] != '\r'
			break
		}
		if !h.begun && (i == 0 || i == 1 && rest[0] == '\r') {
			h.ended = true
			break
		}
		if h.count == headerLinesMax {
			h.over = true
			return at
		}
		h.count++
		h.begun = false
		at += i + 1
	}
	return len(p)
}

// ConnState is to be the ConnState of the server that gets the connections: it
// tells them when a request has been answered.
func ConnState(conn net.Conn, state http.ConnState) {
	if c, ok := conn.(*handedOffConn); ok && state == http.StateIdle && !c.http2 {
		c.header.next()
	}
}
