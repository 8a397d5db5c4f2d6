package sandbox

import (
	"math/big"
	"regexp"
	"slices"
	"strings"
)

// expression parses an expression of DynamoDB by recursive descent and evaluates it on one
// item. An unsupported part of the language is an error that says so.
type expression struct {
	what   string // ConditionExpression, …
	names  map[string]string
	values map[string]attribute
	used   map[string]bool
	tokens []string
	on     item
}

var tokenShape = regexp.MustCompile(`\s*([A-Za-z_][A-Za-z0-9_]*|[#:][A-Za-z0-9_]+|\[\d+\]|<>|<=|>=|[=<>(),.+-])`)

// expressions are the expressions of one request. They share names and values, and must use
// all of them.
type expressions struct {
	ExpressionAttributeNames  map[string]string    `json:",omitzero"`
	ExpressionAttributeValues map[string]attribute `json:",omitzero"`
	used                      map[string]bool
}

func (e *expressions) parse(what, text string, on item) (*expression, error) {
	if e.used == nil {
		e.used = make(map[string]bool)
	}
	x := &expression{what: what, names: e.ExpressionAttributeNames, values: e.ExpressionAttributeValues, used: e.used, on: on}
	for rest := strings.TrimSpace(text); rest != ""; {
		m := tokenShape.FindStringSubmatch(rest)
		if m == nil || !strings.HasPrefix(rest, m[0]) {
			return nil, x.errorf("Syntax error; token: \"%s\", near: \"%s\"", rest[:1], rest)
		}
		x.tokens = append(x.tokens, m[1])
		rest = strings.TrimLeft(rest[len(m[0]):], " \t\n")
	}
	if len(x.tokens) == 0 {
		return nil, x.errorf("The expression can not be empty;")
	}
	return x, nil
}

// unused returns an error if there are names or values that no expression has used.
func (e *expressions) unused() error {
	for _, name := range sortedKeys(e.ExpressionAttributeNames) {
		if !e.used[name] {
			return validationf("Value provided in ExpressionAttributeNames unused in expressions: keys: {%s}", name)
		}
	}
	for _, name := range sortedKeys(e.ExpressionAttributeValues) {
		if !e.used[name] {
			return validationf("Value provided in ExpressionAttributeValues unused in expressions: keys: {%s}", name)
		}
	}
	return nil
}

func (x *expression) errorf(format string, args ...any) error {
	return validationf("Invalid "+x.what+": "+format, args...)
}

func (x *expression) peek() string {
	if len(x.tokens) == 0 {
		return ""
	}
	return x.tokens[0]
}

func (x *expression) next() string {
	t := x.peek()
	x.tokens = x.tokens[min(1, len(x.tokens)):]
	return t
}

// word consumes the next token if it is the keyword.
func (x *expression) word(keyword string) bool {
	if !strings.EqualFold(x.peek(), keyword) {
		return false
	}
	x.next()
	return true
}

func (x *expression) expect(token string) error {
	if got := x.next(); got != token {
		return x.errorf("Syntax error; token: \"%s\", expected: \"%s\"", got, token)
	}
	return nil
}

// docPath is a document path: names, and indexes as [0].
type docPath []string

func (x *expression) path() (docPath, error) {
	var p docPath
	for {
		t := x.next()
		switch {
		case strings.HasPrefix(t, "#"):
			name, ok := x.names[t]
			if !ok {
				return nil, x.errorf("An expression attribute name used in the document path is not defined; attribute name: %s", t)
			}
			x.used[t] = true
			p = append(p, name)
		case t == "" || !regexp.MustCompile(`^[A-Za-z_]`).MatchString(t):
			return nil, x.errorf("Syntax error; token: \"%s\"", t)
		case reserved[strings.ToUpper(t)]:
			return nil, x.errorf("Attribute name is a reserved keyword; reserved keyword: %s", t)
		default:
			p = append(p, t)
		}
		for strings.HasPrefix(x.peek(), "[") {
			p = append(p, x.next())
		}
		if x.peek() != "." {
			return p, nil
		}
		x.next()
	}
}

// get returns the attribute at a path.
func (it item) get(p docPath) (attribute, bool) {
	a, ok := it[p[0]]
	for _, step := range p[1:] {
		if !ok {
			return a, false
		}
		a, ok = a.member(step)
	}
	return a, ok
}

func (x *expression) value(t string) (attribute, error) {
	a, ok := x.values[t]
	if !ok {
		return a, x.errorf("An expression attribute value used in expression is not defined; attribute value: %s", t)
	}
	x.used[t] = true
	return a, nil
}

