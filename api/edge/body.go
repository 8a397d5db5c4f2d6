package edge

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"net/http"
	"os"
	"slices"
	"strings"
)

// ReadBody reads a body of at most maxBytes bytes into text, and takes the request's
// permit.
func (e *Edge) ReadBody(w http.ResponseWriter, r *http.Request, text *bytes.Buffer, maxBytes int64) error {
	if r.ContentLength > maxBytes {
		return &http.MaxBytesError{Limit: maxBytes}
	}
	if r.ContentLength > 0 && r.ContentLength <= SmallBody { // the server reads no more than ContentLength
		text.Grow(int(r.ContentLength) + bytes.MinRead) // so that ReadFrom does not grow it
		if _, err := text.ReadFrom(r.Body); err != nil {
			return BodyError(err)
		}
	} else if err := e.readLarge(w, r, text, maxBytes); err != nil {
		return err
	}
	return Of(r.Context()).takePermit(text.Len())
}

// readLarge reads a body that is large, or of unknown size. The memory that it is
// charged for grows with what has arrived, so that a caller who announces much and
// sends little holds little.
func (e *Edge) readLarge(w http.ResponseWriter, r *http.Request, text *bytes.Buffer, maxBytes int64) error {
	body := http.MaxBytesReader(serversWriter(w), r.Body, maxBytes)
	expected := maxBytes
	if r.ContentLength > 0 {
		expected = r.ContentLength
	}
	for room := int64(SmallBody); ; room = 2 * room {
		room = min(room, expected)
		if room > SmallBody {
			if err := e.Hold(r, BodyCost*room); err != nil {
				w.Header().Set("Connection", "close")
				return err
			}
		}
		wanted := room - int64(text.Len())
		growTo(text, int(room)+bytes.MinRead) // so that ReadFrom does not grow it
		n, err := text.ReadFrom(io.LimitReader(body, wanted))
		switch {
		case err != nil:
			return BodyError(err)
		case n < wanted:
			return nil
		case room == expected:
			// All bytes have arrived. A further read returns what ends the body: io.EOF, or
			// the error of a body that is too large.
			if _, err := text.ReadFrom(body); err != nil {
				return BodyError(err)
			}
			return nil
		}
	}
}

// growTo gives a buffer a capacity. Unlike Grow it gives it no more than that.
func growTo(text *bytes.Buffer, capacity int) {
	if text.Cap() < capacity {
		*text = *bytes.NewBuffer(append(make([]byte, 0, capacity), text.Bytes()...))
	}
}

// serversWriter returns the server's own writer. MaxBytesReader makes it close the
// connection instead of reading the rest of a body that is too large.
func serversWriter(w http.ResponseWriter) http.ResponseWriter {
	if own, ok := w.(*response); ok {
		return own.ResponseWriter
	}
	return w
}

// BodyError returns the error to answer where reading a body failed.
func BodyError(err error) error {
	var tooLong *http.MaxBytesError
	switch {
	case errors.As(err, &tooLong):
		return err
	case errors.Is(err, os.ErrDeadlineExceeded):
		return &Refusal{Reason: SlowBody, Detail: "the body did not arrive in time", Err: err}
	}
	return &Refusal{Reason: Malformed, Detail: "the body breaks off", Err: err}
}

// PlainEncoding refuses compressed bodies: the size of their content is not bounded by
// the size of what was sent.
func PlainEncoding(r *http.Request) error {
	if e := r.Header.Get("Content-Encoding"); e != "" && !strings.EqualFold(e, "identity") {
		return Refuse(UnsupportedMedia, "send the body without a content encoding")
	}
	return nil
}

// utf8Names are the charsets whose texts are UTF-8, as clients write them.
var utf8Names = []string{"utf-8", "utf8", "us-ascii"}

// MediaType returns which of the media types a body has. It refuses all others, and
// charsets that are not UTF-8.
func MediaType(r *http.Request, types ...string) (string, error) {
	header := r.Header.Get("Content-Type")
	for _, t := range types {
		if header == t {
			return t, nil // nearly all clients send no parameters
		}
	}
	given, params, err := mime.ParseMediaType(header)
	list := strings.Join(types, " or ")
	switch {
	case header == "":
		return "", Refuse(UnsupportedMedia, "the header Content-Type is missing; send %s", list)
	case err != nil:
		return "", Refuse(UnsupportedMedia, "the header Content-Type cannot be read; send %s", list)
	}
	if charset := params["charset"]; charset != "" && !slices.Contains(utf8Names, strings.ToLower(charset)) {
		return "", Refuse(UnsupportedMedia, "the charset must be UTF-8")
	}
	for _, t := range types {
		if given == t {
			return t, nil
		}
	}
	return "", Refuse(UnsupportedMedia, "this route takes %s", list)
}
