package draft

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"gateway/internal/schema"
)

// draft writes the schema file and reads it again.
func (d *decisions) draft() (*Draft, error) {
	names := newNames(d.table.columns)
	var b strings.Builder
	d.writeHead(&b)
	fmt.Fprintf(&b, "name: %s\n", quoteText(cmp.Or(d.opts.Name, "customers")))
	d.writeID(&b, names)
	d.writeLabel(&b, names)
	b.WriteString("features:\n")
	out := &Draft{Rows: d.table.rows, Unread: d.table.bad.count, Label: d.labels, Notes: d.table.notes, WhyID: d.whyID}
	if d.id != nil {
		out.ID = d.id.header
	}
	if few := d.labels.fewRows(); few != "" {
		out.Notes = append(slices.Clip(out.Notes), "WARNING: "+few)
	}
	for _, p := range d.plans {
		p.write(&b, names)
		if p.leftOut != "" {
			out.LeftOut = append(out.LeftOut, LeftOut{p.column.header, p.leftOut})
		} else {
			out.Features++
			out.Guesses = append(out.Guesses, p.guesses()...)
		}
	}
	if out.Features == 0 {
		return nil, fmt.Errorf("no column is left for the model to learn from%s", reasons(out.LeftOut))
	}
	out.YAML = []byte(b.String())
	var err error
	if out.Schema, err = schema.Parse("draft", out.YAML); err != nil {
		return nil, fmt.Errorf("the data does not make a schema; rename or remove the columns named:\n%w", err)
	}
	return out, nil
}

func reasons(leftOut []LeftOut) string {
	var b strings.Builder
	for i, l := range leftOut {
		if i == 0 {
			b.WriteString(":")
		}
		fmt.Fprintf(&b, "\n  %q: %s", shorten(l.Column, 40), l.Reason)
	}
	return b.String()
}

func (d *decisions) writeHead(b *strings.Builder) {
	t := d.table
	fmt.Fprintf(b, "# Drafted from %d rows and %d columns. Each comment says what the column looks like\n# and what it was taken for. Check the lines with GUESS, and the columns left out.\n", t.rows, len(t.columns))
	for _, note := range t.notes {
		fmt.Fprintf(b, "# %s.\n", comment(note))
	}
}

// guesses returns the comments that are guesses, with the name of the column.
func (p *plan) guesses() (all []string) {
	for _, text := range p.comment {
		if guess, ok := strings.CutPrefix(text, "GUESS: "); ok {
			all = append(all, fmt.Sprintf("%s: %s", comment(p.column.header), guess))
		}
	}
	return all
}

func (d *decisions) writeID(b *strings.Builder, names *names) {
	if d.id == nil {
		fmt.Fprintf(b, "\n# The id: %s.\n# Rows are numbered from 1. A second file needs --numbering of gateway import.\nid: %s\n",
			comment(d.whyID), names.free("customer_id"))
		return
	}
	fmt.Fprintf(b, "\n# The id: column %q: %s.\n", shorten(comment(d.id.header), 60), comment(d.whyID))
	fmt.Fprintf(b, "id: %s\n", names.mapping(d.id, ""))
}

func (d *decisions) writeLabel(b *strings.Builder, names *names) {
	l := &d.labels
	fmt.Fprintf(b, "\n# The label: column %q: %s.\n", shorten(comment(l.Column), 60), comment(l.Why))
	guess := ""
	if l.Guess {
		guess = "GUESS: "
	}
	fmt.Fprintf(b, "# %s%s is positive, in %.1f %% of the rows: %s. The other value, %s, has %.1f %%.\n", guess, quoted(l.Positive.Texts),
		100*l.share(l.Positive), l.WhyValue, quoted(l.Negative.Texts), 100*l.share(l.Negative))
	if l.Guess {
		fmt.Fprintf(b, "# To predict the other one, swap positive and negative, or use --positive %s.\n", comment(shellQuote(l.Negative.Texts[0])))
	}
	if few := l.fewRows(); few != "" {
		fmt.Fprintf(b, "# WARNING: %s.\n", few)
	}
	if l.Missing > 0 {
		fmt.Fprintf(b, "# %d rows have no label; they are imported and not learned from.\n", l.Missing)
	}
	fmt.Fprintf(b, "label: %s\n\n", names.mapping(d.label, fmt.Sprintf("positive: [%s], negative: [%s]", yamlList(l.Positive.Texts), yamlList(l.Negative.Texts))))
}

// fewRows says that a value of the label has too few rows; empty: both have enough.
func (l *Label) fewRows() string {
	few := min(l.Positive.Count, l.Negative.Count)
	if few >= minClassRows {
		return ""
	}
	return fmt.Sprintf("only %d rows have one of the values; a model needs some %d of each to be judged", few, minClassRows)
}

