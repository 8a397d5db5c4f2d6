package schema

import (
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"strings"
)

// Type is the kind of values of a feature.
type Type string

// The types of features.
const (
	Integer  Type = "integer"  // whole numbers of magnitude below 2^53
	Number   Type = "number"   // finite float64
	Category Type = "category" // one of a closed list of strings
	Date     Type = "date"     // a day: the number of days since 1970-01-01
)

// Encoding is the way in which a category becomes columns of numbers.
type Encoding string

// The encodings. A numeric feature is always one column, a date always three: day,
// month and weekday.
const (
	OneHot  Encoding = "onehot"  // one 0/1 column per value, in the order of Values
	Ordinal Encoding = "ordinal" // one column: the position in Values, counted from 1
	// Target is the same column as Ordinal. The learner replaces a position with what the
	// training data says of the label of rows that have it.
	Target Encoding = "target"
)

// Feature describes one attribute of a customer.
type Feature struct {
	Name        string
	Aliases     []string // other names accepted in requests, file headers and items; any text
	Type        Type
	Description string
	Min, Max    *float64 // inclusive; nil is unbounded; of a date, days
	Values      []string // of a category; their order fixes columns and codes
	Unknown     string   // replaces unlisted categories; empty: they are refused
	Encode      Encoding // of a category
	Default     *float64 // replaces an absent value: the number, the day, or the index into Values
	Missing     bool     // a value may be missing: absent or null
	Fill        *float64 // of a number or date that may be missing: what a missing one is encoded as; nil: zeros
	Format      string   // how files write a number, by an example, or a date; empty: as JSON does
	Personal    bool     // its values never appear in errors, logs or the ledger
	Exclude     bool     // accepted and stored, but not used by the model

	index   map[string]int // category value → index into Values
	numbers *numberFormat  // of Format; nil without one
	dates   *dateFormat
	shape   shape
}

// Label describes the column to be learned and the spellings of its two classes.
type Label struct {
	Name               string
	Aliases            []string
	Positive, Negative []Spelling
}

// Spelling is one way to write a class of the label. A JSON string matches only a
// spelling that is Text. CSV and DynamoDB attributes match by their text.
type Spelling struct {
	Value  string
	IsText bool
}

// Schema describes the data of one model. It is immutable once made, and safe for
// concurrent use.
type Schema struct {
	Name      string
	ID        string // name of the customer id
	IDAliases []string
	Label     Label
	Threshold float64 // score from which label 1 is predicted; 0: the model's own, which is one half unless it says otherwise
	Costs     *Costs  // that the threshold was computed from; nil if it was not
	Features  []Feature

	lookup      map[string]int  // feature name or alias → index into Features
	ids, labels map[string]bool // names and aliases of the id and of the label
	columns     []string        // names of the encoded columns
	fingerprint string
}

//go:embed bank.yaml
var bankYAML []byte

// Bank returns the built-in schema, that of the UCI Bank Marketing data.
func Bank() *Schema {
	s, err := Parse("bank.yaml", bankYAML)
	if err != nil {
		panic(err) // the file is embedded, and a test parses it
	}
	return s
}

// BankYAML returns the text of the built-in schema.
func BankYAML() []byte { return bankYAML }

// Fingerprint identifies the meaning of the encoded columns: 64 hexadecimal
// digits, the SHA-256 of the canonical form. The canonical form has what a model
// depends on: label, features in order with their type, values, encoding and
// defaults. It leaves out what may change without affecting a model: ranges,
// aliases, formats, descriptions, the threshold, excluded features.
func (s *Schema) Fingerprint() string { return s.fingerprint }

// Columns names the encoded columns, in order: "age" for a number or an
// ordinal category, "job=admin." for a one-hot category, and "age=" for the
// indicator that a value is missing; a date has "since=day", "since=month" and
// "since=weekday". Callers must not change the slice.
func (s *Schema) Columns() []string { return s.columns }

// Width returns the number of encoded columns of the schema.
func (s *Schema) Width() int { return len(s.columns) }

// Width returns the number of columns that the feature is encoded in: 0 if it
// is excluded.
func (f *Feature) Width() int {
	if f.Exclude {
		return 0
	}
	width := 1
	switch {
	case f.Type == Category && f.Encode == OneHot:
		width = len(f.Values)
	case f.Type == Date:
		width = 3
	}
	if f.Missing {
		width++
	}
	return width
}

// appendColumns appends the names of the feature's encoded columns.
func (f *Feature) appendColumns(dst []string) []string {
	switch {
	case f.Exclude:
		return dst
	case f.Type == Category && f.Encode == OneHot:
		for _, v := range f.Values {
			dst = append(dst, f.Name+"="+v)
		}
	case f.Type == Date:
		dst = append(dst, f.Name+"=day", f.Name+"=month", f.Name+"=weekday")
	default:
		dst = append(dst, f.Name)
	}
	if f.Missing {
		dst = append(dst, f.Name+"=")
	}
	return dst
}

