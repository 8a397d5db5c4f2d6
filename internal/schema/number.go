package schema

import (
	"math"
	"strconv"
	"strings"
)

// maxInteger is the largest magnitude up to which every integer has a float64 of
// its own: 2^53 - 1.
const maxInteger = 1<<53 - 1

// ParseNumber reads a finite decimal number as files write it without a format, and
// reports whether it is an integer that a float64 holds exactly.
func ParseNumber(text string) (x float64, integer, ok bool) {
	x, ok, finite := parseNumber(text)
	if !ok || !finite {
		return 0, false, false
	}
	return x, math.Abs(x) <= maxInteger && isInteger(text, x), true
}

// parseNumber reads a decimal number in JSON's grammar and in addition allows a
// leading plus sign, leading zeros and a bare point, which CSV files and DynamoDB
// exports contain. It refuses what strconv accepts beyond that: hexadecimal,
// underscores, Inf, NaN. finite is false for a number too large for a float64.
// Minus zero becomes zero.
func parseNumber(text string) (x float64, ok, finite bool) {
	if !isDecimal(text) {
		return 0, false, false
	}
	x, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return 0, true, false
	}
	return x + 0, true, true // -0 + 0 is +0
}

func isDecimal(s string) bool {
	if s != "" && (s[0] == '+' || s[0] == '-') {
		s = s[1:]
	}
	mantissa, exponent, hasExponent := s, "", false
	if i := strings.IndexAny(s, "eE"); i >= 0 {
		mantissa, exponent, hasExponent = s[:i], s[i+1:], true
	}
	whole, fraction, _ := strings.Cut(mantissa, ".")
	if !allDigits(whole) || !allDigits(fraction) || whole+fraction == "" {
		return false
	}
	if !hasExponent {
		return true
	}
	if exponent != "" && (exponent[0] == '+' || exponent[0] == '-') {
		exponent = exponent[1:]
	}
	return exponent != "" && allDigits(exponent)
}

func allDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}

// isInteger reports whether the decimal number text, whose float64 is x, is
// exactly an integer: 34, 34.0 and 3.4e1 are; 34.5 and 34.00000000000000000001
// are not, although the latter's float64 is 34.
func isInteger(text string, x float64) bool {
	if x != math.Trunc(x) {
		return false
	}
	if !strings.ContainsAny(text, ".eE") {
		return true
	}
	d, ok := exactDecimal(text)
	return ok && d.power >= 0
}

// decimal is the exact value of a decimal number: digits times a power of ten.
// The digits neither begin nor end with a zero, so that equal numbers are equal
// decimals. Zero is the zero decimal.
type decimal struct {
	negative bool
	digits   string
	power    int64
}

// maxExponent is the largest exponent that exactDecimal accepts, so that a power
// of ten never overflows.
const maxExponent = 1 << 40

// exactDecimal reads a decimal number without rounding. ok is false for a text
// that is no decimal number, and for a number other than zero whose exponent
// exceeds maxExponent.
func exactDecimal(text string) (d decimal, ok bool) {
	if !isDecimal(text) {
		return decimal{}, false
	}
	mantissa, exponent := text, ""
	if i := strings.IndexAny(text, "eE"); i >= 0 {
		mantissa, exponent = text[:i], text[i+1:]
	}
	_, fraction, _ := strings.Cut(mantissa, ".")
	digits := strings.TrimLeft(strings.Replace(mantissa, ".", "", 1), "+-0")
	d.digits = strings.TrimRight(digits, "0")
	if d.digits == "" {
		return decimal{}, true
	}
	if exponent != "" {
		shift, err := strconv.ParseInt(exponent, 10, 64)
		if err != nil || shift > maxExponent || shift < -maxExponent {
			return decimal{}, false
		}
		d.power = shift
	}
	d.power += int64(len(digits) - len(d.digits) - len(fraction))
	d.negative = mantissa[0] == '-'
	return d, true
}

// sameNumber reports whether two texts are decimal numbers of exactly the same value.
func sameNumber(a, b string) bool {
	x, okX := exactDecimal(a)
	y, okY := exactDecimal(b)
	return okX && okY && x == y
}

// appendNumber appends the shortest decimal that reads back as x, without an
// exponent at everyday magnitudes, so that no formatting ever changes a value.
func appendNumber(dst []byte, x float64) []byte {
	if n := int64(x); float64(n) == x && -maxInteger <= n && n <= maxInteger {
		return strconv.AppendInt(dst, n, 10) // the same text, faster
	}
	if abs := math.Abs(x); abs < 1e-6 || abs >= 1e21 {
		return strconv.AppendFloat(dst, x, 'e', -1, 64)
	}
	return strconv.AppendFloat(dst, x, 'f', -1, 64)
}

func formatNumber(x float64) string { return string(appendNumber(nil, x)) }
