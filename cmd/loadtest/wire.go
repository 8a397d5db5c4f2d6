package main

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/http/httputil"
	"strconv"
)

// reader reads messages of HTTP/1.1, requests and answers, at a low cost: the client must need
// less time than the server that it measures.
type reader struct {
	in   *bufio.Reader
	line []byte // the first line
	body []byte
}

// message is a message. Its slices are valid until the next message is read.
type message struct {
	line    []byte
	body    []byte
	close   bool   // the sender closes the connection after it
	retry   bool   // it has a Retry-After
	attempt []byte // Amz-Sdk-Request of a call of an SDK
	model   []byte // from the custom attributes of an answer of the gateway
}

const maxBody = 64 << 20

var (
	errMalformed = errors.New("malformed HTTP/1.1 message")
	crlf         = []byte("\r\n")
)

func newReader(in io.Reader) *reader { return &reader{in: bufio.NewReaderSize(in, 16<<10)} }

func (r *reader) next() (m message, err error) {
	line, err := r.in.ReadSlice('\n')
	if err != nil {
		return m, err
	}
	r.line = append(r.line[:0], bytes.TrimRight(line, "\r\n")...)
	length, chunked := 0, false
	for {
		line, err = r.in.ReadSlice('\n')
		if err != nil {
			return m, cut(err)
		}
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 {
			break
		}
		name, value, found := bytes.Cut(line, []byte(":"))
		if !found {
			return m, errMalformed
		}
		value = bytes.TrimSpace(value)
		switch {
		case is(name, "Content-Length"):
			if length, err = strconv.Atoi(string(value)); err != nil || length < 0 || length > maxBody {
				return m, errMalformed
			}
		case is(name, "Transfer-Encoding"):
			chunked = is(value, "chunked")
		case is(name, "Connection"):
			m.close = is(value, "close")
		case is(name, "Amz-Sdk-Request"):
			m.attempt = bytes.Clone(value)
		case is(name, "Retry-After"):
			m.retry = true
		case is(name, "X-Amzn-Sagemaker-Custom-Attributes"):
			if model, found := bytes.CutPrefix(value, []byte("model=")); found {
				m.model = bytes.Clone(model)
			}
		}
	}
	m.line = r.line
	if chunked {
		m.body, err = io.ReadAll(io.LimitReader(httputil.NewChunkedReader(r.in), maxBody))
		for err == nil && !bytes.Equal(line, crlf) { // trailers
			line, err = r.in.ReadSlice('\n')
		}
		return m, cut(err)
	}
	if cap(r.body) < length {
		r.body = make([]byte, length)
	}
	m.body = r.body[:length]
	_, err = io.ReadFull(r.in, m.body)
	return m, cut(err)
}

// status returns the status of an answer, or 0 for another message.
func (m *message) status() int {
	if len(m.line) < 12 || !bytes.HasPrefix(m.line, []byte("HTTP/1.")) {
		return 0
	}
	n, err := strconv.Atoi(string(m.line[9:12]))
	if err != nil {
		return 0
	}
	return n
}

// cut returns io.ErrUnexpectedEOF for an end within a message.
func cut(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

func is(got []byte, want string) bool {
	return len(got) == len(want) && bytes.EqualFold(got, []byte(want))
}
