package schema_test

import (
	"math/big"
	"strings"
	"testing"

	"gateway/internal/failure"
	"gateway/internal/schema"
)

// Numbers that are equal to a spelling, and numbers that only round to one.
var labelNumbers = map[string]int{
	"1": 1, "1.0": 1, "1e0": 1, "10e-1": 1, "0.1E+1": 1, "1.00000000000000000000000": 1,
	"0": 0, "-0": 0, "0.00": 0, "0e999": 0, "-0e-99999999999999999999": 0,
	"1.00000000000000000001": -1, "0.99999999999999999999": -1, "1e999": -1, "-1e999": -1, "1e-999": -1, "-1e-400": -1, "-1": -1,
	"1e99999999999999999999": -1, "1e-99999999999999999999": -1, "2": -1, "0.5": -1, "10": -1,
}

func TestALabelIsExactlyANumberOfTheSchema(t *testing.T) {
	l := schema.Bank().Label
	for text, want := range labelNumbers {
		got, v := l.FromJSON("outcome", []byte(text))
		if (v == nil) != (want >= 0) || v == nil && got != want {
			t.Errorf("JSON %s: %d, %+v; want %d", text, got, v, want)
		}
		got, ok := l.FromText(text)
		if ok != (want >= 0) || ok && got != want {
			t.Errorf("text %s: %d, %v; want %d", text, got, ok, want)
		}
	}
}

func TestLabelsBeyondTheIntegersOfAFloatAreToldApart(t *testing.T) {
	text := strings.Replace(small, `label: {name: y, positive: [1, "yes"], negative: [0, "no"]}`, "label: {name: y, positive: [9007199254740993], negative: [9007199254740992]}", 1)
	l := parse(t, text).Label
	for text, want := range map[string]int{"9007199254740993": 1, "9007199254740992": 0, "9007199254740993.0": 1, "9007199254740.992e3": 0} {
		if got, v := l.FromJSON("y", []byte(text)); v != nil || got != want {
			t.Errorf("JSON %s: %d, %+v; want %d", text, got, v, want)
		}
		if got, ok := l.FromText(text); !ok || got != want {
			t.Errorf("text %s: %d, %v; want %d", text, got, ok, want)
		}
	}
}

// FuzzLabel compares with exact rational numbers, and text with JSON.
func FuzzLabel(f *testing.F) {
	for text := range labelNumbers {
		f.Add(text)
	}
	l := schema.Bank().Label
	f.Fuzz(func(t *testing.T, text string) {
		label, ok := l.FromText(text)
		if exponent := strings.IndexAny(text, "eE"); exponent >= 0 && len(text)-exponent > 5 {
			return // too large for math/big
		}
		exact, isNumber := new(big.Rat).SetString(text)
		if !isNumber || strings.ContainsAny(text, "/_xXoObBpP") {
			if ok && text != "yes" && text != "no" {
				t.Fatalf("%q is taken as %d", text, label)
			}
			return
		}
		isOne, isZero := exact.Cmp(big.NewRat(1, 1)) == 0, exact.Sign() == 0
		if ok != (isOne || isZero) || ok && isOne != (label == 1) {
			t.Fatalf("%q: %d, %v", text, label, ok)
		}
	})
}

func TestNumbersOfFeaturesAreReadAlikeFromTextAndJSON(t *testing.T) {
	s := parse(t, small)
	for text, code := range map[string]string{
		"34": "", "34.0": "", "3.4e1": "", "34.0000000000000000": "", "34.0000000000000000001": failure.CodeInteger, "3.0000000000000001e1": failure.CodeInteger,
		"1e400": failure.CodeRange, "-1e400": failure.CodeRange, "1e-400": failure.CodeInteger, "9007199254740993": failure.CodeRange,
		"9223372036854775808": failure.CodeRange, "16.99999999999999999999": failure.CodeInteger,
	} {
		age := s.Feature("age")
		fromText, fromJSON := s.SetText(s.NewRecord(), age, text), s.SetMember(s.NewRecord(), "age", []byte(text))
		for how, v := range map[string]*failure.Violation{"text": fromText, "JSON": fromJSON} {
			if got := codeOf(v); got != code {
				t.Errorf("%s from %s: %q, want %q", text, how, got, code)
			}
		}
	}
}

func codeOf(v *failure.Violation) string {
	if v == nil {
		return ""
	}
	return v.Code
}
