package export

import (
	"slices"
	"strings"

	"gateway/internal/schema"
)

// Attributes returns the names of the attributes that a conversion reads: of the id, the
// label, the features that are not excluded, and the gateway's own, each with its aliases.
func Attributes(s *schema.Schema) []string {
	names := NamesOf(s.ID, s.IDAliases)
	names = append(names, NamesOf(s.Label.Name, s.Label.Aliases)...)
	names = append(names, OutcomeAttribute, OriginAttribute, CallerAttribute, LabelledAttribute, ImportedAttribute)
	for i := range s.Features {
		if f := &s.Features[i]; !f.Exclude {
			names = append(names, NamesOf(f.Name, f.Aliases)...)
		}
	}
	return names
}

// NamesOf returns a name and its aliases, as attributes may have them: an alias as given
// and without the blanks around it.
func NamesOf(name string, aliases []string) []string {
	names := []string{name}
	for _, alias := range aliases {
		for _, form := range []string{alias, strings.TrimSpace(alias)} {
			if !slices.Contains(names, form) {
				names = append(names, form)
			}
		}
	}
	return names
}
