package stats

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

const day = 24 * time.Hour

func TestDelayBins(t *testing.T) {
	for bin := range DelayBins - 1 {
		end := DelayBinEnd(bin)
		if got := DelayBin(end); got != bin {
			t.Errorf("the end %v of bin %d is in bin %d", end, bin, got)
		}
		if got := DelayBin(end + 1); got != bin+1 {
			t.Errorf("just after the end %v of bin %d is in bin %d", end, bin, got)
		}
	}
	for delay, want := range map[time.Duration]int{-time.Hour: 0, 0: 0, 5000 * day: DelayBins - 1} {
		if got := DelayBin(delay); got != want {
			t.Errorf("%v is in bin %d, want %d", delay, got, want)
		}
	}
	for _, delay := range []time.Duration{time.Minute, time.Hour, day, 14 * day, 30 * day, 364 * day} {
		if DelayBinEnd(DelayBin(delay)) != delay {
			t.Errorf("no bin ends at %v", delay)
		}
	}
	if DelayBinEnd(DelayBins-1) != 364*day {
		t.Errorf("the last bin ends at %v", DelayBinEnd(DelayBins-1))
	}
}

// history simulates predictions made evenly over a time that ends now, and counts them.
type history struct {
	predictions int
	observed    time.Duration
	answered    float64                                 // the share that ever has an outcome
	delay       func(*rand.Rand, float64) time.Duration // by label
}

const positiveRate = 0.15

func (h history) counts(random *rand.Rand) []DelayCount {
	counts := make([]DelayCount, DelayBins)
	for range h.predictions {
		age := time.Duration(random.Float64() * float64(h.observed))
		y := label(random, positiveRate)
		delay := h.delay(random, y)
		switch {
		case random.Float64() >= h.answered || delay > age:
			counts[DelayBin(age)].Waiting++
		case y == 1:
			counts[DelayBin(delay)].Positives++
		default:
			counts[DelayBin(delay)].Negatives++
		}
	}
	return counts
}

func exponential(mean time.Duration) func(*rand.Rand, float64) time.Duration {
	return func(random *rand.Rand, _ float64) time.Duration {
		return time.Duration(random.ExpFloat64() * float64(mean))
	}
}

func TestMaturityIsLearned(t *testing.T) {
	random := rand.New(rand.NewPCG(21, 9))
	slowYes := func(random *rand.Rand, y float64) time.Duration {
		return time.Duration(random.ExpFloat64() * float64(day) * (1 + 3*y))
	}
	tests := []struct {
		name      string
		h         history
		low, high time.Duration
	}{
		// The 95 % quantile of an exponential distribution is 3.0 means.
		{"exponential", history{40_000, 60 * day, 0.75, exponential(3 * day)}, 8 * day, 10 * day},
		{"few answer", history{40_000, 60 * day, 0.1, exponential(3 * day)}, 8 * day, 10 * day},
		{"hours", history{40_000, 60 * day, 0.75, exponential(time.Hour)}, 2*time.Hour + 30*time.Minute, 3*time.Hour + 30*time.Minute},
		{"a fixed delay", history{40_000, 60 * day, 0.75, func(*rand.Rand, float64) time.Duration { return 14 * day }}, 14 * day, 14 * day},
		// The few positive outcomes decide: 3.0 times 4 days, not those of 1 day.
		{"yes is slower", history{40_000, 60 * day, 0.75, slowYes}, 11 * day, 13 * day},
	}
	for _, tt := range tests {
		m := LearnMaturity(tt.h.counts(random), 0.95)
		if !m.Known || m.Unknown != "" {
			t.Errorf("%s: %s", tt.name, m.Unknown)
			continue
		}
		if m.After < tt.low || m.After > tt.high {
			t.Errorf("%s: after %v, want %v to %v", tt.name, m.After, tt.low, tt.high)
		}
		if math.Abs(m.AnsweredShare-tt.h.answered) > 0.03 {
			t.Errorf("%s: %.3f answer, want %.3f", tt.name, m.AnsweredShare, tt.h.answered)
		}
		t.Logf("%s: after %v, %.3f answer, observed for %v", tt.name, m.After, m.AnsweredShare, m.Observed)
	}
}

