package export

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"gateway/internal/predict"
	"gateway/internal/schema"
)

// appendItem appends a customer as a line of DynamoDB's export, with its line
// end: the id as S, then the features as they are stored, numbers as N, then the
// label and the outcome, if known. Errors name the customer.
func appendItem(dst []byte, s *schema.Schema, c predict.Customer) ([]byte, error) {
	if c.ID == "" {
		return dst, fmt.Errorf("a customer to export has no id")
	}
	dst = append(dst, `{"Item":{`...)
	dst = appendAttribute(dst, s.ID, String, c.ID)
	dst, err := appendFeatures(dst, s, c.Features)
	if err != nil {
		return dst, fmt.Errorf("features of customer %q: %w", shorten(c.ID), err)
	}
	if c.Label != nil {
		dst = appendLabel(dst, s, s.Label.Name, *c.Label)
	}
	if c.Outcome > 0 {
		dst = appendAttribute(append(dst, ','), OutcomeAttribute, Number, strconv.FormatInt(c.Outcome, 10))
	}
	return append(appendEvidence(dst, s, &c.Evidence), "}}\n"...), nil
}

func appendLabel(dst []byte, s *schema.Schema, name string, label int) []byte {
	spelling := s.Label.Spell(label)
	kind := Number
	if spelling.IsText {
		kind = String
	}
	return appendAttribute(append(dst, ','), name, kind, spelling.Value)
}

func appendEvidence(dst []byte, s *schema.Schema, e *predict.Evidence) []byte {
	if e.Made {
		dst = appendAttribute(append(dst, ','), OriginAttribute, String, OriginApp)
	}
	if e.Caller != "" {
		dst = appendAttribute(append(dst, ','), CallerAttribute, String, e.Caller)
	}
	if !e.LabelledAt.IsZero() {
		dst = appendAttribute(append(dst, ','), LabelledAttribute, Number, strconv.FormatInt(e.LabelledAt.UnixMicro(), 10))
	}
	if e.Imported != nil {
		dst = appendLabel(dst, s, ImportedAttribute, *e.Imported)
	}
	return dst
}

// appendFeatures appends the members of a JSON object of features as attributes.
// Features of an earlier schema are included, unless their name now means
// something else.
func appendFeatures(dst []byte, s *schema.Schema, features []byte) ([]byte, error) {
	if len(features) == 0 {
		return dst, nil
	}
	dec := jsontext.NewDecoder(bytes.NewReader(features))
	if kind := dec.PeekKind(); kind != '{' {
		return dst, fmt.Errorf("not a JSON object")
	}
	if _, err := dec.ReadToken(); err != nil {
		return dst, err
	}
	for dec.PeekKind() != '}' {
		name, err := dec.ReadToken()
		if err != nil {
			return dst, err
		}
		feature := name.String()
		value, err := dec.ReadToken()
		if err != nil {
			return dst, err
		}
		kind, text := Null, "true"
		switch value.Kind() {
		case '"':
			kind, text = String, value.String()
		case '0':
			kind, text = Number, value.String()
		case 't', 'f':
			kind, text = Bool, value.String()
		case '{', '[':
			return dst, fmt.Errorf("%q is neither a number nor a string", shorten(feature))
		}
		if !s.IsID(feature) && !s.IsLabel(feature) && !Reserved(feature) {
			dst = appendAttribute(append(dst, ','), feature, kind, text)
		}
	}
	_, err := dec.ReadToken()
	return dst, err
}

// appendAttribute appends "name":{"kind":value}, the value quoted unless its
// kind is BOOL or NULL. Invalid UTF-8 becomes U+FFFD.
func appendAttribute(dst []byte, name string, kind Kind, text string) []byte {
	dst, _ = jsontext.AppendQuote(dst, name)
	dst = append(append(append(dst, `:{"`...), kind...), `":`...)
	if kind == Bool || kind == Null {
		dst = append(dst, text...)
	} else {
		dst, _ = jsontext.AppendQuote(dst, text)
	}
	return append(dst, '}')
}

// part is the data file being written.
type part struct {
	stored bytes.Buffer
	zip    *gzip.Writer
	items  int64
	bytes  int64 // before compression
}

func (p *part) add(item []byte) {
	if p.zip == nil {
		p.zip = gzip.NewWriter(&p.stored) // its header bears no time and no name
	}
	_, _ = p.zip.Write(item) // a bytes.Buffer does not fail
	p.items++
	p.bytes += int64(len(item))
}

// end returns the whole file, valid until reset.
func (p *part) end() []byte {
	if p.zip == nil {
		p.zip = gzip.NewWriter(&p.stored)
	}
	_ = p.zip.Close()
	return p.stored.Bytes()
}

func (p *part) reset() {
	p.stored.Reset()
	p.zip.Reset(&p.stored)
	p.items, p.bytes = 0, 0
}

// partName names data file number n in the style of DynamoDB, with 26 letters and
// digits, but always the same for the same export.
func partName(export string, n int) string {
	sum := sha256.Sum256([]byte(export + "/" + strconv.Itoa(n)))
	return strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(sum[:16])) + ".json.gz"
}
