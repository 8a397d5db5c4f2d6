package export

import (
	"strings"

	"gateway/internal/schema"
)

// An attribute of type NULL is a missing value, and so is a text that package schema
// takes for one. An id is missing only where it is empty or \N, which is how Hive
// writes NULL: ids are of any form.

// isBlank reports whether an attribute is no customer id.
func isBlank(a Attribute) bool {
	if a.Kind.Nested() {
		return false
	}
	text := strings.TrimSpace(a.Text)
	return text == "" || text == `\N`
}

// isMissing reports whether an attribute has no value as feature f.
func isMissing(a Attribute, f *schema.Feature) bool {
	return !a.Kind.Nested() && f.IsMissing(a.Text)
}

// isUnlabelled reports whether an attribute has no value as the label.
func isUnlabelled(a Attribute, l *schema.Label) bool {
	return !a.Kind.Nested() && l.IsMissing(a.Text)
}
