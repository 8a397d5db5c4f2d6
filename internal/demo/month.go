package demo

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"time"

	"gateway/internal/failure"
	"gateway/internal/predict"
	"gateway/internal/schema"
)

// What changes during a month, as shares of its days.
const (
	// ConceptFrom is when customers of ConceptJob begin to subscribe more often than
	// their features say.
	ConceptFrom = 0.4
	// DriftFrom is when many customers begin to be called more often: campaign drifts.
	DriftFrom = 0.5
	// ConceptJob is the job of the customers whose concept changes.
	ConceptJob = "blue-collar"

	conceptEffect = 1.8 // on the log-odds
	driftPercent  = 60  // of customers that are called more often
	fullMonth     = 30  // days; the delays of outcomes of a shorter month are shorter
)

const (
	callsOfWeekday = 520
	neverPercent   = 25 // of predictions without an outcome
	correctPercent = 4  // of outcomes that are first reported wrong
	latePercent    = 12 // of outcomes that are reported days after they were observed
	againPercent   = 12 // of customers who are asked about twice in a day
	guestPercent   = 5  // of customers who are not known: their features are in the request
)

// hourWeights are how many calls come in each hour of the day, in UTC.
var hourWeights = [24]int{2, 1, 1, 1, 2, 6, 18, 42, 75, 96, 100, 88, 70, 82, 95, 90, 78, 62, 52, 56, 48, 28, 12, 5}

// weekendPercent is how many calls Saturday and Sunday have, of a weekday's.
var weekendPercent = map[time.Weekday]int{time.Saturday: 55, time.Sunday: 38}

// callers are the apps, with how many of a thousand calls they make.
var callers = []share{{"call-centre", 480}, {"web", 320}, {"mobile-app", 200}}

// Event is a prediction that an app asks for, or an outcome that it reports.
type Event struct {
	At      time.Time
	Caller  string
	Request *predict.Request // nil: the event is an outcome
	Outcome predict.Outcome
}

// Day is what happens in one day.
type Day struct {
	Start     time.Time
	Customers []predict.Customer // are stored when the day begins, without labels
	Events    []Event            // by time
}

// Month generates days of traffic and outcomes that end at a time. Most customers have
// been stored in the night before they are asked about. Outcomes come after some hours
// to some days; a quarter never come, some are late, some are corrected. See ConceptFrom
// and DriftFrom for what changes. The same options give the same days.
type Month struct {
	schema  *schema.Schema
	days    int
	end     time.Time
	next    int // number of the next customer
	day     int // that Next returns
	random  *rand.Rand
	drawing sync.Mutex // held while an id is drawn
	ids     *rand.ChaCha8
	writers []func(*person) string
	pending []Event // outcomes of days to come
}

// NewMonth returns the days before end. Its customers are numbered from 1, unless
// NumberFrom is called.
func NewMonth(s *schema.Schema, days int, end time.Time, seed uint64) (*Month, error) {
	writers, err := writersOf(s)
	if err != nil {
		return nil, err
	}
	var key [32]byte
	for i := range 8 {
		key[i] = byte(seed >> (8 * i))
	}
	return &Month{schema: s, days: days, end: end.UTC(), next: 1, writers: writers,
		random: rand.New(rand.NewPCG(seed, 0x6d6f6e7468)), ids: rand.NewChaCha8(key)}, nil // "month"
}

// NumberFrom sets the number of the next customer.
func (m *Month) NumberFrom(n int) { m.next = n }

// NewID makes an id of a time. It may be called from any goroutine.
func (m *Month) NewID(at time.Time) string {
	m.drawing.Lock()
	defer m.drawing.Unlock()
	return failure.NewIDAt(at, m.ids)
}

// Next returns the next day; false after the last one.
func (m *Month) Next() (Day, bool, error) {
	if m.day == m.days {
		return Day{}, false, nil
	}
	d := Day{Start: m.end.AddDate(0, 0, m.day-m.days)}
	percent := cmp.Or(weekendPercent[d.Start.Add(12*time.Hour).Weekday()], 100)
	calls := callsOfWeekday * percent * (85 + m.random.IntN(31)) / 10_000
	var outcomes []Event
	for range calls {
		made, err := m.customer(&d)
		if err != nil {
			return Day{}, false, err
		}
		outcomes = append(outcomes, made...)
	}
	m.pending = append(m.pending, outcomes...)
	end := d.Start.AddDate(0, 0, 1)
	m.pending = slices.DeleteFunc(m.pending, func(e Event) bool {
		if e.At.Before(end) {
			d.Events = append(d.Events, e)
			return true
		}
		return false
	})
	slices.SortStableFunc(d.Events, func(a, b Event) int { return a.At.Compare(b.At) })
	m.day++
	return d, true, nil
}

