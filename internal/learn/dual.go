package learn

import (
	"context"
	"math"
)

// # More columns than rows
//
// Newton's method takes the cube of the coefficients a step. If all of them but the
// intercept have an L2 penalty, those of the lowest loss are combinations of the rows:
// β = D⁻¹Zᵀa, with Z the design without its intercept and D the diagonal of the penalties
// (the representer theorem; Schölkopf and Smola, Learning with Kernels, section 4.2). With
//
//	K = Z·D⁻¹·Zᵀ = L·Lᵀ  and  θ = Lᵀ·a
//
// margins are L·θ plus the intercept, and the penalty is ½ Σ θᵢ². So the same problem has as
// many coefficients as there are rows, on the columns of L.

// dual reports whether a design has fewer rows than coefficients, and penalties that let
// it be solved by its rows.
func (d *design) dual(l1, l2 []float64) bool {
	for k, j := range d.column {
		if l1[k] != 0 || j >= 0 && !(l2[k] > 0) {
			return false
		}
	}
	return len(d.label) < d.width()
}

// minimiseDual does what minimise does, by the rows of the design.
func (d *design) minimiseDual(ctx context.Context, l2, beta []float64, limit int, progress func(done, total int)) error {
	rows := len(d.label)
	l := d.gram(l2)
	semidefinite(l, rows)
	small := &design{label: d.label, weight: d.weight, total: d.total, start: make([]int, 1, rows+1)}
	bias := 0
	if d.column[0] < 0 {
		bias = 1
	}
	for i := range rows {
		if bias == 1 {
			small.index, small.value = append(small.index, 0), append(small.value, 1)
		}
		for k, x := range l[i*rows : i*rows+i+1] {
			if x != 0 {
				small.index, small.value = append(small.index, int32(bias+k)), append(small.value, x)
			}
		}
		small.start = append(small.start, len(small.index))
	}
	small.column = make([]int, bias+rows)
	ones, theta := make([]float64, bias+rows), make([]float64, bias+rows)
	for k := range rows {
		ones[bias+k] = 1
	}
	if bias == 1 {
		theta[0] = beta[0]
	}
	if err := minimise(ctx, newLogisticLoss(small, make([]float64, bias+rows), ones), theta, limit, progress); err != nil {
		return err
	}
	clear(beta)
	if bias == 1 {
		beta[0] = theta[0]
	}
	for i, a := range solveUpper(l, theta[bias:]) {
		for at := d.start[i]; at < d.start[i+1]; at++ {
			if k := d.index[at]; d.column[k] >= 0 {
				beta[k] += a * d.value[at] / l2[k]
			}
		}
	}
	return nil
}

// gram returns the lower triangle of Z·D⁻¹·Zᵀ, row-major.
func (d *design) gram(l2 []float64) []float64 {
	rows := len(d.label)
	out := make([]float64, rows*rows)
	parallel(rows, func(i int) {
		scaled := make([]float64, d.width())
		for at := d.start[i]; at < d.start[i+1]; at++ {
			if k := d.index[at]; d.column[k] >= 0 {
				scaled[k] = d.value[at] / l2[k]
			}
		}
		for j := range i + 1 {
			sum := 0.0
			index := d.index[d.start[j]:d.start[j+1]]
			value := d.value[d.start[j]:d.start[j+1]]
			for n, k := range index {
				sum += scaled[k] * value[n]
			}
			out[i*rows+j] = sum
		}
	})
	return out
}

// semidefinite factorises a as cholesky does. A pivot that is only rounding, as that of a
// row that occurs twice, makes its column of L zero.
func semidefinite(a []float64, width int) {
	largest := 0.0
	for j := range width {
		largest = max(largest, a[j*width+j])
	}
	least := largest * float64(width) * 0x1p-52
	for j := range width {
		row := a[j*width : j*width+j+1]
		pivot := row[j]
		for _, x := range row[:j] {
			pivot -= x * x
		}
		root := 0.0
		if pivot > least {
			root = math.Sqrt(pivot)
		}
		row[j] = root
		for i := j + 1; i < width; i++ {
			below := a[i*width : i*width+j+1]
			sum := below[j]
			for k, x := range row[:j] {
				sum -= below[k] * x
			}
			if below[j] = 0; root > 0 {
				below[j] = sum / root
			}
		}
	}
}

// solveUpper returns a with Lᵀ·a = b, for the L that semidefinite made; 0 where its
// column is zero.
func solveUpper(l, b []float64) []float64 {
	width := len(b)
	a := append([]float64(nil), b...)
	for i := width - 1; i >= 0; i-- {
		if l[i*width+i] == 0 {
			a[i] = 0
			continue
		}
		a[i] /= l[i*width+i]
		for k := range i {
			a[k] -= l[i*width+k] * a[i]
		}
	}
	return a
}
