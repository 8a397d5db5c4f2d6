package schema_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gateway/internal/schema"
)

// infer drafts a schema that must be sound.
func infer(t testing.TB, csv string, opts schema.InferOptions) (string, *schema.Schema) {
	t.Helper()
	text, err := schema.Infer(strings.NewReader(csv), opts)
	if err != nil {
		t.Fatalf("%v\n%s", err, csv)
	}
	return string(text), parse(t, string(text))
}

// accepted checks that a schema takes every row of the data it was drafted from.
func accepted(t testing.TB, s *schema.Schema, csv string) (rows int) {
	t.Helper()
	return readAll(t, csvOf(t, s, csv), func(row schema.Row) {
		if row.Violations.Count() > 0 {
			t.Fatalf("line %d: %s", row.Line, details(row.Violations.Listed))
		}
		if missing := s.Complete(row.Features, ""); len(missing) > 0 {
			t.Fatalf("line %d: %s", row.Line, details(missing))
		}
		if v := s.Encode(row.Features); len(v) != s.Width() {
			t.Fatalf("line %d: %d columns", row.Line, len(v))
		}
	})
}

// bankLike writes rows in the form of the bank data.
func bankLike(n int) string {
	random := rand.New(rand.NewPCG(5, 6))
	s := schema.Bank()
	var b strings.Builder
	b.WriteString(sampleHeader)
	b.WriteString(sampleRow)
	for range n {
		for i := range s.Features {
			switch f := &s.Features[i]; {
			case f.Type == schema.Category:
				fmt.Fprintf(&b, "%q;", f.Values[random.IntN(len(f.Values))])
			case f.Type == schema.Number:
				fmt.Fprintf(&b, "%.3f;", random.NormFloat64()*50)
			default:
				fmt.Fprintf(&b, "%d;", 17+random.IntN(80))
			}
		}
		fmt.Fprintf(&b, "%q\n", []string{"no", "yes"}[random.IntN(2)])
	}
	return b.String()
}

func TestInferFromBankLikeData(t *testing.T) {
	csv := bankLike(500)
	text, s := infer(t, csv, schema.InferOptions{Name: "bank"})
	golden(t, "inferred.yaml", []byte(text))
	if rows := accepted(t, s, csv); rows != 501 {
		t.Errorf("%d rows", rows)
	}
	bank := schema.Bank()
	if s.Label.Name != "y" || s.ID != "customer_id" || s.Name != "bank" {
		t.Errorf("name %q, id %q, label %q", s.Name, s.ID, s.Label.Name)
	}
	for i, f := range s.Features {
		want := bank.Features[i]
		values, wantValues := slices.Sorted(slices.Values(f.Values)), slices.Sorted(slices.Values(want.Values))
		if f.Name != want.Name || f.Type != want.Type || f.Unknown != want.Unknown || !slices.Equal(values, wantValues) || !slices.Equal(f.Aliases, want.Aliases) {
			t.Errorf("feature %d is %+v, want %+v", i, f, want)
		}
	}
}

func TestInferFromTheBankData(t *testing.T) {
	data, err := os.ReadFile(filepath.FromSlash("../../../shared/data/bank/bank-additional.csv"))
	if err != nil {
		t.Skipf("the bank data is not here, so nothing was checked: %v", err)
	}
	_, s := infer(t, string(data), schema.InferOptions{})
	if rows := accepted(t, s, string(data)); rows != 32_845 {
		t.Errorf("%d rows", rows)
	}
}

