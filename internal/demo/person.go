package demo

import (
	"math"
	"math/rand/v2"
)

// Bounds of the generated numbers.
const (
	minAge, maxAge           = 18, 95
	minDuration, maxDuration = 5, 3_600 // seconds
	maxCampaign              = 40
	maxPrevious              = 6
	neverContacted           = 999 // pdays of a customer without an earlier campaign
)

// person is a customer and a call to the customer.
type person struct {
	age                       int
	job, marital, education   string
	credit, housing, loan     string // the feature called default
	contact, day              string
	period                    *period
	euribor                   int // in thousandths
	duration                  int
	campaign, pdays, previous int
	poutcome                  string
}

// share is a value and how many of a thousand have it.
type share struct {
	value string
	share int
}

// pick draws a value by its share.
func pick(random *rand.Rand, shares []share) string {
	total := 0
	for _, s := range shares {
		total += s.share
	}
	at := random.IntN(total)
	for _, s := range shares {
		if at -= s.share; at < 0 {
			return s.value
		}
	}
	panic("unreachable: at is below the total")
}

func valuesOf(shares []share) []string {
	values := make([]string, len(shares))
	for i, s := range shares {
		values[i] = s.value
	}
	return values
}

// newPerson draws a customer: first the job, then age by job, education by job,
// marital status by age; then the period of the call, which determines the
// indicators, and the kind of contact and the history of earlier campaigns.
func newPerson(random *rand.Rand) person {
	p := person{job: pick(random, jobs)}
	a := ages[p.job]
	p.age = clamp(int(math.Round(a.mean+a.deviation*random.NormFloat64())), a.least, a.most)
	p.education = pick(random, educationByJob[p.job])
	p.marital = pick(random, maritalOf(p.age))
	p.credit = p.drawCredit(random)
	p.housing, p.loan = drawLoans(random)

	p.period = pickPeriod(random)
	p.euribor = p.period.euriborLow + random.IntN(p.period.euriborHigh-p.period.euriborLow+1)
	p.contact = "telephone"
	if random.IntN(100) < p.period.cellularPercent {
		p.contact = "cellular"
	}
	p.day = days[random.IntN(len(days))]
	p.duration = clamp(int(math.Round(math.Exp(5.2+0.85*random.NormFloat64()))), minDuration, maxDuration)
	p.campaign = 1
	for p.campaign < maxCampaign && random.IntN(100) < 55 {
		p.campaign++
	}
	p.drawHistory(random)
	return p
}

// drawHistory draws the result of earlier campaigns. Without one, pdays is 999,
// previous 0 and poutcome nonexistent, always all three.
func (p *person) drawHistory(random *rand.Rand) {
	p.pdays, p.previous, p.poutcome = neverContacted, 0, "nonexistent"
	if random.IntN(100) >= p.period.knownPercent {
		return
	}
	p.poutcome = "failure"
	if random.IntN(100) < p.period.successPercent {
		p.poutcome = "success"
	}
	p.previous = 1
	for p.previous < maxPrevious && random.IntN(100) < 25 {
		p.previous++
	}
	p.pdays = 2 + random.IntN(6) + random.IntN(14) // some days to three weeks
}

// drawCredit draws whether credit is in default. It is hardly ever known to be,
// and more often unknown for older customers and those with little schooling.
func (p *person) drawCredit(random *rand.Rand) string {
	unknown := 8 + max(0, p.age-30)/2
	switch p.education {
	case "basic.4y", "basic.6y", "basic.9y", "illiterate":
		unknown += 14
	}
	switch at := random.IntN(1000); {
	case at == 0:
		return "yes"
	case at < 10*unknown:
		return "unknown"
	}
	return "no"
}

// drawLoans draws the housing and the personal loan, which are unknown together.
func drawLoans(random *rand.Rand) (housing, loan string) {
	if random.IntN(1000) < 24 {
		return "unknown", "unknown"
	}
	housing, loan = "no", "no"
	if random.IntN(100) < 54 {
		housing = "yes"
	}
	if random.IntN(100) < 15 {
		loan = "yes"
	}
	return housing, loan
}

func clamp(n, low, high int) int { return max(low, min(n, high)) }
