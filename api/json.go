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
		return nil, false, edge.Refuse(edge.Malformed, "the body is empty; a JSON object is due")
	}
	doc.dec.Reset(&doc.text)
	return doc, false, nil
}

// end wants nothing but space after the value.
func (d *document) end() error {
	switch _, err := d.dec.ReadToken(); {
	case errors.Is(err, io.EOF):
		return nil
	case err != nil:
		return d.broken(err)
	}
	return edge.Refuse(edge.Malformed, "there is more text after the JSON value, at byte %d", d.dec.InputOffset())
}

// broken says where and why the text is not JSON, without repeating any of it.
func (d *document) broken(err error) error {
	at := d.dec.InputOffset()
	var syntactic *jsontext.SyntacticError
	if errors.As(err, &syntactic) {
		at = syntactic.ByteOffset
	}
	return edge.Refuse(edge.Malformed, "the body is not JSON: %s (byte %d)", schema.JSONFault(err), at)
}