func TestInferGuesses(t *testing.T) {
	tests := []struct {
		name, csv string
		opts      schema.InferOptions
		want      []string // lines of the draft
	}{
		{"a label by its name", "y,a\n1,2\n0,3\n", schema.InferOptions{}, []string{
			`label: {name: "y", positive: [1], negative: [0]}`, "name: customers", "id: customer_id",
			"# No column looks like an id: rows will be numbered from 1.", "  - {name: a, type: integer, min: 0}"}},
		{"a label in another case", "Churn,a\nYes,2\nNo,3\n", schema.InferOptions{}, []string{
			`label: {name: Churn, positive: ["Yes"], negative: ["No"]}`}},
		{"a label by its place", "a,bought\n2,t\n3,f\n", schema.InferOptions{}, []string{"label: {name: bought, positive: [t], negative: [f]}"}},
		{"a label with values that say nothing", "a,kind\n2,good\n3,bad\n", schema.InferOptions{}, []string{
			"label: {name: kind, positive: [good], negative: [bad]}"}},
		{"a label that is named", "a,b,c\n1,x,1\n0,z,2\n", schema.InferOptions{Label: "b"}, []string{
			"label: {name: b, positive: [z], negative: [x]}", "  - {name: a, type: integer, min: 0}", "  - {name: c, type: integer, min: 0}"}},
		{"a column called y with three values is no label", "y,b\n1,no\n2,yes\n3,no\n", schema.InferOptions{}, []string{
			`label: {name: b, positive: ["yes"], negative: ["no"]}`, `  - {name: "y", type: integer, min: 0}`}},
		{"a label with gaps", "a,y\n1,1\n2,\n3,0\n", schema.InferOptions{}, []string{`label: {name: "y", positive: [1], negative: [0]}`}},
		{"an id by its name", "ID,a,y\nx-1,2,1\nx-2,3,0\n", schema.InferOptions{}, []string{"id: ID"}},
		{"an id that is named", "key,a,y\nx-1,2,1\nx-2,3,0\n", schema.InferOptions{ID: "key"}, []string{"id: key"}},
		{"numbers", "a,b,c,d,y\n1,1.5,-2,1e3,1\n2,2,+3,7.,0\n", schema.InferOptions{}, []string{
			"  - {name: a, type: integer, min: 0}", "  - {name: b, type: number, min: 0}", "  - {name: c, type: integer}", "  - {name: d, type: integer, min: 0}"}},
		{"numbers beyond exact integers", "a,y\n12345678901234567890,1\n1,0\n", schema.InferOptions{}, []string{"  - {name: a, type: number, min: 0}"}},
		{"numbers that are too large", "a,y\n1e999,1\n1,0\n", schema.InferOptions{}, []string{"  - {name: a, type: category, values: [1, 1e999]}"}},
		{"numbers with gaps", "a,y\n7,1\n,0\n7,1\n8,0\n", schema.InferOptions{}, []string{
			"  # a: 1 rows have no value; the default is the commonest one.", "  - {name: a, type: integer, min: 0, default: 7}"}},
		{"a category with gaps", "a,y\nx,1\n,0\nx,0\nz,1\n", schema.InferOptions{}, []string{
			"  # a: 1 rows have no value; look at the default.", "  - {name: a, type: category, values: [x, z], default: x}"}},
		{"a category with gaps and a word for them", "a,y\nx,1\n,0\nx,0\nUnknown,1\n", schema.InferOptions{}, []string{
			"  - {name: a, type: category, values: [Unknown, x], unknown: Unknown, default: Unknown}"}},
		{"words that YAML knows", "a,y\nyes,1\nno,0\nnull,1\n~,0\ntrue,0\n", schema.InferOptions{}, []string{
			`  - {name: a, type: category, values: ["no", "null", "true", "yes", "~"]}`}},
		{"texts with signs", "a,y\n\"x: y\",1\n\"[a, b]\",0\n# c,1\n\"say \"\"hi\"\"\",0\n*p,0\nüb,1\n007,1\n", schema.InferOptions{}, []string{
			`  - {name: a, type: category, values: ["# c", "*p", 007, "[a, b]", "say \"hi\"", "x: y", "üb"]}`}},
		{"an empty column", "a,b,y\n,1,1\n,2,0\n", schema.InferOptions{}, []string{
			"  # a: no row has a value.", "  - {name: a, type: category, values: [none], unknown: none, default: none, exclude: true}"}},
		{"headers that are no names", "income (EUR),2nd,a.b,y\n1,2,3,1\n4,5,6,0\n", schema.InferOptions{}, []string{
			`  - {name: income_EUR, type: integer, alias: ["income (EUR)"], min: 0}`, `  - {name: column_2nd, type: integer, alias: ["2nd"], min: 0}`,
			"  - {name: a_b, type: integer, alias: [a.b], min: 0}"}},
		{"a column without a header", ",a,y\n0,2,1\n1,3,0\n", schema.InferOptions{}, []string{`  - {name: column_, type: integer, alias: [""], min: 0}`}},
		{"a short row and a stray quote", "a,y\n1,1\n2\n\"3\"x,0\n4,0\n", schema.InferOptions{}, []string{
			"# Drafted from 2 rows. Read it before you use it: what the data did not show,",
			"# 2 rows cannot be read and were left out, the first on line 3: the row has 1 columns where the header has 2."}},
		{"a byte order mark and semicolons", "\ufeffa;y\n1;1\n2;0\n", schema.InferOptions{}, []string{"  - {name: a, type: integer, min: 0}"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			text, s := infer(t, tt.csv, tt.opts)
			lines := strings.Split(text, "\n")
			for _, want := range tt.want {
				if !slices.Contains(lines, want) {
					t.Errorf("no line %s in\n%s", want, text)
				}
			}
			if !strings.Contains(text, "left out") {
				accepted(t, s, tt.csv)
			}
		})
	}
}

