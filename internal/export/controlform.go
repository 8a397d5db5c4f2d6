package export

import (
	"bytes"
	"errors"

	"github.com/go-json-experiment/json/jsontext"
)

// The oldest backups were made by Hive, as text of a map<string,string> with
// Hive's own default separators: the name of an attribute, 0x03, its value as
// {"type":value}, 0x02, the next attribute. JSON escapes control characters,
// so neither byte can occur within a value.
const (
	betweenAttributes = '\x02'
	afterName         = '\x03'
)

// fromControlForm rewrites such a line as a JSON object, so that one parser
// reads them all. The result is valid until the next call.
func (p *parser) fromControlForm(line []byte) ([]byte, error) {
	if bytes.IndexByte(line, afterName) < 0 {
		return nil, errors.New("the line is neither a JSON object nor the ^B/^C form of old backups")
	}
	out := append(p.rewrite[:0], '{')
	for i, more := 0, true; more; i++ {
		var attribute []byte
		attribute, line, more = bytes.Cut(line, []byte{betweenAttributes})
		name, value, found := bytes.Cut(attribute, []byte{afterName})
		if !found {
			return nil, errors.New("an attribute of the ^B/^C form has no value")
		}
		if i > 0 {
			out = append(out, ',')
		}
		var err error
		if out, err = jsontext.AppendQuote(out, name); err != nil {
			return nil, errors.New("a name is not valid UTF-8")
		}
		out = append(append(out, ':'), value...)
	}
	p.rewrite = append(out, '}')
	return p.rewrite, nil
}
