package learn

import (
	"context"
	"math"
)

const (
	// flatSlope is the slope of the loss at which Newton's method is done. The
	// columns are standardised and the weights sum to 1, so this is ten digits
	// below the slopes at the start.
	flatSlope = 1e-10
	// enoughDescent is the share of the descent promised by the derivatives
	// that a step must deliver (Armijo's condition; Nocedal and Wright,
	// Numerical Optimization, section 3.1).
	enoughDescent = 1e-4
	// maxHalvings is how often a step is halved before its direction is given
	// up for rounding noise.
	maxHalvings = 30
)

// minimise runs proximal Newton steps from beta, in place, until the loss is
// flat, no step lowers it any more, or limit iterations are done:
//
//	d  = argmin over d of  g·d + ½ d·H·d + Σⱼ l1ⱼ·|βⱼ + dⱼ|
//	β ← β + t·d,  t = 1, ½, ¼ … the first that lowers the loss enough
//
// (Lee, Sun and Saunders, SIAM J. Optim. 24(3), 2014). Without l1 penalties
// this is Newton's method, also known as iteratively reweighted least squares.
// Progress may be nil. The only error is that of ctx.
func minimise(ctx context.Context, f *logisticLoss, beta []float64, limit int, progress func(done, total int)) error {
	width := len(beta)
	here, there := newTangent(width), newTangent(width)
	trial := make([]float64, width)
	f.at(beta, &here)
	done := 0
	for ; done < limit && f.slope(beta, &here) > flatSlope; done++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		if progress != nil && done > 0 {
			progress(done, limit)
		}
		step := f.direction(beta, &here)
		if !f.search(beta, step, trial, &here, &there) {
			break
		}
		copy(beta, trial)
		here, there = there, here
	}
	if progress != nil {
		done = max(done, 1) // the loss may have been flat to begin with
		progress(done, done)
	}
	return nil
}

// search looks along step for a point that lowers the loss enough, leaving it
// in trial and its tangent in there. It reports false when there is none, as
// at a minimum known to the last bit.
func (f *logisticLoss) search(beta, step, trial []float64, here, there *tangent) bool {
	before := here.value + f.penalty(beta)
	for j := range beta {
		trial[j] = beta[j] + step[j]
	}
	promise := f.penalty(trial) - f.penalty(beta)
	for j, g := range here.gradient {
		promise += g * step[j]
	}
	if !(promise < 0) {
		return false
	}
	noise := 1e-14 * math.Abs(before)
	t := 1.0
	for range maxHalvings {
		f.at(trial, there)
		// Written so that an overflow, NaN or infinite, fails it.
		if there.value+f.penalty(trial) <= before+enoughDescent*t*promise+noise {
			return true
		}
		t /= 2
		for j := range beta {
			trial[j] = beta[j] + t*step[j]
		}
	}
	return false
}

// direction returns the step that minimises the loss's quadratic model at
// beta.
func (f *logisticLoss) direction(beta []float64, t *tangent) []float64 {
	for _, l1 := range f.l1 {
		if l1 > 0 {
			return f.descend(beta, t)
		}
	}
	return newtonStep(t)
}

// newtonStep solves H·d = −g by Cholesky factorisation. Where H is singular,
// or so nearly that the solution would be noise (collinear columns without a
// penalty, or separated classes), a ridge is added to it: the step is then
// shorter than Newton's but still downhill, because only H is changed, not g.
func newtonStep(t *tangent) []float64 {
	width := len(t.gradient)
	trace := 0.0
	for j := range width {
		trace += t.hessian[j*width+j]
	}
	unit := trace / float64(width)
	if !(unit > 0) {
		unit = 1
	}
	h := make([]float64, len(t.hessian))
	added := 0.0
	for ridge := 1e-11; ridge < 1e6; ridge *= 100 {
		for j := range width { // the loss fills the upper triangle only
			for i := range j + 1 {
				h[j*width+i] = t.hessian[i*width+j]
			}
			h[j*width+j] += added
		}
		if cholesky(h, width) {
			break
		}
		added = ridge * unit
	}
	step := solve(h, t.gradient)
	for j := range step {
		step[j] = -step[j]
	}
	return step
}
