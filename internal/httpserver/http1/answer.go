package http1

import (
	"net/http"
	"slices"
	"strconv"
	"time"
)

// answer is the writer of the answers on one connection. Its memory is used
// again.
type answer struct {
	header http.Header
	status int      // 0: none yet
	typed  bool     // the handler said what the body is
	last   bool     // the connection is to be closed
	after  func()   // called when the answer has been written; may be nil
	names  []string // of headers, in their order
	out    []byte   // what goes out: at first status and headers
	body   []byte

	second int64 // the date is of
	date   []byte
}

func newAnswer() answer { return answer{header: make(http.Header)} }

// keptMax is the memory that is kept for the next answer, of each of two
// buffers. An idle connection holds it for as long as the client likes.
const keptMax = 4 << 10

// reset makes it ready for the next answer. What it was given is let go.
func (a *answer) reset() {
	clear(a.header)
	a.status, a.typed, a.last, a.out = 0, false, false, a.out[:0]
	if a.body = a.body[:0]; cap(a.body) > keptMax || cap(a.out) > keptMax {
		a.body, a.out = nil, nil
	}
	if a.after != nil {
		a.after()
		a.after = nil
	}
}

// AfterWrite has a function called when the answer has been written, or could
// not be: until then it is in memory, for as long as the client takes to read it.
func (a *answer) AfterWrite(after func()) { a.after = after }

// Header implements http.ResponseWriter.
func (a *answer) Header() http.Header { return a.header }

// WriteHeader implements http.ResponseWriter. Headers that are changed later
// have no effect. Interim answers (1xx) are not sent.
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
			continue // ours
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

// line writes a header. A line break in a value becomes a space, as in net/http.
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

// finish returns the whole answer, until the next one, and whether the
// connection is to be closed after it.
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
