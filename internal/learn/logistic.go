package learn

import "math"

// logisticLoss is the function Newton's method minimises, seen from one point:
//
//	F(β) = Σᵢ wᵢ·(log(1 + e^mᵢ) − yᵢ·mᵢ)  +  ½ Σⱼ l2ⱼ·βⱼ²  +  Σⱼ l1ⱼ·|βⱼ|
//
// with margins m = Zβ over a design Z and weights that sum to 1. The first two
// terms are smooth and have the derivatives (Hastie, Tibshirani and Friedman,
// The Elements of Statistical Learning, section 4.4.1)
//
//	gⱼ   = Σᵢ wᵢ·(pᵢ − yᵢ)·zᵢⱼ + l2ⱼ·βⱼ,          p = sigmoid(m)
//	Hⱼₖ  = Σᵢ wᵢ·pᵢ·(1 − pᵢ)·zᵢⱼ·zᵢₖ  (+ l2ⱼ on the diagonal)
//
// The last term is not smooth and is left to the solver.
type logisticLoss struct {
	design *design
	l1, l2 []float64 // penalty of each coefficient
	parts  []tangent // working memory, one for each piece of the rows
}

// tangent is the smooth part of the loss at a point, with its derivatives.
type tangent struct {
	value    float64
	gradient []float64
	hessian  []float64 // row-major, width × width; only the upper triangle is set
}

func newTangent(width int) tangent {
	return tangent{gradient: make([]float64, width), hessian: make([]float64, width*width)}
}

func (t *tangent) reset() {
	t.value = 0
	clear(t.gradient)
	clear(t.hessian)
}

func (t *tangent) add(o *tangent) {
	t.value += o.value
	for k, v := range o.gradient {
		t.gradient[k] += v
	}
	for k, v := range o.hessian {
		t.hessian[k] += v
	}
}

func newLogisticLoss(d *design, l1, l2 []float64) *logisticLoss {
	f := &logisticLoss{design: d, l1: l1, l2: l2, parts: make([]tangent, pieces(d.width()))}
	for i := range f.parts {
		f.parts[i] = newTangent(d.width())
	}
	return f
}

// maxPieces is the maximum size of the second derivatives of all pieces, in numbers:
// 256 MiB. Up to 1,448 columns they are fewer with as many pieces as shards.
const maxPieces = 32 << 20

// pieces returns into how many pieces a pass over all rows is cut: each has second
// derivatives of its own, the square of the columns.
func pieces(width int) int { return max(2, min(shards, maxPieces/max(1, width*width))) }

// at stores the smooth part and its derivatives at beta in t. The value comes
// with the derivatives because nearly every point a Newton step tries is the
// next point.
func (f *logisticLoss) at(beta []float64, t *tangent) {
	rows, n := len(f.design.label), len(f.parts)
	parallel(n, func(i int) {
		begin, end := i*rows/n, (i+1)*rows/n
		f.parts[i].reset()
		f.design.accumulate(begin, end, beta, &f.parts[i])
	})
	t.reset()
	for i := range f.parts {
		t.add(&f.parts[i])
	}
	for j, b := range beta {
		t.value += f.l2[j] * b * b / 2
		t.gradient[j] += f.l2[j] * b
		t.hessian[j*len(beta)+j] += f.l2[j]
	}
}

// accumulate adds the unpenalised loss of rows begin … end-1 to t.
func (d *design) accumulate(begin, end int, beta []float64, t *tangent) {
	width := len(beta)
	for i := begin; i < end; i++ {
		index := d.index[d.start[i]:d.start[i+1]]
		value := d.value[d.start[i]:d.start[i+1]]
		value = value[:len(index)] // spares bounds checks below
		var m float64
		for k, j := range index {
			m += value[k] * beta[j]
		}
		w, y, p := d.weight[i], d.label[i], sigmoid(m)
		t.value += w * (softplus(m) - y*m)
		slope, curve := w*(p-y), w*p*(1-p)
		for k, j := range index {
			t.gradient[j] += slope * value[k]
			c := curve * value[k]
			row := t.hessian[int(j)*width : (int(j)+1)*width]
			rest := value[k:]
			for l, j2 := range index[k:] {
				row[j2] += c * rest[l]
			}
		}
	}
}

// penalty returns the part of the loss that is not smooth.
func (f *logisticLoss) penalty(beta []float64) float64 {
	sum := 0.0
	for j, b := range beta {
		sum += f.l1[j] * math.Abs(b)
	}
	return sum
}

// slope returns the largest magnitude, over all coefficients, of the steepest
// downhill derivative of F at beta. It is 0 exactly at the minimum: these are
// the Karush-Kuhn-Tucker conditions.
func (f *logisticLoss) slope(beta []float64, t *tangent) float64 {
	largest := 0.0
	for j, g := range t.gradient {
		switch {
		case beta[j] > 0:
			g += f.l1[j]
		case beta[j] < 0:
			g -= f.l1[j]
		default:
			g = softThreshold(g, f.l1[j])
		}
		largest = max(largest, math.Abs(g))
	}
	return largest
}

// softplus returns log(1 + e^m) without overflow.
func softplus(m float64) float64 { return max(m, 0) + math.Log1p(math.Exp(-math.Abs(m))) }

// softThreshold moves x towards 0 by t, and no further than 0.
func softThreshold(x, t float64) float64 {
	switch {
	case x > t:
		return x - t
	case x < -t:
		return x + t
	}
	return 0
}
