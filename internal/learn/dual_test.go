package learn

import (
	"context"
	"math/rand/v2"
	"strconv"
	"testing"
)

// wide returns rows of more numbers and indicators than rows, some of which are equal.
func wide(rows, columns int, seed uint64) Dataset {
	random := rand.New(rand.NewPCG(seed, 0))
	var d Dataset
	for j := range columns {
		d.Columns = append(d.Columns, "x"+strconv.Itoa(j))
	}
	for i := range rows {
		if i%7 == 6 { // as the row before, so that the rows are not independent
			d.X, d.Y = append(d.X, d.Row(i-1)...), append(d.Y, 1-d.Y[i-1])
			continue
		}
		margin := 0.0
		for j := range columns {
			x := random.NormFloat64()
			if j%3 == 0 {
				x = float64(random.IntN(2))
			}
			d.X = append(d.X, x)
			if j < 6 {
				margin += x
			}
		}
		y := 0.0
		if random.Float64() < sigmoid(margin) {
			y = 1
		}
		d.Y = append(d.Y, y)
	}
	return d
}

// TestTheRowsSolveWhatTheColumnsSolve compares both ways to the coefficients of the
// lowest loss.
func TestTheRowsSolveWhatTheColumnsSolve(t *testing.T) {
	for _, given := range []map[string]string{nil, {"wd": "0.3"}, {"use_bias": "false"}, {"normalize_data": "false"}, {"positive_example_weight_mult": "balanced"}} {
		s, _, err := parseLinear(given)
		if err != nil {
			t.Fatal(err)
		}
		data := packedTable(t, wide(60, 90, 3))
		byRows, err := trainLinear(t.Context(), data, s, nil)
		if err != nil {
			t.Fatal(err)
		}
		summaries := summarise(data)
		positiveWeight := s.positiveWeight
		if s.balanced {
			positiveWeight = (1 - positiveRate(data.labels)) / positiveRate(data.labels)
		}
		d := newDesign(data, summaries, s.bias, positiveWeight)
		l1, l2 := s.penalties(d, summaries)
		if !d.dual(l1, l2) {
			t.Fatalf("%v: not solved by rows", given)
		}
		beta := make([]float64, d.width())
		if err := minimise(context.Background(), newLogisticLoss(d, l1, l2), beta, 100, nil); err != nil {
			t.Fatal(err)
		}
		intercept, coef := d.raw(beta, len(data.columns))
		if !near(byRows.intercept, intercept, 1e-6) {
			t.Errorf("%v: the intercept is %v by rows, %v by columns", given, byRows.intercept, intercept)
		}
		for j := range coef {
			if !near(byRows.coef[j], coef[j], 1e-6) {
				t.Fatalf("%v: coefficient %d is %v by rows, %v by columns", given, j, byRows.coef[j], coef[j])
			}
		}
	}
}

func TestWhatTheRowsCannotSolve(t *testing.T) {
	data := packedTable(t, wide(60, 90, 3))
	for _, given := range []map[string]string{{"l1": "0.01"}, {"wd": "0"}} {
		s, _, err := parseLinear(given)
		if err != nil {
			t.Fatal(err)
		}
		summaries := summarise(data)
		d := newDesign(data, summaries, s.bias, 1)
		if d.dual(s.penalties(d, summaries)) {
			t.Errorf("%v: solved by rows", given)
		}
	}
	s, _, _ := parseLinear(nil)
	tall := packedTable(t, wide(95, 90, 3))
	summaries := summarise(tall)
	d := newDesign(tall, summaries, true, 1)
	if d.dual(s.penalties(d, summaries)) {
		t.Error("more rows than columns are solved by rows")
	}
}
