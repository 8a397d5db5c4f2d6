package api

import (
	"fmt"
	"strconv"
	"strings"

	"gateway/api/edge"
	"gateway/internal/failure"
	"gateway/internal/schema"
)

// The methods below walk a document member by member. A value of the wrong
// kind is noted as a violation and passed over, so that one pass finds all of
// them; an error means that the text is not JSON and the walk is over.

// object calls member for each member of the object that is next, and member
// must read the member's value. at names the object in a violation.
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

// array calls element for each element of the array that is next, and element
// must read it. More than most elements are refused.
func (d *document) array(at string, most int, element func(i int) error) error {
	if d.dec.PeekKind() != '[' {
		return d.wrong(at, "an array")
	}
	if _, err := d.dec.ReadToken(); err != nil {
		return d.broken(err)
	}
	for i := 0; d.dec.PeekKind() != ']'; i++ {
		if i == most {
			return edge.Refuse(edge.TooLarge, "%s may have at most %d elements", at, most)
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

// str reads a string. Of what is not one, or cannot be stored, it returns "" and
// notes a violation.
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

// noZero is the rule for all text that is stored: Postgres keeps no text with
// this character.
const noZero = "must not hold the character U+0000"

// name reads a string that is not empty: an empty one, as of a variable that
// a script forgot to set, must not mean the same as none.
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

// unknown passes over a member that has no meaning here.
func (d *document) unknown(at string, known ...string) error {
	if d.violations.Full() {
		d.violations.Omitted++
	} else {
		d.violate(at, failure.CodeUnknown, "is not known here; known are "+strings.Join(known, ", "))
	}
	return d.skip()
}

// wrong passes over a value of the wrong kind.
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

// take returns the violations found so far and forgets them.
func (d *document) take() failure.Violations { return d.violations.Take() }

// pointer joins a JSON Pointer and a member's name. The bare name is the
// pointer at the top level, where the contract wants it so.
func pointer(prefix, name string) string {
	const most = 64 // a name can be as long as the body; an error message cannot
	if len(name) > most {
		name = strings.ToValidUTF8(name[:most], "") + "…"
	}
	if prefix == "" {
		return name
	}
	return failure.Pointer(prefix+"/", name)
}
