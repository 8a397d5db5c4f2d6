package draft_test

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"gateway/internal/draft"
	"gateway/internal/failure"
	"gateway/internal/schema"
)

// infer drafts a schema that must be sound.
func infer(t testing.TB, csv string, opts draft.Options) *draft.Draft {
	t.Helper()
	d, err := draft.Infer(strings.NewReader(csv), opts)
	if err != nil {
		t.Fatalf("%v\n%.500s", err, csv)
	}
	return d
}

// accepted checks that the schema takes every row of the data it was drafted from,
// and returns the number of rows.
func accepted(t testing.TB, s *schema.Schema, csv string) (rows int) {
	t.Helper()
	table, err := schema.NewCSVTable(s, schema.NewTextReader(strings.NewReader(csv)), 1<<20)
	if err != nil {
		var refused *failure.Error
		errors.As(err, &refused)
		t.Fatalf("%v: %+v", err, refused)
	}
	for {
		row, err := table.Next()
		if errors.Is(err, io.EOF) {
			return rows
		}
		if err != nil {
			t.Fatal(err)
		}
		if missing := s.Complete(row.Features, ""); row.Violations.Count() > 0 || len(missing) > 0 {
			t.Fatalf("line %d: %+v %+v", row.Line, row.Violations.Listed, missing)
		}
		if v := s.Encode(row.Features); len(v) != s.Width() {
			t.Fatalf("line %d: %d columns", row.Line, len(v))
		}
		rows++
	}
}

// rowsOf writes a header and n rows.
func rowsOf(header string, n int, row func(i int) string) string {
	var b strings.Builder
	b.WriteString(header + "\n")
	for i := range n {
		b.WriteString(row(i) + "\n")
	}
	return b.String()
}

// numbered writes rows of an id, a number that says nothing, and cells of i.
func numbered(header string, n int, cells func(i int) string) string {
	random := rand.New(rand.NewPCG(1, 2))
	return rowsOf("customer_id,age,"+header, n, func(i int) string {
		return fmt.Sprintf("c%d,%d,%s", i, 18+random.IntN(60), cells(i))
	})
}

func TestTheLabel(t *testing.T) {
	yesNo := func(i int) string { return []string{"no", "yes"}[i%2] }
	two := func(i int) string { return []string{"a", "b"}[i/2%2] + "," + yesNo(i) }
	tests := []struct {
		name, csv string
		opts      draft.Options
		want      string // the column, or the beginning of the error
	}{
		{"by its name", numbered("plan,churn", 40, two), draft.Options{}, "churn"},
		{"by its name, in another place", numbered("churn,plan", 40, two), draft.Options{}, "churn"},
		{"in camel case", numbered("plan,HasChurned", 40, two), draft.Options{}, "HasChurned"},
		{"with a sign behind it", numbered("plan,Churn?", 40, two), draft.Options{}, "Churn?"},
		{"in German", numbered("tarif,gekündigt", 40, two), draft.Options{}, "gekündigt"},
		{"in Russian", numbered("план,отток", 40, two), draft.Options{}, "отток"},
		{"in German, of contracts", numbered("tarif,Storniert", 40, two), draft.Options{}, "Storniert"},
		{"in Spanish", numbered("plan,impagado", 40, two), draft.Options{}, "impagado"},
		{"y before churn", numbered("churn,y", 40, two), draft.Options{}, "y"},
		{"the only one", numbered("z", 40, yesNo), draft.Options{}, "z"},
		{"named", numbered("plan,z", 40, two), draft.Options{Label: "plan"}, "plan"},
		{"named in another case", numbered("Plan,z", 40, two), draft.Options{Label: "plan"}, "Plan"},
		{"two without a name", numbered("plan,z", 40, two), draft.Options{}, "it is unclear which column is the label"},
		{"two of one rank", numbered("churned,converted,age2", 40, func(i int) string { return two(i) + fmt.Sprint(",", i%7) }), draft.Options{}, "it is unclear which column is the label"},
		{"a name that is not there", numbered("y", 40, yesNo), draft.Options{Label: "Y2"}, `--label: there is no column "Y2" in the header`},
		{"three values beside a column of two", numbered("gender,churn", 40, func(i int) string { return fmt.Sprintf("%c,%d", "FM"[i%2], i%3) }), draft.Options{}, "it is unclear which column is the label"},
		{"one value beside a column of two", numbered("gender,churn", 40, func(i int) string { return fmt.Sprintf("%c,0", "FM"[i%2]) }), draft.Options{}, "it is unclear which column is the label"},
		{"three values", numbered("y", 40, func(i int) string { return fmt.Sprint(i % 3) }), draft.Options{}, "no column has two values"},
		{"one value", numbered("y", 40, func(int) string { return "0" }), draft.Options{}, "no column has two values"},
		{"a named one of three values", numbered("y", 40, func(i int) string { return fmt.Sprint(i % 3) }), draft.Options{Label: "y"}, `--label: column "y" must have two values; it has 3: "0" 35.0 %, "1" 32.5 %, "2" 32.5 %`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d, err := draft.Infer(strings.NewReader(tt.csv), tt.opts)
			switch {
			case err != nil && !strings.HasPrefix(err.Error(), tt.want):
				t.Errorf("error %v, want %s", err, tt.want)
			case err == nil && d.Label.Column != tt.want:
				t.Errorf("the label is %q, want %q", d.Label.Column, tt.want)
			}
		})
	}
}

