package schema

import (
	"bytes"

	"github.com/go-json-experiment/json/jsontext"
)

// newDecoder reads strict JSON from memory: duplicate names and invalid UTF-8 are
// errors.
func newDecoder(text []byte) *jsontext.Decoder {
	return jsontext.NewDecoder(bytes.NewReader(text))
}
