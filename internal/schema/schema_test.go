package schema_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gateway/internal/schema"
)

func TestBankSchema(t *testing.T) {
	s := schema.Bank()
	names := make([]string, len(s.Features))
	for i := range s.Features {
		names[i] = s.Features[i].Name
	}
	want := "age job marital education default housing loan contact month day_of_week duration campaign pdays " +
		"previous poutcome emp_var_rate cons_price_idx cons_conf_idx euribor3m nr_employed"
	if got := strings.Join(names, " "); got != want {
		t.Errorf("features:\n got %s\nwant %s", got, want)
	}
	if s.Name != "bank" || s.ID != "customer_id" || s.Label.Name != "y" {
		t.Errorf("name %q, id %q, label %q", s.Name, s.ID, s.Label.Name)
	}
	// 10 numbers, and 12+4+8+3+3+3+2+12+5+3 values of ten categories.
	if s.Width() != 65 || len(s.Columns()) != 65 {
		t.Errorf("width %d, %d columns, want 65", s.Width(), len(s.Columns()))
	}
	if got := s.Columns()[:3]; !slices.Equal(got, []string{"age", "job=admin.", "job=blue-collar"}) {
		t.Errorf("columns begin %q", got)
	}
	for alias, name := range map[string]string{"emp.var.rate": "emp_var_rate", "cons.price.idx": "cons_price_idx",
		"cons.conf.idx": "cons_conf_idx", "nr.employed": "nr_employed", "age": "age"} {
		if i := s.Feature(alias); i < 0 || s.Features[i].Name != name {
			t.Errorf("%q is feature %d, want %s", alias, i, name)
		}
	}
	for _, name := range []string{"", "Age", "y", "customer_id", "job=admin."} {
		if i := s.Feature(name); i != -1 {
			t.Errorf("%q is feature %d, want none", name, i)
		}
	}
}

