package http1

import (
	"bytes"
	"net/http"
	"net/textproto"
	"net/url"
	"sync"
	"time"
)

const (
	// maxBytes is the maximum size of a plain request, header and body.
	maxBytes = 4 << 10
	// maxHeaders is the maximum number of headers of a plain request.
	maxHeaders = 32
)

// request is a plain request. Its memory is used again for other requests.
type request struct {
	http.Request // as handlers see it
	at           time.Time

	in     []byte // the bytes that have been read
	end    int    // length of this request in them; later requests follow
	blank  *http.Request
	target url.URL
	header http.Header
	values [maxHeaders]string
	body   body
}

var requests sync.Pool // of *request

// requestFor returns an empty request. parse sets its fields to those of blank and to what has
// been read.
func requestFor(blank *http.Request) *request {
	r, ok := requests.Get().(*request)
	if !ok {
		r = &request{in: make([]byte, 0, maxBytes), header: make(http.Header)}
	}
	r.blank = blank
	return r
}

// free returns the memory to the pool.
func (r *request) free() {
	r.Request, r.blank, r.in = http.Request{}, nil, r.in[:0]
	r.body.Reset(nil)
	clear(r.values[:])
	requests.Put(r)
}

// body is the body of a request. Close has no effect.
type body struct{ bytes.Reader }

func (*body) Close() error { return nil }

// verdict is the kind of the bytes that have been read.
type verdict byte

const (
	unfinished verdict = iota // they may be the beginning of a plain request
	plain                     // they begin with a plain request
	other                     // they begin with a request for net/http
)

// parse returns the verdict on what has been read. If that is plain, it sets the fields of the
// request.
func (r *request) parse(paths map[string]string) verdict {
	head := bytes.Index(r.in, []byte("\r\n\r\n"))
	if head < 0 {
		return unfinishedWithin(len(r.in))
	}
	head += len("\r\n\r\n")
	line, rest, _ := bytes.Cut(r.in[:head], []byte("\r\n"))
	target, ok := bytes.CutPrefix(line, []byte("POST "))
	if !ok {
		return other
	}
	if target, ok = bytes.CutSuffix(target, []byte(" HTTP/1.1")); !ok {
		return other
	}
	path, ok := paths[string(target)]
	if !ok {
		return other
	}
	r.Request = *r.blank
	clear(r.header) // of an earlier request, or of an earlier call for this one
	length, ok := r.readHeaders(string(rest[:len(rest)-len("\r\n")]))
	switch {
	case !ok || length > maxBytes:
		return other
	case len(r.in) < head+length:
		return unfinishedWithin(head + length)
	}
	r.end = head + length
	r.target = url.URL{Path: path}
	r.body.Reset(r.in[head:r.end])
	r.Method, r.URL, r.RequestURI = http.MethodPost, &r.target, path
	r.Proto, r.ProtoMajor, r.ProtoMinor = "HTTP/1.1", 1, 1
	r.Header, r.Body, r.ContentLength = r.header, &r.body, int64(length)
	return plain
}

// skipBreaks removes at most limit bytes of line breaks from the beginning of what has been
// read, and returns their number.
func (r *request) skipBreaks(limit int) int {
	n := 0
	for n < limit && n < len(r.in) && (r.in[n] == '\r' || r.in[n] == '\n') {
		n++
	}
	if n > 0 {
		r.in = r.in[:copy(r.in, r.in[n:])]
	}
	return n
}

// unfinishedWithin returns the verdict on a request of at least size bytes.
func unfinishedWithin(size int) verdict {
	if size >= maxBytes {
		return other
	}
	return unfinished
}

