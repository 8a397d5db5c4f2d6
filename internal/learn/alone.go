package learn

import (
	"cmp"
	"math/rand/v2"
	"slices"
)

// AloneAUC is the AUC that a feature reaches without the others.
type AloneAUC struct {
	Feature string  `json:"feature"`
	AUC     float64 `json:"auc"`
}

const (
	// aloneSeed makes the division of the rows repeatable.
	aloneSeed = 1
	// aloneRows and aloneNumbers bound the rows, and the numbers in them, that are
	// looked at.
	aloneRows, aloneNumbers = 20_000, 20_000_000
	// minAloneRows is how many rows of either label each half needs.
	minAloneRows = 10
	// aloneValues is the number of values up to which each value of a column is a
	// group. A column of more is divided into aloneRanges ranges of as many rows.
	aloneValues, aloneRanges = 50, 20
	// fewAloneColumns is the number of columns up to which those of a feature are
	// also looked at one by one.
	fewAloneColumns = 5
)

// Alone returns the AUC of each feature alone, the largest first: rows are ordered
// by the rate of positives of the group that their value is in. The rates are taken
// from one half of the rows and order the other half, and the other way round.
// features has, for each column, the feature that it is of; labels are 0 or 1. Each code of
// a coded column is a group. It returns nil where the rows of either label are fewer than 20.
func Alone[Row ~[]float64](rows []Row, labels []float64, features []string, coded ...int) []AloneAUC {
	halves, ok := stratifiedHalves(labels, min(aloneRows, aloneNumbers/max(1, len(features))))
	if !ok {
		return nil
	}
	columns := make(map[string][]int)
	var names []string
	for j, name := range features {
		if columns[name] == nil {
			names = append(names, name)
		}
		columns[name] = append(columns[name], j)
	}
	out := make([]AloneAUC, len(names))
	parallel(len(names), func(k int) {
		out[k] = AloneAUC{names[k], aloneAUC(rows, labels, columns[names[k]], coded, halves)}
	})
	slices.SortStableFunc(out, func(a, b AloneAUC) int { return cmp.Compare(b.AUC, a.AUC) })
	return out
}

// stratifiedHalves divides at most limit rows into halves with the same share of
// positives. It reports false where there are too few of a label.
func stratifiedHalves(labels []float64, limit int) (halves [2][]int, ok bool) {
	order := rand.New(rand.NewPCG(aloneSeed, 0)).Perm(len(labels))
	var counts [2]int
	for _, i := range order[:min(limit, len(order))] {
		y := int(labels[i])
		half := (counts[y] + y) % 2 // so that the halves have the same size
		halves[half] = append(halves[half], i)
		counts[y]++
	}
	return halves, min(counts[0], counts[1]) >= 2*minAloneRows
}

// aloneAUC returns the highest AUC that the columns of one feature reach: all of
// them together, and each.
func aloneAUC[Row ~[]float64](rows []Row, labels []float64, columns, coded []int, halves [2][]int) float64 {
	sets := [][]int{columns}
	if len(columns) > 1 && len(columns) <= fewAloneColumns {
		for _, j := range columns {
			sets = append(sets, []int{j})
		}
	}
	best := 0.0
	for _, set := range sets {
		sum := 0.0
		for h := range halves {
			sum += groupAUC(rows, labels, set, coded, halves[h], halves[1-h])
		}
		best = max(best, sum/2)
	}
	return best
}

// groupAUC orders the rows of test by the rates of positives of groups of train.
func groupAUC[Row ~[]float64](rows []Row, labels []float64, columns, coded, train, test []int) float64 {
	trainKeys, testKeys := make([]uint64, len(train)), make([]uint64, len(test))
	for _, j := range columns {
		most := aloneValues
		if slices.Contains(coded, j) {
			most = len(train)
		}
		group := grouping(rows, train, j, most)
		addGroups(trainKeys, rows, train, j, group)
		addGroups(testKeys, rows, test, j, group)
	}
	type tally struct{ rows, positives float64 }
	tallies := make(map[uint64]tally)
	positives := 0.0
	for k, i := range train {
		t := tallies[trainKeys[k]]
		tallies[trainKeys[k]] = tally{t.rows + 1, t.positives + labels[i]}
		positives += labels[i]
	}
	rate := positives / float64(len(train))
	scores, truth := make([]float64, len(test)), make([]float64, len(test))
	for k, i := range test {
		t := tallies[testKeys[k]]
		scores[k], truth[k] = (t.positives+rate)/(t.rows+1), labels[i] // drawn towards the rate of all rows
	}
	return rank(scores, truth).auc
}

// grouping returns the function that puts a value of a column into a group: each of at
// most most values is one.
func grouping[Row ~[]float64](rows []Row, train []int, column, most int) func(x float64) uint64 {
	distinct := make(map[float64]uint64)
	for _, i := range train {
		if x := rows[i][column]; len(distinct) <= most {
			if _, seen := distinct[x]; !seen {
				distinct[x] = uint64(len(distinct) + 1)
			}
		}
	}
	if len(distinct) <= most {
		return func(x float64) uint64 { return distinct[x] } // 0: not in train
	}
	values := make([]float64, len(train))
	for k, i := range train {
		values[k] = rows[i][column]
	}
	slices.Sort(values)
	bounds := make([]float64, 0, aloneRanges)
	for k := 1; k < aloneRanges; k++ {
		bounds = append(bounds, values[k*len(values)/aloneRanges])
	}
	return func(x float64) uint64 {
		k, found := slices.BinarySearch(bounds, x)
		if found {
			k++
		}
		return uint64(k)
	}
}

// addGroups adds the groups of a column to the keys of rows.
func addGroups[Row ~[]float64](keys []uint64, rows []Row, of []int, column int, group func(float64) uint64) {
	const prime = 1099511628211 // of the hash FNV-1a with 64 bits
	for k, i := range of {
		keys[k] = (keys[k] ^ group(rows[i][column])) * prime
	}
}
