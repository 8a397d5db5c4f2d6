package draft

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
)

const (
	// targetValues is the maximum number of values that are listed of a category that is
	// coded by the label, and targetBytes that of their bytes, in all such categories. A
	// schema file has at most 1 MiB.
	targetValues, targetBytes = 5_000, 500_000
	// targetFolds is how many parts of the sample are judged by the others.
	targetFolds = 5
	// targetWeight is the number of rows that the rate of all rows counts for in the rate
	// of a value.
	targetWeight = 10
	// clearGain is how many standard errors the log loss must fall by.
	clearGain = 2
)

// planTarget codes a category of many values by the label, if that tells more about
// held-out rows than the values that would be kept otherwise, of which none may be
// kept. It reports whether it does.
func (d *decisions) planTarget(p *plan, kept []string) bool {
	c := p.column
	values, rows, size := c.repeating(targetBytes - d.targetBytes)
	if !d.opts.Target || len(values) <= len(kept) {
		return false
	}
	coded, pooled, clear := d.compare(c, values, kept)
	if !clear {
		return false
	}
	d.targetBytes += size
	p.noteNearly()
	other := c.otherName()
	p.comment = append(p.comment, fmt.Sprintf("%s different texts; %d are kept (%.0f %% of the rows), others become %q",
		c.distinctText(), len(values), 100*float64(rows)/float64(c.seen), other),
		fmt.Sprintf("Each is coded by the rate of the label in its rows, computed within folds. Alone that reaches an AUC of %.3f on held-out rows, a column for each of the %d most frequent %.3f", coded, len(kept), pooled))
	p.fields = append(p.fields, "values: ["+yamlList(append(values, other))+"]", "unknown: "+quoteText(other), "encode: target")
	p.noteMissing("")
	return true
}

// repeating returns the values that a category coded by the label keeps, the most frequent
// first, with the number of their rows and of their bytes.
func (c *column) repeating(maxBytes int) (values []string, rows, size int) {
	for _, v := range c.byFrequency() {
		if len(values) == targetValues || size+len(v) > maxBytes {
			break
		}
		values, rows, size = append(values, v), rows+c.texts[v], size+len(v)
	}
	return values, rows, size
}

// byFrequency returns the values of a column, the most frequent first.
func (c *column) byFrequency() []string {
	all := slices.Sorted(maps.Keys(c.texts))
	slices.SortStableFunc(all, func(a, b string) int { return cmp.Compare(c.texts[b], c.texts[a]) })
	return all
}

// otherName returns a text for values that are not kept, which is no value.
func (c *column) otherName() string {
	other := "other"
	for c.texts[other] > 0 {
		other += "_"
	}
	return other
}

// compare predicts the rows of the sample by the rates of the values of a column in the
// other parts of the sample: of all the given values, and of those that would be kept
// otherwise. It returns the AUC of both, and whether the log loss of the first is clearly
// lower.
func (d *decisions) compare(c *column, values, kept []string) (coded, pooled float64, clear bool) {
	rows := make([]labelled, 0, len(d.table.sample))
	for _, row := range d.table.sample {
		if positive, ok := d.labelOf(row[d.label.at]); ok {
			rows = append(rows, labelled{row[c.at], positive})
		}
	}
	if n := countPositive(rows); n < targetFolds*minLeakRows || len(rows)-n < targetFolds*minLeakRows {
		return 0, 0, false
	}
	a, b := foldRates(rows, values), foldRates(rows, kept)
	sum, squares := 0.0, 0.0
	for i, r := range rows {
		gain := lossOf(b[i].score, r.positive) - lossOf(a[i].score, r.positive)
		sum, squares = sum+gain, squares+gain*gain
	}
	n := float64(len(rows))
	mean := sum / n
	return aucOf(a), aucOf(b), mean > clearGain*math.Sqrt(max(0, squares/n-mean*mean)/n)
}

// foldRates returns, for each row, the rate of positives of its value in the other
// parts of the rows. Values that are not listed are one value.
func foldRates(rows []labelled, listed []string) []scored {
	type tally struct{ rows, positive float64 }
	parts := make([]map[string]tally, targetFolds)
	all, total := map[string]tally{}, make([]tally, targetFolds+1)
	known := make(map[string]bool, len(listed))
	for _, v := range listed {
		known[v] = true
	}
	pool := func(text string) string {
		if known[text] {
			return text
		}
		return ""
	}
	for i, r := range rows {
		one := tally{rows: 1}
		if r.positive {
			one.positive = 1
		}
		part, text := i%targetFolds, pool(r.text)
		if parts[part] == nil {
			parts[part] = map[string]tally{}
		}
		for _, of := range []map[string]tally{all, parts[part]} {
			of[text] = tally{of[text].rows + one.rows, of[text].positive + one.positive}
		}
		for _, k := range []int{part, targetFolds} {
			total[k] = tally{total[k].rows + one.rows, total[k].positive + one.positive}
		}
	}
	out := make([]scored, len(rows))
	for i, r := range rows {
		part, text := i%targetFolds, pool(r.text)
		rate := (total[targetFolds].positive - total[part].positive) / (total[targetFolds].rows - total[part].rows)
		a, b := all[text], parts[part][text]
		out[i] = scored{(a.positive - b.positive + targetWeight*rate) / (a.rows - b.rows + targetWeight), r.positive}
	}
	return out
}

// lossOf returns the log loss of a rate.
func lossOf(rate float64, positive bool) float64 {
	if positive {
		return -math.Log(max(rate, math.SmallestNonzeroFloat64))
	}
	return -math.Log(max(1-rate, math.SmallestNonzeroFloat64))
}
