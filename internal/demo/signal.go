package demo

import (
	"math"
	"math/rand/v2"
)

// The effects on the log-odds of subscribing; doc.go has them as a table.
const (
	base           = -3.52  // the log-odds of an average customer with no effect
	durationEffect = 0.0065 // a second of the call over durationCentre, up to durationMost
	durationCentre = 240
	durationMost   = 1_200
	successEffect  = 1.9  // the last campaign was a success
	failureEffect  = -0.3 // the last campaign was a failure
	euriborEffect  = -0.7 // a point of the Euribor over euriborCentre
	euriborCentre  = 3.6
	cellularEffect = 0.35
	ageEffect      = 0.10 // the square of the decades from ageCentre, up to ageMost
	ageCentre      = 42
	ageMost        = 1.0
	campaignEffect = -0.05 // each further call in this campaign, up to campaignMost
	campaignMost   = 10
	unknownCredit  = -0.25 // unknown whether credit is in default
	noiseDeviation = 0.3   // what no feature shows
)

// monthEffect is the effect of the month of the call; other months have none.
var monthEffect = map[string]float64{"mar": 1.0, "sep": 0.4, "oct": 0.4, "dec": 0.6, "may": -0.6, "nov": -0.3}

// logOdds returns the log-odds of subscribing, without the noise.
func (p *person) logOdds() float64 {
	x := base
	x += durationEffect * float64(min(p.duration, durationMost)-durationCentre)
	switch p.poutcome {
	case "success":
		x += successEffect
	case "failure":
		x += failureEffect
	}
	x += euriborEffect * (float64(p.euribor)/1000 - euriborCentre)
	x += monthEffect[p.period.month]
	if p.contact == "cellular" {
		x += cellularEffect
	}
	decades := float64(p.age-ageCentre) / 10
	x += min(ageEffect*decades*decades, ageMost)
	x += campaignEffect * float64(min(p.campaign-1, campaignMost))
	if p.credit == "unknown" {
		x += unknownCredit
	}
	return x
}

// subscribes draws the label.
func (p *person) subscribes(random *rand.Rand) bool {
	return p.subscribesWith(random, 0)
}

// subscribesWith draws the label, where the log-odds are changed by shift.
func (p *person) subscribesWith(random *rand.Rand, shift float64) bool {
	x := p.logOdds() + shift + noiseDeviation*random.NormFloat64()
	return random.Float64() < 1/(1+math.Exp(-x))
}