// TestAnUnclearLabelListsTheCandidates gives what --label takes, with the rates.
func TestAnUnclearLabelListsTheCandidates(t *testing.T) {
	csv := numbered("my plan,z,status", 40, func(i int) string {
		return []string{"a", "b"}[i/2%2] + "," + []string{"n", "j"}[min(1, i%4)] + "," + fmt.Sprint(i%3)
	})
	_, err := draft.Infer(strings.NewReader(csv), draft.Options{})
	var unclear *draft.UnclearError
	if !errors.As(err, &unclear) || len(unclear.Candidates) != 2 {
		t.Fatalf("got %v", err)
	}
	for _, want := range []string{`--label 'my plan'`, `"a" 50.0 %, "b" 50.0 %`, `--label z`, `"j" 75.0 %, "n" 25.0 %`, `column "status" has the name of a label, but it has 3: "0" 35.0 %, "1" 32.5 %, "2" 32.5 %`} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not say %s:\n%v", want, err)
		}
	}
}

func TestOrientation(t *testing.T) {
	tests := []struct {
		a, b     string // a is the value of a third of the rows
		positive string
		guess    bool
	}{
		{"no", "yes", "yes", false},
		{"yes", "no", "yes", false},
		{"0", "1", "1", false},
		{"1", "0", "1", false},
		{"0.0", "1.0", "1.0", false},
		{"False", "True", "True", false},
		{"False.", "True.", "True.", false},
		{"nein", "ja", "ja", false},
		{"non", "oui", "oui", false},
		{"No", "Sí", "Sí", false},
		{"нет", "да", "да", false},
		{"いいえ", "はい", "はい", false},
		{"no_churn", "churn", "churn", false},
		{"no churn", "churn", "churn", false},
		{"Non-Default", "Default", "Default", false},
		{"not bought", "bought", "bought", false},
		{"unpaid", "paid", "paid", true},
		{"inactive", "active", "active", true},
		{"Stayed", "Churned", "Churned", false},
		{"-1", "1", "1", false},
		{"-1.0", "+1.0", "+1.0", false},
		{"nicht gekündigt", "gekündigt", "gekündigt", false},
		{"n'a pas résilié", "a résilié", "a résilié", false},
		{"N’a pas résilié", "Résilié", "Résilié", false},
		{"pas de sinistre", "sinistre", "sinistre", false},
		{"did not churn", "churned", "churned", false},
		{"didn't buy", "did buy", "did buy", false},
		{"has not paid", "has paid", "has paid", false},
		{"never_purchased", "purchased", "purchased", false},
		{"ohne Schaden", "mit Schaden", "mit Schaden", false},
		{"sans incident", "avec incident", "avec incident", false},
		{"não cancelou", "cancelou", "cancelou", false},
		{"non ha pagato", "ha pagato", "ha pagato", false},
		{"niet betaald", "betaald", "betaald", false},
		{"har ikke betalt", "har betalt", "har betalt", false},
		{"не ушёл", "ушёл", "ушёл", false},
		{"nie odszedł", "odszedł", "odszedł", false},
		{"未流失", "已流失", "已流失", false},
		{"解約なし", "解約あり", "解約あり", false},
		{"미이탈", "이탈", "이탈", false},
		{"onbetaald", "betaald", "betaald", true},
		{"without a claim", "with the claim", "without a claim", true},
		{"never", "not", "never", true},
		{"edible", "poisonous", "poisonous", false},
		{"stayed", "left", "left", false},
		{"bad", "good", "bad", true},
		{"good", "bad", "good", true},
		{"1", "2", "1", true},
		{"<=50K", ">50K", "<=50K", true},
		{"Existing Customer", "Attrited Customer", "Existing Customer", true},
	}
	for _, tt := range tests {
		csv := numbered("y", 60, func(i int) string { return map[bool]string{true: tt.a, false: tt.b}[i%3 == 0] })
		d := infer(t, csv, draft.Options{})
		if got := d.Label.Positive.Texts[0]; got != tt.positive || d.Label.Guess != tt.guess {
			t.Errorf("%s (a third) and %s: %s is positive, a guess: %v", tt.a, tt.b, got, d.Label.Guess)
		}
		if text := string(d.YAML); strings.Contains(text, "# GUESS: ") != tt.guess {
			t.Errorf("%s and %s: the draft marks no guess, or one that is none:\n%s", tt.a, tt.b, text)
		}
		other := infer(t, csv, draft.Options{Positive: d.Label.Negative.Texts[0]})
		if other.Label.Positive.Texts[0] != d.Label.Negative.Texts[0] || other.Label.Guess {
			t.Errorf("--positive %s is not heard", d.Label.Negative.Texts[0])
		}
	}
	if _, err := draft.Infer(strings.NewReader(numbered("y", 40, func(i int) string { return fmt.Sprint(i % 2) })), draft.Options{Positive: "yes"}); err == nil ||
		err.Error() != `--positive: the label has no value "yes"; it has "0" and "1"` {
		t.Errorf("a positive value that is not there: %v", err)
	}
}