// What is simply the quantile of the delays seen is too short while there are many young
// predictions.
func TestMaturityCorrectsForYoungPredictions(t *testing.T) {
	random := rand.New(rand.NewPCG(21, 10))
	h := history{60_000, 20 * day, 0.75, exponential(3 * day)}
	counts := h.counts(random)
	var outcomes, seen float64
	for _, c := range counts {
		outcomes += c.Negatives + c.Positives
	}
	naive := time.Duration(0)
	for bin, c := range counts {
		if seen += c.Negatives + c.Positives; seen >= 0.95*outcomes {
			naive = DelayBinEnd(bin)
			break
		}
	}
	m := LearnMaturity(counts, 0.95)
	if !m.Known || m.After < 8*day+12*time.Hour || m.After > 10*day {
		t.Errorf("after %v, want about 9 days (%s)", m.After, m.Unknown)
	}
	if naive > 8*day {
		t.Errorf("the quantile of the delays seen is %v: the test shows nothing", naive)
	}
}

func TestMaturityIsNotKnownTooEarly(t *testing.T) {
	random := rand.New(rand.NewPCG(21, 11))
	mean := 3 * day
	for _, observed := range []time.Duration{day, 3 * day, 6 * day, 9 * day, 14 * day} {
		h := history{40_000, observed, 0.75, exponential(mean)}
		if m := LearnMaturity(h.counts(random), 0.95); m.Known || m.After != 0 || !strings.Contains(m.Unknown, "outcomes still arrive") {
			t.Errorf("observed for %v: %+v", observed, m)
		}
	}
}

func TestMaturityNeedsOutcomes(t *testing.T) {
	counts := make([]DelayCount, DelayBins)
	if m := LearnMaturity(counts, 0.95); m.Known || m.Unknown != "0 outcomes, 30 are needed" {
		t.Errorf("of nothing: %+v", m)
	}
	counts[DelayBin(time.Hour)] = DelayCount{Negatives: 25, Positives: 4}
	counts[DelayBin(30*day)].Waiting = 1000
	if m := LearnMaturity(counts, 0.95); m.Known || m.Unknown != "29 outcomes, 30 are needed" {
		t.Errorf("of 29 outcomes: %+v", m)
	}
	counts[DelayBin(time.Hour)].Positives++
	if m := LearnMaturity(counts, 0.95); !m.Known || m.After != time.Hour {
		t.Errorf("of 30 outcomes after an hour: %+v", m)
	}
	// Apps that report one label alone.
	counts[DelayBin(time.Hour)] = DelayCount{Positives: 40}
	if m := LearnMaturity(counts, 0.95); !m.Known || m.After != time.Hour {
		t.Errorf("of positive outcomes alone: %+v", m)
	}
}

// All predictions are old, so the estimate is the plain share.
func TestAnsweredShareWithoutYoungPredictions(t *testing.T) {
	counts := make([]DelayCount, DelayBins)
	counts[DelayBin(day)] = DelayCount{Negatives: 200, Positives: 50}
	counts[DelayBin(2*day)] = DelayCount{Negatives: 100, Positives: 50}
	counts[DelayBin(20*day)].Waiting = 600
	near(t, "answered share", LearnMaturity(counts, 0.95).AnsweredShare, 0.4, 1e-12)
}

// A life table by hand. Of 100 predictions 90 are exposed in the first bin, as 20 leave it
// half way; of the 70 that are left, 40 in the second.
func TestIncidenceIsThatOfALifeTable(t *testing.T) {
	counts := make([]DelayCount, DelayBins)
	counts[0] = DelayCount{Negatives: 6, Positives: 4, Waiting: 20}
	counts[1] = DelayCount{Negatives: 10, Waiting: 60}
	c := newIncidence(counts)
	near(t, "negatives in the first bin", c.cumulative[0][0], 6./90, 1e-12)
	near(t, "positives in the first bin", c.cumulative[1][0], 4./90, 1e-12)
	near(t, "negatives in the second", c.cumulative[0][1], 6./90+80./90*10/40, 1e-12)
	near(t, "answered", c.answered(), 1./9+8./9/4, 1e-12)
	if c.observed() != 2*time.Minute {
		t.Errorf("observed for %v", c.observed())
	}
}
