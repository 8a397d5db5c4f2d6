package sandbox

import (
	"maps"
	"math/big"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
)

// member returns the attribute at one step of a document path.
func (a attribute) member(step string) (out attribute, ok bool) {
	if index, isIndex := strings.CutPrefix(step, "["); isIndex {
		var l []attribute
		n, err := strconv.Atoi(strings.TrimSuffix(index, "]"))
		if a.kind != "L" || err != nil || json.Unmarshal(a.raw, &l) != nil || n >= len(l) {
			return out, false
		}
		return l[n], true
	}
	var m item
	if a.kind != "M" || json.Unmarshal(a.raw, &m) != nil {
		return out, false
	}
	out, ok = m[step]
	return out, ok
}

// update evaluates an UpdateExpression. It returns the item after the update and the names of
// the changed attributes.
func (x *expression) update() (item, []string, error) {
	after := maps.Clone(x.on)
	if after == nil {
		after = item{}
	}
	var changed []string
	seen := make(map[string]bool)
	for x.peek() != "" {
		clause := strings.ToUpper(x.next())
		for {
			p, err := x.path()
			if err != nil {
				return nil, nil, err
			}
			if len(p) > 1 {
				if _, ok := x.on.get(p[:len(p)-1]); !ok {
					return nil, nil, validationf("The document path provided in the expression is invalid for update")
				}
				return nil, nil, validationf("The stand-in updates attributes of the item itself, not %q", strings.Join(p, "."))
			}
			if seen[p[0]] {
				return nil, nil, x.errorf("Two document paths overlap with each other; must remove or rewrite one of these paths; path one: [%s], path two: [%s]", p[0], p[0])
			}
			seen[p[0]] = true
			changed = append(changed, p[0])
			switch clause {
			case "SET":
				if err := x.expect("="); err != nil {
					return nil, nil, err
				}
				if after[p[0]], err = x.sum(); err != nil {
					return nil, nil, err
				}
			case "REMOVE":
				delete(after, p[0])
			case "ADD":
				by, err := x.value(x.next())
				if err != nil {
					return nil, nil, err
				}
				old, ok := x.on[p[0]]
				if by.kind != "N" || ok && old.kind != "N" {
					return nil, nil, validationf("An operand in the update expression has an incorrect data type")
				}
				if after[p[0]], err = plus(old, by, 1); err != nil {
					return nil, nil, err
				}
			default:
				return nil, nil, x.errorf("Syntax error; token: \"%s\"", clause)
			}
			if x.peek() != "," {
				break
			}
			x.next()
		}
	}
	return after, changed, nil
}

// sum evaluates the right side of a SET.
func (x *expression) sum() (attribute, error) {
	left, err := x.addend()
	for err == nil && (x.peek() == "+" || x.peek() == "-") {
		sign := int64(1)
		if x.next() == "-" {
			sign = -1
		}
		var right attribute
		if right, err = x.addend(); err == nil {
			if left.kind != "N" || right.kind != "N" {
				return left, validationf("An operand in the update expression has an incorrect data type")
			}
			left, err = plus(left, right, sign)
		}
	}
	return left, err
}

func (x *expression) addend() (attribute, error) {
	if x.peek() == "if_not_exists" && len(x.tokens) > 1 && x.tokens[1] == "(" {
		x.next()
		x.next()
		p, err := x.path()
		if err != nil {
			return attribute{}, err
		}
		if err := x.expect(","); err != nil {
			return attribute{}, err
		}
		other, err := x.addend()
		if err != nil {
			return attribute{}, err
		}
		if a, ok := x.on.get(p); ok {
			other = a
		}
		return other, x.expect(")")
	}
	a, there, err := x.operand()
	if err == nil && !there {
		err = validationf("The provided expression refers to an attribute that does not exist in the item")
	}
	return a, err
}

func plus(a, b attribute, sign int64) (attribute, error) {
	x, ok := new(big.Rat).SetString(a.text())
	if !ok {
		x = new(big.Rat)
	}
	y, _ := new(big.Rat).SetString(b.text())
	return number(x.Add(x, y.Mul(y, big.NewRat(sign, 1))))
}
