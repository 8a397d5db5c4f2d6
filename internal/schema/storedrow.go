package schema

import (
	"errors"

	"github.com/go-json-experiment/json/jsontext"
)

// StoredValues returns the values of a stored customer in the order of the
// schema's features, each as the stored text, nil where there is none. Features
// that the schema does not have are left out. The values are not validated, so
// that an export loses nothing that others stored.
func (s *Schema) StoredValues(features []byte) ([]jsontext.Value, error) {
	values := make([]jsontext.Value, len(s.Features))
	dec := newDecoder(features)
	if _, err := dec.ReadToken(); err != nil {
		return nil, errStored
	}
	for dec.PeekKind() == '"' {
		name, err := dec.ReadToken()
		if err != nil {
			return nil, errStored
		}
		i := s.Feature(name.String())
		value, err := dec.ReadValue()
		if err != nil {
			return nil, errStored
		}
		if i >= 0 {
			values[i] = value.Clone()
		}
	}
	if token, err := dec.ReadToken(); err != nil || token.Kind() != '}' {
		return nil, errStored
	}
	return values, nil
}

// errStored does not repeat the text, which may be personal.
var errStored = errors.New("the features of a stored customer are not a JSON object")

// Cell returns a stored value of the feature of index i as a cell of a file that
// SetText reads.
func (s *Schema) Cell(i int, value jsontext.Value) string {
	if format := s.Features[i].numbers; format != nil && value.Kind() == '0' {
		return format.write(string(value))
	}
	return CellText(value)
}

// CellText returns a JSON value as a cell of CSV: a string without its quotes, an
// empty cell for null, and the text of any other value.
func CellText(value jsontext.Value) string {
	switch value.Kind() {
	case '"':
		return unquote(value)
	case 'n', jsontext.KindInvalid:
		return ""
	}
	return string(value)
}
