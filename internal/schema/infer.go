package schema

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// InferOptions steers Infer. Empty fields are guessed from the data.
type InferOptions struct {
	Name  string // of the schema
	ID    string // column that holds the customer id
	Label string // column to be learned
}

// maxValues is how many distinct texts still make a category.
const maxValues = 100

// maxInferRow bounds a row in bytes.
const maxInferRow = 1 << 20

// Infer drafts a schema file from CSV data with a header row: YAML with a
// comment wherever a person should look. It reads to the end in memory bounded
// by the number of columns.
func Infer(r io.Reader, opts InferOptions) ([]byte, error) {
	text, err := NewCSVReader(r, maxInferRow)
	if err != nil {
		return nil, err
	}
	header := text.Header()
	for i, name := range header {
		if slices.Contains(header[:i], name) {
			return nil, fmt.Errorf("line %d: %s is given twice in the header row", text.HeaderLine(), nameOfColumn(header, i))
		}
	}
	columns := make([]*columnProfile, len(header))
	for i, name := range header {
		columns[i] = &columnProfile{header: name, texts: map[string]int{}}
	}
	rows, bad, err := profile(text, columns)
	if err != nil {
		return nil, err
	}
	if rows == 0 {
		return nil, cmp.Or(bad.first, errors.New("there are no rows below the header: nothing to infer from"))
	}
	out, owners, err := draft(columns, rows, bad, opts)
	if err != nil {
		return nil, err
	}
	if _, err := Parse("draft", out); err != nil {
		return nil, draftError(err, owners, text.HeaderLine())
	}
	return out, nil
}

// draftError names the column of the file for each fault of a draft.
func draftError(err error, owners map[int]*columnProfile, headerLine int) error {
	var e *Error
	if !errors.As(err, &e) {
		return err
	}
	text := "the data does not make a schema; rename or remove the columns named:"
	for _, f := range e.Faults {
		text += "\n  "
		if owner := owners[f.Line]; owner != nil {
			text += fmt.Sprintf("line %d, column %q: ", headerLine, owner.header)
		}
		text += f.Reason
	}
	return errors.New(text)
}

// badRows are rows that Infer left out.
type badRows struct {
	count int
	first error
}

func (b *badRows) add(err error) {
	b.count++
	b.first = cmp.Or(b.first, err)
}

// profile reads the rows to the end. It passes over those that cannot be read.
func profile(text *CSVReader, columns []*columnProfile) (rows int, bad badRows, err error) {
	for {
		line, cells, err := text.Next()
		var unread *RowError
		switch {
		case errors.Is(err, io.EOF):
			return rows, bad, nil
		case errors.As(err, &unread):
			bad.add(err)
			continue
		case err != nil:
			return rows, bad, err
		}
		for i, cell := range cells {
			switch {
			case !utf8.ValidString(cell):
				return rows, bad, fmt.Errorf("line %d, column %q: the text is not UTF-8; save the file as UTF-8", line, columns[i].header)
			case strings.ContainsRune(cell, 0):
				return rows, bad, fmt.Errorf("line %d, column %q: the text holds the character U+0000, which no database keeps", line, columns[i].header)
			}
		}
		rows++
		for i, cell := range cells {
			columns[i].add(strings.TrimSpace(cell))
		}
	}
}

// columnProfile is what one pass over a column shows.
type columnProfile struct {
	header   string
	texts    map[string]int // distinct texts and their counts, up to a bound
	overflow bool           // there were more
	empty    int
	numbers  int
	integers int
	negative bool
	seen     int
}

func (c *columnProfile) add(text string) {
	if text == "" {
		c.empty++
		return
	}
	c.seen++
	if x, ok, finite := parseNumber(text); ok && finite {
		c.numbers++
		if isInteger(text, x) && math.Abs(x) <= maxInteger {
			c.integers++
		}
		c.negative = c.negative || x < 0
	}
	if _, known := c.texts[text]; known || len(c.texts) < 10*maxValues {
		c.texts[text]++
	} else {
		c.overflow = true
	}
}

func (c *columnProfile) kind() Type {
	switch {
	case c.seen > 0 && c.integers == c.seen:
		return Integer
	case c.seen > 0 && c.numbers == c.seen:
		return Number
	}
	return Category
}

// commonest returns the text that occurs most.
func (c *columnProfile) commonest() string {
	best := ""
	for _, text := range slices.Sorted(maps.Keys(c.texts)) {
		if c.texts[text] > c.texts[best] {
			best = text
		}
	}
	return best
}

// draft writes a schema of the columns, and returns the column that each line of
// it is about.
func draft(columns []*columnProfile, rows int, bad badRows, opts InferOptions) (text []byte, owners map[int]*columnProfile, err error) {
	label, err := findLabel(columns, opts.Label)
	if err != nil {
		return nil, nil, err
	}
	positive, negative, err := label.classes()
	if err != nil {
		return nil, nil, err
	}
	id, err := findID(columns, label, opts.ID)
	if err != nil {
		return nil, nil, err
	}
	name := cmp.Or(opts.Name, "customers")
	var b strings.Builder
	owners = map[int]*columnProfile{}
	lines, counted := 0, 0
	own := func(c *columnProfile) { // the line just written
		lines += strings.Count(b.String()[counted:], "\n")
		counted = b.Len()
		owners[lines] = c
	}
	fmt.Fprintf(&b, "# Drafted from %d rows. Read it before you use it: what the data did not show,\n", rows)
	b.WriteString("# such as ranges, defaults and which columns leak the label, only you can know.\n")
	if bad.count > 0 {
		fmt.Fprintf(&b, "# %d rows cannot be read and were left out, the first on %v.\n", bad.count, bad.first)
	}
	fmt.Fprintf(&b, "name: %s\n", quoteYAML(name))
	if id == nil {
		b.WriteString("# No column looks like an id: rows will be numbered from 1.\nid: customer_id\n")
	} else {
		fmt.Fprintf(&b, "id: %s\n", quoteYAML(id.header))
		own(id)
	}
	fmt.Fprintf(&b, "label: {name: %s, positive: [%s], negative: [%s]}\n",
		quoteYAML(label.header), quoteYAML(positive), quoteYAML(negative))
	own(label)
	b.WriteString("features:\n")
	features := 0
	for _, c := range columns {
		if c != label && c != id {
			c.write(&b)
			own(c)
			features++
		}
	}
	if features == 0 {
		return nil, nil, errors.New("there are no columns to learn from beside the label and the id")
	}
	return []byte(b.String()), owners, nil
}

