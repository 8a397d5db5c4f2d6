package export

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// parser reads items from lines. It keeps its buffers between lines.
type parser struct {
	dec     *jsontext.Decoder
	src     bytes.Buffer
	text    string // the line; names and values are slices of it
	attrs   []Attribute
	rewrite []byte // a line of the oldest form, as JSON
}

func newParser() *parser {
	return &parser{dec: jsontext.NewDecoder(new(bytes.Buffer))}
}

// parse reads one line in any of the three spellings. Its errors repeat names of
// attributes but no values. The slice is valid until the next call.
func (p *parser) parse(line []byte) ([]Attribute, error) {
	line = bytes.TrimSpace(line)
	if len(line) > 0 && line[0] != '{' {
		var err error
		if line, err = p.fromControlForm(line); err != nil {
			return nil, err
		}
	}
	p.src.Reset()
	p.src.Write(line)
	p.dec.Reset(&p.src) // refuses duplicate names and invalid UTF-8
	p.text = string(line)
	p.attrs = p.attrs[:0]
	if err := p.line(); err != nil {
		return nil, p.explain(err)
	}
	return p.attrs, nil
}

// line reads the whole line: the members of an item, or a single member "Item"
// that holds them.
func (p *parser) line() error {
	if _, err := p.dec.ReadToken(); err != nil {
		return err
	}
	for p.dec.PeekKind() == '"' {
		name, err := p.string()
		if err != nil {
			return err
		}
		if name == "Item" && len(p.attrs) == 0 {
			wrapped, err := p.item()
			if err != nil {
				return err
			}
			if wrapped {
				break
			}
			continue
		}
		if err := p.attribute(name); err != nil {
			return err
		}
	}
	if p.dec.PeekKind() == '"' {
		return errors.New("another member stands beside \"Item\"")
	}
	if _, err := p.dec.ReadToken(); err != nil {
		return err
	}
	switch _, err := p.dec.ReadToken(); {
	case err == nil:
		return errors.New("the line has more text after the item")
	case !errors.Is(err, io.EOF):
		return err
	}
	return nil
}

// item reads the value of the member "Item". That is the wrapper of DynamoDB's
// export if its first member is an object again, as an attribute's value is;
// otherwise an attribute called Item.
func (p *parser) item() (wrapped bool, err error) {
	if err := p.open("Item"); err != nil {
		return false, err
	}
	for first := true; p.dec.PeekKind() == '"'; first = false {
		name, err := p.string()
		if err != nil {
			return false, err
		}
		if first && p.dec.PeekKind() != '{' {
			return false, p.value("Item", name)
		}
		if err := p.attribute(name); err != nil {
			return false, err
		}
	}
	_, err = p.dec.ReadToken()
	return true, err
}

// attribute reads {"<type>": <value>} after the attribute's name.
func (p *parser) attribute(name string) error {
	if err := p.open(name); err != nil {
		return err
	}
	if p.dec.PeekKind() == '}' {
		return fmt.Errorf("attribute %q has no type", shorten(name))
	}
	descriptor, err := p.string()
	if err != nil {
		return err
	}
	return p.value(name, descriptor)
}

// value reads the value after its type descriptor, and the brace that ends the
// attribute.
func (p *parser) value(name, descriptor string) error {
	kind, ok := kindOf(descriptor)
	if !ok {
		return fmt.Errorf("attribute %q has a type that DynamoDB does not have", shorten(name))
	}
	a := Attribute{Name: name, Kind: kind}
	switch found := p.dec.PeekKind(); {
	case kind == Null || kind.Nested():
		if err := p.dec.SkipValue(); err != nil {
			return err
		}
	case found == '"':
		text, err := p.string()
		if err != nil {
			return err
		}
		if kind == Bool && text != "true" && text != "false" {
			return fmt.Errorf("attribute %q is neither true nor false", shorten(name))
		}
		a.Text = text
	case found == '0' && kind == Number, (found == 't' || found == 'f') && kind == Bool:
		raw, err := p.dec.ReadValue()
		if err != nil {
			return err
		}
		a.Text = string(raw)
	case found == jsontext.KindInvalid:
		_, err := p.dec.ReadToken() // describes the fault
		return err
	default:
		return fmt.Errorf("the value of attribute %q does not fit its type", shorten(name))
	}
	if p.dec.PeekKind() == '"' {
		return fmt.Errorf("attribute %q has more than one type", shorten(name))
	}
	p.attrs = append(p.attrs, a)
	_, err := p.dec.ReadToken()
	return err
}

// open reads the brace that begins the value of name.
func (p *parser) open(name string) error {
	if found := p.dec.PeekKind(); found != '{' && found != jsontext.KindInvalid {
		return fmt.Errorf("attribute %q is not of the form {type: value}", shorten(name))
	}
	_, err := p.dec.ReadToken()
	return err
}

// string reads a JSON string, be it a name or a value, without copying it
// where it has no escapes.
func (p *parser) string() (string, error) {
	raw, err := p.dec.ReadValue()
	if err != nil {
		return "", err
	}
	if bytes.IndexByte(raw, '\\') >= 0 {
		text, err := jsontext.AppendUnquote(nil, raw)
		return string(text), err
	}
	end := int(p.dec.InputOffset())
	return p.text[end-len(raw)+1 : end-1], nil
}

// explain describes the fault of a line. It leaves out jsontext's own words,
// which may repeat a part of a value.
func (p *parser) explain(err error) error {
	for _, mark := range []string{`{"Metadata":`, `{"Keys":`} {
		if strings.HasPrefix(p.text, mark) {
			return errors.New("the line belongs to an incremental export; only full exports are read")
		}
	}
	var syntax *jsontext.SyntacticError
	switch {
	case errors.Is(err, jsontext.ErrDuplicateName):
		return errors.New("a name is given twice")
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return errors.New("the line ends before the item does")
	case errors.As(err, &syntax):
		return fmt.Errorf("the line is not JSON at byte %d", syntax.ByteOffset+1)
	}
	return err
}

// shorten limits the length of a name in an error or a report.
func shorten(name string) string {
	const most = 64
	if len(name) <= most {
		return name
	}
	return strings.ToValidUTF8(name[:most], "") + "…"
}
