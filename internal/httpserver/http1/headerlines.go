package http1

import (
	"bytes"
	"errors"
	"net"
	"net/http"
)

// maxHeaderLines is the maximum number of lines in a header that net/http reads. net/http
// holds each line in a map until the header is complete: 36 KiB of short lines take a
// megabyte of memory.
const maxHeaderLines = 128

var errHeaderLines = errors.New("the header of the request has too many lines")

// headerLines counts the lines of a header in the bytes of a connection as they
// are read.
type headerLines struct {
	count int
	begun bool // the current line has bytes
	ended bool // the blank line has been read; the body follows
	over  bool // there are more than maxHeaderLines
}

// next begins the next header. A part of its first line may have been read already, so the
// next line break does not end a blank line.
func (h *headerLines) next() { *h = headerLines{begun: true} }

// add counts the lines in bytes that were read, and returns how many of the bytes are within
// the limit.
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
		if h.count == maxHeaderLines {
			h.over = true
			return at
		}
		h.count++
		h.begun = false
		at += i + 1
	}
	return len(p)
}

// ConnState must be the ConnState of the http.Server that gets the connections. It begins a
// new count of header lines when a request has been answered.
func ConnState(conn net.Conn, state http.ConnState) {
	if c, ok := conn.(*handedOffConn); ok && state == http.StateIdle && !c.http2 {
		c.header.next()
	}
}
