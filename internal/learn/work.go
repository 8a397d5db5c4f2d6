package learn

// maxLinearFit is the maximum work of a linear model of all rows that Auto learns.
const maxLinearFit = 100_000_000_000

// newtonSteps is about how many steps Newton's method takes.
const newtonSteps = 8

// newtonWork returns about how many products and sums a linear model takes, by the rows,
// the coefficients and the entries of a row that are not zero.
func newtonWork(rows, width int, entries float64) float64 {
	n, p := float64(rows), float64(width)
	if rows < width {
		return n*n*entries/2 + newtonSteps*n*n*n/2
	}
	return newtonSteps * (n*entries*entries/2 + p*p*p/3)
}

// entries returns the mean number of entries in a row of a design, and its coefficients.
func entries(summaries []summary) (perRow float64, width int) {
	perRow, width = 1, 1
	for _, s := range summaries {
		switch {
		case s.deviation <= constantBelow*s.largest:
			continue
		case s.zeros < keepZerosFrom:
			perRow++
		default:
			perRow += 1 - s.zeros
		}
		width++
	}
	return perRow, width
}
