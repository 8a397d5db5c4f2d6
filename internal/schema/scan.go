package schema

// # The fast path of a request
//
// Nearly every request is the same text with other values: an object of known
// names, numbers of a few digits, listed categories. Scan reads it in one pass over
// the bytes into a record, without allocating. It never reports an error. At
// anything else (an escape, a letter beyond ASCII, an unknown or repeated name, a
// value out of range) it gives up, and the strict decoder reads the text from its
// beginning and describes errors. Scan may accept less than the decoder, but what it
// accepts the decoder must accept with the same result; FuzzScan checks that.

// Input is what a caller sends for one prediction.
type Input struct {
	CustomerID string // empty: none
	Features   Record
	Explain    Explain
}

// Scan reads the text of one input, {"customer_id": …, "features": {…},
// "explain": …}, where features may also stand beside the other members. It
// reports whether it could; if not, in has undefined values. in.Features must
// be an empty record of the schema.
func (s *Schema) Scan(text []byte, in *Input) bool {
	p := scanner{text: text}
	return s.scanInput(&p, in) && p.end()
}

// ScanInstances reads the text of many inputs, {"instances": [input, …]}, as
// Scan reads one. It reports whether it could read all of them and there are at
// most maxInputs.
func (s *Schema) ScanInstances(text []byte, maxInputs int) (inputs []Input, ok bool) {
	p := scanner{text: text}
	if !p.take('{') {
		return nil, false
	}
	if name, ok := p.name(); !ok || string(name) != "instances" || !p.take('[') {
		return nil, false
	}
	for len(inputs) < maxInputs {
		in := Input{Features: s.NewRecord()}
		if !s.scanInput(&p, &in) {
			return nil, false
		}
		inputs = append(inputs, in)
		switch p.byte() {
		case ',':
		case ']':
			return inputs, p.take('}') && p.end()
		default:
			return nil, false
		}
	}
	return nil, false
}

func (s *Schema) scanInput(p *scanner, in *Input) bool {
	var customer, features, explain bool // present
	next := 0                            // the feature that probably comes next
	if !p.take('{') {
		return false
	}
	for {
		name, ok := p.name()
		if !ok {
			return false
		}
		switch string(name) {
		case "customer_id":
			id, ok := p.plain()
			if !ok || customer {
				return false
			}
			customer, in.CustomerID = true, string(id)
			if CheckCustomerID("customer_id", in.CustomerID) != nil {
				return false
			}
		case "explain":
			if explain {
				return false
			}
			explain = true
			if in.Explain, ok = p.explain(); !ok {
				return false
			}
		case "features":
			if features || !s.scanFeatures(p, in.Features) {
				return false
			}
			features = true
		default:
			if next, ok = s.scanFeature(p, in.Features, name, next); !ok {
				return false
			}
		}
		switch p.byte() {
		case ',':
		case '}':
			return true
		default:
			return false
		}
	}
}

// scanFeatures reads an object of features.
func (s *Schema) scanFeatures(p *scanner, r Record) bool {
	if !p.take('{') {
		return false
	}
	for next := 0; ; {
		name, ok := p.name()
		if !ok {
			return false
		}
		if next, ok = s.scanFeature(p, r, name, next); !ok {
			return false
		}
		switch p.byte() {
		case ',':
		case '}':
			return true
		default:
			return false
		}
	}
}

// scanFeature reads the value of one feature and returns the index of the next
// one: callers usually send features in the order of the schema.
func (s *Schema) scanFeature(p *scanner, r Record, name []byte, likely int) (next int, ok bool) {
	i := likely
	if i >= len(s.Features) || s.Features[i].Name != string(name) {
		if i, ok = s.lookup[string(name)]; !ok {
			return 0, false
		}
	}
	if r.origin[i] != absent {
		return 0, false
	}
	f := &s.Features[i]
	if f.Type == Category {
		text, ok := p.plain()
		if !ok {
			return 0, false
		}
		code, ok := f.index[string(text)]
		if !ok {
			return 0, false
		}
		r.values[i], r.origin[i] = float64(code), given
		return i + 1, true
	}
	x, whole, ok := p.number()
	if !ok || f.Type == Date || (f.Type == Integer && !whole) || (f.Min != nil && x < *f.Min) || (f.Max != nil && x > *f.Max) {
		return 0, false
	}
	r.values[i], r.origin[i] = x, given
	return i + 1, true
}

