package schema

// Decimal is the exact value of a decimal number: its digits, which neither begin nor end
// with a zero, times ten to the Power. Zero has no digits.
type Decimal struct {
	Negative bool
	Digits   string
	Power    int64
}

// ExactDecimal reads a decimal number without rounding it. ok is false if the text is
// none.
func ExactDecimal(text string) (d Decimal, ok bool) {
	x, ok := exactDecimal(text)
	return Decimal{x.negative, x.digits, x.power}, ok
}

// MissingMarkers returns the texts that stand for a missing value. Those of letters alone,
// in small letters in the list, count in any case.
func MissingMarkers() []string { return append([]string(nil), missingMarkers...) }