func TestSpellingsOfOneClass(t *testing.T) {
	d := infer(t, numbered("y", 40, func(i int) string { return []string{"Yes", "No", "yes", "NO"}[i%4] }), draft.Options{})
	if got := d.Schema.Label; len(got.Positive) != 2 || len(got.Negative) != 2 {
		t.Errorf("got %+v", got)
	}
}

func TestTheID(t *testing.T) {
	y := func(i int) string { return fmt.Sprint(i % 2) }
	tests := []struct {
		name, csv string
		opts      draft.Options
		want      string // the column; "" for none
	}{
		{"by its name", numbered("y", 40, y), draft.Options{}, "customer_id"},
		{"with a blank", rowsOf("Customer ID,a,y", 40, func(i int) string { return fmt.Sprintf("x%d,%d,%s", i, i%7, y(i)) }), draft.Options{}, "Customer ID"},
		{"in camel case", rowsOf("PassengerId,a,y", 40, func(i int) string { return fmt.Sprintf("%d,%d,%s", i+1, i%7, y(i)) }), draft.Options{}, "PassengerId"},
		{"in German", rowsOf("Kundennummer,a,y", 40, func(i int) string { return fmt.Sprintf("%d,%d,%s", i+17, i%7, y(i)) }), draft.Options{}, "Kundennummer"},
		{"in French", rowsOf("Identifiant client,a,y", 40, func(i int) string { return fmt.Sprintf("CL-%d,%d,%s", i, i%7, y(i)) }), draft.Options{}, "Identifiant client"},
		{"of a contract", rowsOf("Vertragsnummer,a,y", 40, func(i int) string { return fmt.Sprintf("V%d,%d,%s", i, i%7, y(i)) }), draft.Options{}, "Vertragsnummer"},
		{"a tax number", rowsOf("CPF,a,y", 40, func(i int) string { return fmt.Sprintf("%d,%d,%s", 10116241586+i*7919, i%7, y(i)) }), draft.Options{}, "CPF"},
		{"with a number sign", rowsOf("Loan #,a,y", 40, func(i int) string { return fmt.Sprintf("L%d,%d,%s", i, i%7, y(i)) }), draft.Options{}, "Loan #"},
		{"a customer's code", rowsOf("Kunde,a,y", 40, func(i int) string { return fmt.Sprintf("K-%d,%d,%s", i, i%7, y(i)) }), draft.Options{}, "Kunde"},
		{"not a customer's name", rowsOf("Kunde,a,y", 40, func(i int) string { return fmt.Sprintf("Eva %s,%d,%s", strings.Repeat("M", i+1), i%7, y(i)) }), draft.Options{}, ""},
		{"named", rowsOf("k,a,y", 40, func(i int) string { return fmt.Sprintf("x%d,%d,%s", i, i%7, y(i)) }), draft.Options{ID: "k"}, "k"},
		{"not one that repeats", rowsOf("customer_id,a,y", 40, func(i int) string { return fmt.Sprintf("x%d,%d,%s", i/2, i%7, y(i)) }), draft.Options{}, ""},
		{"not one with gaps", rowsOf("customer_id,a,y", 40, func(i int) string { return fmt.Sprintf("%s,%d,%s", []string{"", fmt.Sprint(i)}[min(i, 1)], i%7, y(i)) }), draft.Options{}, ""},
		{"not a row number", rowsOf("Index,a,y", 40, func(i int) string { return fmt.Sprintf("%d,%d,%s", i, i%7, y(i)) }), draft.Options{}, ""},
		{"not an index without a name", rowsOf(",customer_id,a,y", 40, func(i int) string { return fmt.Sprintf("%d,x%d,%d,%s", i, i, i%7, y(i)) }), draft.Options{}, "customer_id"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := infer(t, tt.csv, tt.opts)
			if d.ID != tt.want {
				t.Errorf("the id is %q, want %q\n%s", d.ID, tt.want, d.YAML)
			}
			accepted(t, d.Schema, tt.csv)
		})
	}
	for opts, want := range map[draft.Options]string{
		{ID: "z"}:   `--id: there is no column "z" in the header`,
		{ID: "y"}:   `--id: column "y" cannot be both the id and the label`,
		{ID: "age"}: `--id: column "age" cannot be the id: a value occurs in more than one row`,
	} {
		if _, err := draft.Infer(strings.NewReader(numbered("y", 200, y)), opts); err == nil || err.Error() != want {
			t.Errorf("%+v: %v, want %s", opts, err, want)
		}
	}
}

