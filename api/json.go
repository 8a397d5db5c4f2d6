package api

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"

	"gateway/internal/failure"
	"gateway/internal/schema"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// document is a request's JSON text, read whole, and a strict decoder over it:
// names given twice, text that is not UTF-8 and nesting beyond reason are
// errors. It must be released when nothing refers to it any more.
type document struct {
	text       bytes.Buffer
	dec        *jsontext.Decoder
	violations failure.Violations

	// Memory of what the text is read into, and of the answer.
	features schema.Record
	answer   []byte
}

// documents keeps buffers for the next request. Large ones are let go.
type documents struct{ pool sync.Pool }

const keepBuffer = 64 << 10

func (d *documents) get() *document {
	if doc, ok := d.pool.Get().(*document); ok {
		return doc
	}
	return &document{dec: new(jsontext.Decoder)}
}

func (d *documents) release(doc *document) {
	if doc.text.Cap() > keepBuffer {
		return
	}
	doc.text.Reset()
	doc.violations = failure.Violations{}
	d.pool.Put(doc)
}

// readJSON reads the body, at most MaxBody bytes of it. empty is true, and
// only where optional allows it, for a body without a byte; its media type
// does not matter then, for there is no body to speak of.
func (a *api) readJSON(w http.ResponseWriter, r *http.Request, optional bool) (doc *document, empty bool, err error) {
	if err := plainEncoding(r); err != nil {
		return nil, false, err
	}
	mediaErr := mediaType(r, "application/json")
	if mediaErr != nil && !optional {
		return nil, false, mediaErr
	}
	doc = a.documents.get()
	err = a.readBody(w, r, &doc.text, a.o.MaxBody)
	if size := doc.text.Len(); err == nil && size > smallBody {
		err = a.hold(r, jsonCost*int64(size))
	}
	if err != nil {
		a.documents.release(doc)
		return nil, false, err
	}
	if bytes.HasPrefix(doc.text.Bytes(), schema.ByteOrderMark) { // RFC 8259 allows to ignore it
		doc.text.Next(len(schema.ByteOrderMark))
	}
	switch {
	case doc.text.Len() == 0 && optional:
		return doc, true, nil
	case mediaErr != nil:
		a.documents.release(doc)
		return nil, false, mediaErr
	case doc.text.Len() == 0:
		a.documents.release(doc)
		return nil, false, refuse(malformed, "the body is empty; a JSON object is due")
	}
	doc.dec.Reset(&doc.text)
	return doc, false, nil
}

// connection returns the server's own writer, which MaxBytesReader tells to
// close the connection instead of reading the rest of a body that is too large.
func connection(w http.ResponseWriter) http.ResponseWriter {
	if out, ok := w.(*recorder); ok {
		return out.ResponseWriter
	}
	return w
}

// bodyError names what cut a body short.
func bodyError(err error) error {
	var tooLong *http.MaxBytesError
	switch {
	case errors.As(err, &tooLong):
		return err
	case errors.Is(err, os.ErrDeadlineExceeded):
		return &refusal{reason: slowBody, detail: "the body did not arrive in time", err: err}
	}
	return &refusal{reason: malformed, detail: "the body breaks off", err: err}
}

// plainEncoding refuses compressed bodies: their size could not be bounded by
// what was sent.
func plainEncoding(r *http.Request) error {
	if e := r.Header.Get("Content-Encoding"); e != "" && !strings.EqualFold(e, "identity") {
		return refuse(unsupportedMedia, "send the body without a content encoding")
	}
	return nil
}

// utf8Names are the charsets whose texts are UTF-8, as clients write them.
var utf8Names = []string{"utf-8", "utf8", "us-ascii"}

// mediaType wants one of the types, in UTF-8.
func mediaType(r *http.Request, want ...string) error {
	_, err := mediaTypeOf(r, want...)
	return err
}

func mediaTypeOf(r *http.Request, want ...string) (string, error) {
	header := r.Header.Get("Content-Type")
	for _, w := range want {
		if header == w {
			return w, nil // what nearly all clients send needs no parsing
		}
	}
	given, params, err := mime.ParseMediaType(header)
	list := strings.Join(want, " or ")
	switch {
	case header == "":
		return "", refuse(unsupportedMedia, "the header Content-Type is missing; send %s", list)
	case err != nil:
		return "", refuse(unsupportedMedia, "the header Content-Type cannot be read; send %s", list)
	}
	if charset := params["charset"]; charset != "" && !slices.Contains(utf8Names, strings.ToLower(charset)) {
		return "", refuse(unsupportedMedia, "the charset must be UTF-8")
	}
	for _, w := range want {
		if given == w {
			return w, nil
		}
	}
	return "", refuse(unsupportedMedia, "this route takes %s", list)
}

// write sends a response that is held in memory. Responses are no-store.
func write(w http.ResponseWriter, status int, contentType string, body []byte) {
	h := w.Header()
	if contentType == jsonType[0] {
		h["Content-Type"] = jsonType
	} else {
		h.Set("Content-Type", contentType)
	}
	if len(h["Cache-Control"]) == 0 {
		h["Cache-Control"] = noStore
	}
	w.WriteHeader(status)
	_, _ = w.Write(body) // a caller who has gone is seen by net/http
}

// writeJSON encodes before it answers, so that what cannot be encoded is a
// proper 500. Lists and objects that are nil in Go are empty in JSON.
func writeJSON(w http.ResponseWriter, status int, value any) error {
	body, err := json.Marshal(value, json.Deterministic(true))
	if err != nil {
		return err
	}
	write(w, status, "application/json", append(body, '\n'))
	return nil
}

// end wants nothing but space after the value.
func (d *document) end() error {
	switch _, err := d.dec.ReadToken(); {
	case errors.Is(err, io.EOF):
		return nil
	case err != nil:
		return d.broken(err)
	}
	return refuse(malformed, "there is more text after the JSON value, at byte %d", d.dec.InputOffset())
}

// broken says where and why the text is not JSON, without repeating any of it.
func (d *document) broken(err error) error {
	at := d.dec.InputOffset()
	var syntactic *jsontext.SyntacticError
	if errors.As(err, &syntactic) {
		at = syntactic.ByteOffset
	}
	return refuse(malformed, "the body is not JSON: %s (byte %d)", schema.JSONFault(err), at)
}
