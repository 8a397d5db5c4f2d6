package schema

import (
	"bufio"
	"bytes"
	"errors"
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