// TestColumns drafts one column beside an id, an age and a label.
func TestColumns(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	noise := make([]int, 400)
	for i := range noise {
		noise[i] = random.IntN(1000)
	}
	y := func(i int) string { return fmt.Sprint(noise[(i*7+3)%400] % 2) }
	tests := []struct {
		name string
		cell func(i int) string
		want []string // lines of the draft, or their beginnings
	}{
		{"whole numbers", func(i int) string { return fmt.Sprint(noise[i] % 50) }, []string{"  # c: 50 different whole numbers from 0 to 49.", "  - {name: c, type: integer, min: 0}"}},
		{"numbers below zero", func(i int) string { return fmt.Sprint(noise[i]%50 - 25) }, []string{"  - {name: c, type: integer}"}},
		{"fractions", func(i int) string { return fmt.Sprint(float64(noise[i]) / 8) }, []string{"  - {name: c, type: number, min: 0}"}},
		{"thousands", func(i int) string { return fmt.Sprintf("\"%d,%03d.50\"", 1+noise[i]%9, noise[i]) }, []string{`  - {name: c, type: number, format: "1,234.56", min: 0}`}},
		{"a decimal comma", func(i int) string { return fmt.Sprintf("\"%d,5\"", noise[i]) }, []string{`  - {name: c, type: number, format: "1234,56", min: 0}`}},
		{"points for thousands", func(i int) string { return fmt.Sprintf("\"%d.%03d,5\"", 1+noise[i]%9, noise[i]) }, []string{`  - {name: c, type: number, format: "1.234,56", min: 0}`}},
		{"dollars", func(i int) string { return fmt.Sprintf("$%d", noise[i]) }, []string{`  - {name: c, type: integer, format: "$1234", min: 0}`}},
		{"euros", func(i int) string { return fmt.Sprintf("\"%d,5 €\"", noise[i]) }, []string{`  - {name: c, type: number, format: "1234,56 €", min: 0}`}},
		{"percent", func(i int) string { return fmt.Sprintf("%d.5%%", noise[i]%100) }, []string{`  - {name: c, type: number, format: "1234.56%", min: 0}`}},
		{"missing numbers", func(i int) string { return []string{"NA", "", fmt.Sprint(noise[i] % 50)}[min(i%5, 2)] }, []string{
			`160 rows have no value ("NA"); the model learns from that too.`, "missing: allow, fill: "}},
		{"a marker that Hive writes", func(i int) string { return []string{`\N`, fmt.Sprint(noise[i] % 50)}[min(i%5, 1)] }, []string{"  - {name: c, type: integer, min: 0, missing: allow, fill: "}},
		{"codes", func(i int) string { return fmt.Sprintf("0%d", 8000+noise[i]%20) }, []string{"  # c: 20 different codes with leading zeros, taken as texts.", "  - {name: c, type: category, values: [\"0"}},
		{"texts", func(i int) string { return []string{"basic", "plus", "pro"}[noise[i]%3] }, []string{"  # c: 3 different texts.", "  - {name: c, type: category, values: [basic, plus, pro]}"}},
		{"missing texts", func(i int) string { return []string{"?", "basic", "plus", "pro"}[noise[i]%4] }, []string{"values: [basic, plus, pro], missing: allow}"}},
		{"a minus behind the number", func(i int) string { return fmt.Sprintf("%d.5%s", noise[i], []string{"-", ""}[i%2]) }, []string{"numbers from -999.5 to 999.5. Parentheses, or a minus behind the number, make it negative.", `  - {name: c, type: number, format: "1234.56"}`}},
		{"a minus behind the number, and points", func(i int) string { return fmt.Sprintf("\"1.%03d,5-\"", noise[i]) }, []string{`  - {name: c, type: number, format: "1.234,56"}`}},
		{"the minus of typographers", func(i int) string { return fmt.Sprintf("−%d", noise[i]%50) }, []string{"from -49 to 0", `  - {name: c, type: integer, format: "1234"}`}},
		{"parentheses", func(i int) string { return fmt.Sprintf("(%d)", noise[i]%50) }, []string{"from -49 to 0", `  - {name: c, type: integer, format: "1234"}`}},
		{"Indian groups", func(i int) string { return fmt.Sprintf("\"₹%d,%02d,%03d.50\"", 1+i%9, noise[i]%100, noise[i]) }, []string{`  - {name: c, type: number, format: "₹1,23,456.56", min: 0}`}},
		{"a unit", func(i int) string { return fmt.Sprintf("%d kg", noise[i]%50) }, []string{`  - {name: c, type: integer, format: "1234 kg", min: 0}`}},
		{"a currency's letters", func(i int) string { return fmt.Sprintf("EUR %d.5", noise[i]) }, []string{`  - {name: c, type: number, format: EUR1234.56, min: 0}`}},
		{"a unit that some lack", func(i int) string { return fmt.Sprintf("%d%s", noise[i]%50, []string{"", "%"}[i%2]) }, []string{`GUESS: numbers without "%" have the same unit as those with it`}},
		{"two currencies", func(i int) string { return []string{"$", "€"}[i%2] + fmt.Sprint(noise[i]) }, []string{`  # c: left out: its numbers have different units: "$", "€"`}},
		{"codes with a letter", func(i int) string { return fmt.Sprintf("00%dA", noise[i]%50) }, []string{"type: category"}},
		{"numbers and two words", func(i int) string { return []string{"abc", fmt.Sprintf("%d.25", i)}[min(i%150, 1)] }, []string{`  # c: left out: 397 of 400 values are numbers, but not "abc".`}},
		{"numbers and a word that is frequent", func(i int) string { return []string{"k.A.", fmt.Sprint(noise[i] % 50)}[min(i%4, 1)] }, []string{`GUESS: taken as texts, since 300 of 400 values are numbers, but not "k.A."`}},
		{"dates and a word", func(i int) string { return []string{"0000-00-00", fmt.Sprintf("2024-01-%02d", 1+i%28)}[min(i%9, 1)] }, []string{`of 400 values are dates, but not "0000-00-00"`}},
		{"dates in a form that is not read", func(i int) string { return fmt.Sprintf("%d. März %d", 1+noise[i]%28, 1924+noise[i]%100) }, []string{`it looks like dates in a form that is not read, such as "1. März`}},
		{"dates with a time of twelve hours", func(i int) string { return fmt.Sprintf("%d/%d/2024 %d:30 PM", 1+i%12, 1+noise[i]%28, 1+i%12) }, []string{`format: "M/D/YYYY H:mm A"`}},
		{"hours of one digit", func(i int) string { return fmt.Sprintf("%d.1.2024 %d:05", 1+i%28, i%24) }, []string{`format: "D.M.YYYY H:mm"`}},
		{"a fraction of a second", func(i int) string { return fmt.Sprintf("2024-01-%02d 10:00:00.%06d", 1+i%28, i) }, []string{`format: "YYYY-MM-DD HH:mm:ss"`}},
		{"times of a database", func(i int) string { return fmt.Sprintf("2024-01-%02d 10:00:00.%06d+02", 1+i%28, i) }, []string{`- {name: c, type: date}`}},
		{"months in full", func(i int) string { return fmt.Sprintf("\"%s %d, 2024\"", time.Month(1+i%12), 1+i%28) }, []string{`format: "MMMM D, YYYY"`}},
		{"durations", func(i int) string { return fmt.Sprintf("%d:%02d", i/60, i%60) }, []string{`it looks like times of day or durations, which are not read, such as "0:00"`}},
		{"a unit with signs", func(i int) string { return fmt.Sprintf("%d km/h", 20+i%60) }, []string{`format: "1234 km/h"`}},
		{"a number for what is missing", func(i int) string { return []string{"-999", fmt.Sprint(noise[i] % 50)}[min(i%5, 1)] }, []string{"GUESS: -999, in 80 rows, is a number; if it means that the value is missing, leave these cells empty"}},
		{"a high number for what is missing", func(i int) string { return []string{"999", fmt.Sprint(noise[i] % 50)}[min(i%5, 1)] }, []string{"GUESS: 999, in 80 rows, is a number;"}},
		{"texts that differ in case", func(i int) string { return []string{"Gold", "gold", "silver"}[noise[i]%3] }, []string{`"Gold", "gold" differ in case only`}},
		{"incomes that differ", func(i int) string { return fmt.Sprint(20_000 + i*7919*31%999_983) }, []string{"GUESS: a quantity, although no value repeats", "type: integer, min: 0}"}},
		{"the word none", func(i int) string { return []string{"none", "basic", "plus"}[noise[i]%3] }, []string{"values: [basic, none, plus]}"}},
		{"a word for others", func(i int) string { return []string{"basic", "plus", "unknown"}[noise[i]%3] }, []string{"values: [basic, plus, unknown], unknown: unknown}"}},
		{"words that YAML knows", func(i int) string { return []string{"null ", "on", "yes: 1", "# x"}[noise[i]%4] + "x" }, []string{`values: ["# xx", "null x", onx, "yes: 1x"]`}},
		{"a constant", func(int) string { return "7" }, []string{`  # c: left out: every row has the value "7".`, "exclude: true"}},
		{"nothing", func(int) string { return "" }, []string{"  # c: left out: no row has a value."}},
		{"a row number", func(i int) string { return fmt.Sprint(i + 1) }, []string{"  # c: left out: it counts the rows."}},
		{"names", func(i int) string { return fmt.Sprintf("Customer Number %d", i) }, []string{"  # c: left out: nearly every value is different: an identifier or free text.", "exclude: true, personal: true"}},
		{"seconds since 1970", func(i int) string { return fmt.Sprint(1640000000 + i*i*977) }, []string{"GUESS: a number, although it looks like seconds since 1970."}},
		{"months", func(i int) string { return fmt.Sprintf("%s-%d", []string{"Jan", "Apr"}[i%2], 1980+i%40) }, []string{`GUESS: taken as texts, since it looks like months, which are not read, such as "Apr-1981"`}},
		{"months of numbers", func(i int) string { return fmt.Sprintf("%d-%02d", 2010+i%7, 1+i%12) }, []string{`since it looks like months, which are not read, such as "2010-01"`}},
		{"dates of Japan", func(i int) string { return fmt.Sprintf("%d年%d月%d日", 2010+i%9, 1+i%12, 1+i%28) }, []string{"dates from 2010-01-01 to 2018-12-28", "format: \"YYYY年M月D日\""}},
		{"a number that identifies rows", func(i int) string { return fmt.Sprint(100000 + i*7919%99991) }, []string{"  # c: left out: GUESS: a number that identifies rows, since no value repeats: 400 quantities from 100000 to 199882 would repeat. If it is a quantity, give it type: integer and remove exclude."}},
		{"the label in other words", func(i int) string { return map[string]string{"0": "stay", "1": "go"}[y(i)] }, []string{"  # c: left out: LEAK: it alone tells the label (AUC 1.0000 on held-out rows), so it was probably written after the outcome."}},
		{"a number that tells the label", func(i int) string { return fmt.Sprint(map[string]int{"0": 0, "1": 5000}[y(i)] + noise[i]) }, []string{"LEAK: it alone tells the label"}},
		{"ISO dates", func(i int) string { return fmt.Sprintf("2026-%02d-%02d", 1+noise[i]%12, 1+noise[i]%28) }, []string{"  # c: dates from 2026-01-01 to 2026-12-28", "  - {name: c, type: date}"}},
		{"German dates", func(i int) string { return fmt.Sprintf("%d.%d.2026", 1+noise[i]%28, 1+noise[i]%12) }, []string{"  - {name: c, type: date, format: D.M.YYYY}"}},
		{"American dates", func(i int) string { return fmt.Sprintf("%d/%d/2026", 1+noise[i]%12, 1+noise[i]%28) }, []string{"  - {name: c, type: date, format: \"M/D/YYYY\"}"}},
		{"dates of unclear order", func(i int) string { return fmt.Sprintf("%d/%d/2026", 1+noise[i]%12, 1+noise[i]%11) }, []string{"GUESS: the order of day and month; every date can also be read as M/D/YYYY", "format: \"D/M/YYYY\"}"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			csv := numbered("c,y", 400, func(i int) string { return tt.cell(i) + "," + y(i) })
			d := infer(t, csv, draft.Options{Label: "y"})
			for _, want := range tt.want {
				if !strings.Contains(string(d.YAML), want) {
					t.Errorf("no %q in\n%s", want, d.YAML)
				}
			}
			if rows := accepted(t, d.Schema, csv); rows != 400 {
				t.Errorf("%d rows", rows)
			}
		})
	}
}

