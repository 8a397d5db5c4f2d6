package schema

import (
	"bytes"
	"io"
	"slices"

	"gateway/internal/failure"
)

// csvForm is the form of a text, judging by its beginning.
type csvForm struct {
	comma rune
	cr    bool // a CR alone ends a line
	skip  int  // bytes before the header
	lines int  // line ends in them
}

// sniffCSV reads a text up to the end of its first line, or max bytes of it, and
// returns what it has read. It does not wait for more: a caller that streams may
// send the header long before the rows. The error is a *failure.Error of kind
// Invalid for a file of another kind, else the reader's own, which follows head.
func sniffCSV(r io.Reader, max int) (form csvForm, head []byte, err error) {
	var header headerScan
	for err == nil && len(head) < max {
		head = slices.Grow(head, csvBuffer)
		var n int
		n, err = r.Read(head[len(head):min(cap(head), len(head)+csvBuffer)])
		head = head[:len(head)+n]
		if other := otherForm(head); other != "" {
			return form, nil, failure.Errorf(failure.Invalid, "the file %s", other)
		}
		if header.scan(head) {
			break
		}
	}
	return header.form(head), head, err
}

// otherForm names the kind of a file that is not text in UTF-8, judging by its first
// bytes, and the remedy. It returns "" for such text.
func otherForm(head []byte) string {
	switch {
	case bytes.HasPrefix(head, []byte("\xff\xfe")), bytes.HasPrefix(head, []byte("\xfe\xff")),
		len(head) >= 2 && (head[0] == 0) != (head[1] == 0):
		return "seems to be UTF-16; save it as UTF-8"
	}
	return binaryForm(head)
}

// binaryForm names the kind of a file that is no text, and the remedy. It returns ""
// for text in any encoding.
func binaryForm(head []byte) string {
	switch {
	case bytes.HasPrefix(head, []byte("PK\x03\x04")), bytes.HasPrefix(head, []byte("\xd0\xcf\x11\xe0")):
		return "is a workbook of a spreadsheet, or a zip archive; save or unpack it as CSV"
	case bytes.HasPrefix(head, []byte("\x1f\x8b")):
		return "is compressed by gzip; decompress it"
	case bytes.HasPrefix(head, []byte("PAR1")):
		return "is Parquet; write it as CSV"
	}
	return ""
}

// headerScan finds the end of the first line of a text that arrives in pieces. It
// examines each byte once.
type headerScan struct {
	start  int // of the first line that is not blank
	next   int // byte to examine
	quoted bool
	counts [4]int // of delimiters outside of quotes
	end    int    // of the first line; 0 until it has arrived
	cr     bool   // a CR alone ends the line
}

var delimiters = [...]rune{',', ';', '\t', '|'}

// scan reports whether the text holds the whole first line.
func (h *headerScan) scan(text []byte) bool {
	if h.next == h.start {
		if len(text) < len(ByteOrderMark) && bytes.HasPrefix(ByteOrderMark, text) {
			return false
		}
		rest := bytes.TrimLeft(bytes.TrimPrefix(text, ByteOrderMark), "\r\n")
		h.start = len(text) - len(rest)
		h.next = h.start
	}
	for ; h.next < len(text) && h.end == 0; h.next++ {
		switch b := text[h.next]; {
		case b == '"':
			h.quoted = !h.quoted
		case h.quoted:
		case b == '\n':
			h.end = h.next + 1
		case b == '\r' && h.next+1 == len(text):
			return false // the next byte decides whether the CR ends the line
		case b == '\r' && text[h.next+1] != '\n':
			h.end, h.cr = h.next+1, true
		default:
			if d := slices.Index(delimiters[:], rune(b)); d >= 0 {
				h.counts[d]++
			}
		}
	}
	return h.end > 0
}

// form returns the form of the text that was scanned.
func (h *headerScan) form(text []byte) csvForm {
	form := csvForm{skip: h.start, cr: h.cr}
	if h.end > 0 {
		// Excel names the delimiter in a line before the header.
		sep, ok := bytes.CutPrefix(bytes.TrimRight(text[h.start:h.end], "\r\n"), []byte("sep="))
		if ok && len(sep) == 1 && slices.Contains(delimiters[:], rune(sep[0])) {
			form.comma, form.skip = rune(sep[0]), h.end
		}
	}
	if form.comma == 0 {
		best := 0
		for i, n := range h.counts {
			if n > h.counts[best] {
				best = i
			}
		}
		form.comma = delimiters[best]
	}
	form.lines = countLines(text[:form.skip])
	return form
}

// countLines counts the line ends of a text: LF, CRLF or CR.
func countLines(text []byte) int {
	return bytes.Count(text, []byte{'\n'}) + bytes.Count(text, []byte{'\r'}) - bytes.Count(text, []byte("\r\n"))
}

// crReader replaces every CR and every CRLF with an LF.
type crReader struct {
	r     io.Reader
	after bool // the last byte was a CR
}

// Read implements io.Reader.
func (c *crReader) Read(p []byte) (int, error) {
	for {
		n, err := c.r.Read(p)
		out := 0
		for _, b := range p[:n] {
			if b == '\n' && c.after {
				c.after = false
				continue
			}
			if c.after = b == '\r'; c.after {
				b = '\n'
			}
			p[out] = b
			out++
		}
		if out > 0 || err != nil || len(p) == 0 {
			return out, err
		}
	}
}
