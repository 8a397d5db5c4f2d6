package artifact

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"math"
	"strings"
)

// document is a value of JSON or UBJSON: map[string]any, []any, []float64, string,
// float64 or nil. An array of numbers or truth values is []float64.
type document struct {
	root any
	err  error
}

func (d *document) fail(format string, args ...any) {
	if d.err == nil {
		d.err = formatf(xgboostFile+" "+format, args...)
	}
}

// find returns the value at a path of names.
func (d *document) find(path ...string) (value any, ok bool) {
	value = d.root
	for _, name := range path {
		members, isObject := value.(map[string]any)
		if !isObject {
			return nil, false
		}
		if value, ok = members[name]; !ok {
			return nil, false
		}
	}
	return value, true
}

func (d *document) text(path ...string) string {
	value, _ := d.find(path...)
	text, ok := value.(string)
	if !ok {
		d.fail("has no text %s", strings.Join(path, "."))
	}
	return text
}

func (d *document) number(path ...string) float64 {
	value, _ := d.find(path...)
	x, ok := parameter(value)
	if !ok {
		d.fail("has no number %s", strings.Join(path, "."))
	}
	return x
}

func (d *document) numbers(path ...string) []float64 {
	value, _ := d.find(path...)
	switch value := value.(type) {
	case []float64:
		return value
	case []any:
		if len(value) == 0 {
			return nil
		}
	}
	d.fail("has no numbers %s", strings.Join(path, "."))
	return nil
}

// maxNesting is the maximum depth of a document. XGBoost's have 8 levels.
const maxNesting = 32

// parseDocument parses JSON or UBJSON.
func parseDocument(text []byte) (any, error) {
	// In UBJSON a name begins with the type of its length, in JSON with a quotation mark.
	if rest := bytes.TrimLeft(text[1:], " \t\r\n"); len(rest) > 0 && rest[0] == '"' {
		d := json.NewDecoder(bytes.NewReader(text))
		value, err := parseJSON(d, 0)
		if err != nil {
			return nil, formatf("%s is not valid JSON: %w", xgboostFile, err)
		}
		return value, nil
	}
	r := &ubjson{reader{text: text, file: xgboostFile}}
	value := r.value(0)
	return value, r.err
}

// parseJSON reads the next value.
func parseJSON(d *json.Decoder, depth int) (any, error) {
	token, err := d.Token()
	if err != nil {
		return nil, err
	}
	if depth > maxNesting {
		return nil, formatf("it is nested too deeply")
	}
	switch token {
	case json.Delim('{'):
		members := make(map[string]any)
		for d.More() {
			name, err := d.Token()
			if err != nil {
				return nil, err
			}
			if members[name.(string)], err = parseJSON(d, depth+1); err != nil {
				return nil, err
			}
		}
		_, err := d.Token()
		return members, err
	case json.Delim('['):
		var list []any
		var numbers []float64
		for d.More() {
			value, err := parseJSON(d, depth+1)
			if err != nil {
				return nil, err
			}
			list, numbers = appendValue(list, numbers, value)
		}
		_, err := d.Token()
		if list == nil {
			return numbers, err
		}
		return list, err
	}
	switch value := token.(type) {
	case bool:
		return truth(value), nil
	default:
		return value, nil
	}
}

func truth(value bool) float64 {
	if value {
		return 1
	}
	return 0
}

// appendValue appends to numbers as long as there are only numbers, else to list.
func appendValue(list []any, numbers []float64, value any) ([]any, []float64) {
	if x, ok := value.(float64); ok && list == nil {
		return nil, append(numbers, x)
	}
	for _, x := range numbers {
		list = append(list, x)
	}
	return append(list, value), nil
}

// ubjson reads UBJSON (draft 12, ubjson.org), whose numbers are in big-endian order.
type ubjson struct{ reader }

// value reads the next value with its type.
func (r *ubjson) value(depth int) any {
	kind := r.byte()
	if r.err != nil {
		return nil
	}
	return r.of(kind, depth)
}

func (r *ubjson) byte() byte {
	if b := r.next(1); b != nil {
		return b[0]
	}
	return 0
}

// peek reports whether the next byte is b, and reads it if so.
func (r *ubjson) peek(b byte) bool {
	if r.at < len(r.text) && r.text[r.at] == b {
		r.at++
		return true
	}
	return false
}

// of reads a value of a type.
func (r *ubjson) of(kind byte, depth int) any {
	if depth > maxNesting {
		r.fail("is nested too deeply")
		return nil
	}
	switch kind {
	case 'Z':
		return nil
	case 'T', 'F':
		return truth(kind == 'T')
	case 'S':
		return string(r.next(r.length()))
	case 'C':
		return string(r.next(1))
	case '[':
		return r.list(depth)
	case '{':
		return r.object(depth)
	}
	x, _ := r.num(kind)
	return x
}

// sizes of numbers, by type.
var sizes = map[byte]int{'i': 1, 'U': 1, 'I': 2, 'l': 4, 'L': 8, 'd': 4, 'D': 8}

// num reads a number. ok is false if the type is none of a number.
func (r *ubjson) num(kind byte) (x float64, ok bool) {
	size, ok := sizes[kind]
	if !ok {
		r.fail("has a value of the unknown type %q", kind)
		return 0, false
	}
	b := r.next(size)
	if b == nil {
		return 0, true
	}
	switch kind {
	case 'i':
		return float64(int8(b[0])), true
	case 'U':
		return float64(b[0]), true
	case 'I':
		return float64(int16(binary.BigEndian.Uint16(b))), true
	case 'l':
		return float64(int32(binary.BigEndian.Uint32(b))), true
	case 'L':
		return float64(int64(binary.BigEndian.Uint64(b))), true
	case 'd':
		return float64(math.Float32frombits(binary.BigEndian.Uint32(b))), true
	}
	return math.Float64frombits(binary.BigEndian.Uint64(b)), true
}

// length reads a length with its type.
func (r *ubjson) length() int {
	x, _ := r.num(r.byte())
	n := index(x)
	if n < 0 {
		r.fail("has the length %v", x)
	}
	return n
}

// sized reads the type and the number of elements, where they are given before them.
func (r *ubjson) sized() (kind byte, count int) {
	count = -1
	if r.peek('$') {
		kind = r.byte()
	}
	if r.peek('#') {
		count = r.length()
		if least := max(1, sizes[kind]); r.err == nil && count > (len(r.text)-r.at)/least {
			r.fail("ends too early")
		}
	} else if kind != 0 {
		r.fail("has an array with a type and without a length")
	}
	return kind, count
}

func (r *ubjson) list(depth int) any {
	kind, count := r.sized()
	if _, ok := sizes[kind]; ok && r.err == nil {
		numbers := make([]float64, count)
		for i := range numbers {
			numbers[i], _ = r.num(kind)
		}
		return numbers
	}
	var list []any
	var numbers []float64
	for n := 0; r.err == nil && n != count; n++ {
		if count < 0 && r.peek(']') {
			break
		}
		var value any
		if kind != 0 {
			value = r.of(kind, depth+1)
		} else {
			value = r.value(depth + 1)
		}
		list, numbers = appendValue(list, numbers, value)
	}
	if list == nil {
		return numbers
	}
	return list
}

func (r *ubjson) object(depth int) any {
	kind, count := r.sized()
	members := make(map[string]any)
	for n := 0; r.err == nil && n != count; n++ {
		if count < 0 && r.peek('}') {
			break
		}
		name := string(r.next(r.length()))
		if kind != 0 {
			members[name] = r.of(kind, depth+1)
		} else {
			members[name] = r.value(depth + 1)
		}
	}
	return members
}