func TestManyTextsKeepTheFrequentOnes(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 8))
	csv := numbered("city,y", 4000, func(i int) string {
		return fmt.Sprintf("town %d,%d", int(random.ExpFloat64()*60), random.IntN(2))
	})
	d := infer(t, csv, draft.Options{})
	city := d.Schema.Features[d.Schema.Feature("city")]
	if len(city.Values) != 76 || city.Unknown != "other" || city.Exclude {
		t.Errorf("got %d values, unknown %q, excluded %v\n%s", len(city.Values), city.Unknown, city.Exclude, d.YAML)
	}
	accepted(t, d.Schema, csv)
}

func TestFilesOfAnyForm(t *testing.T) {
	rows := func(i int) string {
		return fmt.Sprintf("c%d,%d,%s,%d", i, 20+i*13%50, []string{"été", "über"}[i*7%3%2], i*5%7%2)
	}
	csv := rowsOf("customer_id,age,straße,y", 60, rows)
	windows := strings.NewReplacer("é", "\xe9", "ü", "\xfc", "ß", "\xdf").Replace(csv)
	tests := []struct{ name, csv, want string }{
		{"semicolons", strings.ReplaceAll(csv, ",", ";"), ""},
		{"bars", strings.ReplaceAll(csv, ",", "|"), ""},
		{"CR alone", strings.ReplaceAll(csv, "\n", "\r"), ""},
		{"sep=", "sep=,\r\n" + csv, ""},
		{"a mark", "\ufeff" + csv, ""},
		{"separators at the end", strings.ReplaceAll(csv, "\n", ",\n"), ""},
		{"Windows-1252", windows, "bytes are not UTF-8; they were read as Windows-1252"},
		{"without a header", rowsOf("1,2.5,0", 60, func(i int) string { return fmt.Sprintf("%d,%d.5,%d", i*31%17, i%9, i*5%7%2) }), "the file has no header"},
		{"names that repeat", strings.Replace(csv, "straße", "age", 1), ""},
		{"a name that is empty", strings.Replace(csv, "straße", "", 1), ""},
		{"names that differ in case", strings.Replace(csv, "age,straße", "Plan,plan", 1), ""},
		{"names that become one", strings.Replace(csv, "age,straße", "a b,a.b", 1), ""},
		{"a total with most cells", csv + "Total,1234,x,\n", "the row on line 62 looks like a total and was left out"},
		{"a total below", csv + "Total,1234,,\n", "the row on line 62 looks like a total and was left out"},
		{"the header again", csv + csv[:strings.IndexByte(csv, '\n')+1], "1 row cannot be read and was left out, the first on line 62: the row repeats the header"},
		{"rows that cannot be read", csv + "c99,1\n", "1 row cannot be read and was left out, the first on line 62"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := infer(t, tt.csv, draft.Options{})
			if !strings.Contains(string(d.YAML), tt.want) {
				t.Errorf("the draft does not say %q:\n%s", tt.want, d.YAML)
			}
			if !strings.Contains(tt.want, "left out") {
				accepted(t, d.Schema, tt.csv)
			}
		})
	}
}

