package schema

import (
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Bounds of a schema file, far above any sensible one.
const (
	maxSchemaBytes = 1 << 20
	maxColumns     = 10_000
)

// Error lists what is wrong with a schema file, by line.
type Error struct {
	File   string
	Faults []Fault
}

// Fault is one fault; Line counts from 1, 0 means the file as a whole.
type Fault struct {
	Line   int
	Reason string
}

func (e *Error) Error() string {
	lines := make([]string, len(e.Faults))
	for i, f := range e.Faults {
		lines[i] = fmt.Sprintf("%s:%d: %s", e.File, f.Line, f.Reason)
		if f.Line == 0 {
			lines[i] = fmt.Sprintf("%s: %s", e.File, f.Reason)
		}
	}
	return strings.Join(lines, "\n")
}

// Load reads a schema file. Its errors name file, line and reason.
func Load(path string) (*Schema, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxSchemaBytes+1))
	if err != nil {
		return nil, err
	}
	return Parse(path, text)
}

// Parse reads a schema from YAML text; file names it in errors. A text
// with faults gives a *Error that lists all of them.
func Parse(file string, text []byte) (*Schema, error) {
	p := &schemaParser{}
	s := p.parse(text)
	if len(p.faults) > 0 {
		slices.SortStableFunc(p.faults, func(a, b Fault) int { return a.Line - b.Line })
		return nil, &Error{File: file, Faults: p.faults}
	}
	s.finish()
	return s, nil
}

// schemaParser walks the YAML tree and collects all faults.
type schemaParser struct {
	faults []Fault
	names  map[string]claim // name or alias → what it is used for
	folded map[string]claim // lower-cased name → the same, without aliases
}

func (p *schemaParser) fault(n *yaml.Node, format string, args ...any) {
	line := 0
	if n != nil {
		line = n.Line
	}
	p.faults = append(p.faults, Fault{line, fmt.Sprintf(format, args...)})
}

var yamlLine = regexp.MustCompile(`^yaml: line (\d+): `)

func (p *schemaParser) parse(text []byte) *Schema {
	if len(text) > maxSchemaBytes {
		p.fault(nil, "the file is larger than %d bytes", maxSchemaBytes)
		return nil
	}
	decoder := yaml.NewDecoder(strings.NewReader(string(text)))
	var doc yaml.Node
	if err := decoder.Decode(&doc); err != nil {
		if errors.Is(err, io.EOF) {
			p.fault(nil, "the file is empty")
			return nil
		}
		reason, line := err.Error(), 0
		if m := yamlLine.FindStringSubmatch(reason); m != nil {
			line, _ = strconv.Atoi(m[1])
			reason = reason[len(m[0]):]
		}
		p.faults = append(p.faults, Fault{line, "not YAML: " + strings.TrimPrefix(reason, "yaml: ")})
		return nil
	}
	if err := decoder.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		p.fault(nil, "more than one YAML document")
		return nil
	}
	s := &Schema{}
	p.names, p.folded = make(map[string]claim), make(map[string]claim)
	root := doc.Content[0]
	top := p.mapping(root, "the schema", "name", "id", "label", "threshold", "features")
	s.Name = p.name(p.need(root, top, "name"))
	s.ID, s.IDAliases = p.id(p.need(root, top, "id"))
	s.Label = p.label(p.need(root, top, "label"))
	s.Threshold, s.Costs = p.threshold(top["threshold"])
	s.Features = p.features(p.need(root, top, "features"))
	return s
}

// mapping returns the members of a mapping. Unknown and repeated keys are faults.
func (p *schemaParser) mapping(n *yaml.Node, what string, known ...string) map[string]*yaml.Node {
	members := make(map[string]*yaml.Node)
	if n.Kind != yaml.MappingNode {
		p.fault(n, "%s must be a mapping of names to values", what)
		return members
	}
	for i := 0; i < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		switch {
		case !slices.Contains(known, key.Value):
			p.fault(key, "unknown key %q in %s%s", key.Value, what, didYouMean(key.Value, known))
		case members[key.Value] != nil:
			p.fault(key, "key %q is given twice", key.Value)
		case value.Kind == yaml.AliasNode || value.Anchor != "":
			p.fault(value, "anchors and aliases are not supported")
		default:
			members[key.Value] = value
		}
	}
	return members
}

func (p *schemaParser) need(n *yaml.Node, members map[string]*yaml.Node, key string) *yaml.Node {
	if v := members[key]; v != nil {
		return v
	}
	if n.Kind == yaml.MappingNode {
		p.fault(n, "%q is missing", key)
	}
	return nil
}

// scalar returns the text of a scalar that is not null.
func (p *schemaParser) scalar(n *yaml.Node, what string) (string, bool) {
	if n == nil {
		return "", false
	}
	if n.Kind != yaml.ScalarNode || n.Tag == "!!null" {
		p.fault(n, "%s must be a single value", what)
		return "", false
	}
	if strings.IndexByte(n.Value, 0) >= 0 {
		p.fault(n, "%s must not contain the character U+0000, which databases cannot store", what)
		return "", false
	}
	return n.Value, true
}

