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

// csvLines hands out a text line by line. It keeps the lines of the record at
// hand, so that they can be read again, and passes over blank lines between
// records. A call of Read returns no more than one line, so encoding/csv reads
// no further than to the end of a record.
type csvLines struct {
	r     *bufio.Reader
	max   int    // bytes of a record
	text  []byte // read from r and kept
	start int    // of the record, in text
	given int    // end of what has been handed out, in text
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

// fill reads on to the next line end, or as far as the buffer of r goes.
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

// forget ends the record: the next one begins behind what was handed out.
func (l *csvLines) forget() {
	l.line += bytes.Count(l.text[l.start:l.given], []byte{'\n'})
	l.start = l.given
}

// multiple reports whether the record has more than one line.
func (l *csvLines) multiple() bool {
	end := bytes.IndexByte(l.text[l.start:], '\n')
	return end >= 0 && l.start+end+1 < l.given
}

// backToSecond hands out again what follows the first line of the record.
func (l *csvLines) backToSecond() {
	l.given = l.start + bytes.IndexByte(l.text[l.start:], '\n') + 1
	l.forget()
}

// csvForm is how a text is written, as its beginning shows.
type csvForm struct {
	comma rune
	cr    bool // a CR alone ends a line
	skip  int  // bytes before the header
	lines int  // line ends in them
}

// sniffCSV looks at a text up to the end of its header, as far as the buffer
// holds it. It does not wait for what follows: a caller that streams may send
// its header long before its rows.
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
			return form, nil //nolint:nilerr // the reader gives its error again, where the table comes to it
		}
	}
}

// formOf tells the form of a text from its beginning. It reports whether that
// holds the whole header.
func formOf(head []byte) (form csvForm, whole bool) {
	rest := bytes.TrimPrefix(head, ByteOrderMark)
	rest = bytes.TrimLeft(rest, "\r\n")
	end, cr, counts := scanHeader(rest)
	if sep, ok := bytes.CutPrefix(bytes.TrimRight(rest[:end], "\r\n"), []byte("sep=")); ok && len(sep) == 1 && slices.Contains(delimiters, rune(sep[0])) {
		// Excel's own way to name the delimiter, in a line before the header.
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

// scanHeader finds the end of the first record and counts the delimiters
// outside of its quotes. cr reports that a CR alone ends it.
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

// crReader makes every CR, and every CRLF, a single LF.
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