// scanner reads JSON text from left to right. Its methods skip white space before
// what they read, and report false for text that they leave to the decoder.
type scanner struct {
	text []byte
	at   int
}

// byte returns the next byte that is not white space, or 0 at the end.
func (p *scanner) byte() byte {
	for p.at < len(p.text) {
		b := p.text[p.at]
		p.at++
		switch b {
		case ' ', '\n', '\t', '\r':
		default:
			return b
		}
	}
	return 0
}

func (p *scanner) take(b byte) bool { return p.byte() == b }

// end reports whether only white space is left.
func (p *scanner) end() bool {
	for _, b := range p.text[p.at:] {
		if b != ' ' && b != '\n' && b != '\t' && b != '\r' {
			return false
		}
	}
	return true
}

// name reads the name of a member and the colon after it.
func (p *scanner) name() (name []byte, ok bool) {
	if name, ok = p.plain(); !ok {
		return nil, false
	}
	return name, p.take(':')
}

// plain reads a string of printable ASCII without escapes.
func (p *scanner) plain() (text []byte, ok bool) {
	if !p.take('"') {
		return nil, false
	}
	for i, b := range p.text[p.at:] {
		if b == '"' {
			text = p.text[p.at : p.at+i]
			p.at += i + 1
			return text, true
		}
		if b < ' ' || b > '~' || b == '\\' {
			return nil, false
		}
	}
	return nil, false
}

func (p *scanner) explain() (value Explain, ok bool) {
	word := "false"
	switch p.byte() {
	case 't':
		value, word = ExplainTop, "true"
	case '"':
		value, word = ExplainAll, `"`+explainAllText+`"`
	case 'f':
	default:
		return ExplainNone, false
	}
	rest := p.text[p.at:]
	if len(rest) < len(word)-1 || string(rest[:len(word)-1]) != word[1:] {
		return ExplainNone, false
	}
	p.at += len(word) - 1
	return value, true
}

// scanDigits is the maximum number of digits that number reads. A float64 holds
// every integer of 15 digits and every power of ten up to 10^22 exactly, so their
// quotient is rounded once and correctly (W. D. Clinger, "How to Read Floating
// Point Numbers Accurately", 1990).
const scanDigits = 15

var powersOfTen = [scanDigits + 1]float64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15}

// number reads a number without an exponent. whole reports that it is written as
// an integer.
func (p *scanner) number() (x float64, whole, ok bool) {
	b := p.byte()
	negative := b == '-'
	if negative {
		b = p.digit()
	}
	if b < '0' || b > '9' {
		return 0, false, false
	}
	mantissa, digits, fraction := int64(b-'0'), 1, 0
	next := p.peek()
	if b == '0' && next >= '0' && next <= '9' {
		return 0, false, false
	}
	for ; next >= '0' && next <= '9' && digits < scanDigits; next = p.peek() {
		mantissa, digits = mantissa*10+int64(next-'0'), digits+1
		p.at++
	}
	if next == '.' {
		p.at++
		for next = p.peek(); next >= '0' && next <= '9' && digits < scanDigits; next = p.peek() {
			mantissa, digits, fraction = mantissa*10+int64(next-'0'), digits+1, fraction+1
			p.at++
		}
		if fraction == 0 {
			return 0, false, false
		}
	}
	if next >= '0' && next <= '9' || next == '.' || next == 'e' || next == 'E' {
		return 0, false, false
	}
	if negative {
		mantissa = -mantissa // minus zero becomes zero
	}
	return float64(mantissa) / powersOfTen[fraction], fraction == 0, true
}

// digit returns the next byte without skipping white space.
func (p *scanner) digit() byte {
	b := p.peek()
	p.at++
	return b
}

// peek returns the next byte without reading it; 0 at the end.
func (p *scanner) peek() byte {
	if p.at < len(p.text) {
		return p.text[p.at]
	}
	return 0
}