// operand evaluates a value, a path or size(path). there is false if the item does not have
// the attribute.
func (x *expression) operand() (a attribute, there bool, err error) {
	t := x.peek()
	switch {
	case strings.HasPrefix(t, ":"):
		a, err = x.value(x.next())
		return a, true, err
	case t == "size" && len(x.tokens) > 1 && x.tokens[1] == "(":
		x.next()
		x.next()
		p, err := x.path()
		if err != nil {
			return a, false, err
		}
		if err := x.expect(")"); err != nil {
			return a, false, err
		}
		a, there = x.on.get(p)
		a, err = number(big.NewRat(int64(len(a.text())), 1))
		return a, there, err
	}
	p, err := x.path()
	if err != nil {
		return a, false, err
	}
	a, there = x.on.get(p)
	return a, there, nil
}

// condition evaluates the whole expression.
func (x *expression) condition() (bool, error) {
	ok, err := x.or()
	if err == nil && x.peek() != "" {
		err = x.errorf("Syntax error; token: \"%s\"", x.peek())
	}
	return ok, err
}

func (x *expression) or() (bool, error) {
	result, err := x.and()
	for err == nil && x.word("OR") {
		var right bool
		right, err = x.and()
		result = result || right
	}
	return result, err
}

func (x *expression) and() (bool, error) {
	result, err := x.not()
	for err == nil && x.word("AND") {
		var right bool
		right, err = x.not()
		result = result && right
	}
	return result, err
}

func (x *expression) not() (bool, error) {
	if x.word("NOT") {
		ok, err := x.not()
		return !ok, err
	}
	if x.peek() == "(" {
		x.next()
		ok, err := x.or()
		if err != nil {
			return false, err
		}
		return ok, x.expect(")")
	}
	if len(x.tokens) > 1 && x.tokens[1] == "(" && x.peek() != "size" {
		return x.function()
	}
	return x.comparison()
}

func (x *expression) function() (bool, error) {
	name := x.next()
	x.next()
	p, err := x.path()
	if err != nil {
		return false, err
	}
	a, there := x.on.get(p)
	var with attribute
	if slices.Contains([]string{"begins_with", "contains", "attribute_type"}, name) {
		if err := x.expect(","); err != nil {
			return false, err
		}
		if with, _, err = x.operand(); err != nil {
			return false, err
		}
	}
	if err := x.expect(")"); err != nil {
		return false, err
	}
	switch name {
	case "attribute_exists":
		return there, nil
	case "attribute_not_exists":
		return !there, nil
	case "attribute_type":
		return there && a.kind == with.text(), nil
	case "begins_with":
		return there && a.kind == with.kind && strings.HasPrefix(a.text(), with.text()), nil
	case "contains":
		if a.kind == "S" {
			return strings.Contains(a.text(), with.text()), nil
		}
		return there && strings.Contains(string(a.raw), string(with.raw)), nil
	}
	return false, x.errorf("Invalid function name; function: %s", name)
}

func (x *expression) comparison() (bool, error) {
	left, there, err := x.operand()
	if err != nil {
		return false, err
	}
	if x.word("BETWEEN") {
		low, _, err := x.operand()
		if err != nil {
			return false, err
		}
		if !x.word("AND") {
			return false, x.errorf("Syntax error; BETWEEN without AND")
		}
		high, _, err := x.operand()
		return err == nil && there && left.kind == low.kind && left.kind == high.kind && left.compare(low) >= 0 && left.compare(high) <= 0, err
	}
	if x.word("IN") {
		if err := x.expect("("); err != nil {
			return false, err
		}
		found := false
		for {
			one, _, err := x.operand()
			if err != nil {
				return false, err
			}
			found = found || there && left.equal(one)
			if x.peek() != "," {
				return found, x.expect(")")
			}
			x.next()
		}
	}
	operator := x.next()
	right, also, err := x.operand()
	if err != nil {
		return false, err
	}
	both := there && also
	switch operator {
	case "=":
		return both && left.equal(right), nil
	case "<>":
		return !both || !left.equal(right), nil
	}
	ordered := both && left.kind == right.kind && left.comparable()
	switch operator {
	case "<":
		return ordered && left.compare(right) < 0, nil
	case "<=":
		return ordered && left.compare(right) <= 0, nil
	case ">":
		return ordered && left.compare(right) > 0, nil
	case ">=":
		return ordered && left.compare(right) >= 0, nil
	}
	return false, x.errorf("Syntax error; token: \"%s\"", operator)
}

// paths parses a ProjectionExpression.
func (x *expression) paths() (out []docPath, err error) {
	for {
		p, err := x.path()
		if err != nil {
			return nil, err
		}
		out = append(out, p)
		if x.peek() != "," {
			if x.peek() != "" {
				return nil, x.errorf("Syntax error; token: \"%s\"", x.peek())
			}
			return out, nil
		}
		x.next()
	}
}
