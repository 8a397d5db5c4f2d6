package schema

import (
	"slices"

	"gateway/internal/suggest"
)

// didYouMean returns `; did you mean "…"?` with the known name that is closest to name,
// or "" if none is close.
func didYouMean(name string, known []string) string {
	if closest := suggest.Closest(name, known); closest != "" {
		return `; did you mean "` + closest + `"?`
	}
	return ""
}

// didYouMean suggests a name or an alias of a feature of the schema.
func (s *Schema) didYouMean(name string) string { return didYouMean(name, s.featureNames()) }

// didYouMeanColumn suggests a name or an alias of a feature, of the id or of the label.
func (s *Schema) didYouMeanColumn(name string) string {
	known := append(s.featureNames(), s.ID, s.Label.Name)
	return didYouMean(name, slices.Concat(known, s.IDAliases, s.Label.Aliases))
}

// featureNames returns the names of all features, and after them the aliases.
func (s *Schema) featureNames() []string {
	known := make([]string, 0, len(s.Features))
	for i := range s.Features {
		known = append(known, s.Features[i].Name)
	}
	for i := range s.Features {
		known = append(known, s.Features[i].Aliases...)
	}
	return known
}
