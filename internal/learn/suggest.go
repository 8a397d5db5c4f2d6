package learn

// unknownName is the error for a hyperparameter that does not exist. It
// suggests the known name that takes the fewest edits, if few enough.
func unknownName(name string, known []string) error {
	best, fewest := "", max(2, len(name)/3)+1
	for _, k := range known {
		if n := edits(name, k); n < fewest {
			best, fewest = k, n
		}
	}
	if best == "" {
		return inputErrorf("hyperparameter %q: unknown", clip(name))
	}
	return inputErrorf("hyperparameter %q: unknown; did you mean %q?", clip(name), best)
}

// edits returns the Levenshtein distance of a and b in bytes: how many
// insertions, deletions and substitutions make one the other.
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			substitute := diagonal
			if a[i] != b[j] {
				substitute++
			}
			diagonal = row[j+1]
			row[j+1] = min(substitute, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
