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

func (f *Feature) example() float64 {
	var x float64
	switch {
	case f.Default != nil:
		return *f.Default
	case f.Type == Category:
		return 0 // the index of the first value
	case f.Min != nil && f.Max != nil:
		x = *f.Min + (*f.Max-*f.Min)/2
	case f.Min != nil:
		x = *f.Min
	case f.Max != nil:
		x = min(*f.Max, 0)
	}
	if f.Type != Integer {
		return x
	}
	// With a fractional bound, the integer within the range.
	if whole := math.Floor(x); f.Min == nil || whole >= *f.Min {
		return whole
	}
	return math.Ceil(x)
}
