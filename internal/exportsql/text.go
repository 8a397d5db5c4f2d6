package exportsql

import (
	"fmt"
	"strconv"
	"strings"

	"gateway/internal/schema"
)

// quote returns a string literal.
func quote(text string) string { return "'" + strings.ReplaceAll(text, "'", "''") + "'" }

// quoteAll returns a list of string literals.
func quoteAll(texts []string) string {
	quoted := make([]string, len(texts))
	for i, text := range texts {
		quoted[i] = quote(text)
	}
	return strings.Join(quoted, ", ")
}

// double returns a literal of type double.
func double(x float64) string { return strconv.FormatFloat(x, 'e', -1, 64) }

// blanks are the characters that strings.TrimSpace cuts: Unicode's White_Space.
const blanks = "\t\n\v\f\r \u0085\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"

func trimmed(x string) string { return "trim(BOTH " + quote(blanks) + " FROM " + x + ")" }

// group returns a group of an expression that matches, or NULL where it has none or is
// empty.
func group(x, expression string, n int) string {
	return fmt.Sprintf("NULLIF(regexp_extract(%s, %s, %d), '')", x, quote(expression), n)
}

// groupNumber is group as a double.
func groupNumber(x, expression string, n int) string {
	return "TRY_CAST(" + group(x, expression, n) + " AS double)"
}

// isMarker is the condition that a text without blanks around it stands for a missing
// value, as schema.IsMissingMarker has it.
func isMarker(x string) string {
	var exact, folded []string
	for _, marker := range schema.MissingMarkers() {
		switch marker {
		case "null", "none", "nan":
			folded = append(folded, marker)
		default:
			exact = append(exact, marker)
		}
	}
	return fmt.Sprintf("(%s = '' OR %[1]s IN (%s) OR lower(%[1]s) IN (%[3]s))", x, quoteAll(exact), quoteAll(folded))
}

// isMissing is the condition that a text has no value as the feature.
func isMissing(x string, f *schema.Feature) string {
	if f.Type != schema.Category {
		return isMarker(x)
	}
	if f.Unknown != "" && f.Default == nil && !f.Missing {
		return fmt.Sprintf("(%s = '' OR %[1]s = '\\N' AND %[1]s NOT IN (%s))", x, quoteAll(f.Values))
	}
	return fmt.Sprintf("(%s AND %s NOT IN (%s))", isMarker(x), x, quoteAll(f.Values))
}

// decimalPattern matches decimal numbers in the grammar of the schema's numbers.
const decimalPattern = "^[+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][+-]?[0-9]+)?$"

func isDecimal(x string) string { return "regexp_like(" + x + ", " + quote(decimalPattern) + ")" }

// digitsOf returns the digits of a decimal number, without its point, sign and exponent.
func digitsOf(x string) string {
	return "replace(regexp_extract(" + x + ", '^[+-]?([0-9]*[.]?[0-9]*)', 1), '.', '')"
}

// significant returns the digits without zeros at both ends: those of schema.Decimal.
func significant(x string) string { return "trim(BOTH '0' FROM " + digitsOf(x) + ")" }

// powerOf returns the power of ten of schema.Decimal, as a double.
func powerOf(x string) string {
	return fmt.Sprintf("(COALESCE(%s, 0e0) + length(%s) - length(trim(TRAILING '0' FROM %[2]s)) - COALESCE(length(%s), 0))",
		groupNumber(x, "[eE]([+-]?[0-9]+)$", 1), digitsOf(x), group(x, "^[+-]?[0-9]*[.]([0-9]*)", 1))
}

// spells is the condition that a text without blanks around it is one of the spellings.
func spells(x string, spellings []schema.Spelling) string {
	var texts, any []string
	for _, s := range spellings {
		texts = append(texts, s.Value)
		d, ok := schema.ExactDecimal(s.Value)
		switch {
		case s.IsText || !ok:
		case d.Digits == "":
			any = append(any, fmt.Sprintf("%s AND %s = ''", isDecimal(x), significant(x)))
		default:
			sign := "NOT "
			if d.Negative {
				sign = ""
			}
			any = append(any, fmt.Sprintf("%s AND %s = %s AND %s = %s AND %sstarts_with(%s, '-')",
				isDecimal(x), significant(x), quote(d.Digits), powerOf(x), double(float64(d.Power)), sign, x))
		}
	}
	any = append([]string{x + " IN (" + quoteAll(texts) + ")"}, any...)
	return "(" + strings.Join(any, " OR ") + ")"
}

// labelOf returns the label, 1 or 0, that a text without blanks around it spells, or NULL.
func labelOf(x string, l *schema.Label) string {
	return fmt.Sprintf("CASE WHEN %s THEN 1 WHEN %s THEN 0 END", spells(x, l.Positive), spells(x, l.Negative))
}

// numberText returns a double as text: as package schema writes it where the number is an
// integer, or is written so already; else as the engine does. All of them read back as the
// same double. text is how the number was written.
func numberText(x, text string) string {
	return fmt.Sprintf("CASE WHEN %[1]s = floor(%[1]s) AND abs(%[1]s) < 9007199254740992e0 THEN CAST(CAST(%[1]s AS bigint) AS varchar) "+
		"WHEN abs(%[1]s) >= 1e-6 AND length(%[2]s) <= 16 AND regexp_like(%[2]s, '^-?(0|[1-9][0-9]*)[.][0-9]*[1-9]$') THEN %[2]s "+
		"ELSE CAST(%[1]s AS varchar) END", x, text)
}
