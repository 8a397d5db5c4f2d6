// Package suggest finds the name that was meant by a misspelled one.
package suggest

import "strings"

// maxName is the longest name, in bytes, that is compared: an attacker who sends many
// long names must not cost much.
const maxName = 64

// Closest returns the known name with the smallest edit distance to name, the first of
// several. Upper and lower case count as the same. It returns "" if that distance is
// more than a third of the length of name (more than 2 for a short one), or if the two
// have nothing in common.
func Closest(name string, known []string) string {
	if len(name) > maxName {
		return ""
	}
	name = strings.ToLower(name)
	best, limit := "", min(max(2, len(name)/3)+1, len(name))
	for _, k := range known {
		if d := editDistance(name, strings.ToLower(k), limit); d < limit {
			best, limit = k, d
		}
	}
	return best
}

// editDistance returns Levenshtein's distance: the minimum number of bytes to insert,
// delete or replace that make b of a. If the lengths alone differ by limit or more, it
// returns limit.
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
			replace := diagonal
			if a[i-1] != b[j-1] {
				replace++
			}
			diagonal = row[j]
			row[j] = min(replace, row[j]+1, row[j-1]+1)
		}
	}
	return row[len(b)]
}
