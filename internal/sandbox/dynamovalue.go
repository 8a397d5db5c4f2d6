package sandbox

import (
	"bytes"
	"encoding/base64"
	"math/big"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// attribute is a value with its type, which in JSON is {"N":"1"}.
type attribute struct {
	kind string
	raw  jsontext.Value // of the value alone
}

// item is an item of a table.
type item map[string]attribute

// UnmarshalJSON implements json.Unmarshaler.
func (a *attribute) UnmarshalJSON(text []byte) error {
	var m map[string]jsontext.Value
	if err := json.Unmarshal(text, &m); err != nil {
		return err
	}
	if len(m) != 1 {
		return validationf("Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported datatypes")
	}
	for kind, raw := range m {
		a.kind, a.raw = kind, bytes.Clone(raw)
	}
	switch a.kind {
	case "N":
		n, err := normalNumber(a.text())
		if err != nil {
			return err
		}
		a.raw = jsontext.Value(strconv.Quote(n))
	case "S", "B":
		if a.raw.Kind() != '"' {
			return validationf("Unexpected value type in payload: a %s is a string", a.kind)
		}
	case "BOOL", "NULL":
		if k := a.raw.Kind(); k != 't' && k != 'f' {
			return validationf("Unexpected value type in payload: a %s is true or false", a.kind)
		}
	case "L":
		return json.Unmarshal(a.raw, new([]attribute))
	case "M":
		return json.Unmarshal(a.raw, new(item))
	case "SS", "NS", "BS":
		return json.Unmarshal(a.raw, new([]string))
	default:
		return validationf("Supplied AttributeValue is empty, must contain exactly one of the supported datatypes")
	}
	return nil
}

// MarshalJSON implements json.Marshaler.
func (a attribute) MarshalJSON() ([]byte, error) {
	return []byte(`{"` + a.kind + `":` + string(a.raw) + `}`), nil
}

// text returns the value of an S, N or B.
func (a attribute) text() string {
	var s string
	_ = json.Unmarshal(a.raw, &s) // a value that is no string has no text
	return s
}

func (a attribute) equal(b attribute) bool {
	return a.kind == b.kind && (bytes.Equal(a.raw, b.raw) || a.comparable() && a.compare(b) == 0)
}

func (a attribute) comparable() bool { return a.kind == "S" || a.kind == "N" || a.kind == "B" }

// compare compares two values of the same comparable type.
func (a attribute) compare(b attribute) int {
	if a.kind == "N" {
		x, _ := new(big.Rat).SetString(a.text())
		y, _ := new(big.Rat).SetString(b.text())
		return x.Cmp(y)
	}
	x, y := a.text(), b.text()
	if a.kind == "B" {
		one, _ := base64.StdEncoding.DecodeString(x)
		two, _ := base64.StdEncoding.DecodeString(y)
		return bytes.Compare(one, two)
	}
	return strings.Compare(x, y)
}

// number returns an N, rounded to the 38 digits of DynamoDB.
func number(r *big.Rat) (attribute, error) {
	n, err := normalNumber(new(big.Float).SetPrec(256).SetRat(r).Text('g', 38))
	return attribute{"N", jsontext.Value(strconv.Quote(n))}, err
}

// normalNumber returns a number in the format of DynamoDB: without an exponent and without
// redundant zeros. It returns an error for more than 38 significant digits.
func normalNumber(text string) (string, error) {
	bad := validationf("The parameter cannot be converted to a numeric value: %s", text)
	mantissa, exponent, hasExponent := strings.Cut(strings.ToLower(strings.TrimSpace(text)), "e")
	sign := ""
	if rest, ok := strings.CutPrefix(mantissa, "-"); ok {
		sign, mantissa = "-", rest
	} else {
		mantissa = strings.TrimPrefix(mantissa, "+")
	}
	whole, part, _ := strings.Cut(mantissa, ".")
	digits := whole + part
	if digits == "" || strings.Trim(digits, "0123456789") != "" {
		return "", bad
	}
	point := len(whole)
	if hasExponent {
		n, err := strconv.Atoi(exponent)
		if err != nil || n < -200 || n > 200 {
			return "", bad
		}
		point += n
	}
	trimmed := strings.TrimLeft(digits, "0")
	point -= len(digits) - len(trimmed)
	digits = strings.TrimRight(trimmed, "0")
	switch {
	case digits == "":
		return "0", nil
	case len(digits) > 38:
		return "", validationf("Attempting to store more than 38 significant digits in a Number")
	case point > 126 || point < -129:
		return "", validationf("Number overflow. Attempting to store a number with magnitude larger than supported range")
	case point <= 0:
		return sign + "0." + strings.Repeat("0", -point) + digits, nil
	case point >= len(digits):
		return sign + digits + strings.Repeat("0", point-len(digits)), nil
	}
	return sign + digits[:point] + "." + digits[point:], nil
}

// size returns about the size that DynamoDB computes for an item, in bytes.
func (it item) size() (n int) {
	for name, a := range it {
		n += len(name) + len(a.raw)
	}
	return n
}
