package wire

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
)

// endOfHead returns the offset at which the body begins, or 0 if the header is not
// complete. The bytes before from have been searched already.
func endOfHead(in []byte, from int) int {
	if i := bytes.Index(in[from:], []byte("\r\n\r\n")); i >= 0 {
		return from + i + 4
	}
	// Not HTTP, or a server that ends lines with LF alone.
	if i := bytes.Index(in[from:], []byte("\n\n")); i >= 0 {
		return from + i + 2
	}
	return 0
}

// parse parses the head of a plain answer and returns the length of its body. ok is
// false for any other answer, also for a malformed one; a is then not set, and net/http
// must read it.
func (a *Answer) parse(head []byte) (length int, ok bool) {
	*a = Answer{}
	line, rest, _ := bytes.Cut(head, []byte("\r\n"))
	if len(line) < len("HTTP/1.1 200") || string(line[:10]) != "HTTP/1.1 2" || !isText(line) || len(line) > 12 && line[12] != ' ' {
		return 0, false
	}
	status := 200
	for _, digit := range line[10:12] {
		if digit < '0' || digit > '9' {
			return 0, false
		}
	}
	status += 10*int(line[10]-'0') + int(line[11]-'0')
	if status == http.StatusNoContent {
		return 0, false
	}
	length = -1
	var contentType []byte
	for len(rest) > 2 {
		if line, rest, ok = bytes.Cut(rest, []byte("\r\n")); !ok {
			return 0, false
		}
		colon := bytes.IndexByte(line, ':')
		if colon <= 0 || !isToken(line[:colon]) || !isText(line[colon+1:]) {
			return 0, false
		}
		name, value := line[:colon], bytes.Trim(line[colon+1:], " \t")
		switch {
		case named(name, "content-length"):
			n, valid := decimal(value)
			if !valid || length >= 0 {
				return 0, false
			}
			length = n
		case named(name, "content-type"):
			contentType = value
		case named(name, "connection"):
			if !named(value, "keep-alive") {
				return 0, false
			}
		case named(name, "transfer-encoding"), named(name, "content-encoding"), named(name, "trailer"), named(name, "upgrade"):
			return 0, false
		}
	}
	if length < 0 {
		return 0, false
	}
	a.Status, a.ContentType = status, contentType
	return length, true
}

// isToken reports whether name is the name of a header field.
func isToken(name []byte) bool {
	for _, b := range name {
		if !('a' <= b && b <= 'z' || 'A' <= b && b <= 'Z' || b == '-' || '0' <= b && b <= '9' || b == '_') {
			return false // other characters are allowed and rare: net/http parses them
		}
	}
	return true
}

// isText reports whether value has no control characters other than tabs.
func isText(value []byte) bool {
	for _, b := range value {
		if b < ' ' && b != '\t' || b == 0x7f {
			return false
		}
	}
	return true
}

// named reports whether name is want without regard to case. want is in lower case.
func named(name []byte, want string) bool {
	if len(name) != len(want) {
		return false
	}
	for i := range len(want) {
		b := name[i]
		if 'A' <= b && b <= 'Z' {
			b += 'a' - 'A'
		}
		if b != want[i] {
			return false
		}
	}
	return true
}

func decimal(text []byte) (n int, ok bool) {
	if len(text) == 0 || len(text) > 9 {
		return 0, false
	}
	for _, b := range text {
		if b < '0' || b > '9' {
			return 0, false
		}
		n = 10*n + int(b-'0')
	}
	return n, true
}

// maxInterim is the maximum number of interim answers (1xx) before the answer.
const maxInterim = 8

var post = &http.Request{Method: http.MethodPost}

// readOther reads an answer that is not plain with net/http. Its first bytes are in
// c.in.
func (c *Conn) readOther() error {
	o := c.pool.o
	first := bytes.NewReader(c.in)
	limited := &io.LimitedReader{R: io.MultiReader(first, c.net), N: int64(o.MaxHeader)}
	from := bufio.NewReader(limited)
	var r *http.Response
	for interim := 0; ; interim++ {
		var err error
		if r, err = http.ReadResponse(from, post); err != nil {
			if limited.N <= 0 {
				return tooLarge(o.MaxHeader)
			}
			return err
		}
		if r.StatusCode >= http.StatusOK {
			break
		}
		if r.StatusCode == http.StatusSwitchingProtocols || interim == maxInterim {
			return errors.New("unexpected interim answer: " + r.Status)
		}
	}
	defer r.Body.Close()
	limited.N = int64(o.MaxBody) + int64(o.MaxHeader) // room for the headers of chunks
	body, err := io.ReadAll(io.LimitReader(r.Body, int64(o.MaxBody)+1))
	if len(body) > o.MaxBody || limited.N <= 0 {
		body, err = nil, tooLarge(o.MaxBody)
	}
	c.Answer = Answer{Status: r.StatusCode, ContentType: []byte(r.Header.Get("Content-Type")), Body: body, Header: r.Header, Err: err}
	c.reusable = err == nil && !r.Close && from.Buffered() == 0 && first.Len() == 0 && !strings.EqualFold(r.Header.Get("Connection"), "upgrade")
	return nil
}