// write writes a column: comments, and one line of YAML.
func (p *plan) write(b *strings.Builder, names *names) {
	name := names.of(p.column)
	switch {
	case p.leftOut != "":
		fmt.Fprintf(b, "  # %s: left out: %s.\n", name, comment(p.leftOut))
	default:
		fmt.Fprintf(b, "  # %s: %s.\n", name, comment(strings.Join(p.comment, ". ")))
	}
	fields := []string{"name: " + quoteYAML(name)}
	if name != p.column.header {
		fields = append(fields, "alias: ["+quoteText(p.column.header)+"]")
	}
	fields = append(fields, "type: "+string(p.kind))
	fmt.Fprintf(b, "  - {%s}\n", strings.Join(append(fields, p.fields...), ", "))
}

// names gives every column a name that a schema accepts.
type names struct {
	byColumn map[*column]string
	taken    map[string]bool // in lower case: Athena does not distinguish case
}

var notNameByte = regexp.MustCompile(`[^A-Za-z0-9_]+`)

// minClassRows is the number of rows of a class below which the draft warns.
const minClassRows = 30

// maxName is the maximum length of a column's name.
const maxName = 64

func newNames(columns []*column) *names {
	n := &names{map[*column]string{}, map[string]bool{}}
	for _, c := range columns { // columns whose header is a name already keep it
		if schema.IsColumnName(c.header) && !n.taken[strings.ToLower(c.header)] {
			n.take(c, c.header)
		}
	}
	for _, c := range columns {
		if n.byColumn[c] == "" {
			n.take(c, n.free(plainName(c)))
		}
	}
	return n
}

func (n *names) take(c *column, name string) {
	n.byColumn[c], n.taken[strings.ToLower(name)] = name, true
}

// plainName makes a name of a header.
func plainName(c *column) string {
	name := strings.Trim(notNameByte.ReplaceAllString(plainLetters(c.header), "_"), "_")
	if len(name) > maxName-8 {
		name = strings.Trim(name[:maxName-8], "_")
	}
	switch {
	case name == "":
		return fmt.Sprintf("column_%d", c.at+1)
	case name[0] >= '0' && name[0] <= '9':
		return "column_" + name
	}
	return name
}

// plainLetters returns a text without the accents of its letters.
func plainLetters(text string) string {
	text = strings.NewReplacer("ß", "ss", "æ", "ae", "Æ", "AE", "ø", "o", "Ø", "O", "ł", "l", "Ł", "L", "ı", "i", "đ", "d", "Đ", "D").Replace(text)
	return strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Mn, r) {
			return -1
		}
		return r
	}, norm.NFD.String(text))
}

// free returns the name, with a number behind it if it is taken.
func (n *names) free(name string) string {
	for i, free := 2, name; ; i++ {
		if !n.taken[strings.ToLower(free)] {
			return free
		}
		free = fmt.Sprintf("%s_%d", name, i)
	}
}

func (n *names) of(c *column) string { return n.byColumn[c] }

// mapping writes the name of a column, with an alias if its header is another, and
// further fields.
func (n *names) mapping(c *column, fields string) string {
	name := n.of(c)
	if name == c.header && fields == "" {
		return quoteYAML(name)
	}
	text := "{name: " + quoteYAML(name)
	if name != c.header {
		text += ", alias: [" + quoteText(c.header) + "]"
	}
	if fields != "" {
		text += ", " + fields
	}
	return text + "}"
}

// comment makes a text fit for one line of comment.
func comment(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == 0x85 || r == 0x2028 || r == 0x2029 {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "?"))
}

func yamlList(texts []string) string {
	out := make([]string, len(texts))
	for i, t := range texts {
		out[i] = quoteYAML(t)
	}
	return strings.Join(out, ", ")
}

// number writes a number in its shortest form.
func number(x float64) string { return strconv.FormatFloat(x, 'f', -1, 64) }

var (
	plainYAML     = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.-]*$`)
	plainNumber   = regexp.MustCompile(`^-?(0|[1-9][0-9]*)(\.[0-9]+)?$`)
	reservedWords = []string{"yes", "no", "true", "false", "on", "off", "y", "n", "null", "nan", "inf"}
)

// quoteYAML writes text so that YAML reads it as the same text: a plain number or
// word stays bare, all else is quoted.
func quoteYAML(text string) string {
	if plainNumber.MatchString(text) {
		return text
	}
	return quoteText(text)
}

// quoteText is quoteYAML, but quotes numbers.
func quoteText(text string) string {
	if plainYAML.MatchString(text) && !slices.Contains(reservedWords, strings.ToLower(text)) {
		return text
	}
	return yamlString(text)
}

// yamlString writes a double-quoted scalar, in which YAML takes the escapes of JSON.
func yamlString(text string) string { return strconv.Quote(text) }
