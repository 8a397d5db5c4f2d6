package learn

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// synthetic returns rows shaped like the bank's: numbers of few and many
// distinct values, a mostly constant one, and one-hot indicators of
// categories, labelled yes in about one case of six.
func synthetic(rows, numbers int, categories []int, seed uint64) Dataset {
	random := rand.New(rand.NewPCG(seed, 0))
	var d Dataset
	for j := range numbers {
		d.Columns = append(d.Columns, fmt.Sprintf("number%d", j))
	}
	for c, size := range categories {
		for k := range size {
			d.Columns = append(d.Columns, fmt.Sprintf("category%d=%d", c, k))
		}
	}
	for range rows {
		margin := -2.5
		for j := range numbers {
			x := random.NormFloat64()
			switch j % 3 {
			case 1:
				x = math.Round(3 * x)
			case 2:
				if x < 1.5 {
					x = 9.99
				}
			}
			d.X = append(d.X, x)
			margin += math.Sin(x+float64(j)) * 0.8
		}
		for c, size := range categories {
			on := int(float64(size) * random.Float64() * random.Float64())
			for k := range size {
				x := 0.0
				if k == on {
					x = 1
				}
				d.X = append(d.X, x)
			}
			margin += math.Cos(float64(on*(c+1))) * 0.7
		}
		y := 0.0
		if random.Float64() < sigmoid(margin) {
			y = 1
		}
		d.Y = append(d.Y, y)
	}
	return d
}

// mustTrain trains or ends the test.
func mustTrain(t testing.TB, d Dataset, o Options) *Model {
	t.Helper()
	m, err := Train(context.Background(), d, o)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// scores returns m's score of every row of d.
func scores(m *Model, d Dataset) []float64 {
	out := make([]float64, d.Rows())
	for i := range out {
		out[i] = m.Score(d.Row(i))
	}
	return out
}

// near reports whether got is want to within tolerance, relative or absolute.
func near(got, want, tolerance float64) bool {
	return math.Abs(got-want) <= tolerance*math.Max(1, math.Abs(want))
}

// packedTable returns d as a Table.
func packedTable(t testing.TB, d Dataset) *Table {
	t.Helper()
	table, err := d.table()
	if err != nil {
		t.Fatal(err)
	}
	return table
}
