package aws

import "strconv"

// scan parses an answer in the layout of linear-learner and XGBoost,
//
//	{"predictions": [{"score": 0.25, "predicted_label": 1.0}, …]}
//
// with the two members in any order, predicted_label optional, or bare numbers in place
// of the objects. It returns false, and leaves a empty, if the text has another layout
// or is malformed; the JSON library decides then.
func (a *answer) scan(text []byte) bool {
	s := scanner{rest: text}
	if !s.is('{') || !s.literal(`"predictions"`) || !s.is(':') || !s.is('[') {
		return false
	}
	for {
		var score, label float64
		var labelled, ok bool
		if s.is('{') {
			score, label, labelled, ok = s.prediction()
		} else {
			score, ok = s.number()
		}
		if !ok || labelled && label != 0 && label != 1 {
			a.scores, a.labels = a.scores[:0], a.labels[:0]
			return false
		}
		a.scores = append(a.scores, score)
		if labelled {
			a.labels = append(a.labels, int(label))
		} else {
			a.labels = append(a.labels, noLabel)
		}
		if s.is(',') {
			continue
		}
		if s.is(']') && s.is('}') && s.atEnd() {
			return true
		}
		a.scores, a.labels = a.scores[:0], a.labels[:0]
		return false
	}
}

// scanner consumes the tokens of a JSON text.
type scanner struct{ rest []byte }

func (s *scanner) blanks() {
	i := 0
	for i < len(s.rest) && (s.rest[i] == ' ' || s.rest[i] == '\n' || s.rest[i] == '\t' || s.rest[i] == '\r') {
		i++
	}
	s.rest = s.rest[i:]
}

// is consumes b if it is the next token.
func (s *scanner) is(b byte) bool {
	s.blanks()
	if len(s.rest) == 0 || s.rest[0] != b {
		return false
	}
	s.rest = s.rest[1:]
	return true
}

func (s *scanner) literal(text string) bool {
	s.blanks()
	if len(s.rest) < len(text) || string(s.rest[:len(text)]) != text {
		return false
	}
	s.rest = s.rest[len(text):]
	return true
}

func (s *scanner) atEnd() bool {
	s.blanks()
	return len(s.rest) == 0
}

// prediction consumes the members of a prediction and its closing brace.
func (s *scanner) prediction() (score, label float64, labelled, ok bool) {
	scored := false
	for {
		var to *float64
		switch {
		case !scored && s.literal(`"score"`):
			to, scored = &score, true
		case !labelled && s.literal(`"predicted_label"`):
			to, labelled = &label, true
		default:
			return 0, 0, false, false
		}
		if !s.is(':') {
			return 0, 0, false, false
		}
		if *to, ok = s.number(); !ok {
			return 0, 0, false, false
		}
		if !s.is(',') {
			return score, label, labelled, scored && s.is('}')
		}
	}
}

// number consumes a number in the syntax of JSON: no plus sign, no leading zero, digits
// on both sides of a point.
func (s *scanner) number() (float64, bool) {
	s.blanks()
	t, i := s.rest, 0
	digits := func() bool {
		from := i
		for i < len(t) && '0' <= t[i] && t[i] <= '9' {
			i++
		}
		return i > from
	}
	if i < len(t) && t[i] == '-' {
		i++
	}
	if i < len(t) && t[i] == '0' {
		i++
	} else if !digits() {
		return 0, false
	}
	if i < len(t) && t[i] == '.' {
		if i++; !digits() {
			return 0, false
		}
	}
	if i < len(t) && (t[i] == 'e' || t[i] == 'E') {
		if i++; i < len(t) && (t[i] == '+' || t[i] == '-') {
			i++
		}
		if !digits() {
			return 0, false
		}
	}
	x, err := strconv.ParseFloat(string(t[:i]), 64)
	s.rest = t[i:]
	return x, err == nil
}