func TestInferLeavesFreeTextOut(t *testing.T) {
	var b strings.Builder
	b.WriteString("note,city,y\n")
	for i := range 2_000 {
		fmt.Fprintf(&b, "text number %d,c%d,%d\n", i, i%100, i%2)
	}
	text, s := infer(t, b.String(), schema.InferOptions{})
	if f := s.Features[0]; !f.Exclude || !f.Personal || f.Unknown != "other" {
		t.Errorf("free text: %+v", f)
	}
	if f := s.Features[1]; f.Exclude || len(f.Values) != 100 {
		t.Errorf("a category with a hundred values: %d, excluded %v", len(f.Values), f.Exclude)
	}
	if !strings.Contains(text, "# note: more than 100 different texts: not a category to learn from.") {
		t.Errorf("the draft does not say why:\n%s", text)
	}
	accepted(t, s, b.String())
}

func TestInferFaults(t *testing.T) {
	tests := []struct {
		name, csv string
		opts      schema.InferOptions
		want      string
	}{
		{"an empty file", "", schema.InferOptions{}, "the table is empty"},
		{"a header only", "a,y\n", schema.InferOptions{}, "there are no rows below the header"},
		{"no label", "a,b\n1,1\n2,2\n3,3\n", schema.InferOptions{}, "no column looks like the label"},
		{"a label that is not there", "a,y\n1,1\n2,0\n", schema.InferOptions{Label: "z"}, `there is no column "z" in the header`},
		{"an id that is not there", "a,y\n1,1\n2,0\n", schema.InferOptions{ID: "z"}, `there is no column "z" in the header`},
		{"a label of three values", "a,y\n1,1\n2,0\n3,2\n", schema.InferOptions{Label: "y"}, `the label column "y" has 3 different values; two are due`},
		{"short rows alone", "a,y\n1\n2\n", schema.InferOptions{}, "line 2: the row has 1 columns where the header has 2"},
		{"a column given twice", "a,a,y\n1,1,1\n2,2,0\n", schema.InferOptions{}, "line 1: a is given twice in the header row"},
		{"UTF-16", "\xff\xfea\x00,\x00", schema.InferOptions{}, "seems to be UTF-16; save it as UTF-8"},
		{"a header in Windows-1252", "gr\xf6\xdfe,y\n1,1\n", schema.InferOptions{}, `seems to be Windows-1252; save it as UTF-8; gr\xf6\xdfe: is not valid UTF-8`},
		{"columns that become one name", "a.b,a_b,y\n1,1,1\n2,2,0\n", schema.InferOptions{}, `line 1, column "a_b": name "a_b" is already taken by a feature`},
		{"two names of other letters", "sep=,\nвозраст,доход,y\n1,1,1\n2,2,0\n", schema.InferOptions{}, `line 2, column "доход": name "column_" is already taken by a feature`},
		{"a label that cannot be one", "a,Churn?\n1,no\n2,yes\n", schema.InferOptions{}, `line 1, column "Churn?": name "Churn?": letters, digits`},
		{"a column like the id", "Customer ID,a,y\nx,1,1\nz,2,0\n", schema.InferOptions{}, `line 1, column "Customer ID": name "Customer_ID" is already taken by the id`},
		{"U+0000", "a,y\n1,1\nx\x00,0\n", schema.InferOptions{}, `line 3, column "a": the text holds the character U+0000, which no database keeps`},
		{"nothing but a label", "y\n1\n0\n", schema.InferOptions{}, "there are no columns to learn from beside the label and the id"},
		{"a name that is none", "a,y\n1,1\n2,0\n", schema.InferOptions{Name: "My Bank"}, `name "My Bank": lower-case letters`},
		{"the id as label", "y,a\n1,1\n0,2\n", schema.InferOptions{ID: "y", Label: "y"}, `line 1, column "y": name "y" is already taken by the id`},
		{"text that is not UTF-8", "a,y\n1,1\ncaf\xe9,0\n", schema.InferOptions{}, `line 3, column "a": the text is not UTF-8`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			text, err := schema.Infer(strings.NewReader(tt.csv), tt.opts)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %s\n%s", err, tt.want, text)
			}
		})
	}
}
