package learn

import (
	"bytes"
	"math"
	"slices"
	"testing"
)

// A column changes how it is held when its 257th and 65,537th different number
// comes. No number may change with it.
func TestTableKeepsNumbersExactly(t *testing.T) {
	special := []float64{0, math.Copysign(0, -1), 0.1, 1.0 / 3, math.MaxFloat64, -math.SmallestNonzeroFloat64}
	for _, different := range []int{1, 2, 3, maxNarrow - 1, maxNarrow, maxNarrow + 1, maxMedium - 1, maxMedium, maxMedium + 1, maxMedium + 2} {
		var want []float64
		table := newTable([]string{"a", "constant"})
		add := func(x float64) {
			want = append(want, x)
			table.append([]float64{x, 7}, 0)
		}
		for k := range different {
			if k < len(special) {
				add(special[k])
			} else {
				add(float64(k) + 0.1)
			}
		}
		for k := range 10 { // numbers known before
			add(want[k*k%different])
		}
		table.seal()
		row := make([]float64, 2)
		column := make([]float64, len(want))
		table.eachColumn(func(j int, values []float64) {
			if j == 0 {
				copy(column, values)
			}
		})
		for i, x := range want {
			table.ReadRow(i, row)
			if math.Float64bits(row[0]) != math.Float64bits(x) || math.Float64bits(column[i]) != math.Float64bits(x) || row[1] != 7 {
				t.Fatalf("%d different numbers, row %d: ReadRow gives %v, eachColumn %v, want %v", different, i, row, column[i], x)
			}
		}
	}
}

// A byte a number is what makes a million customers fit.
func TestTableHoldsFewDifferentNumbersInBytes(t *testing.T) {
	table := newTable([]string{"few", "some", "many"})
	const rows = maxMedium + 1
	for i := range rows {
		table.append([]float64{float64(i % maxNarrow), float64(i % maxMedium), float64(i)}, 0)
	}
	few, some, many := &table.packed[0], &table.packed[1], &table.packed[2]
	if len(few.narrow) != rows || len(some.medium) != rows || len(many.wide) != rows || few.medium != nil || some.narrow != nil || many.medium != nil {
		t.Errorf("rows held narrow %d, medium %d, wide %d; want %d of each", len(few.narrow), len(some.medium), len(many.wide), rows)
	}
}

// ReadTable and TrainTable must give the model that ReadCSV and Train give.
func TestTrainTableGivesTheModelOfTrain(t *testing.T) {
	data := synthetic(1500, 3, []int{4, 3}, 5)
	csv := trainingCSV(data)
	table, err := ReadTable(bytes.NewReader(csv), data.Columns)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(table.Labels(), data.Y) || table.Rows() != data.Rows() {
		t.Fatal("ReadTable gives other labels than were written")
	}
	for _, algorithm := range algorithms() {
		m, err := TrainTable(t.Context(), table, Options{Algorithm: algorithm, Seed: 3})
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(scores(m, data), scores(mustTrain(t, data, Options{Algorithm: algorithm, Seed: 3}), data)) {
			t.Errorf("%s: TrainTable gives another model than Train", algorithm)
		}
	}
}

func TestTrainTableRefusesOneClass(t *testing.T) {
	table, err := ReadTable(bytes.NewReader([]byte("1,2\n1,3\n")), []string{"a"})
	if err != nil {
		t.Fatal(err)
	}
	_, err = TrainTable(t.Context(), table, Options{Algorithm: XGBoost})
	if want := "training data has one class only: all 2 labels are 1"; err == nil || err.Error() != want {
		t.Errorf("got error %v, want %q", err, want)
	}
}
