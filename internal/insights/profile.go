package insights

import (
	"bytes"
	"fmt"
	"math"
	"slices"

	"gateway/internal/insights/stats"
	"gateway/internal/schema"
)

// Profile is what is kept of the data that a model was trained on.
type Profile struct {
	Bins         Bins          `json:"bins"`
	Rows         int64         `json:"rows"`     // of the training part
	Counts       string        `json:"counts"`   // Counts of these rows by feature and bin, as text
	Labelled     int64         `json:"labelled"` // rows of both parts
	Data         string        `json:"data"`     // SHA-256 of the training part, hexadecimal
	Correlations []Correlation `json:"correlations"`
}

// Correlation is Pearson's correlation of a feature with the label, over all rows in
// which the feature has a value.
type Correlation struct {
	Feature     string   `json:"feature"`
	Category    *string  `json:"category,omitempty"` // the feature counts as 1 where it has this value, else as 0
	Correlation *float64 `json:"correlation"`        // nil: the feature or the label is constant
}

// Profiler makes a Profile of rows that it is given one after the other, in memory
// that does not depend on their number.
type Profiler struct {
	schema   *schema.Schema
	features []profiled
	rows     int64 // of the training part
	labelled int64
}

// profiled is what a Profiler has seen of one feature.
type profiled struct {
	at     int // in the schema
	column int // the first of its encoded columns

	special [firstValueBin]int64 // rows of the training part by bin
	values  []int64              // of a category: rows of the training part
	numbers sketch               // of a number: values of the training part

	all      []int64           // of a category: labelled rows
	positive []int64           // of these, with label 1
	known    int64             // labelled rows with a value
	knownPos int64             // of these, with label 1
	pairs    stats.Correlation // of a number, with the label
}

// NewProfiler returns a Profiler of rows of the schema.
func NewProfiler(s *schema.Schema) *Profiler {
	p := &Profiler{schema: s}
	column := 0
	for i := range s.Features {
		f := &s.Features[i]
		if f.Exclude {
			continue
		}
		one := profiled{at: i, column: column}
		if f.Type == schema.Category {
			one.values, one.all, one.positive = make([]int64, len(f.Values)), make([]int64, len(f.Values)), make([]int64, len(f.Values))
		}
		p.features = append(p.features, one)
		column += f.Width()
	}
	return p
}

// Row is an encoded row of labelled data.
type Row struct {
	Train     bool   // it is in the training part
	CSV       []byte // the label, 0 or 1, then the encoded columns
	Mapped    []int  // features whose unlisted category was replaced
	Defaulted []int  // features that took the schema's default
}

// Add counts a row.
func (p *Profiler) Add(r Row) error {
	label, rest, _ := bytes.Cut(bytes.TrimSpace(r.CSV), []byte{','})
	vector, err := p.schema.ParseCSV(rest)
	if err != nil || len(label) != 1 {
		return fmt.Errorf("a row of training data cannot be read: %w", err)
	}
	p.add(r, int(label[0]-'0'), vector)
	return nil
}

func (p *Profiler) add(r Row, label int, vector schema.Vector) {
	p.labelled++
	if r.Train {
		p.rows++
	}
	mapped, defaulted := r.Mapped, r.Defaulted // both in the order of the schema
	for i := range p.features {
		one := &p.features[i]
		isMapped, isDefaulted := false, false
		mapped, isMapped = cut(mapped, one.at)
		defaulted, isDefaulted = cut(defaulted, one.at)
		f := &p.schema.Features[one.at]
		x, missing := f.Decode(vector[one.column:])
		if missing {
			if r.Train {
				one.special[missingBin]++
			}
			continue
		}
		one.correlate(x, label)
		if !r.Train {
			continue
		}
		switch {
		case isMapped:
			one.special[unseenBin]++
			continue
		case isDefaulted:
			one.special[defaultedBin]++
		}
		if f.Type == schema.Category {
			one.values[int(x)]++
		} else if !f.Personal {
			one.numbers.add(x)
		}
	}
}

