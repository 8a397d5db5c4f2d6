package export

import (
	"strconv"
	"strings"

	"gateway/internal/failure"
	"gateway/internal/schema"
)

// Attributes in which the gateway stores where a customer's features and label
// come from. They are not part of a schema. Items without them are imported
// customers with imported labels.
const (
	// OutcomeAttribute is the sequence number of the outcome that set the label, an N.
	OutcomeAttribute = "_outcome"
	// OriginAttribute is the S OriginApp for a customer made from a prediction.
	OriginAttribute = "_origin"
	// CallerAttribute names who reported the outcome, an S.
	CallerAttribute = "_caller"
	// LabelledAttribute is when the outcome was received, an N: microseconds since 1970.
	LabelledAttribute = "_labelled"
	// ImportedAttribute is the label that was imported before the outcome, as
	// the label is spelt.
	ImportedAttribute = "_imported"

	OriginApp = originApp
)

// Reserved reports whether the attribute is one of the gateway's own.
func Reserved(name string) bool {
	switch name {
	case OutcomeAttribute, OriginAttribute, CallerAttribute, LabelledAttribute, ImportedAttribute:
		return true
	}
	return false
}

// mapper converts items to rows by the schema. It reuses its buffers, and the row
// that it returns, for the next item.
type mapper struct {
	schema  *schema.Schema
	ignored func(name string) // called with attributes that the schema does not have

	at      []int  // by feature: index of its attribute, or absent
	missing []bool // by feature: the attribute has no value
	id      Attribute
	label   Attribute
	outcome int64
	evidence
	row    row
	vector schema.Vector
}

const absent = -1

// skip is the reason why an item gives no row. The detail repeats no id and no
// value of a personal feature.
type skip struct{ reason, detail string }

// Reasons why an item gives no row. featureSkip makes those about a feature.
const (
	brokenLine  = "broken_line"
	noID        = "no_id"
	unlabelled  = "unlabelled"
	badLabel    = "bad_label"
	duplicateID = "duplicate_id"
)

func featureSkip(v *failure.Violation) *skip {
	return &skip{v.Code + ":" + v.Field, v.Detail}
}

// convert makes a row of an item, or returns one reason why not: the first in the
// order line, id, label, features as the schema lists them. It always sets
// m.outcome.
func (m *mapper) convert(it *Item) (*row, *skip) {
	m.outcome = 0
	if it.Err != nil {
		return nil, &skip{brokenLine, it.Err.Error()}
	}
	duplicate := m.find(it)
	if isBlank(m.id) || m.id.Kind == Bool || m.id.Kind.Nested() {
		return nil, &skip{noID, "attribute " + m.schema.ID + " must be a string or a number that is not empty"}
	}
	if isUnlabelled(m.label, &m.schema.Label) {
		return nil, &skip{unlabelled, ""}
	}
	label, ok := m.schema.Label.FromText(strings.TrimSpace(m.label.Text))
	if !ok || m.label.Kind.Nested() {
		return nil, &skip{badLabel, "attribute " + m.schema.Label.Name + " is none of the label's spellings"}
	}
	record, bad := m.features(it, duplicate)
	if bad != nil {
		return nil, featureSkip(bad)
	}
	m.vector = m.schema.AppendVector(m.vector[:0], record)
	m.row.id = append(m.row.id[:0], m.id.Text...)
	m.row.csv = append(schema.AppendTrainingCSV(m.row.csv[:0], label, m.vector), '\n')
	m.row.outcome, m.row.evidence = m.outcome, m.evidence
	return &m.row, nil
}

