package insights

import (
	"errors"
	"fmt"
	"unicode/utf8"

	"gateway/internal/schema"
)

// Bins say in which bins the values of a model's features are counted. They are made
// from the model's training data (see Profiler).
type Bins struct {
	Schema   string        `json:"schema"`   // fingerprint
	Features []FeatureBins `json:"features"` // of the features that the model uses
}

// FeatureBins are the bins of one feature. The first four are the same for all
// features. After them come one bin for each of Values, or for each of Ranges.
type FeatureBins struct {
	Name     string       `json:"name"`
	Personal bool         `json:"personal,omitzero"` // it is not counted
	Values   []string     `json:"values,omitempty"`  // of a category, in the schema's order
	Ranges   [][2]float64 `json:"ranges,omitempty"`  // of a number: least and greatest value of each bin in the training data, ascending
	Default  int          `json:"default,omitzero"`  // the bin of the schema's default; 0: there is none
}

// The first bins of every feature.
const (
	missingBin    = iota // the value is null
	unseenBin            // an unlisted category, which the schema's unknown: replaced
	outOfRangeBin        // a number beyond those of the training data
	defaultedBin         // the value is absent and was replaced with the schema's default
	firstValueBin
)

// maxValues is how many values of a category have a bin of their own. Those after
// them share the last bin.
const maxValues = 200

// numberBin returns the bin of a number. One between two ranges is counted in the
// upper one.
func (f *FeatureBins) numberBin(x float64) int {
	last := len(f.Ranges) - 1
	if last < 0 || x < f.Ranges[0][0] || x > f.Ranges[last][1] {
		return outOfRangeBin
	}
	// There are about ten, so a search by halves would not be faster.
	for i := range f.Ranges {
		if x <= f.Ranges[i][1] {
			return firstValueBin + i
		}
	}
	return outOfRangeBin // NaN
}

// valueBin returns the bin of the category with an index into the schema's values.
func valueBin(index int) int { return firstValueBin + min(index, maxValues-1) }

// bins returns how many bins the feature has.
func (f *FeatureBins) bins() int { return firstValueBin + len(f.Values) + len(f.Ranges) }

// label names a bin in words.
func (f *FeatureBins) label(bin int, s *schema.Feature) string {
	switch bin {
	case missingBin:
		return "missing"
	case unseenBin:
		return "unseen"
	case outOfRangeBin:
		return "out of range"
	}
	i := bin - firstValueBin
	if len(f.Values) > 0 {
		if i == maxValues-1 && s != nil && len(s.Values) > maxValues {
			return "other values"
		}
		return f.Values[i]
	}
	r := f.Ranges[i]
	if r[0] == r[1] {
		return formatValue(r[0], s)
	}
	return formatValue(r[0], s) + " to " + formatValue(r[1], s)
}

func formatValue(x float64, s *schema.Feature) string {
	if s != nil {
		return s.Text(x)
	}
	return fmt.Sprint(x)
}

// compiled are Bins of the schema in use.
type compiled struct {
	bins  *Bins
	index []int // of each feature in the schema; notCounted features have -1
	kinds []schema.Type
}

var errBins = errors.New("the bins of the model are of another schema")

// compile finds the features of the bins in the schema.
func (b *Bins) compile(s *schema.Schema) (*compiled, error) {
	if b.Schema != s.Fingerprint() {
		return nil, errBins
	}
	c := &compiled{bins: b}
	for i := range b.Features {
		at := s.Feature(b.Features[i].Name)
		if at < 0 {
			return nil, errBins
		}
		c.kinds = append(c.kinds, s.Features[at].Type)
		if s.Features[at].Personal || b.Features[i].Personal {
			at = -1
		}
		c.index = append(c.index, at)
	}
	return c, nil
}

// appendBins appends the bins of a complete record.
func (c *compiled) appendBins(dst []byte, r schema.Record) []byte {
	for i, at := range c.index {
		if at < 0 {
			dst = append(dst, notCounted)
			continue
		}
		dst = utf8.AppendRune(dst, firstBin+rune(c.bin(i, at, r)))
	}
	return dst
}

// bin returns the bin of feature i, which has the index at in the schema.
func (c *compiled) bin(i, at int, r schema.Record) int {
	switch {
	case r.Missing(at):
		return missingBin
	case r.IsMapped(at):
		return unseenBin
	case r.IsDefaulted(at) && c.bins.Features[i].Default > 0:
		return defaultedBin
	case c.kinds[i] == schema.Category:
		return valueBin(int(r.Value(at)))
	}
	return c.bins.Features[i].numberBin(r.Value(at))
}
