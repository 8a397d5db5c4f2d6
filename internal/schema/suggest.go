package schema

import "strings"

// suggest returns ", did you mean …?" with the closest of the known names, or
// nothing where none is close.
func suggest(name string, known []string) string {
	// The distance must be less than the number of characters of the name.
	best, bestDistance := "", min(max(2, len(name)/3)+1, len(name))
	for _, k := range known {
		if d := editDistance(strings.ToLower(name), strings.ToLower(k), bestDistance); d < bestDistance {
			best, bestDistance = k, d
		}
	}
	if best == "" {
		return ""
	}
	return `; did you mean "` + best + `"?`
}

func (s *Schema) suggest(name string) string {
	if len(name) > 64 {
		return ""
	}
	known := make([]string, 0, len(s.Features))
	for i := range s.Features {
		known = append(known, s.Features[i].Name)
	}
	for i := range s.Features {
		known = append(known, s.Features[i].Aliases...)
	}
	return suggest(name, known)
}

// editDistance returns Levenshtein's distance: the minimum number of
// single-character changes from a to b. It may stop early and return any number
// of at least limit.
func editDistance(a, b string, limit int) int {
	if len(a)-len(b) >= limit || len(b)-len(a) >= limit {
		return limit
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		diagonal := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := diagonal
			if a[i-1] != b[j-1] {
				cost++
			}
			diagonal = row[j]
			row[j] = min(cost, row[j]+1, row[j-1]+1)
		}
	}
	return row[len(b)]
}
