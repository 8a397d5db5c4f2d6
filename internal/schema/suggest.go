package schema

import "gateway/internal/suggest"

// didYouMean returns `; did you mean "…"?` with the known name that is closest to name,
// or "" if none is close.
func didYouMean(name string, known []string) string {
	if closest := suggest.Closest(name, known); closest != "" {
		return `; did you mean "` + closest + `"?`
	}
	return ""
}

// didYouMean suggests a name or an alias of a feature of the schema.
func (s *Schema) didYouMean(name string) string {
	known := make([]string, 0, len(s.Features))
	for i := range s.Features {
		known = append(known, s.Features[i].Name)
	}
	for i := range s.Features {
		known = append(known, s.Features[i].Aliases...)
	}
	return didYouMean(name, known)
}