// readHeaders reads lines that each end with CR and LF. It returns the length of the body,
// which is above zero. Header values refer to text.
func (r *request) readHeaders(text string) (length int, ok bool) {
	for n := 0; text != ""; n++ {
		name, value, rest, ok := cutLine(text)
		if !ok || n == maxHeaders {
			return 0, false
		}
		text = rest
		key := canonical(name)
		before, again := r.header[key]
		switch key {
		case "Host":
			if r.Host != "" || !isHost(value) {
				return 0, false
			}
			r.Host = value
			continue // not in Header, as in net/http
		case "Content-Length":
			if length = decimal(value); length <= 0 || again {
				return 0, false
			}
		case "Connection":
			if value != "keep-alive" && value != "Keep-Alive" {
				return 0, false
			}
		case "Transfer-Encoding", "Trailer", "Expect", "Upgrade", "Pragma":
			return 0, false
		}
		if again {
			r.header[key] = append(before, value)
			continue
		}
		r.values[n] = value
		r.header[key] = r.values[n : n+1 : n+1] // its capacity is 1, so that append copies it
	}
	return length, r.Host != "" && length > 0
}

// cutLine splits the first line from a text. It returns its name and its value without white
// space around it.
func cutLine(text string) (name, value, rest string, ok bool) {
	i := 0
	for i < len(text) && isToken[text[i]] {
		i++
	}
	if i == 0 || i == len(text) || text[i] != ':' {
		return "", "", "", false
	}
	name = text[:i]
	for i++; i < len(text) && (text[i] == ' ' || text[i] == '\t'); {
		i++
	}
	begin, end := i, i // of the value
	for ; i < len(text) && (text[i] >= ' ' && text[i] != 0x7f || text[i] == '\t'); i++ {
		if text[i] != ' ' && text[i] != '\t' {
			end = i + 1
		}
	}
	if i+1 >= len(text) || text[i] != '\r' || text[i+1] != '\n' {
		return "", "", "", false
	}
	return name, text[begin:end], text[i+2:], true
}

// isToken has the bytes that the name of a header may contain (RFC 9110, section 5.6.2).
var isToken = func() (table [256]bool) {
	for b := range table {
		table[b] = 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z' || '0' <= b && b <= '9'
	}
	for _, b := range []byte("!#$%&'*+-.^_`|~") {
		table[b] = true
	}
	return table
}()

// isHost reports whether a host contains only letters, digits and . - : [ ].
func isHost(host string) bool {
	for i := range len(host) {
		b := host[i]
		if !('a' <= b && b <= 'z' || 'A' <= b && b <= 'Z' || '0' <= b && b <= '9' || b == '.' || b == '-' || b == ':' || b == '[' || b == ']') {
			return false
		}
	}
	return host != ""
}

// decimal returns the value of a number of at most nine digits, and -1 for other text.
func decimal(text string) (n int) {
	if text == "" || len(text) > 9 {
		return -1
	}
	for i := range len(text) {
		if text[i] < '0' || text[i] > '9' {
			return -1
		}
		n = 10*n + int(text[i]-'0')
	}
	return n
}

// canonical is textproto.CanonicalMIMEHeaderKey, but faster for usual names.
func canonical(name string) string {
	if key, known := usual[name]; known {
		return key
	}
	return textproto.CanonicalMIMEHeaderKey(name)
}

// usual has the canonical names of headers that clients and proxies usually send, by the two
// usual spellings.
var usual = func() map[string]string {
	names := make(map[string]string)
	for _, name := range []string{"host", "user-agent", "accept", "accept-encoding", "accept-language", "content-length", "content-type",
		"connection", "authorization", "x-api-key", "x-request-id", "x-request-timeout", "idempotency-key", "traceparent", "tracestate",
		"x-forwarded-for", "x-forwarded-proto", "x-forwarded-port", "x-forwarded-host", "x-real-ip", "x-amzn-trace-id", "x-envoy-external-address",
		"origin", "referer", "cookie", "cache-control", "forwarded", "via"} {
		key := textproto.CanonicalMIMEHeaderKey(name)
		names[name], names[key] = key, key
	}
	return names
}()