// A change of this literal means that every model in the field has to be
// trained anew. Change it only if that is meant.
func TestBankFingerprintIsStable(t *testing.T) {
	const want = "7798ece4b83fa6cb824fbe5a0aa5b11f56894ed65ed0a22862be352589141401"
	if got := schema.Bank().Fingerprint(); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestFingerprint(t *testing.T) {
	base := parse(t, small).Fingerprint()
	replace := func(pairs ...string) string {
		text := small
		for i := 0; i < len(pairs); i += 2 {
			if !strings.Contains(text, pairs[i]) {
				t.Fatalf("%q is not in the schema", pairs[i])
			}
			text = strings.Replace(text, pairs[i], pairs[i+1], 1)
		}
		return text
	}
	month := "  - {name: month, type: category, values: [mar, apr, may], encode: ordinal, default: apr}\n"
	age := "  - {name: age, type: integer, min: 17, max: 120}\n"

	for name, text := range map[string]string{
		"other white space":      replace("{name: age, type: integer, min: 17, max: 120}", "{ name:  age,   type: integer, min: 17, max: 120 }"),
		"comments":               "# a comment\n" + replace("id: customer_id", "id: customer_id # the key"),
		"another key order":      replace("name: small\nid: customer_id\n", "", "max: 120}\n", "max: 120}\n") + "id: customer_id\nname: small\n",
		"keys of a feature":      replace("name: age, type: integer", "type: integer, name: age"),
		"quotes":                 replace("[mar, apr, may]", `["mar", 'apr', may]`),
		"another id":             replace("id: customer_id", "id: client"),
		"an alias more":          replace("[emp.rate]", "[emp.rate, e]"),
		"an alias less":          replace(", alias: [emp.rate]", ""),
		"another range":          replace("min: 17, max: 120", "min: 0"),
		"a description":          replace("min: 17", "description: years, min: 17"),
		"personal":               replace("min: 17", "personal: true, min: 17"),
		"the default encoding":   replace("unknown: unknown", "unknown: unknown, encode: onehot"),
		"a default written else": replace("default: 1.5", "default: 15e-1"),
		"an excluded feature":    small + "  - {name: more, type: number, exclude: true}\n",
	} {
		t.Run("the same for "+name, func(t *testing.T) {
			if got := parse(t, text).Fingerprint(); got != base {
				t.Errorf("it changed:\n%s", text)
			}
		})
	}

	seen := map[string]string{base: "the schema itself"}
	for name, text := range map[string]string{
		"another name":             replace("name: small", "name: smaller"),
		"another label":            replace("name: y", "name: z"),
		"another feature name":     replace("name: age", "name: years"),
		"another type":             replace("type: integer", "type: number"),
		"another order of values":  replace("[mar, apr, may]", "[apr, mar, may]"),
		"a value more":             replace("[mar, apr, may]", "[mar, apr, may, jun]"),
		"another encoding":         replace(", encode: ordinal", ""),
		"the other encoding":       replace("unknown: unknown", "unknown: unknown, encode: ordinal"),
		"another unknown":          replace("unknown: unknown", "unknown: services"),
		"no unknown":               replace(", unknown: unknown", ""),
		"another default":          replace("default: apr", "default: may"),
		"another default number":   replace("default: 1.5", "default: 1.25"),
		"no default":               replace(", default: 1.5", ""),
		"an exclusion":             replace("default: 1.5", "default: 1.5, exclude: true"),
		"another order":            replace(month, "") + month,
		"a feature less":           replace(age, ""),
		"a feature more":           small + "  - {name: more, type: number}\n",
		"values joined into one":   replace("[mar, apr, may]", `["mar,apr", may, apr]`),
		"a name taken from values": replace("name: rate", "name: mar"),
	} {
		t.Run("different for "+name, func(t *testing.T) {
			got := parse(t, text).Fingerprint()
			if other, taken := seen[got]; taken {
				t.Errorf("it is that of %s", other)
			}
			seen[got] = name
		})
	}
}

// ordinalBank is the bank schema with every category coded as in the article.
func ordinalBank(t testing.TB) *schema.Schema {
	text := strings.ReplaceAll(string(schema.BankYAML()), "type: category,", "type: category, encode: ordinal,")
	return parse(t, strings.ReplaceAll(text, "type: category\n", "type: category\n    encode: ordinal\n"))
}

// The article's sample customer, and what the article makes of it.
const (
	sampleHeader = "age;job;marital;education;default;housing;loan;contact;month;day_of_week;duration;campaign;pdays;" +
		"previous;poutcome;emp.var.rate;cons.price.idx;cons.conf.idx;euribor3m;nr.employed;y\n"
	sampleRow = `34;"technician";"married";"high.school";"no";"yes";"no";"cellular";"jun";"wed";190;1;3;4;` +
		`"success";-1.7;94.055;-39.8;0.715;4991.6;"yes"` + "\n"
	sampleCoded = "34,10,2,4,1,2,1,1,6,3,190,1,3,4,3,-1.7,94.055,-39.8,0.715,4991.6"
)

// readOne reads a table of one sound row and completes it.
func readOne(t testing.TB, s *schema.Schema, text string) schema.Row {
	t.Helper()
	table, err := schema.NewCSVTable(s, strings.NewReader(text), 1<<16)
	if err != nil {
		t.Fatal(err)
	}
	row, err := table.Next()
	if err != nil || row.Violations.Count() > 0 {
		t.Fatalf("%v, violations %v", err, row.Violations)
	}
	if missing := s.Complete(row.Features, ""); len(missing) > 0 {
		t.Fatalf("missing: %v", missing)
	}
	return row
}

func TestOrdinalCodingOfTheArticlesSample(t *testing.T) {
	s := ordinalBank(t)
	if s.Width() != 20 {
		t.Errorf("%d columns, want 20", s.Width())
	}
	row := readOne(t, s, sampleHeader+sampleRow)
	v := s.Encode(row.Features)
	if got := string(schema.AppendCSV(nil, v)); got != sampleCoded {
		t.Errorf("serving row:\n got %s\nwant %s", got, sampleCoded)
	}
	if row.Label == nil || *row.Label != 1 {
		t.Fatalf("label %v, want 1", row.Label)
	}
	if got := string(schema.AppendTrainingCSV(nil, *row.Label, v)); got != "1,"+sampleCoded {
		t.Errorf("training row:\n got %s\nwant 1,%s", got, sampleCoded)
	}
	if got := string(schema.AppendTrainingCSV([]byte("x\n"), 0, v)); got != "x\n0,"+sampleCoded {
		t.Errorf("training row appended to text: %s", got)
	}
}

func TestOneHotCodingOfTheArticlesSample(t *testing.T) {
	s := schema.Bank()
	v := s.Encode(readOne(t, s, sampleHeader+sampleRow).Features)
	if len(v) != s.Width() {
		t.Fatalf("%d columns, want %d", len(v), s.Width())
	}
	ones := map[string]string{} // feature → value that is 1
	for i, column := range s.Columns() {
		feature, value, isCategory := strings.Cut(column, "=")
		switch {
		case !isCategory:
		case v[i] == 1 && ones[feature] == "":
			ones[feature] = value
		case v[i] != 0:
			t.Errorf("column %s is %v beside %q", column, v[i], ones[feature])
		}
	}
	for feature, value := range map[string]string{"job": "technician", "marital": "married", "education": "high.school",
		"default": "no", "housing": "yes", "loan": "no", "contact": "cellular", "month": "jun", "day_of_week": "wed", "poutcome": "success"} {
		if ones[feature] != value {
			t.Errorf("%s is %q, want %q", feature, ones[feature], value)
		}
		delete(ones, feature)
	}
	if len(ones) > 0 {
		t.Errorf("left over: %v", ones)
	}
	if v[0] != 34 || v[64] != 4991.6 || v[slices.Index(s.Columns(), "euribor3m")] != 0.715 {
		t.Errorf("numbers went elsewhere: %v", v)
	}
}

func TestExcludedFeaturesMakeNoColumn(t *testing.T) {
	text := strings.Replace(string(schema.BankYAML()), "{name: duration,", "{name: duration, exclude: true,", 1)
	s := parse(t, strings.Replace(text, "{name: marital,", "{name: marital, exclude: true,", 1))
	if s.Width() != 65-1-4 {
		t.Errorf("width %d", s.Width())
	}
	for _, column := range s.Columns() {
		if column == "duration" || strings.HasPrefix(column, "marital") {
			t.Errorf("column %s", column)
		}
	}
	row := readOne(t, s, sampleHeader+sampleRow)
	if v := s.Encode(row.Features); len(v) != s.Width() {
		t.Errorf("%d columns", len(v))
	}
	if text := string(s.AppendFeatures(nil, row.Features, true)); !strings.Contains(text, `"duration":190`) {
		t.Errorf("an excluded feature is not kept: %s", text)
	}
}

// The developers' share of the bank data, where it is at hand.
func TestBankData(t *testing.T) {
	path := filepath.FromSlash("../../../shared/data/bank/bank-additional.csv")
	f, err := os.Open(path)
	if err != nil {
		t.Skipf("the bank data is not here, so nothing was checked: %v", err)
	}
	defer f.Close()
	s := ordinalBank(t)
	table, err := schema.NewCSVTable(s, f, 1<<16)
	if err != nil {
		t.Fatal(err)
	}
	positive, samples := 0, 0
	rows := readAll(t, table, func(row schema.Row) {
		if row.Violations.Count() > 0 {
			t.Fatalf("line %d: %v", row.Line, row.Violations)
		}
		if missing := s.Complete(row.Features, ""); len(missing) > 0 || row.Label == nil {
			t.Fatalf("line %d: missing %v, label %v", row.Line, missing, row.Label)
		}
		positive += *row.Label
		if string(schema.AppendTrainingCSV(nil, *row.Label, s.Encode(row.Features))) == "1,"+sampleCoded {
			samples++
		}
	})
	if rows != 32_845 || positive != 3_712 || samples != 1 {
		t.Errorf("%d rows, %d positive, %d sample; want 32845, 3712, 1", rows, positive, samples)
	}
}
