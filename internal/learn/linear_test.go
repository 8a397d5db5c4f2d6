package learn

import (
	"context"
	"math"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// small is a table of which scikit-learn knows the answers. Two columns carry
// something, the third is nearly noise and mostly zero.
func small() Dataset {
	return Dataset{
		Columns: []string{"a", "b", "c"},
		X: []float64{
			1, 0, 2.5,
			2, 1, 0,
			3, 0, 0,
			4, 1, 1.5,
			5, 0, 0,
			6, 1, 0,
			7, 0, 3,
			8, 1, 0,
			2.5, 0, 0,
			6.5, 0, 4,
		},
		Y: []float64{0, 0, 0, 1, 0, 1, 1, 1, 1, 0},
	}
}

// The expected coefficients are scikit-learn's, on Z = (X − mean) / deviation for
// the columns a and c, and on X where normalize_data is false, mapped back to X:
//
//	LogisticRegression(C=1/(wd*W), solver="newton-cholesky", tol=1e-14)
//	LogisticRegression(penalty="elasticnet", C=1/((l1+wd)*n), l1_ratio=l1/(l1+wd), solver="saga", tol=1e-14, max_iter=10**6)
//
// where W is the sum of the weights, set with class_weight={0: 1, 1: 3}, and C=1
// without wd. Without a bias it was given X / deviation and fit_intercept=False.
func TestCoefficientsAgreeWithScikitLearn(t *testing.T) {
	for name, c := range map[string]struct {
		given map[string]string
		want  []float64 // intercept first
	}{
		"default": {nil,
			[]float64{-1.4179130865519116, 0.3140150672906436, 0.4977527588388424, -0.17066468659023432}},
		"default, positives weigh more": {map[string]string{"positive_example_weight_mult": "3"},
			[]float64{-0.5300338271841427, 0.3580331398994516, 0.5455939061372026, -0.23522893816910412}},
		"l2": {map[string]string{"wd": "0.05"},
			[]float64{-1.804849100788939, 0.3926709832080862, 0.724925939918339, -0.21552763417104306}},
		"positives weigh more": {map[string]string{"wd": "0.05", "positive_example_weight_mult": "3"},
			[]float64{-0.5300338271841427, 0.3580331398994516, 0.5455939061372026, -0.23522893816910412}},
		"raw columns": {map[string]string{"wd": "0.05", "normalize_data": "false"},
			[]float64{-2.251317282807, 0.5201253193276527, 0.7013641338954806, -0.31478665977514014}},
		"no bias": {map[string]string{"wd": "0.05", "use_bias": "false"},
			[]float64{0, 0.11462583796276637, 0.405634934067691, -0.29201585323621293}},
		"l1": {map[string]string{"wd": "0", "l1": "0.1"},
			[]float64{-1.031017657829253, 0.22911503507316877, 0, 0}},
		"l1 and l2": {map[string]string{"wd": "0.02", "l1": "0.05"},
			[]float64{-1.460328303577711, 0.31154874531401394, 0.4169892493364513, -0.09577975515391296}},
	} {
		t.Run(name, func(t *testing.T) {
			m := mustTrain(t, small(), Options{Algorithm: LinearLearner, Hyperparameters: c.given})
			intercept, coef, ok := m.Coefficients()
			if !ok {
				t.Fatal("no coefficients")
			}
			for k, got := range append([]float64{intercept}, coef...) {
				if !near(got, c.want[k], 1e-8) {
					t.Errorf("coefficient %d: got %.15g, want %.15g", k, got, c.want[k])
				}
			}
			for k, got := range coef {
				if c.want[k+1] == 0 && got != 0 {
					t.Errorf("coefficient %d is %v, want exactly 0", k+1, got)
				}
			}
		})
	}
}

// kkt returns the largest violation of the optimality conditions, worked out
// afresh from the definition of the objective in linearSettings.
func kkt(d Dataset, m *Model, wd, l1 float64) float64 {
	intercept, coef, _ := m.Coefficients()
	gradient := make([]float64, len(coef)+1)
	for i := range d.Rows() {
		margin := intercept
		for j, x := range d.Row(i) {
			margin += coef[j] * x
		}
		r := (1/(1+math.Exp(-margin)) - d.Y[i]) / float64(d.Rows())
		gradient[0] += r
		for j, x := range d.Row(i) {
			gradient[j+1] += r * x
		}
	}
	worst := math.Abs(gradient[0])
	for j, c := range coef {
		var mean, variance float64
		for i := range d.Rows() {
			mean += d.Row(i)[j] / float64(d.Rows())
		}
		for i := range d.Rows() {
			variance += (d.Row(i)[j] - mean) * (d.Row(i)[j] - mean) / float64(d.Rows())
		}
		scale := math.Sqrt(variance)
		if scale == 0 {
			continue
		}
		if strings.Contains(d.Columns[j], "=") { // an indicator is penalised as it is
			scale = 1
		}
		g := (gradient[j+1]-mean*gradient[0])/scale + wd*c*scale
		if c == 0 {
			worst = math.Max(worst, math.Abs(g)-l1)
		} else {
			worst = math.Max(worst, math.Abs(g+math.Copysign(l1, c)))
		}
	}
	return worst
}

func TestSolutionIsOptimal(t *testing.T) {
	data := synthetic(1500, 6, []int{5, 3, 2}, 3)
	for name, given := range map[string]map[string]string{
		"default":    nil,
		"l1":         {"l1": "0.003"},
		"l1 alone":   {"l1": "0.003", "wd": "0"},
		"no penalty": {"wd": "0"},
	} {
		t.Run(name, func(t *testing.T) {
			s, _, err := parseLinear(given)
			if err != nil {
				t.Fatal(err)
			}
			m := mustTrain(t, data, Options{Algorithm: LinearLearner, Hyperparameters: given})
			if s.wd == autoPenalty {
				s.wd = 1 / float64(data.Rows())
			}
			if got := kkt(data, m, s.wd, s.l1); got > 1e-8 {
				t.Errorf("optimality conditions are off by %g", got)
			}
			_, coef, _ := m.Coefficients()
			if zeros := slices.Contains(coef, 0); zeros != (s.l1 > 0) {
				t.Errorf("coefficients that are 0: %v, want %v: %v", zeros, s.l1 > 0, coef)
			}
		})
	}
}

// Every case is one that plain Newton steps on plain numbers fail at.
func TestLinearStaysFinite(t *testing.T) {
	rows := func(n int, row func(i int) []float64, label func(i int) bool) Dataset {
		d := Dataset{}
		for i := range n {
			d.X = append(d.X, row(i)...)
			y := 0.0
			if label(i) {
				y = 1
			}
			d.Y = append(d.Y, y)
		}
		d.Columns = slices.Repeat([]string{"x"}, len(row(0)))
		return d
	}
	half := func(i int) bool { return i >= 10 }
	some := func(i int) bool { return i%3 == 0 || i > 15 }
	one := func(f func(i int) float64) func(i int) []float64 {
		return func(i int) []float64 { return []float64{f(i)} }
	}
	for name, data := range map[string]Dataset{
		"separated classes":      rows(20, one(func(i int) float64 { return float64(i) }), half),
		"huge numbers":           rows(20, one(func(i int) float64 { return float64(i-10) * 1e307 }), some),
		"tiny numbers":           rows(20, one(func(i int) float64 { return float64(i) * 1e-300 }), some),
		"denormal numbers":       rows(20, one(func(i int) float64 { return float64(i) * 5e-324 }), some),
		"far from 0":             rows(20, one(func(i int) float64 { return 1e12 + float64(i) }), some),
		"constant":               rows(20, one(func(int) float64 { return 7 }), some),
		"constant but for noise": rows(20, one(func(i int) float64 { return 1e15 + float64(i%2)/8 }), some),
		"one outlier": rows(20, one(func(i int) float64 {
			if i == 3 {
				return 1e30
			}
			return float64(i)
		}), some),
		"collinear columns": rows(20, func(i int) []float64 {
			a, b := float64(i%2), float64((i+1)%2)
			return []float64{a, b, a + b, a - b, 2 * a}
		}, some),
		"more columns than rows": rows(4, func(i int) []float64 {
			r := make([]float64, 9)
			r[i] = 1
			r[i+3] = 2
			return r
		}, func(i int) bool { return i%2 == 0 }),
	} {
		for _, given := range []map[string]string{
			{"wd": "0"}, nil, {"wd": "0", "l1": "1e-6"}, {"wd": "1e300"}, {"l1": "1e300"},
			{"wd": "0", "use_bias": "false"}, {"positive_example_weight_mult": "balanced", "wd": "0"},
			{"positive_example_weight_mult": "1e300"}, {"positive_example_weight_mult": "1e-300"},
		} {
			m := mustTrain(t, data, Options{Algorithm: LinearLearner, Hyperparameters: given})
			intercept, coef, _ := m.Coefficients()
			for _, c := range append(coef, intercept) {
				if !finite(c) {
					t.Errorf("%s, %v: coefficients %v, intercept %v", name, given, coef, intercept)
				}
			}
			for i, p := range scores(m, data) {
				if !(p >= 0 && p <= 1) {
					t.Errorf("%s, %v: score of row %d is %v", name, given, i, p)
				}
			}
		}
	}
}

func TestSeparatedClassesAreToldApart(t *testing.T) {
	data := Dataset{Columns: []string{"x"}, X: []float64{1, 2, 3, 4}, Y: []float64{0, 0, 1, 1}}
	m := mustTrain(t, data, Options{Algorithm: LinearLearner, Hyperparameters: map[string]string{"wd": "0"}})
	for i, p := range scores(m, data) {
		if math.Abs(p-data.Y[i]) > 1e-6 {
			t.Errorf("row %d: score %v, want %v", i, p, data.Y[i])
		}
	}
}

// A first step of Newton's method from far away can raise the loss; the search
// must shorten it.
func TestLossNeverRises(t *testing.T) {
	data := packedTable(t, small())
	d := newDesign(data, summarise(data), true, 1)
	f := newLogisticLoss(d, make([]float64, d.width()), slices.Repeat([]float64{1e-3}, d.width()))
	beta := []float64{30, -40, 50, 60}
	at := newTangent(d.width())
	f.at(beta, &at)
	for step := range 30 {
		before := at.value
		if err := minimise(context.Background(), f, beta, 1, nil); err != nil {
			t.Fatal(err)
		}
		f.at(beta, &at)
		if !(at.value <= before+1e-13) {
			t.Fatalf("step %d raised the loss from %v to %v", step, before, at.value)
		}
	}
	if slope := f.slope(beta, &at); slope > flatSlope {
		t.Errorf("the slope is still %v", slope)
	}
}

func TestConstantColumnGetsNoCoefficient(t *testing.T) {
	for name, value := range map[string]func(i int) float64{
		"constant":               func(int) float64 { return 0.1 },
		"constant but for noise": func(i int) float64 { return 1e15 + float64(8*i) },
	} {
		data := small()
		for i := range data.Rows() {
			data.Row(i)[2] = value(i)
		}
		m := mustTrain(t, data, Options{Algorithm: LinearLearner})
		if _, coef, _ := m.Coefficients(); coef[2] != 0 || coef[0] == 0 || coef[1] == 0 {
			t.Errorf("%s: got coefficients %v, want only the last to be 0", name, coef)
		}
	}
}

// Collinear columns have infinitely many best solutions without a penalty. The
// one found must not be numbers of astronomic size that cancel.
func TestCollinearColumnsShareTheWeight(t *testing.T) {
	data := synthetic(500, 2, []int{4, 3}, 8)
	m := mustTrain(t, data, Options{Algorithm: LinearLearner, Hyperparameters: map[string]string{"wd": "0"}})
	intercept, coef, _ := m.Coefficients()
	for _, c := range append(coef, intercept) {
		if math.Abs(c) > 20 {
			t.Errorf("got coefficients %v and intercept %v", coef, intercept)
			break
		}
	}
}

func TestBalancedMeansEqualWeight(t *testing.T) {
	data := synthetic(600, 4, nil, 5)
	m := mustTrain(t, data, Options{Algorithm: LinearLearner, Hyperparameters: map[string]string{
		"positive_example_weight_mult": "balanced", "wd": "0"}})
	// At the optimum the weighted scores of each class's complement balance:
	// the gradient of the intercept, Σ w·(p − y), is 0.
	rate, sum := positiveRate(data.Y), 0.0
	for i, p := range scores(m, data) {
		sum += (p - data.Y[i]) / (data.Y[i]*rate + (1-data.Y[i])*(1-rate))
	}
	if math.Abs(sum)/600 > 1e-7 {
		t.Errorf("weighted residuals sum to %v, want 0", sum)
	}
}

func TestContributionsAddUpToTheLogOdds(t *testing.T) {
	data := synthetic(300, 4, []int{3}, 6)
	m := mustTrain(t, data, Options{Algorithm: LinearLearner})
	average := make([]float64, len(data.Columns))
	for i := range data.Rows() {
		for j, x := range data.Row(i) {
			average[j] += x / float64(data.Rows())
		}
	}
	row := data.Row(17)
	sum := logit(m.Score(average))
	for _, c := range m.Contributions(row) {
		sum += c
	}
	if want := logit(m.Score(row)); !near(sum, want, 1e-9) {
		t.Errorf("average and contributions make %v, want %v", sum, want)
	}
	if m.Contributions(row[1:]) != nil {
		t.Error("a row of another width has contributions")
	}
}

func TestLinearIsTheSameOnAnyNumberOfProcessors(t *testing.T) {
	data := synthetic(700, 5, []int{4, 2}, 7)
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	want := encoded(t, mustTrain(t, data, Options{Algorithm: LinearLearner}))
	for _, processors := range []int{2, 3, 8} {
		runtime.GOMAXPROCS(processors)
		if got := encoded(t, mustTrain(t, data, Options{Algorithm: LinearLearner})); got != want {
			t.Errorf("%d processors give another model", processors)
		}
	}
}