func TestFaults(t *testing.T) {
	tests := []struct{ name, csv, want string }{
		{"a title", "Customers of 2026\na,b,y\n1,2,0\n", `line 2: the row has 3 columns where the header has 1; is line 1, "Customers of 2026", a title?`},
		{"texts without a header", rowsOf("c0,30,plus,yes", 60, func(i int) string {
			return fmt.Sprintf("c%d,%d,%s,%s", i+1, i%40, []string{"plus", "basic"}[i%2], []string{"yes", "no"}[i/2%2])
		}),
			`line 1 seems to be data and not a header: "c0", "30", "plus", "yes"`},
		{"an empty file", "", "the table is empty"},
		{"a header only", "a,y\n", "there are no rows below the header"},
		{"short rows only", "a,y\n1\n2\n", "line 2: the row has 1 columns where the header has 2"},
		{"nothing to learn from", numbered("y", 60, func(i int) string { return fmt.Sprint(i % 2) })[:0] + rowsOf("customer_id,y", 60, func(i int) string { return fmt.Sprintf("c%d,%d", i, i%2) }), "no column is left for the model to learn from"},
		{"a name of the schema that is none", "", "the table is empty"},
	}
	for _, tt := range tests {
		if d, err := draft.Infer(strings.NewReader(tt.csv), draft.Options{}); err == nil || !strings.HasPrefix(err.Error(), tt.want) {
			t.Errorf("%s: %v, %v, want %s", tt.name, d, err, tt.want)
		}
	}
}

