package export

import (
	"cmp"
	"slices"
)

// Contribution counts the rows of one source.
type Contribution struct {
	// Origin says where the features come from: imported, or app for customers
	// that were made from predictions.
	Origin string `json:"origin"`
	// Caller reported the outcomes that set the labels: the name of a key,
	// anonymous, unknown for outcomes of earlier versions, and empty where the
	// labels were imported. Callers after the first fifty are counted together as
	// "…".
	Caller string `json:"caller,omitzero"`
	Rows   int64  `json:"rows"` // in the training data, held-out ones too
	// LeftOut counts those beyond a cap: rows, or labels where the row keeps its
	// imported one.
	LeftOut int64 `json:"left_out"`
}

const (
	originImported, originApp = "imported", "app"
	unknownCaller             = "unknown"
	maxCallers                = 50
)

// source is what contributions are counted by.
type source struct{ origin, caller string }

// contributions counts rows by source.
type contributions map[source]*Contribution

// of returns the counts of a row's source.
func (c contributions) of(r *row) *Contribution {
	s := source{originImported, ""}
	if r.made {
		s.origin = originApp
	}
	if r.outcome > 0 {
		s.caller = cmp.Or(string(r.caller), unknownCaller)
	}
	if c[s] == nil {
		if len(c) >= maxCallers {
			s.caller = otherNames
		}
		if c[s] == nil {
			c[s] = &Contribution{Origin: s.origin, Caller: s.caller}
		}
	}
	return c[s]
}

// list returns them, imported ones first, then by caller.
func (c contributions) list() []Contribution {
	out := make([]Contribution, 0, len(c))
	for _, one := range c {
		out = append(out, *one)
	}
	slices.SortFunc(out, func(a, b Contribution) int {
		return cmp.Or(cmp.Compare(b.Origin, a.Origin), cmp.Compare(a.Caller, b.Caller))
	})
	return out
}
