package stats

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"gateway/internal/testsize"
)

// simulated is a prediction with what will become of it.
type simulated struct {
	at       time.Duration // since the start
	score    float64
	label    float64
	answered bool
	delay    time.Duration
}

// simulation has predictions of 60 days. A quarter of them never have an outcome. A yes
// takes twice as long as a no.
type simulation struct {
	population  population
	predictions []simulated
}

const (
	simulatedDays = 60
	delayOfNo     = 2 * day // mean
	delayOfYes    = 4 * day
)

func simulate(random *rand.Rand, p population, aDay int) simulation {
	s := simulation{population: p}
	for range simulatedDays * aDay {
		score, positive := p.draw(random)
		x := simulated{at: time.Duration(random.Int64N(int64(simulatedDays * day))), score: score, label: label(random, positive)}
		x.answered = random.Float64() < 0.75
		x.delay = time.Duration(random.ExpFloat64() * float64(delayOfNo) * (1 + x.label))
		s.predictions = append(s.predictions, x)
	}
	return s
}

// at counts what is known at a time: delays, the predictions at least as old as mature
// with their outcomes, and all predictions. Everything has all labels too.
func (s simulation) at(now, mature time.Duration) (delays []DelayCount, old, all, everything binned) {
	delays = make([]DelayCount, DelayBins)
	threshold := s.population.threshold
	for _, x := range s.predictions {
		age := now - x.at
		if age < 0 {
			continue
		}
		known := x.answered && x.delay <= age
		switch {
		case !known:
			delays[DelayBin(age)].Waiting++
		case x.label == 1:
			delays[DelayBin(x.delay)].Positives++
		default:
			delays[DelayBin(x.delay)].Negatives++
		}
		everything.add(x.score, threshold, x.label)
		all.cell(x.score, threshold).Predictions++
		if age >= mature && known {
			old.add(x.score, threshold, x.label)
		} else if age >= mature {
			old.cell(x.score, threshold).Predictions++
		}
	}
	return delays, old, all, everything
}

// The figures of mature predictions, and the estimates, cover the truth known to the
// simulation. There is no figure before maturity is known.
func TestSixtyDays(t *testing.T) {
	random := rand.New(rand.NewPCG(21, 60))
	p := populations["overconfident"]
	p.threshold = 0.3
	truth := p.truth().figures()
	measured, estimated := coverage{}, coverage{}
	quantileOfYes := 3 * delayOfYes // 95 %: 2.996 means
	var learned []int
	wrong, known := 0, 0
	repeats := testsize.Of(300, 2000)
	for range repeats {
		s := simulate(random, p, 60)
		calibration := Recalibrate(p.sample(random, 3000))
		first := 0
		for today := 10; today <= simulatedDays; today += 10 {
			now := time.Duration(today) * day
			delays, _, _, _ := s.at(now, 0)
			m := LearnMaturity(delays, 0.95)
			if !m.Known {
				if m.After != 0 {
					t.Fatalf("day %d: an age, %v, that is not known", today, m.After)
				}
				continue
			}
			if first == 0 {
				first = today
			}
			known++
			if m.After < quantileOfYes*6/10 || m.After > quantileOfYes*15/10 {
				wrong++
			}
			if today < simulatedDays { // figures of one run are much the same
				continue
			}
			_, old, all, everything := s.at(now, m.After)
			for name, f := range Measure(old[:]).figures() {
				measured.add(name, f, truth[name])
			}
			complete := Measure(everything[:]).figures()
			for name, f := range Expect(all[:], calibration).figures() {
				estimated.add(name, f, complete[name])
			}
		}
		learned = append(learned, first)
	}
	slices.Sort(learned)
	t.Logf("%d runs: maturity is known from day %d (first), %d (median), %d (last)", repeats, learned[0], learned[len(learned)/2], learned[len(learned)-1])
	if learned[0] < 20 || learned[len(learned)*9/10] > 40 {
		t.Errorf("maturity is known from day %v", learned)
	}
	t.Logf("in %d of %d cases the age of maturity is far from %v", wrong, known, quantileOfYes)
	if wrong*100 > known {
		t.Errorf("in %d of %d cases the age of maturity is far from %v", wrong, known, quantileOfYes)
	}
	for what, covered := range map[string]coverage{"measured": measured, "estimated": estimated} {
		var line []string
		for _, name := range slices.Sorted(maps.Keys(covered)) {
			share := covered.share(name)
			line = append(line, fmt.Sprintf("%s %.3f of %d", name, share, covered[name][1]))
			if share < 0.90 || share > 0.99 {
				t.Errorf("%s: the interval of %s covers the truth in %.3f of cases", what, name, share)
			}
		}
		t.Logf("%s: %s", what, strings.Join(line, ", "))
	}
}

// Predictions that are not mature would bias figures: the no comes first.
func TestImmatureFiguresAreBiased(t *testing.T) {
	random := rand.New(rand.NewPCG(21, 61))
	p := calibratedPopulation
	s := simulate(random, p, 2000)
	_, young, _, _ := s.at(6*day, 0)
	_, old, _, _ := s.at(60*day, 12*day)
	truth := p.truth()
	if f := Measure(young[:]).Precision; f.High > truth.Precision.Value {
		t.Errorf("without maturity the precision is %+v, in truth %v: the test shows nothing", *f, truth.Precision.Value)
	}
	if f := Measure(old[:]).Precision; f.Low > truth.Precision.Value || f.High < truth.Precision.Value {
		t.Errorf("mature, the precision is %+v, in truth %v", *f, truth.Precision.Value)
	}
}
