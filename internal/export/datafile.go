package export

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/md5"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"

	"gateway/internal/failure"
)

// maxLine is the maximum length of a line in bytes, including its end. DynamoDB's
// limit for an item is 400 KB; escapes may make its JSON several times as long.
const maxLine = 8 << 20

// dataFile is a file of items with its entry in the manifest.
type dataFile struct {
	name  string
	sum   []byte // MD5 of the file as stored; nil: not known
	items int64  // -1: not known
}

// openFile reads the lines of a data file and checks the file at its end.
type openFile struct {
	dataFile
	file  fs.File
	raw   *checkedReader
	lines *bufio.Scanner
	line  int
	count int64 // lines that were not blank
}

// checkedReader hashes what it reads and remembers its own error, so that a
// failure of the store is distinguished from a damaged file.
type checkedReader struct {
	r    io.Reader
	hash hash.Hash // nil where there is nothing to compare with
	err  error
}

func (c *checkedReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	if c.hash != nil {
		c.hash.Write(p[:n])
	}
	if err != nil && err != io.EOF { // not errors.Is: a connection's failure may wrap io.EOF
		c.err = err
	}
	return n, err
}

// open opens a data file. buffer is the scanner's, to be shared between files.
func (d dataFile) open(fsys fs.FS, buffer []byte) (*openFile, error) {
	file, err := fsys.Open(d.name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &failure.Error{Kind: failure.Invalid, Detail: d.name + ": the manifest names this file, but it does not exist", Err: err}
	}
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", d.name, err)
	}
	o := &openFile{dataFile: d, file: file, raw: &checkedReader{r: file}}
	if d.sum != nil {
		o.raw.hash = md5.New()
	}
	stored := bufio.NewReader(o.raw)
	text := io.Reader(stored)
	// A name may end in .gz or not: backups are named by UUID.
	if magic, _ := stored.Peek(2); string(magic) == "\x1f\x8b" {
		text, err = gzip.NewReader(stored) // reads all members of a file
		if err != nil {
			err = o.damaged(err)
			_ = file.Close() // read only, and given up
			return nil, err
		}
	}
	peeked := bufio.NewReader(text)
	head, _ := peeked.Peek(formBytes) // reading on meets a failure again
	if form := otherForm(head); form != "" {
		_ = file.Close() // read only, and given up
		return nil, failure.Errorf(failure.Invalid, "%s: the file is %s", d.name, form)
	}
	o.lines = bufio.NewScanner(peeked)
	o.lines.Buffer(buffer, maxLine)
	return o, nil
}

// next returns the next line that is not blank, without its end; it is valid
// until the next call. At the end of the file it verifies the file, and returns
// io.EOF only if the file is intact.
func (o *openFile) next() ([]byte, error) {
	for o.lines.Scan() {
		o.line++
		text := o.lines.Bytes()
		if o.line == 1 {
			text = bytes.TrimPrefix(text, []byte("\ufeff")) // Some editors write a byte order mark.
		}
		if text = bytes.TrimSpace(text); len(text) > 0 {
			if o.count++; o.items >= 0 && o.count > o.items {
				return nil, failure.Errorf(failure.Invalid, "%s: has more than the %d items of the manifest", o.name, o.items)
			}
			return text, nil
		}
	}
	switch err := o.lines.Err(); {
	case errors.Is(err, bufio.ErrTooLong):
		return nil, failure.Errorf(failure.Invalid, "%s, line %d: longer than %d bytes, which no item is", o.name, o.line+1, maxLine)
	case err != nil:
		return nil, o.damaged(err)
	}
	if err := o.verify(); err != nil {
		return nil, err
	}
	if o.items >= 0 && o.count != o.items {
		return nil, failure.Errorf(failure.Invalid, "%s: has %d items; the manifest has %d", o.name, o.count, o.items)
	}
	return nil, io.EOF
}

// damaged explains why a file could not be read to its end. If the checksum is
// wrong as well, that is the better explanation.
func (o *openFile) damaged(cause error) error {
	if o.raw.err == nil {
		if err := o.verify(); err != nil {
			return err
		}
	}
	if o.raw.err != nil {
		return fmt.Errorf("reading %s: %w", o.name, o.raw.err)
	}
	if errors.Is(cause, io.ErrUnexpectedEOF) || errors.Is(cause, io.EOF) {
		return &failure.Error{Kind: failure.Invalid, Detail: o.name + ": the gzip data is cut short", Err: cause}
	}
	return &failure.Error{Kind: failure.Invalid, Detail: o.name + ": the gzip data is damaged", Err: cause}
}

// verify reads the rest of the stored file and compares its checksum.
func (o *openFile) verify() error {
	if _, err := io.Copy(io.Discard, o.raw); err != nil {
		return fmt.Errorf("reading %s: %w", o.name, err)
	}
	if o.raw.hash != nil && !bytes.Equal(o.sum, o.raw.hash.Sum(nil)) {
		return failure.Errorf(failure.Invalid, "%s: the MD5 checksum differs from the manifest's: the file is damaged or incomplete", o.name)
	}
	return nil
}

func (o *openFile) close() error { return o.file.Close() }
