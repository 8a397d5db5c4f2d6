package stats

import (
	"fmt"
	"time"
)

// DelayCount counts predictions in a bin of DelayBin: those with an outcome by its
// delay, those without by their age now.
type DelayCount struct {
	Negatives float64 // outcomes of the negative label that took so long
	Positives float64 // outcomes of the positive label that took so long
	Waiting   float64 // predictions so old without an outcome
}

// Maturity says after which age a prediction that has no outcome will hardly get one.
type Maturity struct {
	Known         bool
	After         time.Duration // an end of a delay bin
	AnsweredShare float64       // the share of predictions that get an outcome at all
	Outcomes      int64
	Observed      time.Duration // the age up to which enough predictions could be watched
	Unknown       string        // why it is not known yet; empty where it is
}

// LearnMaturity learns from delays seen so far the age by which a share of those
// predictions that will ever have an outcome have it: of either label, as the rarer one
// may well be the later. Counts has DelayBins elements; share is between 0 and 1.
//
// Outcomes seen so far are too quick: young predictions can have quick ones only. So the
// share with an outcome of a label up to each age is estimated from all predictions as
// old as that, those without an outcome too: the estimator of Aalen and Johansen
// (Scandinavian Journal of Statistics 5(3), 1978), in the form for bins, where rows whose
// age ends in a bin count half (Cutler and Ederer, Journal of Chronic Diseases 8(6), 1958).
// It levels off below 1 where some never have an outcome (Maller and Zhou, Biometrika
// 79(4), 1992).
//
// That it has levelled off can be seen only afterwards. Predictions must have been
// watched for twice the age that is returned, so that outcomes in the second half are
// less than 1−share of all (a follow-up that is practically sufficient: Yuen and Musta,
// 2026, doi:10.1002/bimj.70121). Outcomes that take longer than what has been watched
// are unknown to it. It also needs MinOutcomes outcomes and, of a label, MinOfEitherLabel.
func LearnMaturity(counts []DelayCount, share float64) Maturity {
	c := newIncidence(counts)
	m := Maturity{Outcomes: int64(c.outcomes[0] + c.outcomes[1]), Observed: c.observed(), AnsweredShare: c.answered()}
	if m.Outcomes < MinOutcomes {
		m.Unknown = fmt.Sprintf("%d outcomes, %d are needed", m.Outcomes, MinOutcomes)
		return m
	}
	for label, outcomes := range c.outcomes {
		if outcomes >= MinOfEitherLabel {
			m.After = max(m.After, c.quantile(label, share))
		}
	}
	if 2*m.After > m.Observed || m.After == 0 {
		m.Unknown = fmt.Sprintf("outcomes still arrive: predictions have been observed for %s, and %.3g %% of the outcomes so far took up to %s; twice as long is needed",
			m.Observed, 100*share, m.After)
		m.After = 0
		return m
	}
	m.Known = true
	return m
}

// incidence has, by label, the share of predictions with an outcome up to the end of
// each bin.
type incidence struct {
	outcomes   [2]float64
	cumulative [2][]float64
}

// newIncidence follows the bins as long as MinOutcomes predictions are left in them.
func newIncidence(counts []DelayCount) (out incidence) {
	atRisk := 0.0
	for _, c := range counts {
		atRisk += c.Negatives + c.Positives + c.Waiting
		out.outcomes[0] += c.Negatives
		out.outcomes[1] += c.Positives
	}
	unanswered := 1.0
	var sums [2]float64
	for _, c := range counts[:min(len(counts), len(delayEnds))] {
		exposed := atRisk - c.Waiting/2
		if exposed < MinOutcomes {
			break
		}
		for label, events := range [2]float64{c.Negatives, c.Positives} {
			sums[label] += unanswered * events / exposed
			out.cumulative[label] = append(out.cumulative[label], sums[label])
		}
		unanswered -= unanswered * (c.Negatives + c.Positives) / exposed
		atRisk -= c.Negatives + c.Positives + c.Waiting
	}
	return out
}

func (c incidence) observed() time.Duration {
	if bins := len(c.cumulative[0]); bins > 0 {
		return delayEnds[bins-1]
	}
	return 0
}

// answered is the share of predictions that have an outcome up to the last bin.
func (c incidence) answered() float64 {
	bins := len(c.cumulative[0])
	if bins == 0 {
		return 0
	}
	return c.cumulative[0][bins-1] + c.cumulative[1][bins-1]
}

// quantile returns the age at which a share of the outcomes of a label, of those up to
// the last bin, are there.
func (c incidence) quantile(label int, share float64) time.Duration {
	curve := c.cumulative[label]
	for bin, value := range curve {
		if value >= share*curve[len(curve)-1] {
			return delayEnds[bin]
		}
	}
	return 0
}
