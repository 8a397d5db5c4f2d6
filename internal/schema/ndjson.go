package schema

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"gateway/internal/failure"
)

// ndjsonTable reads one JSON object per line.
type ndjsonTable struct {
	schema *Schema
	lines  *bufio.Scanner
	maxRow int
	line   int
	rows   int
	plain  bool // Scan reads lines in the same way as read
}

// ByteOrderMark is U+FEFF in UTF-8, which some programs write at the beginning of
// a text.
var ByteOrderMark = []byte("\ufeff")

// ndjsonBuffer is the number of bytes that are read at once.
const ndjsonBuffer = 32 << 10

// NewNDJSONTable reads newline-delimited JSON. A line is the object that POST
// /predict takes, {"customer_id": …, "features": {…}}, where the label may
// stand beside the features; or flat, {"customer_id": …, "age": 34, …, "y":
// 1}. Blank lines are skipped; a text without another line is an error, as an empty
// CSV is. maxRow is the maximum length of a line in bytes. A
// line that is not JSON is a Row with a violation.
func NewNDJSONTable(s *Schema, r io.Reader, maxRow int) Table {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, min(ndjsonBuffer, maxRow)), maxRow)
	t := &ndjsonTable{schema: s, lines: lines, maxRow: maxRow, plain: true}
	for _, name := range []string{"customer_id", "features", "explain"} {
		// A column of that name takes precedence over the member of a request.
		id := s.IsID(name) && name != "customer_id"
		t.plain = t.plain && !id && !s.IsLabel(name) && s.Feature(name) < 0
	}
	return t
}

// Next implements Table.
func (t *ndjsonTable) Next() (Row, error) {
	for t.lines.Scan() {
		t.line++
		text := t.lines.Bytes()
		if t.line == 1 {
			text = bytes.TrimPrefix(text, ByteOrderMark)
		}
		text = bytes.TrimSpace(text)
		if len(text) == 0 {
			continue
		}
		t.rows++
		row := Row{Line: t.line, Features: t.schema.NewRecord()}
		if t.scan(&row, text) {
			return row, nil
		}
		row.Features.Reset()
		if err := t.read(&row, text); err != nil {
			row.Violations = failure.Violations{}
			row.Violations.Add(failure.Violation{Field: "row", Code: failure.CodeFormat, Detail: "is not a JSON object: " + JSONFault(err)})
		}
		return row, nil
	}
	err := t.lines.Err()
	switch {
	case err == nil && t.rows == 0:
		return Row{}, failure.Errorf(failure.Invalid, "the table is empty: it must hold a JSON object on each line")
	case err == nil:
		return Row{}, io.EOF
	case errors.Is(err, bufio.ErrTooLong):
		return Row{}, failure.Errorf(failure.Invalid, "the row at line %d is longer than %d bytes", t.line+1, t.maxRow)
	}
	return Row{}, err
}

// scan reads a line on the fast path, and reports whether it could. If not, the
// row's features are undefined.
func (t *ndjsonTable) scan(row *Row, text []byte) bool {
	in := Input{Features: row.Features}
	if !t.plain || !t.schema.Scan(text, &in) {
		return false
	}
	row.CustomerID, row.Explain = in.CustomerID, in.Explain
	return true
}

func (t *ndjsonTable) read(row *Row, text []byte) error {
	s, dec := t.schema, newDecoder(text)
	if dec.PeekKind() != '{' {
		return errors.New("it does not begin with {")
	}
	if _, err := dec.ReadToken(); err != nil {
		return err
	}
	for dec.PeekKind() != '}' {
		token, err := dec.ReadToken()
		if err != nil {
			return err
		}
		name := token.String()
		if name == "features" && s.Feature(name) < 0 && !s.IsID(name) && !s.IsLabel(name) {
			if err := s.DecodeFeatures(row.Features, dec, "/features/", &row.Violations); err != nil {
				return err
			}
			continue
		}
		raw, err := dec.ReadValue()
		if err != nil {
			return err
		}
		t.setMember(row, name, raw)
	}
	if _, err := dec.ReadToken(); err != nil {
		return err
	}
	if _, err := dec.ReadToken(); !errors.Is(err, io.EOF) {
		return errors.New("there is more text after the object")
	}
	return nil
}

// setMember sets the value of a member, or adds its violation.
func (t *ndjsonTable) setMember(row *Row, name string, raw jsontext.Value) {
	s := t.schema
	var v *failure.Violation
	switch {
	case s.isID(name):
		if raw.Kind() != '"' {
			v = &failure.Violation{Field: name, Code: failure.CodeType, Detail: "must be a string, not " + JSONKind(raw.Kind())}
			break
		}
		before := row.CustomerID
		row.CustomerID = unquote(raw)
		if v = CheckCustomerID(name, row.CustomerID); v == nil && before != "" && before != row.CustomerID {
			v = &failure.Violation{Field: name, Code: failure.CodeDuplicate, Detail: "is the customer id, which is given twice"}
		}
	case s.IsLabel(name):
		if raw.Kind() == 'n' {
			break // null: unlabelled
		}
		var label int
		if label, v = s.Label.FromJSON(name, raw); v != nil {
			break
		}
		if row.Label != nil && *row.Label != label {
			v = &failure.Violation{Field: name, Code: failure.CodeDuplicate, Detail: "is the label, which is given twice"}
		}
		row.Label = &label
	case name == "explain" && s.Feature(name) < 0:
		row.Explain, v = ExplainFromJSON(name, raw)
	default:
		s.setMember(row.Features, name, raw, "", &row.Violations)
	}
	if v != nil {
		row.Violations.Add(*v)
	}
}

// FromJSON reads the label from a JSON value: a number or a string, as the
// schema spells it. field names it in the violation.
func (l *Label) FromJSON(field string, raw jsontext.Value) (int, *failure.Violation) {
	text, isText := string(raw), false
	switch raw.Kind() {
	case '0':
	case '"':
		text, isText = unquote(raw), true
	default:
		return 0, &failure.Violation{Field: field, Code: failure.CodeType, Detail: "must be one of " + l.spellings() + ", not " + JSONKind(raw.Kind())}
	}
	matches := func(s Spelling) bool {
		return s.IsText == isText && (s.Value == text || (!isText && sameNumber(s.Value, text)))
	}
	for _, s := range l.Positive {
		if matches(s) {
			return 1, nil
		}
	}
	for _, s := range l.Negative {
		if matches(s) {
			return 0, nil
		}
	}
	return 0, &failure.Violation{Field: field, Code: failure.CodeCategory, Detail: "must be one of " + l.spellings()}
}

// unquote returns the text of a JSON string that the decoder has accepted.
func unquote(raw jsontext.Value) string {
	text, _ := jsontext.AppendUnquote(nil, raw)
	return string(text)
}

// JSONFault describes a decoder's error without repeating the input, which may
// contain personal values.
func JSONFault(err error) string {
	var syntactic *jsontext.SyntacticError
	switch {
	case errors.Is(err, jsontext.ErrDuplicateName):
		return "a name is given twice in one object"
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return "it ends too early"
	case errors.As(err, &syntactic) && syntactic.Err != nil && strings.Contains(syntactic.Err.Error(), "UTF-8"):
		return "it is not valid UTF-8"
	case errors.As(err, &syntactic):
		return "it is not valid JSON"
	}
	return err.Error()
}
