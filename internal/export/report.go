package export

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"gateway/internal/failure"
)

// Bounds of the lists in a report.
const (
	maxExamples          = 20
	maxExamplesPerReason = 3 // so that the commonest reason leaves room for the others
	maxIgnored           = 50
)

// otherNames counts, in Report.Ignored, the attributes beyond the first fifty
// names.
const otherNames = "…"

// Report accounts for the items of an export. Items is always Rows plus the sum
// of Skipped, and Rows is TrainRows plus HoldoutRows.
type Report struct {
	Items int64 `json:"items"` // lines read, blank ones apart
	Rows  int64 `json:"rows"`  // customers in the training data, both parts together
	// Skipped counts the items that gave no row, each under one reason:
	// broken_line, no_id, unlabelled, bad_label, duplicate_id, or one of
	// missing, type, not_integer, out_of_range, unknown_category, format and duplicate
	// with ":" and the feature's name. A Policy adds made_by_apps, caller_cap and
	// moment_cap.
	Skipped map[string]int64 `json:"skipped"`
	// Mapped counts, by feature, rows whose category is not listed and became
	// the schema's unknown value.
	Mapped map[string]int64 `json:"mapped"`
	// Defaulted counts, by feature, rows that took the schema's default.
	Defaulted map[string]int64 `json:"defaulted"`
	// Ignored counts, by name, items with an attribute that the schema does not
	// have; names after the first fifty are counted together as "…".
	Ignored map[string]int64 `json:"ignored"`

	TrainRows   int64 `json:"train_rows"`           // rows that are not Held, whichever outputs are written
	HoldoutRows int64 `json:"holdout_rows"`         // rows that are Held
	JudgedRows  int64 `json:"judged_rows,omitzero"` // under a Policy, those of them that models are judged by: Outputs.Holdout
	Positive    int64 `json:"positive"`             // rows whose label is 1
	NewLabels   int64 `json:"new_labels"`           // rows whose outcome is later than Options.Watermark
	Watermark   int64 `json:"watermark"`            // highest outcome of any item, 0 if none has one

	// Set under a Policy. LeftOut counts outcomes beyond a cap, by reason, whose
	// rows keep their imported labels. Settled is the number of rows that caps are
	// shares of. Open means that there are too few imported customers for a
	// comparison.
	LeftOut       map[string]int64 `json:"left_out,omitzero"`
	Contributions []Contribution   `json:"contributions,omitzero"`
	Settled       int64            `json:"settled_rows,omitzero"`
	Open          bool             `json:"open,omitzero"`

	// SHA256 is that of the training CSV in hexadecimal: of Outputs.Train, or
	// of all rows where Train is not wanted.
	SHA256 string `json:"sha256"`

	// Examples are some of the skipped items, in the order of reading, at most
	// three for each reason and twenty in all. There are none of duplicate_id,
	// which is detected after reading.
	Examples []Example `json:"examples"`
}

// Example is one item that gave no row.
type Example struct {
	File   string `json:"file"`
	Line   int    `json:"line"`
	Reason string `json:"reason"`
	// Detail explains the reason. It repeats no id and no label, and a value only
	// of a feature that is not personal.
	Detail string `json:"detail,omitempty"`
}

func newReport() Report {
	return Report{
		Skipped: map[string]int64{}, Mapped: map[string]int64{}, Defaulted: map[string]int64{}, Ignored: map[string]int64{},
		Examples: []Example{},
	}
}

// NoRows returns an error of kind Invalid if there are items and none gives a
// row.
func (r *Report) NoRows() error {
	if r.Items == 0 || r.Rows > 0 {
		return nil
	}
	counts := maps.Clone(r.Skipped)
	maps.Copy(counts, r.LeftOut)
	reasons := slices.Sorted(maps.Keys(counts))
	slices.SortStableFunc(reasons, func(a, b string) int { return cmp.Compare(counts[b], counts[a]) })
	var b strings.Builder
	for i, reason := range reasons[:min(3, len(reasons))] {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%s %d", reason, counts[reason])
	}
	detail := fmt.Sprintf("none of the %d items gives a row: %s", r.Items, b.String())
	if len(r.Examples) > 0 {
		e := r.Examples[0]
		detail += fmt.Sprintf("; the first is %s, line %d: %s", e.File, e.Line, strings.TrimSpace(e.Reason+" "+e.Detail))
	}
	return &failure.Error{Kind: failure.Invalid, Detail: detail}
}

func (r *Report) skip(it *Item, why *skip) {
	r.Skipped[why.reason]++
	if len(r.Examples) < maxExamples && r.Skipped[why.reason] <= maxExamplesPerReason {
		r.Examples = append(r.Examples, Example{it.File, it.Line, why.reason, why.detail})
	}
}

func (r *Report) ignore(name string) {
	if _, known := r.Ignored[name]; !known {
		// A shortened name could be taken for another one.
		if len(r.Ignored) >= maxIgnored || utf8.RuneCountInString(name) > 64 {
			name = otherNames
		} else {
			name = strings.Clone(name) // without the line that it is a part of
		}
	}
	r.Ignored[name]++
}
