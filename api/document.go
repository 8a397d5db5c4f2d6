package api

import (
	"fmt"
	"strconv"
	"strings"

	"gateway/api/edge"
	"gateway/internal/failure"
	"gateway/internal/schema"
)

// The methods below read a document member by member. A value of the wrong kind is noted
// as a violation and skipped, so that one pass finds all violations. An error means that
// the text is not JSON; reading ends there.

// object reads the object that is next. It calls member for each member, which must read
// the value. at is the field of a violation about the object itself.
func (d *document) object(at string, member func(name string) error) error {
	if d.dec.PeekKind() != '{' {
		return d.wrong(at, "an object")
	}
	if _, err := d.dec.ReadToken(); err != nil {
		return d.broken(err)
	}
	for d.dec.PeekKind() != '}' {
		token, err := d.dec.ReadToken()
		if err != nil {
			return d.broken(err)
		}
		if err := member(token.String()); err != nil {
			return err
		}
	}
	if _, err := d.dec.ReadToken(); err != nil {
		return d.broken(err)
	}
	return nil
}

// array reads the array that is next. It calls element for each element, which must read
// it. An array of more than maxItems elements is refused.
func (d *document) array(at string, maxItems int, element func(i int) error) error {
	if d.dec.PeekKind() != '[' {
		return d.wrong(at, "an array")
	}
	if _, err := d.dec.ReadToken(); err != nil {
		return d.broken(err)
	}
	for i := 0; d.dec.PeekKind() != ']'; i++ {
		if i == maxItems {
			return edge.Refuse(edge.TooLarge, "%s may have at most %d elements", at, maxItems)
		}
		if err := element(i); err != nil {
			return err
		}
	}
	if _, err := d.dec.ReadToken(); err != nil {
		return d.broken(err)
	}
	return nil
}

// str reads a string. For another value, and for text that cannot be stored, it returns
// "" and notes a violation.
func (d *document) str(at string) (string, error) {
	if d.dec.PeekKind() != '"' {
		return "", d.wrong(at, "a string")
	}
	token, err := d.dec.ReadToken()
	if err != nil {
		return "", d.broken(err)
	}
	text := token.String()
	if strings.IndexByte(text, 0) >= 0 {
		d.violate(at, failure.CodeFormat, noZero)
		return "", nil
	}
	return text, nil
}

// noZero is a rule for all text that is stored: PostgreSQL refuses text with this
// character.
const noZero = "must not hold the character U+0000"

// name reads a string that is not empty. An empty string, as from an unset variable of a
// script, must not mean the same as a missing member.
func (d *document) name(at string) (string, error) {
	before := d.violations.Count()
	s, err := d.str(at)
	if err == nil && s == "" && d.violations.Count() == before {
		d.violate(at, failure.CodeFormat, "must not be empty")
	}
	return s, err
}

// boolean reads true or false.
func (d *document) boolean(at string) (bool, error) {
	if k := d.dec.PeekKind(); k != 't' && k != 'f' {
		return false, d.wrong(at, "true or false")
	}
	token, err := d.dec.ReadToken()
	if err != nil {
		return false, d.broken(err)
	}
	return token.Bool(), nil
}

// explain reads which reasons are asked for.
func (d *document) explain(at string) (schema.Explain, error) {
	value, err := d.dec.ReadValue()
	if err != nil {
		return schema.ExplainNone, d.broken(err)
	}
	explain, v := schema.ExplainFromJSON(at, value)
	if v != nil {
		d.violations.Add(*v)
	}
	return explain, nil
}

// count reads an integer of at least one.
func (d *document) count(at string) (int, error) {
	if d.dec.PeekKind() != '0' {
		return 0, d.wrong(at, "an integer")
	}
	token, err := d.dec.ReadToken()
	if err != nil {
		return 0, d.broken(err)
	}
	n, err := strconv.Atoi(token.String())
	switch {
	case err != nil:
		d.violate(at, failure.CodeInteger, "must be an integer")
	case n < 1:
		d.violate(at, failure.CodeRange, "must be at least 1")
	}
	return n, nil
}

// unknown skips a member that is not defined here, and notes a violation.
func (d *document) unknown(at string, known ...string) error {
	if d.violations.Full() {
		d.violations.Omitted++
	} else {
		d.violate(at, failure.CodeUnknown, "is not known here; known are "+strings.Join(known, ", "))
	}
	return d.skip()
}

// wrong skips a value of the wrong kind, and notes a violation.
func (d *document) wrong(at, want string) error {
	value, err := d.dec.ReadValue()
	if err != nil {
		return d.broken(err)
	}
	d.violate(at, failure.CodeType, fmt.Sprintf("must be %s, not %s", want, schema.JSONKind(value.Kind())))
	return nil
}

func (d *document) skip() error {
	if err := d.dec.SkipValue(); err != nil {
		return d.broken(err)
	}
	return nil
}

func (d *document) violate(at, code, detail string) {
	d.violations.Add(failure.Violation{Field: at, Code: code, Detail: detail})
}

// take returns the violations found so far and removes them from the document.
func (d *document) take() failure.Violations { return d.violations.Take() }

// pointer joins a JSON Pointer and the name of a member. At the top level it returns the
// name alone, as the contract defines it.
func pointer(prefix, name string) string {
	const maxName = 64 // a name can be as long as the body
	if len(name) > maxName {
		name = strings.ToValidUTF8(name[:maxName], "") + "…"
	}
	if prefix == "" {
		return name
	}
	return failure.Pointer(prefix+"/", name)
}
