package schema_test

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gateway/internal/schema"
)

// small is a schema with one feature of each kind.
const small = `name: small
id: customer_id
label: {name: y, positive: [1, "yes"], negative: [0, "no"]}
features:
  - {name: age, type: integer, min: 17, max: 120}
  - {name: job, type: category, values: [admin., services, unknown], unknown: unknown}
  - {name: month, type: category, values: [mar, apr, may], encode: ordinal, default: apr}
  - {name: rate, type: number, alias: [emp.rate], default: 1.5}
`

// parse reads a schema that must be sound.
func parse(t testing.TB, text string) *schema.Schema {
	t.Helper()
	s, err := schema.Parse("test.yaml", []byte(text))
	if err != nil {
		t.Fatalf("the schema is refused:\n%v\n%s", err, text)
	}
	return s
}

// withFeatures puts feature lines, beginning at line 5, into a sound schema.
func withFeatures(lines ...string) string {
	head, _, _ := strings.Cut(small, "  - ")
	return head + strings.Join(lines, "\n") + "\n"
}

func TestSchemaFileFaults(t *testing.T) {
	const sound = "  - {name: age, type: integer}"
	top := func(old, new string) string { return strings.Replace(small, old, new, 1) }
	tests := []struct {
		name, text string
		want       []string // the whole error, by line
	}{
		{"an empty file", "", []string{"s.yaml: the file is empty"}},
		{"a file of comments only", "# nothing\n", []string{"s.yaml: the file is empty"}},
		{"binary data", "\x00\x01\xfe\xff\x80", []string{"s.yaml: not YAML: control characters are not allowed"}},
		{"text that is not UTF-8", "name: caf\xe9\n", []string{"s.yaml: not YAML: incomplete UTF-8 octet sequence"}},
		{"broken YAML", "name: small\nid: a\nlabel: b: c\n", []string{"s.yaml:3: not YAML: mapping values are not allowed in this context"}},
		{"a tab for indentation", "name: small\nlabel:\n\tname: y\n", []string{"s.yaml:3: not YAML: found character that cannot start any token"}},
		{"two documents", small + "---\n" + small, []string{"s.yaml: more than one YAML document"}},
		{"a list at the top", "- a\n", []string{"s.yaml:1: the schema must be a mapping of names to values"}},
		{"a null document", "---\n", []string{"s.yaml:2: the schema must be a mapping of names to values"}},
		{"everything missing", "{}", []string{
			`s.yaml:1: "name" is missing`, `s.yaml:1: "id" is missing`,
			`s.yaml:1: "label" is missing`, `s.yaml:1: "features" is missing`}},
		{"an unknown key at the top", small + "fetures: []\n", []string{
			`s.yaml:9: unknown key "fetures" in the schema; did you mean "features"?`}},
		{"a key far from any known one", small + "owner: me\n", []string{`s.yaml:9: unknown key "owner" in the schema`}},
		{"a repeated key", "name: a\n" + small, []string{`s.yaml:2: key "name" is given twice`}},
		{"a merge key", small + "<<: {a: b}\n", []string{`s.yaml:9: unknown key "<<" in the schema`}},
		{"a name in upper case", top("name: small", "name: Small"), []string{
			`s.yaml:1: name "Small": lower-case letters, digits, - and _, beginning with a letter, at most 32`}},
		{"a name that is null", top("name: small", "name:"), []string{"s.yaml:1: name must be a single value"}},
		{"an id with a space", top("id: customer_id", "id: customer id"), []string{
			`s.yaml:2: name "customer id": letters, digits, _ . and -, beginning with a letter or _, at most 64`}},
		{"an id that is a feature too", top("id: customer_id", "id: age"), []string{
			`s.yaml:5: name "age" is already taken by the id`}},
		{"a label that is the id too", top("name: y", "name: Customer_ID"), []string{
			`s.yaml:3: name "Customer_ID" is already taken by the id`}},
		{"a label that is a text", top(`{name: y, positive: [1, "yes"], negative: [0, "no"]}`, "y"), []string{
			"s.yaml:3: label must be a mapping of names to values"}},
		{"a label without classes", top(`, positive: [1, "yes"], negative: [0, "no"]`, ""), []string{
			`s.yaml:3: "positive" is missing`, `s.yaml:3: "negative" is missing`}},
		{"a label with an empty class", top(`[0, "no"]`, "[]"), []string{"s.yaml:3: negative must list at least one value"}},
		{"a label with an empty spelling", top(`"no"`, `""`), []string{
			"s.yaml:3: negative: an empty label means that the customer is unlabelled"}},
		{"a label with a null spelling", top(`"no"`, `null`), []string{"s.yaml:3: negative must be a single value"}},
		{"a class that is no list", top(`[0, "no"]`, `0`), []string{
			"s.yaml:3: negative must be a list", "s.yaml:3: negative must list at least one value"}},
		{"a label value in both classes", top(`[0, "no"]`, `[0, "yes"]`), []string{
			`s.yaml:3: label value "yes" is both positive and negative`}},
		{"a label number in both classes, written otherwise", top(`[0, "no"]`, `[0, 1.0]`), []string{
			`s.yaml:3: label value "1.0" is both positive and negative`}},

		{"no features", withFeatures("  []"), []string{"s.yaml:5: features must list at least one feature"}},
		{"features that are a mapping", withFeatures("  {a: b}"), []string{"s.yaml:5: features must be a list"}},
		{"a feature that is a text", withFeatures("  - age", sound), []string{
			"s.yaml:5: a feature must be a mapping of names to values"}},
		{"a feature without name and type", withFeatures("  - {min: 3}", sound), []string{
			`s.yaml:5: "name" is missing`, `s.yaml:5: "type" is missing`}},
		{"an unknown type", withFeatures("  - {name: a, type: int}"), []string{
			`s.yaml:5: type "int" of feature "a": must be integer, number, category or date`}},
		{"an unknown key of a feature", withFeatures("  - {name: a, type: integer, defualt: 3}"), []string{
			`s.yaml:5: unknown key "defualt" in a feature; did you mean "default"?`}},
		{"two features of one name but for case", withFeatures(sound, "  - {name: Age, type: number}"), []string{
			`s.yaml:6: name "Age" is already taken by a feature`}},
		{"an alias that another feature bears", withFeatures(sound, "  - {name: a, type: number, alias: [age]}"), []string{
			`s.yaml:6: name "age" is already taken by a feature`}},
		{"two features with one alias", withFeatures("  - {name: a, type: number, alias: [x.y]}", "  - {name: b, type: number, alias: [x.y]}"), []string{
			`s.yaml:6: name "x.y" is already taken by an alias of "a"`}},
		{"an alias that is no list", withFeatures("  - {name: a, type: number, alias: b}"), []string{"s.yaml:5: alias must be a list"}},
		{"a list as alias", withFeatures("  - {name: a, type: number, alias: [[b]]}"), []string{"s.yaml:5: alias must be a single value"}},
		{"a name too long", withFeatures("  - {name: " + strings.Repeat("a", 65) + ", type: number}"), []string{
			`s.yaml:5: name "` + strings.Repeat("a", 65) + `": letters, digits, _ . and -, beginning with a letter or _, at most 64`}},
		{"a flag that is no boolean", withFeatures("  - {name: a, type: number, personal: yes, exclude: 1}", sound), []string{
			`s.yaml:5: personal must be true or false, not "yes"`, `s.yaml:5: exclude must be true or false, not "1"`}},

		{"a minimum above the maximum", withFeatures("  - {name: a, type: number, min: 3, max: 2.5}"), []string{
			`s.yaml:5: feature "a": min 3 is above max 2.5`}},
		{"bounds that are no numbers", withFeatures("  - {name: a, type: number, min: x, max: .inf, default: .nan}"), []string{
			`s.yaml:5: min must be a finite number, not "x"`, `s.yaml:5: max must be a finite number, not ".inf"`,
			`s.yaml:5: default must be a finite number, not ".nan"`}},
		{"a bound too large", withFeatures("  - {name: a, type: number, max: 1e999}"), []string{
			`s.yaml:5: max must be a finite number, not "1e999"`}},
		{"a default out of range", withFeatures("  - {name: a, type: number, min: 0, default: -1}"), []string{
			`s.yaml:5: feature "a": the default must be at least 0, not "-1"`}},
		{"a broken default of an integer", withFeatures("  - {name: a, type: integer, default: 1.5}"), []string{
			`s.yaml:5: feature "a": the default is not an integer`}},
		{"a default that only rounds to an integer", withFeatures("  - {name: a, type: integer, default: 3.0000000000000001}"), []string{
			`s.yaml:5: feature "a": the default is not an integer`}},
		{"values of a number", withFeatures("  - {name: a, type: number, values: [x], unknown: x, encode: onehot}"), []string{
			`s.yaml:5: feature "a": values is for categories, not for type number`,
			`s.yaml:5: feature "a": unknown is for categories, not for type number`,
			`s.yaml:5: feature "a": encode is for categories, not for type number`}},

		{"a range of a category", withFeatures("  - {name: a, type: category, values: [x], min: 1, max: 2}"), []string{
			`s.yaml:5: feature "a": min is for numbers and dates, not for a category`,
			`s.yaml:5: feature "a": max is for numbers and dates, not for a category`}},
		{"a category without values", withFeatures("  - {name: a, type: category}"), []string{`s.yaml:5: "values" is missing`}},
		{"a category with no value", withFeatures("  - {name: a, type: category, values: []}"), []string{
			`s.yaml:5: feature "a": values must list at least one value`}},
		{"a value that is given twice", withFeatures("  - {name: a, type: category, values: [x, y, x]}"), []string{
			`s.yaml:5: feature "a": value "x" is given twice`}},
		{"an empty value", withFeatures(`  - {name: a, type: category, values: [x, ""]}`), []string{
			`s.yaml:5: feature "a": a category value is empty; empty means missing`}},
		{"a null value", withFeatures("  - {name: a, type: category, values: [x, ~]}"), []string{
			"s.yaml:5: a category value must be a single value"}},
		{"an unknown encoding", withFeatures("  - {name: a, type: category, values: [x], encode: one-hot}"), []string{
			`s.yaml:5: feature "a": encode "one-hot": must be onehot, ordinal or target`}},
		{"an unknown that is not listed", withFeatures("  - {name: a, type: category, values: [x], unknown: y}"), []string{
			`s.yaml:5: feature "a": unknown names "y", which is not among the values`}},
		{"a default that is not listed", withFeatures("  - {name: a, type: category, values: [x], default: y}"), []string{
			`s.yaml:5: feature "a": the default "y" is not among the values`}},
		{"nothing left to learn from", withFeatures("  - {name: a, type: number, exclude: true}"), []string{
			"s.yaml:5: every feature is excluded; at least one must be included"}},

		{"an anchor", "name: &n small\n" + strings.SplitAfterN(small, "\n", 2)[1], []string{
			"s.yaml:1: anchors and aliases are not supported", `s.yaml:1: "name" is missing`}},
		{"an alias to an anchor that is not there", top("name: small", "name: *n"), []string{"s.yaml: not YAML: unknown anchor 'n' referenced"}},
		{"an alias among the values", withFeatures("  - {name: a, type: category, values: [&x x, *x]}"), []string{
			"s.yaml:5: a category value must be a single value"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { wantFaults(t, tt.text, tt.want) })
	}
}

// wantFaults parses a schema that must have exactly these faults.
func wantFaults(t *testing.T, text string, want []string) {
	t.Helper()
	_, err := schema.Parse("s.yaml", []byte(text))
	if err == nil {
		t.Fatal("the schema is accepted")
	}
	var faults *schema.Error
	if !errors.As(err, &faults) || faults.File != "s.yaml" {
		t.Errorf("the error is a %T, want a *schema.Error that names the file", err)
	}
	if diff := cmp.Diff(want, strings.Split(err.Error(), "\n")); diff != "" {
		t.Errorf("faults (-want +got):\n%s", diff)
	}
}

func TestAllFaultsOfAFileAtOnceByLine(t *testing.T) {
	_, err := schema.Parse("s.yaml", []byte(`name: 7up
id: customer_id
features:
  - {name: age, type: integer, min: 9, max: 1}
  - {name: job, type: category, values: [a, a], default: b}
  - {name: age, type: number}
label:
  name: y
  positive: [1]
  negative: [1]
`))
	want := `s.yaml:1: name "7up": lower-case letters, digits, - and _, beginning with a letter, at most 32
s.yaml:4: feature "age": min 9 is above max 1
s.yaml:5: feature "job": value "a" is given twice
s.yaml:5: feature "job": the default "b" is not among the values
s.yaml:6: name "age" is already taken by a feature
s.yaml:8: label value "1" is both positive and negative`
	if err == nil || err.Error() != want {
		t.Errorf("got:\n%v\nwant:\n%s", err, want)
	}
}

func TestHugeSchemaFilesAreRefused(t *testing.T) {
	huge := small + "#" + strings.Repeat("x", 1<<20)
	if _, err := schema.Parse("s.yaml", []byte(huge)); err == nil || err.Error() != "s.yaml: the file is larger than 1048576 bytes" {
		t.Errorf("a huge text: %v", err)
	}
	path := filepath.Join(t.TempDir(), "huge.yaml")
	if err := os.WriteFile(path, []byte(huge), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := schema.Load(path); err == nil || err.Error() != path+": the file is larger than 1048576 bytes" {
		t.Errorf("a huge file: %v", err)
	}
}

// manyValues is a schema of one category with n values.
func manyValues(n int, more string) string {
	var b strings.Builder
	b.WriteString("  - {name: a, type: category, values: [v0")
	for i := 1; i < n; i++ {
		b.WriteString(",v" + strconv.Itoa(i))
	}
	b.WriteString("]" + more + "}")
	return withFeatures(b.String())
}

func TestColumnsAreBounded(t *testing.T) {
	_, err := schema.Parse("s.yaml", []byte(manyValues(10_001, "")))
	if err == nil || err.Error() != "s.yaml:5: the features make 10001 columns; at most 10000 are supported" {
		t.Errorf("one-hot: %v", err)
	}
	if s := parse(t, manyValues(10_001, ", encode: ordinal")); s.Width() != 1 {
		t.Errorf("ordinal: %d columns", s.Width())
	}
	parse(t, manyValues(10_000, ""))
}

func TestHostileYAMLIsReadInTime(t *testing.T) {
	bomb := "a: &a [x,x,x,x,x,x,x,x,x]\n"
	for c := 'b'; c <= 'z'; c++ {
		prev := "*" + string(c-1)
		bomb += string(c) + ": &" + string(c) + " [" + strings.Repeat(prev+",", 8) + prev + "]\n"
	}
	for name, text := range map[string]string{
		"a bomb of aliases":   bomb + small,
		"deep nesting":        strings.Repeat("[", 100_000),
		"deep mappings":       strings.Repeat("{a: ", 20_000),
		"a great many values": manyValues(60_000, ", encode: ordinal"),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := schema.Parse("s.yaml", []byte(text))
			if (err == nil) != (name == "a great many values") {
				t.Errorf("got %.200v", err)
			}
		})
	}
}

