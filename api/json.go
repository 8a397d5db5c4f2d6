package api

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"sync"

	"gateway/api/edge"
	"gateway/internal/failure"
	"gateway/internal/schema"

	"github.com/go-json-experiment/json/jsontext"
)

// document is the JSON text of a request and a strict decoder of it. Names given twice,
// text that is not UTF-8 and nesting of more than 10,000 levels are errors. It must be
// released when nothing refers to it any more.
type document struct {
	text       bytes.Buffer
	dec        *jsontext.Decoder
	violations failure.Violations

	// Memory that is used again: the decoded features, and the response.
	features schema.Record
	answer   []byte
}

// documents keeps documents for later requests. Large ones are discarded.
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

// readJSON reads a body of at most MaxBody bytes. If optional is true, an empty body of any
// media type is allowed, and empty reports it.
func (a *api) readJSON(w http.ResponseWriter, r *http.Request, optional bool) (doc *document, empty bool, err error) {
	if err := edge.PlainEncoding(r); err != nil {
		return nil, false, err
	}
	_, mediaErr := edge.MediaType(r, edge.JSON)
	if mediaErr != nil && !optional {
		return nil, false, mediaErr
	}
	doc = a.documents.get()
	err = a.edge.ReadBody(w, r, &doc.text, a.o.MaxBody)
	if size := doc.text.Len(); err == nil && size > edge.SmallBody {
		err = a.edge.Hold(r, jsonCost*int64(size))
	}
	if err != nil {
		a.documents.release(doc)
		return nil, false, err
	}
	if bytes.HasPrefix(doc.text.Bytes(), schema.ByteOrderMark) { // RFC 8259 allows parsers to ignore it
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
		return nil, false, edge.Refuse(edge.Malformed, "the body is empty; send a JSON object")
	}
	doc.dec.Reset(&doc.text)
	return doc, false, nil
}

// end returns an error if there is anything but white space after the value.
func (d *document) end() error {
	switch _, err := d.dec.ReadToken(); {
	case errors.Is(err, io.EOF):
		return nil
	case err != nil:
		return d.broken(err)
	}
	return edge.Refuse(edge.Malformed, "there is more text after the JSON value, at byte %d", d.dec.InputOffset())
}

// broken returns the error of text that is not JSON: the cause and the position, without
// any of the text.
func (d *document) broken(err error) error {
	at := d.dec.InputOffset()
	var syntactic *jsontext.SyntacticError
	if errors.As(err, &syntactic) {
		at = syntactic.ByteOffset
	}
	return edge.Refuse(edge.Malformed, "the body is not JSON: %s (byte %d)", schema.JSONFault(err), at)
}