// CodedColumns returns, in ascending order, the indexes of the encoded columns that
// are positions in lists of values and that the learner replaces: those of Target.
func (s *Schema) CodedColumns() []int {
	var coded []int
	column := 0
	for i := range s.Features {
		f := &s.Features[i]
		if f.Encode == Target && !f.Exclude {
			coded = append(coded, column)
		}
		column += f.Width()
	}
	return coded
}

// ColumnFeatures returns, for each encoded column, the index of its feature.
func (s *Schema) ColumnFeatures() []int {
	features := make([]int, 0, s.Width())
	for i := range s.Features {
		for range s.Features[i].Width() {
			features = append(features, i)
		}
	}
	return features
}

// IsID reports whether name is the schema's name or an alias for the customer id.
func (s *Schema) IsID(name string) bool { return s.ids[name] }

// IsLabel reports whether name is the schema's name or an alias for the label.
func (s *Schema) IsLabel(name string) bool { return s.labels[name] }

// Feature finds a feature by its name or an alias; -1 if there is none.
func (s *Schema) Feature(name string) int {
	if i, ok := s.lookup[name]; ok {
		return i
	}
	return -1
}

// finish derives the lookup tables, columns and fingerprint from the fields.
func (s *Schema) finish() {
	s.lookup = make(map[string]int)
	s.ids, s.labels = namesOf(s.ID, s.IDAliases), namesOf(s.Label.Name, s.Label.Aliases)
	for i := range s.Features {
		f := &s.Features[i]
		for name := range namesOf(f.Name, f.Aliases) {
			s.lookup[name] = i
		}
		f.index = make(map[string]int, len(f.Values))
		for j, v := range f.Values {
			f.index[v] = j
		}
		s.columns = f.appendColumns(s.columns)
		f.shape = f.shapeOf()
	}
	sum := sha256.Sum256(s.canonical())
	s.fingerprint = hex.EncodeToString(sum[:])
}

// namesOf returns a name and its aliases, each as given and without the blanks
// around it, because headers of files are read without them.
func namesOf(name string, aliases []string) map[string]bool {
	names := map[string]bool{name: true}
	for _, alias := range aliases {
		names[alias], names[strings.TrimSpace(alias)] = true, true
	}
	return names
}

// canonical is the JSON text that the fingerprint hashes.
func (s *Schema) canonical() []byte {
	type feature struct {
		Name    string   `json:"name"`
		Type    Type     `json:"type"`
		Values  []string `json:"values,omitempty"`
		Unknown string   `json:"unknown,omitempty"`
		Encode  Encoding `json:"encode,omitempty"`
		Default string   `json:"default,omitempty"`
		Missing bool     `json:"missing,omitempty"`
		Fill    string   `json:"fill,omitempty"`
	}
	form := struct {
		Version  int       `json:"version"`
		Name     string    `json:"name"`
		Label    string    `json:"label"`
		Features []feature `json:"features"`
	}{Version: 1, Name: s.Name, Label: s.Label.Name}
	for _, f := range s.Features {
		if f.Exclude {
			continue
		}
		c := feature{Name: f.Name, Type: f.Type, Values: f.Values, Unknown: f.Unknown, Encode: f.Encode}
		if f.Default != nil {
			c.Default = f.format(*f.Default)
		}
		if c.Missing = f.Missing; f.Fill != nil {
			c.Fill = f.format(*f.Fill)
		}
		form.Features = append(form.Features, c)
	}
	text, err := json.Marshal(form)
	if err != nil {
		panic(err) // strings, ints and booleans only
	}
	return text
}

// Text writes a value of the feature, a number, a day or an index into Values, in its
// usual spelling.
func (f *Feature) Text(value float64) string { return f.format(value) }

// format writes a value of the feature in its usual spelling.
func (f *Feature) format(value float64) string {
	switch f.Type {
	case Category:
		return f.Values[int(value)]
	case Date:
		return formatDay(value)
	}
	return formatNumber(value)
}

// FromText reads the label from CSV or a DynamoDB attribute: 1, 0, or not ok.
func (l *Label) FromText(text string) (label int, ok bool) {
	match := func(list []Spelling) bool {
		for _, s := range list {
			if s.Value == text || (!s.IsText && sameNumber(s.Value, text)) {
				return true
			}
		}
		return false
	}
	switch {
	case match(l.Positive):
		return 1, true
	case match(l.Negative):
		return 0, true
	}
	return 0, false
}

// Spell returns a spelling of a label, 0 or 1, that FromText reads: a number if
// there is one.
func (l *Label) Spell(label int) Spelling {
	spellings := l.Negative
	if label == 1 {
		spellings = l.Positive
	}
	for _, s := range spellings {
		if !s.IsText {
			return s
		}
	}
	return spellings[0] // a schema has at least one of each
}

// spellings lists every accepted form of the label, for error messages.
func (l *Label) spellings() string {
	var all []string
	for _, s := range append(append([]Spelling{}, l.Positive...), l.Negative...) {
		if s.IsText {
			all = append(all, `"`+s.Value+`"`)
		} else {
			all = append(all, s.Value)
		}
	}
	return strings.Join(all, ", ")
}