// find notes the index of each feature's attribute. Missing values count as
// absent, so a feature may occur under its name and an alias if only one has a
// value. It returns the first feature that has two values, or absent.
func (m *mapper) find(it *Item) (duplicate int) {
	if m.at == nil {
		m.at = make([]int, len(m.schema.Features))
		m.missing = make([]bool, len(m.schema.Features))
	}
	for i := range m.at {
		m.at[i] = absent
	}
	duplicate = absent
	aliased := Attribute{Kind: Null} // the label under an alias
	m.id, m.label = Attribute{Kind: Null}, Attribute{Kind: Null}
	m.evidence = evidence{imported: -1, caller: m.caller[:0]}
	for i, a := range it.Attributes {
		f := m.schema.Feature(a.Name)
		switch {
		case f >= 0:
			missing := isMissing(a, &m.schema.Features[f])
			switch {
			case m.at[f] == absent || m.missing[f]:
				m.at[f], m.missing[f] = i, missing
			case !missing && (duplicate == absent || f < duplicate):
				duplicate = f
			}
		case m.schema.IsID(a.Name):
			if isBlank(m.id) || a.Name == m.schema.ID && !isBlank(a) {
				m.id = a
			}
		case a.Name == m.schema.Label.Name:
			m.label = a
		case m.schema.IsLabel(a.Name):
			aliased = a
		case Reserved(a.Name):
			m.own(a)
		default:
			m.ignored(a.Name)
		}
	}
	m.otherLabel(aliased)
	return duplicate
}

// otherLabel takes the label that an alias has. An outcome is written under the
// label's name, beside it, and takes precedence: then the alias has the imported one.
func (m *mapper) otherLabel(a Attribute) {
	switch l := &m.schema.Label; {
	case isUnlabelled(m.label, l):
		m.label = a
	case m.outcome > 0 && m.imported < 0:
		m.imported = m.labelOf(a)
	}
}

// labelOf returns the label that an attribute spells, or -1.
func (m *mapper) labelOf(a Attribute) int {
	if label, ok := m.schema.Label.FromText(strings.TrimSpace(a.Text)); ok {
		return label
	}
	return -1
}

// own reads an attribute of the gateway's own.
func (m *mapper) own(a Attribute) {
	switch a.Name {
	case OutcomeAttribute:
		m.outcome = positive(a.Text)
	case OriginAttribute:
		m.made = a.Text == OriginApp
	case CallerAttribute:
		m.caller = append(m.caller[:0], a.Text...)
	case LabelledAttribute:
		m.labelledAt = positive(a.Text)
	case ImportedAttribute:
		m.imported = m.labelOf(a)
	}
}

// positive reads a whole number above zero; anything else is zero.
func positive(text string) int64 {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 {
		return 0
	}
	return n
}

// setAttribute sets a feature from an attribute. Numbers of DynamoDB's are not
// written as the feature's format says.
func setAttribute(s *schema.Schema, r schema.Record, i int, a Attribute) *failure.Violation {
	if a.Kind == Number {
		return s.SetNumber(r, i, a.Text)
	}
	return s.SetText(r, i, a.Text)
}

// features reads the features in the schema's order and returns a complete record
// or the first violation. Excluded features are not read: a fault in them does
// not affect the model.
func (m *mapper) features(it *Item, duplicate int) (schema.Record, *failure.Violation) {
	s := m.schema
	r := s.NewRecord()
	var bad *failure.Violation
	badAt := len(s.Features)
	m.row.mapped, m.row.defaulted = m.row.mapped[:0], m.row.defaulted[:0]
	for i := range s.Features {
		f := &s.Features[i]
		if f.Exclude {
			continue
		}
		if f.Default != nil && (m.at[i] == absent || m.missing[i]) {
			m.row.defaulted = append(m.row.defaulted, i)
		}
		if m.at[i] == absent {
			continue
		}
		a := it.Attributes[m.at[i]]
		switch {
		case i == duplicate:
			bad = &failure.Violation{Field: f.Name, Code: failure.CodeDuplicate, Detail: "is given twice, by its name and an alias"}
		case a.Kind.Nested():
			bad = &failure.Violation{Field: f.Name, Code: failure.CodeType, Detail: "is of the DynamoDB type " + string(a.Kind)}
		default:
			bad = setAttribute(s, r, i, a)
		}
		if bad != nil {
			badAt = i
			break
		}
	}
	// Complete names what is absent, in the schema's order. That is reported only
	// if it comes before the bad value.
	if missing := s.Complete(r, ""); len(missing) > 0 && s.Feature(missing[0].Field) < badAt {
		return r, &missing[0]
	}
	if bad == nil {
		r.Mapped(func(i int) { m.row.mapped = append(m.row.mapped, i) })
	}
	return r, bad
}
