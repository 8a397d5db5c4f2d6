package schema

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"

	"gateway/internal/failure"
)

// TextReader reads a file of text as UTF-8. It decodes UTF-16 that begins with a
// byte order mark. Bytes that are not UTF-8 are read as Windows-1252, the encoding
// in which Excel saves CSV in Europe and America. [TextReader.Note] says what was
// decoded. It is for files that people give; the API accepts UTF-8 only.
type TextReader struct {
	r       *bufio.Reader
	pending []byte // decoded and not read yet
	begun   bool
	utf16   bool
	bytes   int // number of bytes read as Windows-1252
	err     error
}

// NewTextReader returns a TextReader on r. It reads from r at the first Read.
func NewTextReader(r io.Reader) *TextReader {
	return &TextReader{r: bufio.NewReaderSize(r, 64<<10)}
}

// Note says what was decoded up to now; empty if the text is UTF-8.
func (t *TextReader) Note() string {
	switch {
	case t.utf16:
		return "the file is UTF-16; it was decoded"
	case t.bytes == 1:
		return "1 byte is not UTF-8; it was read as Windows-1252"
	case t.bytes > 1:
		return fmt.Sprintf("%d bytes are not UTF-8; they were read as Windows-1252", t.bytes)
	}
	return ""
}

// UTF16 reports whether the text is UTF-16.
func (t *TextReader) UTF16() bool { return t.utf16 }

// Read implements io.Reader.
func (t *TextReader) Read(p []byte) (int, error) {
	for len(t.pending) == 0 {
		if t.err != nil {
			return 0, t.err
		}
		t.fill()
	}
	n := copy(p, t.pending)
	t.pending = t.pending[n:]
	return n, nil
}

// fill decodes what r has buffered, at least one character.
func (t *TextReader) fill() {
	if !t.begun {
		t.begun = true
		const longestMark = 4 // bytes, see binaryForm
		head, _ := t.r.Peek(longestMark)
		if other := binaryForm(head); other != "" {
			t.err = failure.Errorf(failure.Invalid, "the file %s", other)
			return
		}
	}
	if head, _ := t.r.Peek(2); !t.utf16 && (bytes.Equal(head, []byte("\xff\xfe")) || bytes.Equal(head, []byte("\xfe\xff"))) {
		t.utf16 = true
		decoder := unicode.UTF16(unicode.BigEndian, unicode.ExpectBOM).NewDecoder()
		t.r = bufio.NewReaderSize(decoder.Reader(t.r), 64<<10)
	}
	if _, err := t.r.Peek(1); err != nil {
		t.err = err
		return
	}
	chunk, _ := t.r.Peek(t.r.Buffered())
	for !utf8.FullRune(lastRune(chunk)) { // the rest of the last character may follow
		more, err := t.r.Peek(len(chunk) + 1)
		if errors.Is(err, bufio.ErrBufferFull) {
			chunk = chunk[:len(chunk)-len(lastRune(chunk))]
			break
		}
		if err != nil {
			break
		}
		chunk = more
	}
	t.pending = t.decode(t.pending[:0], chunk)
	_, _ = t.r.Discard(len(chunk)) // it is in the buffer
}

// lastRune returns the end of a text from the beginning of its last character.
func lastRune(text []byte) []byte {
	for i := len(text) - 1; i >= 0 && i > len(text)-utf8.UTFMax; i-- {
		if utf8.RuneStart(text[i]) {
			return text[i:]
		}
	}
	return text[len(text)-1:]
}

// decode appends text to dst, with bytes that are not UTF-8 as Windows-1252.
func (t *TextReader) decode(dst, text []byte) []byte {
	for len(text) > 0 {
		if i := invalid(text); i > 0 {
			dst, text = append(dst, text[:i]...), text[i:]
			continue
		}
		dst = utf8.AppendRune(dst, charmap.Windows1252.DecodeByte(text[0]))
		t.bytes++
		text = text[1:]
	}
	return dst
}

// invalid returns the index of the first byte that is not UTF-8, or the length.
func invalid(text []byte) int {
	if utf8.Valid(text) {
		return len(text)
	}
	for i := 0; ; {
		r, size := utf8.DecodeRune(text[i:])
		if r == utf8.RuneError && size == 1 {
			return i
		}
		i += size
	}
}
