package learn

import "math"

// cholesky factorises the symmetric, row-major a of the given width in place
// into L·Lᵀ, L in its lower triangle (Golub and Van Loan, Matrix Computations,
// section 4.2). It reports false, leaving a undefined, where a is not positive
// definite, or so nearly not that a solution would be noise.
func cholesky(a []float64, width int) bool {
	largest := 0.0
	for j := range width {
		largest = math.Max(largest, a[j*width+j])
	}
	least := largest * float64(width) * 0x1p-52 // what rounding leaves of a zero pivot
	for j := range width {
		row := a[j*width : j*width+j+1]
		pivot := row[j]
		for _, x := range row[:j] {
			pivot -= x * x
		}
		if !(pivot > least) || math.IsInf(pivot, 1) {
			return false
		}
		root := math.Sqrt(pivot)
		row[j] = root
		for i := j + 1; i < width; i++ {
			below := a[i*width : i*width+j+1]
			sum := below[j]
			for k, x := range row[:j] {
				sum -= below[k] * x
			}
			below[j] = sum / root
		}
	}
	return true
}

// solve returns x with L·Lᵀ·x = b, for the L that cholesky made. It may be called again.
func solve(l []float64, b []float64) []float64 {
	width := len(b)
	x := append([]float64(nil), b...)
	for i := range width {
		for k := range i {
			x[i] -= l[i*width+k] * x[k]
		}
		x[i] /= l[i*width+i]
	}
	for i := width - 1; i >= 0; i-- {
		for k := i + 1; k < width; k++ {
			x[i] -= l[k*width+i] * x[k]
		}
		x[i] /= l[i*width+i]
	}
	return x
}
