package schema

import (
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// # Missing values
//
// In JSON only null is a missing value; strings are values. In text, which is what
// files, imports, exports and string attributes of DynamoDB have, a missing value is
// an empty cell or one of the markers that programs write for it. A text that is a
// listed category or a spelling of the label is that value, whatever it looks like.
//
// A missing value counts as absent: its feature takes its default, or is encoded as
// missing if it has missing: allow, or is reported as required. One exception holds
// for categories with unknown: and neither of the other two: markers have always
// been unlisted values there, which unknown: replaces; only empty text and \N, which
// no list of values has, are missing.

// missingMarkers are the texts that stand for a missing value.
var missingMarkers = []string{"NA", "N/A", "n/a", "#N/A", "<NA>", "NULL", "null", "NaN", "nan", "None", "none", "?", "-", "--", `\N`}

// markerAt returns the index into missingMarkers of a text without blanks around
// it, or -1. Null, none and nan count in any case.
func markerAt(text string) int {
	if len(text) > len("#N/A") {
		return -1
	}
	if i := slices.Index(missingMarkers, text); i >= 0 {
		return i
	}
	switch word := strings.ToLower(text); word {
	case "null", "none", "nan":
		return slices.Index(missingMarkers, word)
	}
	return -1
}

// IsMissingMarker reports whether a text stands for a missing value: it is empty,
// blank or one of NA, N/A, n/a, #N/A, <NA>, NULL, NaN, None, ?, -, -- and \N, where
// NULL, NaN and None count in any case.
func IsMissingMarker(text string) bool {
	text = strings.TrimSpace(text)
	return text == "" || markerAt(text) >= 0
}

// IsMissing reports whether a text is a missing value of the feature.
func (f *Feature) IsMissing(text string) bool {
	text = strings.TrimSpace(text)
	return text == "" || f.marker(text) >= 0
}

// marker returns the index of the marker that a text without blanks around it is,
// or -1 if the text is a value of the feature.
func (f *Feature) marker(text string) int {
	i := markerAt(text)
	if i < 0 || f.Type != Category {
		return i
	}
	if _, listed := f.index[text]; listed {
		return -1
	}
	if f.Unknown != "" && f.Default == nil && !f.Missing && text != `\N` {
		return -1
	}
	return i
}

// IsMissing reports whether a text is a missing value of the label.
func (l *Label) IsMissing(text string) bool {
	text = strings.TrimSpace(text)
	if _, spelled := l.FromText(text); spelled {
		return false
	}
	return IsMissingMarker(text)
}

// Required reports whether the feature must have a value: it has no default, may
// not be missing and is not excluded.
func (f *Feature) Required() bool { return f.Default == nil && !f.Missing && !f.Exclude }

// SetNull sets the feature of index i to null. It reports whether the feature may
// be missing; if not, the record stays as it is.
func (s *Schema) SetNull(r Record, i int) bool {
	if !s.Features[i].Missing {
		return false
	}
	r.values[i], r.origin[i] = 0, null
	return true
}

// setMarked notes that a text was taken as a missing value. The feature stays
// absent.
func (r Record) setMarked(i, marker int) {
	r.values[i], r.origin[i] = float64(marker), marked
}

// absence is the predicate of the violation of a required feature.
func (r Record) absence(i int) string {
	detail := "is required and has no default"
	if r.origin[i] == marked {
		quoted, _ := jsontext.AppendQuote(nil, missingMarkers[int(r.values[i])])
		detail += "; the text " + string(quoted) + " was taken as a missing value"
	}
	return detail
}
