package export

import (
	"slices"
	"strings"

	"gateway/internal/schema"
)

// What counts as a missing value is decided here and nowhere else.
//
//   - An attribute of type NULL, and text that is empty or all spaces: always.
//   - \N, which is how Hive writes NULL: always, unless the schema lists it as
//     a value of the category.
//   - null, None and NaN in any case, which is how programs write what they do
//     not have: for numbers and for the label. A category may well have a
//     value called "None", so there it is text like any other: a listed value,
//     or an unlisted one that the schema maps or refuses.
//
// A missing value takes the schema's default where there is one.

// isBlank reports whether an attribute has no value for any feature.
func isBlank(a Attribute) bool {
	if a.Kind.Nested() {
		return false
	}
	text := strings.TrimSpace(a.Text)
	return text == "" || text == `\N`
}

// isMissing reports whether an attribute has no value as feature f.
func isMissing(a Attribute, f *schema.Feature) bool {
	if f.Type != schema.Category {
		return isBlank(a) || isNullWord(a)
	}
	return isBlank(a) && !slices.Contains(f.Values, strings.TrimSpace(a.Text))
}

// isUnlabelled reports whether an attribute has no value as the label, unless
// the schema spells a class that way.
func isUnlabelled(a Attribute, l *schema.Label) bool {
	if _, spelt := l.FromText(strings.TrimSpace(a.Text)); spelt {
		return false
	}
	return isBlank(a) || isNullWord(a)
}

func isNullWord(a Attribute) bool {
	if a.Kind.Nested() {
		return false
	}
	text := strings.TrimSpace(a.Text)
	return strings.EqualFold(text, "null") || strings.EqualFold(text, "none") || strings.EqualFold(text, "nan")
}
