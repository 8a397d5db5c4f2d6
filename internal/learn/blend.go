package learn

import (
	"fmt"
	"math"
)

// mixture says how the log-odds of a linear and of a boosted model become those
// of one model:
//
//	calibration(linear·(log-odds) + boosted·(log-odds) + shift)
//
// A weight of 0 leaves a model out.
type mixture struct {
	linear, boosted float64
	shift           float64
	calibration     *calibration
}

// algorithm names the model that a mixture makes.
func (m mixture) algorithm() Algorithm {
	switch {
	case m.boosted == 0:
		return LinearLearner
	case m.linear == 0:
		return XGBoost
	}
	return Blend
}

// choose returns the mixture of the lowest log loss, found by cross-validation
// once more: weights and calibration are fitted to all folds but one and judged
// on that one. Of two that are about as good, the simpler one is returned.
func (t *tuner) choose(linear, boosted *tried) mixture {
	switch {
	case t.record.Folds == 0 && linear != nil:
		t.record.Why = fmt.Sprintf("fewer than %d rows of either label are too few to compare by", minSearchLabel)
		return mixture{linear: 1}
	case t.record.Folds == 0:
		t.record.Why = fmt.Sprintf("fewer than %d rows of either label are too few to compare by, and linear models take no missing numbers", minSearchLabel)
		return mixture{boosted: 1}
	case linear == nil:
		linear = &tried{}
	}
	members := [][]float64{linear.margins, boosted.margins}
	if linear.margins == nil {
		members[0] = make([]float64, t.data.Rows())
	}
	v := &validation{labels: t.data.labels, folds: t.folds, members: members}
	var best candidateMix
	consider := func(use [2]bool, fitted bool) {
		c := v.cross(use, fitted)
		t.mixture(c)
		if best.margins == nil || c.loss < best.loss-worthwhile {
			best = c
		}
	}
	for _, fitted := range []bool{false, true} {
		if linear.margins != nil {
			consider([2]bool{true, false}, fitted)
		}
		consider([2]bool{false, true}, fitted)
	}
	if linear.margins != nil {
		consider([2]bool{true, true}, true)
	}
	mix := best.mix
	if best.fitted {
		t.record.Calibration = CalibrationLogistic
	}
	if loss, ok := v.crossIsotonic(best.margins); ok {
		t.record.Mixtures = append(t.record.Mixtures, Mixture{mix.algorithm(), CalibrationIsotonic, loss})
		if loss < best.loss-worthwhile {
			mix.calibration = fitIsotonic(v.mixed(mix), v.labels, nil, 0)
			t.record.Calibration = CalibrationIsotonic
		}
	}
	t.record.Why = fmt.Sprintf("the lowest log loss by cross-validation; of those within %g the simpler one", worthwhile)
	return mix
}

// mixture records a mixture that was compared. One that could not be fitted is left
// out.
func (t *tuner) mixture(c candidateMix) {
	if math.IsInf(c.loss, 1) {
		return
	}
	calibration := CalibrationNone
	if c.fitted {
		calibration = CalibrationLogistic
	}
	t.record.Mixtures = append(t.record.Mixtures, Mixture{c.mix.algorithm(), calibration, c.loss})
}

// validation judges mixtures of models by the log-odds of rows that those had
// not learned from.
type validation struct {
	labels  []float64
	folds   folds
	members [][]float64 // log-odds by the linear and by the boosted model
}

// candidateMix is a mixture with its quality.
type candidateMix struct {
	mix     mixture
	fitted  bool
	margins []float64 // log-odds of each row by weights fitted to the other folds
	loss    float64
}

// cross judges a mixture of the models in use, with weights that are fitted or 1.
func (v *validation) cross(use [2]bool, fitted bool) candidateMix {
	c := candidateMix{fitted: fitted, margins: make([]float64, len(v.labels))}
	if !fitted {
		if use[0] {
			c.mix.linear = 1
		} else {
			c.mix.boosted = 1
		}
		copy(c.margins, v.mixed(c.mix))
		c.loss = marginLoss(c.margins, v.labels)
		return c
	}
	for k := range v.folds.count {
		m, ok := v.fit(use, k)
		if !ok {
			c.loss = math.Inf(1)
			return c
		}
		for i, part := range v.folds.of {
			if int(part) == k {
				c.margins[i] = v.margin(m, i)
			}
		}
	}
	var ok bool
	c.mix, ok = v.fit(use, -1)
	c.loss = marginLoss(c.margins, v.labels)
	if !ok {
		c.loss = math.Inf(1)
	}
	return c
}

func (v *validation) margin(m mixture, i int) float64 {
	return m.linear*v.members[0][i] + m.boosted*v.members[1][i] + m.shift
}

// mixed returns the log-odds of all rows, before a calibration.
func (v *validation) mixed(m mixture) []float64 {
	out := make([]float64, len(v.labels))
	for i := range out {
		out[i] = v.margin(m, i)
	}
	return out
}

// weightPenalty draws the weights to equal shares, as ten rows of the steepest
// slope would.
const weightPenalty = 10

// fit finds the weights and the shift of the lowest log loss on all folds but the
// one left out, by Newton's method. It reports false where a weight is not above
// 0: its model adds nothing, or worse.
func (v *validation) fit(use [2]bool, leftOut int) (mixture, bool) {
	prior := [3]float64{}
	shares := 0.0
	for j := range use {
		if use[j] {
			shares++
		}
	}
	for j := range use {
		if use[j] {
			prior[j] = 1 / shares
		}
	}
	beta := prior
	for range 50 {
		gradient, hessian := make([]float64, 3), make([]float64, 9)
		for i, y := range v.labels {
			if int(v.folds.of[i]) == leftOut {
				continue
			}
			x := [3]float64{v.members[0][i], v.members[1][i], 1}
			for j := range use {
				if !use[j] {
					x[j] = 0
				}
			}
			p := sigmoid(beta[0]*x[0] + beta[1]*x[1] + beta[2])
			for a := range x {
				gradient[a] += (p - y) * x[a]
				for b := range x {
					hessian[3*a+b] += p * (1 - p) * x[a] * x[b]
				}
			}
		}
		for j := range use {
			gradient[j] += weightPenalty * (beta[j] - prior[j])
			hessian[4*j] += weightPenalty
		}
		hessian[8] += minCurvature
		if !cholesky(hessian, 3) {
			return mixture{}, false
		}
		moved := 0.0
		for j, d := range solve(hessian, gradient) {
			// The loss is convex but far from quadratic where scores are certain:
			// a bounded step cannot overshoot far.
			d = min(max(d, -1), 1)
			beta[j] -= d
			moved = max(moved, math.Abs(d))
		}
		if moved < 1e-9 {
			break
		}
	}
	m := mixture{linear: beta[0], boosted: beta[1], shift: beta[2]}
	for j := range use {
		if use[j] && !(beta[j] > 0) {
			return mixture{}, false
		}
	}
	return m, finite(m.linear) && finite(m.boosted) && finite(m.shift)
}
