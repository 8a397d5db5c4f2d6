package schema

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"slices"

	"gateway/internal/failure"
)

const csvBuffer = 4096

var errRowTooLong = errors.New("row too long")

// csvLines returns a text line by line. It keeps the lines of the current record,
// so that they can be read again, and skips blank lines between records. A call
// of Read returns at most one line, so encoding/csv reads no further than the end
// of a record.
type csvLines struct {
	r     *bufio.Reader
	max   int    // bytes of a record
	text  []byte // read from r and buffered
	start int    // of the record, in text
	given int    // end of what Read has returned, in text
	line  int    // number of the record's first line
	err   error  // of r; it follows text
}

// Read implements io.Reader.
func (l *csvLines) Read(p []byte) (int, error) {
	for {
		if l.given == len(l.text) {
			if err := l.fill(); err != nil {
				return 0, err
			}
		}
		rest := l.text[l.given:]
		if end := bytes.IndexByte(rest, '\n'); end >= 0 {
			rest = rest[:end+1]
		}
		if blank := string(rest) == "\n" || string(rest) == "\r\n"; blank && l.given == l.start {
			l.given += len(rest)
			l.forget()
			continue
		}
		n := copy(p, rest)
		l.given += n
		return n, nil
	}
}

// fill reads up to the next line end, at most as much as r has buffered.
func (l *csvLines) fill() error {
	if len(l.text)-l.start >= l.max+csvBuffer {
		return errRowTooLong
	}
	if l.err != nil {
		return l.err
	}
	if l.start > len(l.text)/2 || l.start == len(l.text) {
		l.text = l.text[:copy(l.text, l.text[l.start:])]
		l.given -= l.start
		l.start = 0
	}
	piece, err := l.r.ReadSlice('\n')
	l.text = append(l.text, piece...)
	if !errors.Is(err, bufio.ErrBufferFull) {
		l.err = err
	}
	if len(piece) == 0 {
		return err
	}
	return nil
}

// forget ends the record: the next one begins after what Read has returned.
func (l *csvLines) forget() {
	l.line += bytes.Count(l.text[l.start:l.given], []byte{'\n'})
	l.start = l.given
}

// multiple reports whether the record has more than one line.
func (l *csvLines) multiple() bool {
	end := bytes.IndexByte(l.text[l.start:], '\n')
	return end >= 0 && l.start+end+1 < l.given
}

// backToSecond makes Read return the lines after the record's first one again.
func (l *csvLines) backToSecond() {
	l.given = l.start + bytes.IndexByte(l.text[l.start:], '\n') + 1
	l.forget()
}

// csvForm is the form of a text, judging by its beginning.
type csvForm struct {
	comma rune
	cr    bool // a CR alone ends a line
	skip  int  // bytes before the header
	lines int  // line ends in them
}

// sniffCSV examines a text up to the end of its header, as far as the buffer
// holds it. It does not wait for more: a caller that streams may send the header
// long before the rows.
func sniffCSV(r *bufio.Reader) (csvForm, error) {
	for {
		_, err := r.Peek(min(r.Buffered()+1, r.Size()))
		head, _ := r.Peek(r.Buffered())
		if err != nil && len(head) == 0 && !errors.Is(err, io.EOF) {
			return csvForm{}, err
		}
		if bytes.HasPrefix(head, []byte("\xff\xfe")) || bytes.HasPrefix(head, []byte("\xfe\xff")) ||
			len(head) >= 2 && (head[0] == 0) != (head[1] == 0) {
			return csvForm{}, failure.Errorf(failure.Invalid, "the file seems to be UTF-16; save it as UTF-8")
		}
		form, whole := formOf(head)
		if whole || err != nil || len(head) == r.Size() {
			return form, nil // nolint:nilerr // the reader returns its error again when the table reaches it
		}
	}
}

// formOf returns the form of a text that begins with head. It reports whether
// head contains the whole header.
func formOf(head []byte) (form csvForm, whole bool) {
	rest := bytes.TrimPrefix(head, ByteOrderMark)
	rest = bytes.TrimLeft(rest, "\r\n")
	end, cr, counts := scanHeader(rest)
	if sep, ok := bytes.CutPrefix(bytes.TrimRight(rest[:end], "\r\n"), []byte("sep=")); ok && len(sep) == 1 && slices.Contains(delimiters, rune(sep[0])) {
		// Excel names the delimiter in a line before the header.
		whole := end < len(rest)
		rest = rest[end:]
		form.comma = rune(sep[0])
		form.skip, form.lines, form.cr = len(head)-len(rest), countLines(head[:len(head)-len(rest)]), cr
		return form, whole
	}
	best := 0
	for i, n := range counts {
		if n > counts[best] {
			best = i
		}
	}
	skipped := head[:len(head)-len(rest)]
	return csvForm{comma: delimiters[best], cr: cr, skip: len(skipped), lines: countLines(skipped)}, end < len(rest) || bytes.HasSuffix(rest, []byte{'\n'})
}

var delimiters = []rune{',', ';', '\t', '|'}

// scanHeader finds the end of the first record and counts the delimiters outside
// of quotes. cr reports that a CR alone ends the record.
func scanHeader(text []byte) (end int, cr bool, counts [4]int) {
	quoted := false
	for i, b := range text {
		switch {
		case b == '"':
			quoted = !quoted
		case quoted:
		case b == '\n':
			return i + 1, false, counts
		case b == '\r' && i+1 < len(text) && text[i+1] != '\n':
			return i + 1, true, counts
		default:
			if d := slices.Index(delimiters, rune(b)); d >= 0 {
				counts[d]++
			}
		}
	}
	return len(text), false, counts
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