// Replaced corrects the counts for rows of the training part that were added without Mapped
// and Defaulted: by feature, how many had a category that was replaced, and how many took
// the default.
func (p *Profiler) Replaced(mapped, defaulted map[int]int64) {
	for i := range p.features {
		one := &p.features[i]
		one.special[defaultedBin] += defaulted[one.at]
		if n := mapped[one.at]; n > 0 {
			f := &p.schema.Features[one.at]
			one.special[unseenBin] += n
			one.values[slices.Index(f.Values, f.Unknown)] -= n
		}
	}
}

// cut removes the first of a list if it is i.
func cut(list []int, i int) (rest []int, is bool) {
	if len(list) > 0 && list[0] == i {
		return list[1:], true
	}
	return list, false
}

func (one *profiled) correlate(x float64, label int) {
	one.known++
	one.knownPos += int64(label)
	if one.all == nil {
		one.pairs.Add(x, float64(label))
		return
	}
	one.all[int(x)]++
	one.positive[int(x)] += int64(label)
}

// Profile returns the profile of the rows so far. data is the SHA-256 of the training
// part.
func (p *Profiler) Profile(data string) *Profile {
	profile := &Profile{Bins: Bins{Schema: p.schema.Fingerprint()}, Rows: p.rows, Labelled: p.labelled, Data: data}
	var counts Counts
	for i := range p.features {
		bins, row := p.features[i].bins(&p.schema.Features[p.features[i].at])
		profile.Bins.Features = append(profile.Bins.Features, bins)
		counts = append(counts, row)
		profile.Correlations = p.features[i].appendCorrelations(profile.Correlations, &p.schema.Features[p.features[i].at])
	}
	profile.Counts = string(counts.AppendText(nil))
	return profile
}

// bins makes the feature's bins, with the number of rows of the training part in each.
func (one *profiled) bins(f *schema.Feature) (FeatureBins, []int64) {
	b := FeatureBins{Name: f.Name, Personal: f.Personal}
	if f.Personal {
		return b, nil
	}
	row := append([]int64(nil), one.special[:]...)
	if f.Type == schema.Category {
		b.Values = f.Values[:min(len(f.Values), maxValues)]
		row = append(row, make([]int64, len(b.Values))...)
		for i, n := range one.values {
			row[valueBin(i)] += n
		}
		if f.Default != nil {
			b.Default = valueBin(int(*f.Default))
		}
	} else {
		var counts []int64
		b.Ranges, counts = one.numbers.ranges()
		row = append(row, counts...)
		if f.Default != nil {
			b.Default = b.numberBin(*f.Default)
		}
	}
	if b.Default > 0 {
		row[b.Default] -= row[defaultedBin] // which has them
	}
	return b, row
}

func (one *profiled) appendCorrelations(all []Correlation, f *schema.Feature) []Correlation {
	if f.Type != schema.Category {
		c := Correlation{Feature: f.Name}
		if r, ok := one.pairs.Value(); ok {
			c.Correlation = &r
		}
		return append(all, c)
	}
	for i, value := range f.Values {
		all = append(all, Correlation{Feature: f.Name, Category: &value,
			Correlation: flagCorrelation(one.known, one.all[i], one.knownPos, one.positive[i])})
	}
	return all
}

// flagCorrelation is Pearson's correlation of two flags: of n rows x have the first, y
// the second, and both have both (the phi coefficient).
func flagCorrelation(n, x, y, both int64) *float64 {
	fn, fx, fy := float64(n), float64(x), float64(y)
	return finite((fn*float64(both) - fx*fy) / math.Sqrt(fx*(fn-fx)*fy*(fn-fy)))
}

// finite returns nil for what is not a finite number.
func finite(x float64) *float64 {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return nil
	}
	return &x
}