func findColumn(columns []*columnProfile, name string) (*columnProfile, error) {
	for _, c := range columns {
		if c.header == name {
			return c, nil
		}
	}
	return nil, fmt.Errorf("there is no column %q in the header", name)
}

func findLabel(columns []*columnProfile, name string) (*columnProfile, error) {
	if name != "" {
		return findColumn(columns, name)
	}
	usual := []string{"y", "label", "target", "outcome", "class", "converted", "subscribed", "churn", "churned"}
	for _, want := range usual {
		for _, c := range columns {
			if strings.EqualFold(c.header, want) && len(c.texts) == 2 {
				return c, nil
			}
		}
	}
	if last := columns[len(columns)-1]; len(last.texts) == 2 && !last.overflow {
		return last, nil
	}
	return nil, errors.New("no column looks like the label (two values, named like y or label, or the last one); name it with --label")
}

// classes tells the positive spelling from the negative one.
func (c *columnProfile) classes() (positive, negative string, err error) {
	texts := slices.Sorted(maps.Keys(c.texts))
	if len(texts) != 2 || c.overflow {
		return "", "", fmt.Errorf("the label column %q has %d different values; two are due", c.header, len(texts))
	}
	yes := []string{"1", "1.0", "yes", "true", "y", "t", "positive"}
	if slices.Contains(yes, strings.ToLower(texts[0])) {
		return texts[0], texts[1], nil
	}
	return texts[1], texts[0], nil
}

func findID(columns []*columnProfile, label *columnProfile, name string) (*columnProfile, error) {
	if name != "" {
		return findColumn(columns, name)
	}
	for _, want := range []string{"customer_id", "customerid", "client_id", "user_id", "id"} {
		for _, c := range columns {
			if c != label && strings.EqualFold(c.header, want) {
				return c, nil
			}
		}
	}
	return nil, nil
}

var notNameByte = regexp.MustCompile(`[^A-Za-z0-9_]+`)

func (c *columnProfile) write(b *strings.Builder) {
	name := strings.Trim(notNameByte.ReplaceAllString(c.header, "_"), "_")
	if name == "" || (name[0] >= '0' && name[0] <= '9') {
		name = "column_" + name
	}
	fields := []string{"name: " + quoteYAML(name)}
	kind, comment := c.kind(), ""
	fields = append(fields, "type: "+string(kind))
	if name != c.header {
		fields = append(fields, "alias: ["+quoteYAML(c.header)+"]")
	}
	switch {
	case kind != Category:
		if !c.negative {
			fields = append(fields, "min: 0")
		}
		if c.empty > 0 {
			fields = append(fields, "default: "+c.commonest())
			comment = fmt.Sprintf("%d rows have no value; the default is the commonest one", c.empty)
		}
	case len(c.texts) > maxValues:
		fields = append(fields, "values: [other]", "unknown: other", "default: other", "exclude: true", "personal: true")
		comment = fmt.Sprintf("more than %d different texts: not a category to learn from", maxValues)
	case c.seen == 0:
		fields = append(fields, "values: [none]", "unknown: none", "default: none", "exclude: true")
		comment = "no row has a value"
	default:
		comment = c.category(&fields)
	}
	if comment != "" {
		fmt.Fprintf(b, "  # %s: %s.\n", name, comment)
	}
	fmt.Fprintf(b, "  - {%s}\n", strings.Join(fields, ", "))
}

func (c *columnProfile) category(fields *[]string) (comment string) {
	values := slices.Sorted(maps.Keys(c.texts))
	quoted := make([]string, len(values))
	unknown := ""
	for i, v := range values {
		quoted[i] = quoteYAML(v)
		switch strings.ToLower(v) {
		case "unknown", "other", "missing", "n/a":
			unknown = v
		}
	}
	*fields = append(*fields, "values: ["+strings.Join(quoted, ", ")+"]")
	if unknown != "" {
		*fields = append(*fields, "unknown: "+quoteYAML(unknown))
	}
	if c.empty > 0 {
		*fields = append(*fields, "default: "+quoteYAML(cmp.Or(unknown, c.commonest())))
		comment = fmt.Sprintf("%d rows have no value; look at the default", c.empty)
	}
	return comment
}

var plainYAML = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_.-]*$`)

// quoteYAML writes text so that YAML reads it back as it is: a number stays
// bare, words that YAML gives another meaning are quoted.
func quoteYAML(text string) string {
	reserved := []string{"yes", "no", "true", "false", "on", "off", "y", "n", "null"}
	if isDecimal(text) && !strings.HasPrefix(text, "+") {
		return text
	}
	if plainYAML.MatchString(text) && !slices.Contains(reserved, strings.ToLower(text)) {
		return text
	}
	return strconv.Quote(text)
}
