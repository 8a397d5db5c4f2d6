package demo

import (
	"errors"
	"math/rand/v2"
	"slices"
	"strconv"

	"gateway/internal/predict"
	"gateway/internal/schema"
)

const (
	// FirstID is the number that is the id of the first customer.
	FirstID = 10_001 // so that 10042, the customer of the examples, is among the first hundred

	// unlabelledPercent is the share of customers without a label, which are to be
	// predicted.
	unlabelledPercent = 10
)

// errForeign is returned for a schema that Fits rejects.
var errForeign = errors.New("demo customers can be made for the bank schema only")

// Customers generates n customers of the schema, with ids from "10001" on. The
// same seed gives the same customers; a larger n only adds customers.
func Customers(schema *schema.Schema, n int, seed uint64) ([]predict.Customer, error) {
	customers := make([]predict.Customer, 0, n)
	err := Each(schema, n, seed, func(c predict.Customer) error {
		customers = append(customers, c)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return customers, nil
}

// Each calls do with each of those customers and stops at its first error. It
// does not keep them, so n may be any number.
func Each(schema *schema.Schema, n int, seed uint64, do func(predict.Customer) error) error {
	writers, err := writersOf(schema)
	if err != nil {
		return err
	}
	random := rand.New(rand.NewPCG(seed, 0x64656d6f)) // "demo"
	for k := range n {
		p := newPerson(random)
		subscribed := p.subscribes(random)
		unlabelled := random.IntN(100) < unlabelledPercent

		record, err := p.record(schema, writers)
		if err != nil {
			return err
		}
		c := predict.Customer{ID: strconv.Itoa(FirstID + k), Features: schema.AppendFeatures(nil, record, true), Demo: true}
		if !unlabelled {
			label := 0
			if subscribed {
				label = 1
			}
			c.Label = &label
		}
		if err := do(c); err != nil {
			return err
		}
	}
	return nil
}

// writersOf returns, by feature of the schema, what writes it.
func writersOf(s *schema.Schema) ([]func(*person) string, error) {
	if !Fits(s) {
		return nil, errForeign
	}
	writers := make([]func(*person) string, len(s.Features))
	for i := range s.Features {
		writers[i] = attributes[find(s.Features[i].Name)].write
	}
	return writers, nil
}

// record returns the features of a person.
func (p *person) record(s *schema.Schema, writers []func(*person) string) (schema.Record, error) {
	record := s.NewRecord()
	for i, write := range writers {
		if v := s.SetNumber(record, i, write(p)); v != nil {
			return schema.Record{}, errors.New(v.Field + " " + v.Detail) // Fits excludes this.
		}
	}
	return record, nil
}

// Fits reports whether customers of the schema can be generated: the generator
// has every feature, and the schema allows every value that it may generate.
func Fits(schema *schema.Schema) bool {
	for i := range schema.Features {
		f := &schema.Features[i]
		at := find(f.Name)
		if at < 0 || !attributes[at].fits(f) {
			return false
		}
	}
	return true
}

// attribute is a feature of generated customers.
type attribute struct {
	name   string
	values []string // of a category: all values that occur
	// Of a number: its minimum and maximum, and whether it may have a fraction.
	low, high float64
	fraction  bool
	write     func(*person) string
}

var attributes = []attribute{
	{name: "age", low: minAge, high: maxAge, write: func(p *person) string { return strconv.Itoa(p.age) }},
	{name: "job", values: valuesOf(jobs), write: func(p *person) string { return p.job }},
	{name: "marital", values: valuesOf(maritalByAge[0].shares), write: func(p *person) string { return p.marital }},
	{name: "education", values: valuesOf(educationByJob["unknown"]), write: func(p *person) string { return p.education }},
	{name: "default", values: yesNo, write: func(p *person) string { return p.credit }},
	{name: "housing", values: yesNo, write: func(p *person) string { return p.housing }},
	{name: "loan", values: yesNo, write: func(p *person) string { return p.loan }},
	{name: "contact", values: []string{"cellular", "telephone"}, write: func(p *person) string { return p.contact }},
	{name: "month", values: monthsOf(periods), write: func(p *person) string { return p.period.month }},
	{name: "day_of_week", values: days, write: func(p *person) string { return p.day }},
	{name: "duration", low: minDuration, high: maxDuration, write: func(p *person) string { return strconv.Itoa(p.duration) }},
	{name: "campaign", low: 1, high: maxCampaign, write: func(p *person) string { return strconv.Itoa(p.campaign) }},
	{name: "pdays", low: 1, high: neverContacted, write: func(p *person) string { return strconv.Itoa(p.pdays) }},
	{name: "previous", low: 0, high: maxPrevious, write: func(p *person) string { return strconv.Itoa(p.previous) }},
	{name: "poutcome", values: []string{"failure", "nonexistent", "success"}, write: func(p *person) string { return p.poutcome }},
	{name: "emp_var_rate", low: -3.4, high: 1.4, fraction: true, write: func(p *person) string { return p.period.empVarRate }},
	{name: "cons_price_idx", low: 92.201, high: 94.767, fraction: true, write: func(p *person) string { return p.period.consPriceIdx }},
	{name: "cons_conf_idx", low: -50.8, high: -26.9, fraction: true, write: func(p *person) string { return p.period.consConfIdx }},
	{name: "euribor3m", low: 0.634, high: 4.97, fraction: true, write: func(p *person) string { return thousandths(p.euribor) }},
	{name: "nr_employed", low: 4963.6, high: 5228.1, fraction: true, write: func(p *person) string { return p.period.nrEmployed }},
}

func find(name string) int {
	return slices.IndexFunc(attributes, func(a attribute) bool { return a.name == name })
}

// fits reports whether the feature allows every value of the attribute.
func (a *attribute) fits(f *schema.Feature) bool {
	if f.Type == schema.Category {
		for _, v := range a.values {
			if !slices.Contains(f.Values, v) {
				return false
			}
		}
		return a.values != nil
	}
	return a.values == nil && f.Type != schema.Date &&
		(f.Type == schema.Number || !a.fraction) &&
		(f.Min == nil || *f.Min <= a.low) && (f.Max == nil || *f.Max >= a.high)
}

// thousandths writes n/1000, n not negative, without converting to a float.
func thousandths(n int) string {
	return strconv.Itoa(n/1000) + "." + strconv.Itoa(1000 + n%1000)[1:]
}
