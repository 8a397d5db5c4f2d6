package schema

import (
	"errors"

	"github.com/go-json-experiment/json/jsontext"

	"gateway/internal/failure"
)

// Explain says which reasons of a score a caller asks for. In JSON it is false, true
// or "all".
type Explain uint8

const (
	ExplainNone Explain = iota
	ExplainTop          // true: the features that moved the score most
	ExplainAll          // "all": every feature, and the base
)

const (
	explainAllText = "all"
	explainForms   = `true, false or "all"`
)

// ExplainFromJSON reads an Explain from a JSON value. field names it in the violation.
func ExplainFromJSON(field string, raw jsontext.Value) (Explain, *failure.Violation) {
	switch raw.Kind() {
	case 't':
		return ExplainTop, nil
	case 'f':
		return ExplainNone, nil
	case '"':
		if unquote(raw) == explainAllText {
			return ExplainAll, nil
		}
		return ExplainNone, &failure.Violation{Field: field, Code: failure.CodeType, Detail: "must be " + explainForms + ", not another string"}
	}
	return ExplainNone, &failure.Violation{Field: field, Code: failure.CodeType, Detail: "must be " + explainForms + ", not " + JSONKind(raw.Kind())}
}

// MarshalJSON implements json.Marshaler.
func (e Explain) MarshalJSON() ([]byte, error) {
	switch e {
	case ExplainAll:
		return []byte(`"` + explainAllText + `"`), nil
	case ExplainTop:
		return []byte("true"), nil
	}
	return []byte("false"), nil
}

// UnmarshalJSON implements json.Unmarshaler.
func (e *Explain) UnmarshalJSON(text []byte) error {
	value, v := ExplainFromJSON("explain", jsontext.Value(text))
	if v != nil {
		return errors.New("explain " + v.Detail)
	}
	*e = value
	return nil
}