// TestTheSameFileGivesTheSameDraft holds the sample and the order of maps to it.
func TestTheSameFileGivesTheSameDraft(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 8))
	csv := numbered("a,b,y", 25_000, func(int) string {
		return fmt.Sprintf("%.3f,v%d,%d", random.NormFloat64(), random.IntN(90), random.IntN(2))
	})
	first := infer(t, csv, draft.Options{}).YAML
	for range 3 {
		if again := infer(t, csv, draft.Options{}).YAML; string(again) != string(first) {
			t.Fatal("another draft")
		}
	}
}

// TestRealTables drafts a schema of each table of ../../../shared/data/tables and
// imports the table with it.
func TestRealTables(t *testing.T) {
	want := map[string]struct {
		label, positive, id string
		leftOut             []string
	}{
		"adult":          {"Income", ">50K", "", nil},
		"bankchurn":      {"Exited", "1", "CustomerId", []string{"RowNumber", "Surname"}},
		"bigmlchurn":     {"churn", "True", "", []string{"phone number"}},
		"ccdefault":      {"default.payment.next.month", "1", "ID", nil},
		"fraudclaims":    {"label", "1", "claim_id", []string{"policy_number"}},
		"german":         {"Risk", "bad", "", []string{"Index"}},
		"heart":          {"target", "1", "", nil},
		"hr":             {"Attrition", "Yes", "EmployeeNumber", []string{"AttrCode", "EmployeeCount", "Over18", "StandardHours"}},
		"marketing":      {"Response", "1", "ID", []string{"Z_CostContact", "Z_Revenue"}},
		"mushrooms":      {"class", "p", "", []string{"veil-type"}},
		"pima-no-header": {"column_9", "1", "", nil},
		"shoppers":       {"Revenue", "1", "", nil},
		"telco":          {"Churn", "Yes", "customerID", []string{"Country", "City"}},
		"titanic":        {"Survived", "1", "PassengerId", []string{"Name", "Ticket", "Cabin"}},
	}
	files, _ := filepath.Glob(filepath.FromSlash("../../../shared/data/tables/*.csv"))
	if len(files) == 0 {
		t.Skip("the tables are not here, so nothing was checked")
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".csv")
		t.Run(name, func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			d := infer(t, string(text), draft.Options{})
			w := want[name]
			var leftOut []string
			for _, l := range d.LeftOut {
				leftOut = append(leftOut, l.Column)
			}
			if d.Label.Column != w.label || d.Label.Positive.Texts[0] != w.positive || d.ID != w.id || !slices.Equal(leftOut, w.leftOut) {
				t.Errorf("label %q, positive %q, id %q, left out %q", d.Label.Column, d.Label.Positive.Texts[0], d.ID, leftOut)
			}
			if rows := accepted(t, d.Schema, string(text)); rows != d.Rows {
				t.Errorf("%d of %d rows are accepted", rows, d.Rows)
			}
		})
	}
}

