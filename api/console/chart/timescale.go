package chart

import (
	"math"
	"time"
)

// timeSteps are the distances of ticks, up to two weeks; beyond are months and
// years.
var timeSteps = []time.Duration{
	time.Second, 2 * time.Second, 5 * time.Second, 15 * time.Second, 30 * time.Second,
	time.Minute, 2 * time.Minute, 5 * time.Minute, 15 * time.Minute, 30 * time.Minute,
	time.Hour, 3 * time.Hour, 6 * time.Hour, 12 * time.Hour,
	24 * time.Hour, 2 * 24 * time.Hour, 7 * 24 * time.Hour, 14 * 24 * time.Hour,
}

var monthSteps = []int{1, 2, 3, 6}

const day = 24 * 60 * 60

// seconds is a time as a value of a scale. A time outside of the years 1 to
// 9999 cannot be drawn: it is NaN.
func seconds(t time.Time) float64 {
	const year1, year10000 = -62135596800, 253402300800
	if s := t.Unix(); s >= year1 && s < year10000 {
		return float64(s) + float64(t.Nanosecond())/1e9
	}
	return math.NaN()
}

// timeTicks returns about wanted ticks between two times, in UTC.
func timeTicks(lo, hi float64, wanted int) []tick {
	least := 0.75 * (hi - lo) / float64(wanted)
	for _, step := range timeSteps {
		if s := step.Seconds(); s >= least {
			return evenTicks(lo, hi, s)
		}
	}
	for _, months := range monthSteps {
		if float64(months)*30.5*day >= least {
			return monthTicks(lo, hi, months)
		}
	}
	return monthTicks(lo, hi, 12*int(niceStep(max(1, least/(365.25*day)))))
}

func evenTicks(lo, hi, step float64) []tick {
	form := "Jan 2"
	switch {
	case step < 60:
		form = "15:04:05"
	case step < day:
		form = "15:04"
	}
	// Weeks begin on Monday; the first of January 1970 was a Thursday.
	offset := 0.0
	if step >= 7*day {
		offset = 4 * day
	}
	var ticks []tick
	for v := math.Ceil((lo-offset)/step)*step + offset; v <= hi; v += step {
		t := time.Unix(int64(v), 0).UTC()
		label := t.Format(form)
		if form == "15:04" && t.Hour() == 0 && t.Minute() == 0 {
			label = t.Format("Jan 2")
		}
		ticks = append(ticks, tick{v, label})
	}
	return ticks
}

// monthTicks returns ticks at the first day of every n-th month.
func monthTicks(lo, hi float64, months int) []tick {
	form := "Jan 2006"
	if months >= 12 {
		form = "2006"
	}
	first := time.Unix(int64(lo), 0).UTC()
	index := first.Year()*12 + int(first.Month()) - 1
	index -= index % months
	var ticks []tick
	for ; ; index += months {
		t := time.Date(index/12, time.Month(index%12+1), 1, 0, 0, 0, 0, time.UTC)
		v := float64(t.Unix())
		if v > hi {
			return ticks
		}
		if v >= lo {
			ticks = append(ticks, tick{v, t.Format(form)})
		}
	}
}
