package learn

import (
	"math"
	"testing"
)

func TestCholeskySolvesAHandMadeSystem(t *testing.T) {
	// L = [2 0 0; 6 1 0; -8 5 3], A = L·Lᵀ, and A·(1 2 3)ᵀ = b.
	a := []float64{4, 12, -16, 12, 37, -43, -16, -43, 98}
	b := []float64{4*1 + 12*2 - 16*3, 12*1 + 37*2 - 43*3, -16*1 - 43*2 + 98*3}
	if !cholesky(a, 3) {
		t.Fatal("a positive definite matrix was refused")
	}
	for i, want := range []float64{2, 0, 0, 6, 1, 0, -8, 5, 3} {
		if row, column := i/3, i%3; column <= row && a[i] != want {
			t.Errorf("L[%d,%d] is %v, want %v", row, column, a[i], want)
		}
	}
	for i, x := range solve(a, b) {
		if math.Abs(x-float64(i+1)) > 1e-12 {
			t.Errorf("x[%d] is %v, want %d", i, x, i+1)
		}
	}
}

func TestCholeskyRefusesWhatIsNotPositiveDefinite(t *testing.T) {
	for name, a := range map[string][]float64{
		"a singular matrix":        {1, 1, 1, 1},
		"an indefinite matrix":     {1, 2, 2, 1},
		"a zero matrix":            {0, 0, 0, 0},
		"a matrix with NaN":        {math.NaN(), 0, 0, 1},
		"an infinite matrix":       {math.Inf(1), 0, 0, 1},
		"singular but for a whisk": {1, 1, 1, 1 + 1e-16},
	} {
		if cholesky(a, 2) {
			t.Errorf("%s was factorised", name)
		}
	}
}
