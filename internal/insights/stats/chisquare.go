package stats

import "math"

// normal975 is the quantile of the standard normal distribution that leaves 2.5 % above it.
const normal975 = 1.959963984540054

// chiSquareTail returns the probability that a chi-square variable exceeds x: the upper
// regularised incomplete gamma function Q(df/2, x/2), by its series for small x and by its
// continued fraction, evaluated from the front (Lentz), for large x (Abramowitz and Stegun,
// Handbook of Mathematical Functions, 6.5.29 and 6.5.31).
func chiSquareTail(x, df float64) float64 {
	if x <= 0 {
		return 1
	}
	a, z := df/2, x/2
	logGamma, _ := math.Lgamma(a)
	front := math.Exp(a*math.Log(z) - z - logGamma)
	if z < a+1 {
		return 1 - front*gammaSeries(a, z)
	}
	return front * gammaFraction(a, z)
}

const (
	gammaPrecision = 1e-16
	gammaTerms     = 100_000 // about the square root of the largest df, several times
)

// gammaSeries is the sum over n of z^n / (a (a+1) … (a+n)).
func gammaSeries(a, z float64) float64 {
	term := 1 / a
	sum := term
	for n := 1; n < gammaTerms && term > sum*gammaPrecision; n++ {
		term *= z / (a + float64(n))
		sum += term
	}
	return sum
}

// gammaFraction is 1/(z+1−a− 1(1−a)/(z+3−a− 2(2−a)/(z+5−a− …))).
func gammaFraction(a, z float64) float64 {
	b := z + 1 - a
	c := math.Inf(1)
	d := 1 / b
	value := d
	for n := 1.0; n < gammaTerms; n++ {
		factor := -n * (n - a)
		b += 2
		d = 1 / (factor*d + b)
		c = b + factor/c
		change := c * d
		value *= change
		if math.Abs(change-1) < gammaPrecision {
			break
		}
	}
	return value
}

// chiSquareQuantile returns the x that a chi-square variable exceeds with the
// probability tail, between 0 and 1, by bisection.
func chiSquareQuantile(tail, df float64) float64 {
	low, high := 0.0, df+1
	for chiSquareTail(high, df) > tail {
		low, high = high, 2*high
	}
	for low < high {
		middle := (low + high) / 2
		if middle == low || middle == high {
			break
		}
		if chiSquareTail(middle, df) > tail {
			low = middle
		} else {
			high = middle
		}
	}
	return high
}
