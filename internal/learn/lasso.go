package learn

const (
	// maxSweeps bounds the coordinate descent of one Newton step.
	maxSweeps = 10_000
	// stillSweep ends it: no coordinate moved the model's value by more.
	stillSweep = 1e-24
)

// descend minimises the quadratic model of the loss with its l1 penalties,
//
//	q(d) = g·d + ½ d·H·d + Σⱼ l1ⱼ·|βⱼ + dⱼ|,
//
// one coordinate at a time, each exactly: with r = g + H·d,
//
//	βⱼ + dⱼ ← S(Hⱼⱼ·(βⱼ + dⱼ) − rⱼ, l1ⱼ) / Hⱼⱼ
//
// where S is softThreshold (Friedman, Hastie and Tibshirani, Journal of
// Statistical Software 33(1), 2010, section 2). S is what makes coefficients
// exactly 0.
func (f *logisticLoss) descend(beta []float64, t *tangent) []float64 {
	width := len(beta)
	h := symmetric(t.hessian, width)
	step := make([]float64, width)
	residual := append([]float64(nil), t.gradient...)
	for range maxSweeps {
		moved := 0.0
		for j := range width {
			row := h[j*width : (j+1)*width]
			curve := row[j]
			if curve <= 0 {
				continue // every weight in this column has vanished
			}
			old := beta[j] + step[j]
			delta := softThreshold(curve*old-residual[j], f.l1[j])/curve - old
			if delta == 0 {
				continue
			}
			step[j] += delta
			for k, hk := range row {
				residual[k] += delta * hk
			}
			moved = max(moved, delta*delta*curve)
		}
		if moved <= stillSweep {
			break
		}
	}
	return step
}

// symmetric returns a full copy of a matrix of which only the upper triangle
// is set.
func symmetric(upper []float64, width int) []float64 {
	full := append([]float64(nil), upper...)
	for i := range width {
		for j := range i {
			full[i*width+j] = upper[j*width+i]
		}
	}
	return full
}
