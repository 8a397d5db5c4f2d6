package chart

import "math"

// maxMagnitude bounds what is drawn, so that no sum of two values overflows.
const maxMagnitude = 1e15

// drawable reports whether a value can be drawn.
func drawable(v float64) bool {
	return math.Abs(v) <= maxMagnitude // false for NaN
}

// extent is the range of values seen.
type extent struct {
	lo, hi float64
	some   bool
}

// add takes values; those that cannot be drawn are left out.
func (e *extent) add(values ...float64) {
	for _, v := range values {
		switch {
		case !drawable(v):
		case !e.some:
			e.lo, e.hi, e.some = v, v, true
		default:
			e.lo, e.hi = min(e.lo, v), max(e.hi, v)
		}
	}
}

// scale maps values between lo and hi, which differ, to coordinates.
type scale struct {
	lo, hi   float64
	from, to float64
}

func (s scale) at(v float64) float64 {
	return s.from + (min(max(v, s.lo), s.hi)-s.lo)/(s.hi-s.lo)*(s.to-s.from)
}

// tick is a mark of an axis.
type tick struct {
	value float64
	label string
}

// niceStep returns the least of 1, 2 and 5 times a power of ten that is not
// below a positive step.
func niceStep(step float64) float64 {
	power := math.Pow(10, math.Floor(math.Log10(step)))
	for _, factor := range []float64{1, 2, 5} {
		if factor*power >= step*(1-1e-9) {
			return factor * power
		}
	}
	return 10 * power
}

// niceAxis widens a range to ticks at 1, 2 or 5 times a power of ten, about
// wanted of them.
func niceAxis(lo, hi float64, wanted int) (from, to float64, ticks []tick) {
	if smallest := max(math.Abs(lo), math.Abs(hi)) * 1e-9; hi-lo <= smallest || hi-lo < 1e-300 {
		room := max(math.Abs(lo)*0.1, 0.5)
		if lo != 0 {
			room = math.Abs(lo) * 0.1
		}
		if room < 1e-300 {
			room = 0.5
		}
		lo, hi = lo-room, hi+room
	}
	step := niceStep((hi - lo) / float64(wanted))
	first, last := math.Floor(lo/step+1e-9), math.Ceil(hi/step-1e-9)
	from, to = first*step, last*step
	for i := 0; i <= int(last-first) && i <= 2*wanted+2; i++ {
		v := (first + float64(i)) * step
		ticks = append(ticks, tick{v, tickLabel(v, step)})
	}
	return from, to, ticks
}

// shareTicks are those of an axis from 0 to 1.
func shareTicks() []tick {
	_, _, ticks := niceAxis(0, 1, 5)
	return ticks
}
