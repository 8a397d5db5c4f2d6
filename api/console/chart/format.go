package chart

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// unknown stands for a value that is not known.
const unknown = "–"

// number formats a value for tables and titles.
func number(v float64) string {
	switch magnitude := math.Abs(v); {
	case math.IsNaN(v):
		return unknown
	case math.IsInf(v, 0):
		return strconv.FormatFloat(v, 'f', -1, 64)
	case magnitude == 0:
		return "0"
	case magnitude < 1e-4, magnitude >= maxMagnitude:
		return exponent(strconv.FormatFloat(v, 'g', 6, 64))
	default:
		digits := 5 - int(math.Floor(math.Log10(magnitude)))
		return trimZeros(strconv.FormatFloat(v, 'f', max(digits, 2), 64))
	}
}

// interval formats the bounds of a value; empty if there are none.
func interval(low, high float64) string {
	if math.IsNaN(low) && math.IsNaN(high) {
		return ""
	}
	return number(low) + " to " + number(high)
}

func count(n int64) string {
	return strconv.FormatInt(n, 10)
}

// percent formats a share.
func percent(share float64) string {
	if math.IsNaN(share) {
		return unknown
	}
	return number(100*share) + " %"
}

// tickLabel formats a value at a tick, with as many decimals as the step has.
func tickLabel(v, step float64) string {
	units := []struct {
		from, factor float64
		sign         string
	}{{1e12, 1e12, "T"}, {1e9, 1e9, "G"}, {1e6, 1e6, "M"}, {1e4, 1e3, "k"}}
	if math.Abs(v) < step/2 {
		return "0"
	}
	for _, unit := range units {
		if math.Abs(v) >= unit.from {
			return trimZeros(strconv.FormatFloat(v/unit.factor, 'f', decimals(step/unit.factor), 64)) + unit.sign
		}
	}
	if step < 1e-4 {
		return exponent(strconv.FormatFloat(v, 'g', 4, 64))
	}
	return strconv.FormatFloat(v, 'f', decimals(step), 64)
}

func decimals(step float64) int {
	return min(max(0, -int(math.Floor(math.Log10(step)+1e-9))), 12)
}

func trimZeros(text string) string {
	if strings.Contains(text, ".") {
		text = strings.TrimRight(strings.TrimRight(text, "0"), ".")
	}
	if text == "-0" {
		return "0"
	}
	return text
}

// exponent shortens e-09 to e-9.
func exponent(text string) string {
	return strings.NewReplacer("e-0", "e-", "e+0", "e+").Replace(text)
}

// moment formats a time.
func moment(t time.Time) string {
	return t.UTC().Format("2006-01-02 15:04:05 UTC")
}

// formatDuration formats a duration in two units at most: 1h 5m, 2m 3s, 4.2s, 35ms.
func formatDuration(d time.Duration) string {
	switch {
	case d < 0:
		return unknown
	case d < time.Second:
		return strconv.FormatInt(d.Milliseconds(), 10) + "ms"
	case d < 10*time.Second:
		return trimZeros(strconv.FormatFloat(d.Truncate(100*time.Millisecond).Seconds(), 'f', 1, 64)) + "s"
	case d < time.Minute:
		return strconv.FormatInt(int64(d/time.Second), 10) + "s"
	case d < time.Hour:
		return two(d, time.Minute, "m", time.Second, "s")
	case d < 24*time.Hour:
		return two(d, time.Hour, "h", time.Minute, "m")
	default:
		return two(d, 24*time.Hour, "d", time.Hour, "h")
	}
}

func two(d, large time.Duration, largeSign string, small time.Duration, smallSign string) string {
	text := strconv.FormatInt(int64(d/large), 10) + largeSign
	if rest := d % large / small; rest > 0 {
		text += " " + strconv.FormatInt(int64(rest), 10) + smallSign
	}
	return text
}

// join joins the parts of a sentence that are not empty.
func join(parts ...string) string {
	var kept []string
	for _, part := range parts {
		if part != "" {
			kept = append(kept, part)
		}
	}
	return strings.Join(kept, ", ")
}

func plural(n int64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return count(n) + " " + many
}