func (p *schemaParser) list(n *yaml.Node, what string) []*yaml.Node {
	if n == nil {
		return nil
	}
	if n.Kind != yaml.SequenceNode {
		p.fault(n, "%s must be a list", what)
		return nil
	}
	return n.Content
}

func (p *schemaParser) boolean(n *yaml.Node, what string) bool {
	text, ok := p.scalar(n, what)
	if !ok {
		return false
	}
	if text != "true" && text != "false" {
		p.fault(n, "%s must be true or false, not %q", what, text)
	}
	return text == "true"
}

func (p *schemaParser) number(n *yaml.Node, what string) *float64 {
	text, ok := p.scalar(n, what)
	if !ok {
		return nil
	}
	x, ok, finite := parseNumber(text)
	if !ok || !finite {
		p.fault(n, "%s must be a finite number, not %q", what, text)
		return nil
	}
	return &x
}

var (
	schemaName = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,31}$`)
	columnName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.-]{0,63}$`)
)

// MaxName is the maximum length of the name of a schema.
const MaxName = 32

// IsColumnName reports whether text can be the name of a feature, the id or the label.
func IsColumnName(text string) bool { return columnName.MatchString(text) }

func (p *schemaParser) name(n *yaml.Node) string {
	text, ok := p.scalar(n, "name")
	if ok && !schemaName.MatchString(text) {
		p.fault(n, "name %q: lower-case letters, digits, - and _, beginning with a letter, at most 32", text)
	}
	return text
}

// claim is the use of a name or an alias.
type claim struct {
	text, what string
	owner      string // the name that an alias stands for; of a name, itself
}

// column reads a column name and claims it.
func (p *schemaParser) column(n *yaml.Node, what string) string {
	text, ok := p.scalar(n, what)
	if !ok {
		return ""
	}
	if !columnName.MatchString(text) {
		p.fault(n, "name %q: letters, digits, _ . and -, beginning with a letter or _, at most 64", text)
	}
	p.claim(n, claim{text, what, text})
	return text
}

// aliases reads the other names of a column, which may be any text.
func (p *schemaParser) aliases(n *yaml.Node, name string) []string {
	var all []string
	for _, item := range p.list(n, "alias") {
		if alias, ok := p.scalar(item, "alias"); ok {
			p.claim(item, claim{strings.TrimSpace(alias), fmt.Sprintf("an alias of %q", name), name})
			all = append(all, alias)
		}
	}
	return all
}

// claim notes the use of a name. Names must differ in more than case, because
// Athena does not distinguish the case of columns. An alias, which is compared letter
// by letter, may differ from another one or from a name in case only.
func (p *schemaParser) claim(n *yaml.Node, c claim) {
	isName, key := c.owner == c.text, strings.ToLower(c.text)
	taken, repeated := p.names[c.text]
	if !repeated && isName {
		taken, repeated = p.folded[key]
	}
	if repeated {
		p.fault(n, "name %q is already taken by %s", c.text, taken.what)
		return
	}
	p.names[c.text] = c
	if isName {
		p.folded[key] = c
	}
}

// id reads the column of the customer id: its name, or a mapping with aliases.
func (p *schemaParser) id(n *yaml.Node) (name string, aliases []string) {
	if n == nil || n.Kind != yaml.MappingNode {
		return p.column(n, "the id"), nil
	}
	m := p.mapping(n, "id", "name", "alias")
	name = p.column(p.need(n, m, "name"), "the id")
	return name, p.aliases(m["alias"], name)
}

func (p *schemaParser) label(n *yaml.Node) Label {
	var l Label
	if n == nil {
		return l
	}
	m := p.mapping(n, "label", "name", "alias", "positive", "negative")
	l.Name = p.column(p.need(n, m, "name"), "the label")
	l.Aliases = p.aliases(m["alias"], l.Name)
	l.Positive = p.spellings(p.need(n, m, "positive"), "positive")
	l.Negative = p.spellings(p.need(n, m, "negative"), "negative")
	for _, s := range l.Negative {
		for _, t := range l.Positive {
			if s.Value == t.Value || sameNumber(s.Value, t.Value) {
				p.fault(n, "label value %q is both positive and negative", s.Value)
			}
		}
	}
	return l
}

func (p *schemaParser) spellings(n *yaml.Node, what string) []Spelling {
	if n == nil {
		return nil
	}
	var all []Spelling
	for _, item := range p.list(n, what) {
		text, ok := p.scalar(item, what)
		if !ok {
			continue
		}
		if text == "" {
			p.fault(item, "%s: an empty label means that the customer is unlabelled", what)
		}
		isNumber := (item.Tag == "!!int" || item.Tag == "!!float") && isDecimal(text)
		all = append(all, Spelling{Value: text, IsText: !isNumber})
	}
	if len(all) == 0 {
		p.fault(n, "%s must list at least one value", what)
	}
	return all
}
