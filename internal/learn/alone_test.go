package learn

import (
	"math/rand/v2"
	"testing"
)

// Each feature tells the label in another way: by a number, by a range in the middle,
// by one of many values, by that it is missing, by two columns only together, or not
// at all.
func TestAlone(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var rows [][]float64
	var labels []float64
	for range 4000 {
		y := float64(random.IntN(2))
		number := random.Float64() + y
		middle := random.Float64()*0.2 + 0.4
		if y == 0 {
			middle = random.Float64() * 0.4
			if random.IntN(2) == 0 {
				middle += 0.6
			}
		}
		code := float64(2*random.IntN(20)) + y
		day := random.Float64() * 1000
		if y == 1 {
			day = 0
		}
		bit := float64(random.IntN(2))
		rows = append(rows, []float64{number, middle, code, day, y, bit, float64(int(bit+y) % 2), random.Float64()})
		labels = append(labels, y)
	}
	features := []string{"number", "middle", "code", "day", "day", "parity", "parity", "noise"}
	got := map[string]float64{}
	list := Alone(rows, labels, features)
	for i, a := range list {
		got[a.Feature] = a.AUC
		if i > 0 && a.AUC > list[i-1].AUC {
			t.Errorf("%v is not in order", list)
		}
	}
	for feature, bounds := range map[string][2]float64{
		"number": {0.99, 1}, "middle": {0.98, 1}, "code": {1, 1}, "day": {1, 1}, "parity": {1, 1}, "noise": {0.45, 0.55},
	} {
		if auc := got[feature]; auc < bounds[0] || auc > bounds[1] {
			t.Errorf("%s alone has an AUC of %v, want one from %v to %v", feature, auc, bounds[0], bounds[1])
		}
	}
	if len(list) != 6 {
		t.Errorf("got %v, want one of each feature", list)
	}
}

// One column of a feature is enough, where the others divide the rows into groups too
// small to learn from.
func TestAloneLooksAtColumnsOneByOne(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	var rows [][]float64
	var labels []float64
	for i := range 400 {
		y := float64(i % 2)
		rows, labels = append(rows, []float64{random.Float64(), random.Float64(), random.Float64(), y}), append(labels, y)
	}
	if auc := Alone(rows, labels, []string{"date", "date", "date", "date"})[0].AUC; auc != 1 {
		t.Errorf("got %v, want 1", auc)
	}
}

// A column of which each value is one row's tells nothing about other rows.
func TestAloneIsJudgedOnOtherRows(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	var rows [][]float64
	var labels []float64
	for i := range 60 {
		row := make([]float64, 30) // 30 columns make nearly every row unique
		for j := range row {
			row[j] = float64(random.IntN(2))
		}
		rows, labels = append(rows, row), append(labels, float64(i%2))
	}
	features := make([]string, 30)
	if auc := Alone(rows, labels, features)[0].AUC; auc != 0.5 {
		t.Errorf("got %v, want 0.5 where no value occurs twice", auc)
	}
	if got := Alone(rows[:39], labels[:39], features); got != nil {
		t.Errorf("got %v for 19 positive rows, want nothing", got)
	}
}

// TestAloneTakesCodesOneByOne: neighbours in a list of values have nothing in common.
func TestAloneTakesCodesOneByOne(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	var rows [][]float64
	var labels []float64
	for range 6000 {
		code := random.IntN(300)
		rows, labels = append(rows, []float64{float64(code)}), append(labels, float64(code*7919%13%2))
	}
	if auc := Alone(rows, labels, []string{"shop"})[0].AUC; auc > 0.7 {
		t.Errorf("ranges of codes reach %.3f: this test shows nothing", auc)
	}
	if auc := Alone(rows, labels, []string{"shop"}, 0)[0].AUC; auc < 0.99 {
		t.Errorf("codes that tell the label reach %.3f", auc)
	}
}