// customer adds a customer to a day, with the predictions about them, and returns the
// outcomes.
func (m *Month) customer(d *Day) ([]Event, error) {
	p := newPerson(m.random)
	if m.after(DriftFrom) && m.random.IntN(100) < driftPercent {
		p.campaign = min(p.campaign+1+m.random.IntN(4), maxCampaign)
	}
	subscribes := p.subscribesWith(m.random, m.concept(&p))
	record, err := p.record(m.schema, m.writers)
	if err != nil {
		return nil, err
	}
	at, caller := m.time(d.Start), pick(m.random, callers)
	if m.random.IntN(100) < guestPercent {
		m.ask(d, at, caller, predict.Request{Features: record})
		return nil, nil
	}
	id := strconv.Itoa(m.next)
	m.next++
	d.Customers = append(d.Customers, predict.Customer{ID: id, Features: m.schema.AppendFeatures(nil, record, true), Demo: true})
	prediction := m.ask(d, at, caller, predict.Request{CustomerID: id})
	if again := at.Add(time.Duration(20+m.random.IntN(240)) * time.Minute); m.random.IntN(100) < againPercent && again.Before(d.Start.AddDate(0, 0, 1)) {
		at = again
		prediction = m.ask(d, at, caller, predict.Request{CustomerID: id})
	}
	return m.outcomes(at, caller, id, prediction, subscribes), nil
}

// after reports whether a share of the month has passed.
func (m *Month) after(share float64) bool { return float64(m.day) >= share*float64(m.days) }

// concept is the present change of a person's log-odds.
func (m *Month) concept(p *person) float64 {
	if p.job == ConceptJob && m.after(ConceptFrom) {
		return conceptEffect
	}
	return 0
}

// time draws the time of a call.
func (m *Month) time(start time.Time) time.Time {
	total := 0
	for _, w := range hourWeights {
		total += w
	}
	at := m.random.IntN(total)
	hour := start
	for at -= hourWeights[hour.Hour()]; at >= 0; at -= hourWeights[hour.Hour()] {
		hour = hour.Add(time.Hour)
	}
	return hour.Add(time.Duration(m.random.IntN(3_600_000)) * time.Millisecond)
}

func (m *Month) ask(d *Day, at time.Time, caller string, r predict.Request) (id string) {
	r.ID = m.NewID(at)
	d.Events = append(d.Events, Event{At: at, Caller: caller, Request: &r})
	return r.ID
}

// outcomes are what becomes known about a prediction, by the time of its report.
func (m *Month) outcomes(asked time.Time, caller, customer, prediction string, subscribes bool) []Event {
	if m.random.IntN(100) < neverPercent {
		return nil
	}
	label := 0
	if subscribes {
		label = 1
	}
	o := predict.Outcome{PredictionID: prediction, Label: label, ObservedAt: asked.Add(m.delay(1.5, 0.8))}
	if caller == "call-centre" { // its outcomes name the customer, not the prediction
		o.PredictionID, o.CustomerID = "", customer
	}
	reported := o.ObservedAt.Add(m.delay(0.1, 0.5))
	if m.random.IntN(100) < latePercent {
		reported = reported.Add(m.delay(3, 0.3))
	}
	if m.random.IntN(100) >= correctPercent {
		return []Event{{At: reported, Caller: caller, Outcome: o}}
	}
	wrong, corrected := o, reported.Add(m.delay(1.5, 0.4))
	wrong.Label, o.ObservedAt = 1-label, corrected
	return []Event{{At: reported, Caller: caller, Outcome: wrong}, {At: corrected, Caller: caller, Outcome: o}}
}

// delay draws a log-normal time with a median in days of a full month. It is at least a
// minute.
func (m *Month) delay(median, deviation float64) time.Duration {
	days := median * math.Exp(deviation*m.random.NormFloat64()) * min(1, float64(m.days)/fullMonth)
	return time.Minute + time.Duration(days*float64(24*time.Hour)).Truncate(time.Second)
}
