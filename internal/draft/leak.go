package draft

import (
	"cmp"
	"slices"

	"gateway/internal/schema"
)

// leakAUC is the AUC above which one column alone is taken to tell the label: it
// was probably written after the outcome, or is the label in other words.
const leakAUC = 0.995

// minLeakRows is the minimum number of rows, of each class and in each half of the
// sample, for the check.
const minLeakRows = 15

// aloneAUC returns the AUC that a column reaches alone on held-out rows of the
// sample: the rate of the positive class by value, or by twenty ranges of a
// number, is taken from one half and orders the other half, and the other way
// round. ok is false if there are too few rows of a class.
func (d *decisions) aloneAUC(c *column) (auc float64, ok bool) {
	var halves [2][]labelled
	for i, row := range d.table.sample {
		if label, ok := d.labelOf(row[d.label.at]); ok {
			halves[i%2] = append(halves[i%2], labelled{row[c.at], label})
		}
	}
	total := 0.0
	for i := range halves {
		if positives := countPositive(halves[i]); positives < minLeakRows || len(halves[i])-positives < minLeakRows {
			return 0, false
		}
	}
	for i := range halves {
		total += heldOutAUC(d.group(c, halves[i]), halves[i], halves[1-i])
	}
	return total / 2, true
}

// labelled is a cell with its row's label.
type labelled struct {
	text     string
	positive bool
}

func countPositive(rows []labelled) int {
	n := 0
	for _, r := range rows {
		if r.positive {
			n++
		}
	}
	return n
}

func (d *decisions) labelOf(text string) (positive, ok bool) {
	switch {
	case slices.Contains(d.labels.Positive.Texts, text):
		return true, true
	case slices.Contains(d.labels.Negative.Texts, text):
		return false, true
	}
	return false, false
}

// group returns the function that puts a cell of a column into a group: its text,
// or the range of its number.
func (d *decisions) group(c *column, rows []labelled) func(text string) string {
	format, numeric, _ := c.number()
	if !numeric || c.distinct() <= 50 && !c.overflow {
		return func(text string) string { return text }
	}
	var values []float64
	for _, r := range rows {
		if !schema.IsMissingMarker(r.text) {
			if x, _, ok := readNumber(r.text, format); ok {
				values = append(values, x)
			}
		}
	}
	slices.Sort(values)
	const ranges = 20
	var bounds []float64
	for k := 1; k < ranges && len(values) > 0; k++ {
		bounds = append(bounds, values[k*len(values)/ranges])
	}
	return func(text string) string {
		if schema.IsMissingMarker(text) {
			return ""
		}
		x, _, ok := readNumber(text, format)
		if !ok {
			return "?"
		}
		k, found := slices.BinarySearch(bounds, x)
		if found {
			k++
		}
		return string(rune('a' + k))
	}
}

// heldOutAUC orders the rows of test by the rates in train, and returns the AUC
// (Mann-Whitney statistic over pairs, ties counted half).
func heldOutAUC(group func(string) string, train, test []labelled) float64 {
	type tally struct{ rows, positive float64 }
	rates := map[string]*tally{}
	base := float64(countPositive(train)) / float64(len(train))
	for _, r := range train {
		g := group(r.text)
		if rates[g] == nil {
			rates[g] = &tally{}
		}
		rates[g].rows++
		if r.positive {
			rates[g].positive++
		}
	}
	all := make([]scored, len(test))
	for i, r := range test {
		all[i] = scored{base, r.positive}
		if t := rates[group(r.text)]; t != nil {
			all[i].score = (t.positive + base) / (t.rows + 1) // shrunk towards the base rate
		}
	}
	return aucOf(all)
}

// scored is a score with its row's label.
type scored struct {
	score    float64
	positive bool
}

// aucOf returns the AUC of scores, 0.5 if all labels are the same. It sorts them.
func aucOf(all []scored) float64 {
	slices.SortFunc(all, func(a, b scored) int { return cmp.Compare(a.score, b.score) })
	ranks, positives := 0.0, 0.0
	for i := 0; i < len(all); {
		j := i
		for j < len(all) && all[j].score == all[i].score {
			j++
		}
		mean := float64(i+j+1) / 2 // of the ranks i+1 … j
		for ; i < j; i++ {
			if all[i].positive {
				ranks, positives = ranks+mean, positives+1
			}
		}
	}
	negatives := float64(len(all)) - positives
	if positives == 0 || negatives == 0 {
		return 0.5
	}
	return (ranks - positives*(positives+1)/2) / (positives * negatives)
}