func TestLoadSchema(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "small.yaml")
	if err := os.WriteFile(path, []byte(small), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := schema.Load(path)
	if err != nil || s.Name != "small" || len(s.Features) != 4 {
		t.Errorf("got %v, %v", s, err)
	}
	if _, err := schema.Load(filepath.Join(dir, "none.yaml")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file that is not there: %v", err)
	}
	if err := os.WriteFile(path, []byte("name: x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := schema.Load(path); err == nil || !strings.HasPrefix(err.Error(), path+`:1: "id" is missing`) {
		t.Errorf("a faulty file: %v", err)
	}
}

func FuzzParseSchema(f *testing.F) {
	f.Add(string(schema.BankYAML()))
	f.Add(small)
	f.Add("a: &a [*a]")
	f.Add("name: x\nid: y\nlabel: {name: z, positive: [1], negative: [0]}\nfeatures: [{name: a, type: number}]")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := schema.Parse("f", []byte(text))
		if err != nil {
			var faults *schema.Error
			if !errors.As(err, &faults) || len(faults.Faults) == 0 {
				t.Fatalf("not a list of faults: %v", err)
			}
			return
		}
		if s.Width() == 0 || s.Width() != len(s.Columns()) || len(s.Fingerprint()) != 64 {
			t.Fatalf("width %d, columns %d, fingerprint %q", s.Width(), len(s.Columns()), s.Fingerprint())
		}
		// Whatever is accepted can be used.
		r := s.NewRecord()
		for i := range s.Features {
			if s.Features[i].Type == schema.Category {
				s.SetText(r, i, s.Features[i].Values[0])
			} else {
				s.SetText(r, i, "0")
			}
		}
		if len(s.Complete(r, "")) == 0 && len(s.Encode(r)) != s.Width() {
			t.Fatal("a record is not as wide as the schema")
		}
		s.JSONSchema()
	})
}

// The page about the schema file has examples that are schemas.
func TestExamplesOfThePage(t *testing.T) {
	page, err := os.ReadFile("../../docs/schema.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := strings.Split(string(page), "```yaml\n")[1:]
	if len(blocks) == 0 {
		t.Fatal("docs/schema.md has no example")
	}
	for _, block := range blocks {
		text, _, _ := strings.Cut(block, "```")
		parse(t, text)
	}
}
