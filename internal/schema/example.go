package schema

import (
	"math"
)

// Example returns a record with an accepted value for each feature: the default,
// else the first category or the middle of the range.
func (s *Schema) Example() Record {
	r := s.NewRecord()
	for i := range s.Features {
		f := &s.Features[i]
		r.values[i], r.origin[i] = f.example(), given
	}
	return r
}

// exampleDay is 2026-01-01.
const exampleDay = 20454

func (f *Feature) example() float64 {
	var x float64
	if f.Type == Date {
		x = exampleDay
	}
	switch {
	case f.Default != nil:
		return *f.Default
	case f.Type == Category:
		return 0 // the index of the first value
	case f.Min != nil && f.Max != nil:
		x = *f.Min + (*f.Max-*f.Min)/2
	case f.Min != nil && f.Type == Date:
		x = max(*f.Min, x)
	case f.Min != nil:
		x = *f.Min
	case f.Max != nil:
		x = min(*f.Max, x)
	}
	if f.Type == Number {
		return x
	}
	// With a fractional bound, the integer within the range.
	if whole := math.Floor(x); f.Min == nil || whole >= *f.Min {
		return whole
	}
	return math.Ceil(x)
}
