package http1

import (
	"net/http"
	"slices"
	"strconv"
	"time"
)

// answer is the ResponseWriter of a connection. Its memory is used again for each response.
type answer struct {
	header http.Header
	status int      // 0: not set yet
	typed  bool     // the handler has set Content-Type
	last   bool     // the connection is closed after the response
	after  func()   // called when the response has been written; may be nil
	names  []string // of the headers, sorted
	out    []byte   // the encoded response: status and headers first
	body   []byte

	second int64 // Unix time of date
	date   []byte
}

func newAnswer() answer { return answer{header: make(http.Header)} }

// maxKept is the size up to which a buffer is kept for the next response. An idle connection
// holds two such buffers.
const maxKept = 4 << 10

// reset prepares the answer for the next response, and calls after.
func (a *answer) reset() {
	clear(a.header)
	a.status, a.typed, a.last, a.out = 0, false, false, a.out[:0]
	if a.body = a.body[:0]; cap(a.body) > maxKept || cap(a.out) > maxKept {
		a.body, a.out = nil, nil
	}
	if a.after != nil {
		a.after()
		a.after = nil
	}
}

// AfterWrite sets a function that is called when the response has been written or writing has
// failed. Until then the response is in memory, however slowly the client reads it.
func (a *answer) AfterWrite(after func()) { a.after = after }

// Header implements http.ResponseWriter.
func (a *answer) Header() http.Header { return a.header }

// WriteHeader implements http.ResponseWriter. Headers that are changed later have no effect.
// Interim responses (1xx) are not sent.
func (a *answer) WriteHeader(status int) {
	if status < 200 || a.status != 0 {
		return
	}
	a.status = status
	a.out = append(strconv.AppendInt(append(a.out, "HTTP/1.1 "...), int64(status), 10), ' ')
	if text := http.StatusText(status); text != "" {
		a.out = append(a.out, text...)
	} else {
		a.out = strconv.AppendInt(append(a.out, "status code "...), int64(status), 10)
	}
	a.out = append(a.out, "\r\n"...)
	a.names = a.names[:0]
	for name := range a.header {
		a.names = append(a.names, name)
	}
	slices.Sort(a.names)
	for _, name := range a.names {
		switch name {
		case "Content-Length", "Transfer-Encoding", "Date":
			continue // set by finish
		case "Content-Type":
			a.typed = true
		case "Connection":
			a.last = slices.Contains(a.header[name], "close")
		}
		for _, value := range a.header[name] {
			a.line(name, value)
		}
	}
}

// line appends a header. A line break in the value becomes a space, as in net/http.
func (a *answer) line(name, value string) {
	a.out = append(append(a.out, name...), ": "...)
	begin := len(a.out)
	a.out = append(a.out, value...)
	for i, b := range a.out[begin:] {
		if b == '\r' || b == '\n' {
			a.out[begin+i] = ' '
		}
	}
	a.out = append(a.out, "\r\n"...)
}

// Write implements http.ResponseWriter.
func (a *answer) Write(p []byte) (int, error) {
	if a.status == 0 {
		a.WriteHeader(http.StatusOK)
	}
	if !a.mayHaveBody() {
		return 0, http.ErrBodyNotAllowed
	}
	a.body = append(a.body, p...)
	return len(p), nil
}

func (a *answer) mayHaveBody() bool {
	return a.status != http.StatusNoContent && a.status != http.StatusNotModified
}

// finish returns the encoded response, which is valid until reset, and whether the
// connection is closed after it.
func (a *answer) finish(now time.Time) (out []byte, last bool) {
	if a.status == 0 {
		a.WriteHeader(http.StatusOK)
	}
	if second := now.Unix(); second != a.second {
		a.second, a.date = second, now.UTC().AppendFormat(a.date[:0], http.TimeFormat)
	}
	a.out = append(append(append(a.out, "Date: "...), a.date...), "\r\n"...)
	if a.mayHaveBody() {
		a.out = strconv.AppendInt(append(a.out, "Content-Length: "...), int64(len(a.body)), 10)
		a.out = append(a.out, "\r\n"...)
		if !a.typed && len(a.body) > 0 {
			a.line("Content-Type", http.DetectContentType(a.body))
		}
	}
	a.out = append(append(a.out, "\r\n"...), a.body...)
	return a.out, a.last
}