// TestGuessesAndNotesAreListed holds what a command shows of a draft to its comments.
func TestGuessesAndNotesAreListed(t *testing.T) {
	csv := numbered("since,y", 60, func(i int) string { return fmt.Sprintf("%02d/%02d/2024,%d", 1+i%12, 1+i%11, i%2) }) + "Total,5,,\nc99,1\n"
	d := infer(t, csv, draft.Options{})
	if want := []string{"since: the order of day and month; every date can also be read as M/D/YYYY"}; !slices.Equal(d.Guesses, want) {
		t.Errorf("guesses %q, want %q", d.Guesses, want)
	}
	if want := []string{"1 row cannot be read and was left out, the first on line 63: the row has 2 columns where the header has 4",
		"the row on line 62 looks like a total and was left out. An import leaves it out too, and reports it"}; !slices.Equal(d.Notes, want) {
		t.Errorf("notes %q, want %q", d.Notes, want)
	}
	if want := "its name is that of an id and no value repeats"; d.WhyID != want {
		t.Errorf("the id: %q", d.WhyID)
	}
}

// TestFewRowsOfAClassAreNoted warns in the draft and in its notes.
func TestFewRowsOfAClassAreNoted(t *testing.T) {
	d := infer(t, numbered("y", 100, func(i int) string { return fmt.Sprint(min(1, i/95)) }), draft.Options{})
	want := "WARNING: only 5 rows have one of the values; a model needs some 30 of each to be judged"
	if !slices.Equal(d.Notes, []string{want}) || !strings.Contains(string(d.YAML), "# "+want+".\n") {
		t.Errorf("notes %q\n%s", d.Notes, d.YAML)
	}
}

// TestManyTotalsAreData drafts a file in which the word of a total is a value.
func TestManyTotalsAreData(t *testing.T) {
	csv := rowsOf("cover,age,y", 60, func(i int) string {
		return fmt.Sprintf("%s,%s,%d", []string{"total", "partial"}[i%2], []string{"", "30"}[min(1, i%3)], i/2%2)
	})
	if d := infer(t, csv, draft.Options{Label: "y"}); d.Rows != 60 || len(d.Notes) > 0 {
		t.Errorf("%d rows, notes %q", d.Rows, d.Notes)
	}
}
