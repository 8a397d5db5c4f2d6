package export

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"gateway/internal/predict"
	"gateway/internal/testsize"
)

var judgement = time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)

// crowd makes customers of the tiny schema, whose rate tells them apart.
type crowd struct {
	all []predict.Customer
}

// add adds n customers with ids that begin with name. Labels alternate.
func (c *crowd) add(name string, n int, change func(i int, p *predict.Customer)) {
	for i := range n {
		label := i % 2
		p := predict.Customer{ID: fmt.Sprint(name, i), Label: &label,
			Features: fmt.Appendf(nil, `{"age":34,"job":"admin.","month":"jan","rate":%d.5}`, len(c.all))}
		if change != nil {
			change(i, &p)
		}
		c.all = append(c.all, p)
	}
}

// app says that an outcome set the label, some time before the judgement.
func app(caller string, made bool, before time.Duration, imported *int) func(int, *predict.Customer) {
	return func(i int, p *predict.Customer) {
		p.Outcome = int64(i + 1)
		p.Evidence = predict.Evidence{Made: made, Caller: caller, LabelledAt: judgement.Add(-before), Imported: imported}
	}
}

// spellings are the same customers in both layouts.
func (c *crowd) spellings(t *testing.T) map[string]fstest.MapFS {
	t.Helper()
	native := newMemTarget()
	if _, err := Write(t.Context(), native, Meta{Schema: tinySchema(t), ID: "e", Time: judgement}, eachOf(c.all)); err != nil {
		t.Fatal(err)
	}
	var backup strings.Builder
	for _, p := range c.all {
		line, err := appendItem(nil, tinySchema(t), p)
		if err != nil {
			t.Fatal(err)
		}
		line = bytes.TrimSuffix(bytes.TrimPrefix(bytes.TrimSpace(line), []byte(`{"Item":`)), []byte(`}`))
		backup.WriteString(strings.ReplaceAll(strings.ReplaceAll(string(line), `{"S":`, `{"s":`), `{"N":`, `{"n":`) + "\n")
	}
	return map[string]fstest.MapFS{"native": native.MapFS, "backup": files(map[string]string{"part-0": backup.String(), "manifest": `{"entries":[{"url":"s3://b/part-0","mandatory":true}]}`})}
}

// convert converts under a policy, from both layouts, in memory and spilled: all
// must come to the same. The quick run takes two of the four: one layout in
// memory and the other spilled.
func (c *crowd) convert(t *testing.T, p Policy) (report Report, train, holdout []string) {
	t.Helper()
	p.Now = judgement
	first := true
	for name, fsys := range c.spellings(t) {
		for _, memory := range []int64{0, 50_000} {
			if !testsize.Long && (name == "backup") != (memory > 0) {
				continue
			}
			r, err := Open(t.Context(), fsys, ".")
			if err != nil {
				t.Fatal(name, err)
			}
			var a, b bytes.Buffer
			got, err := Convert(t.Context(), tinySchema(t), r, Outputs{Train: &a, Holdout: &b}, Options{Policy: &p, Memory: memory, TempDir: t.TempDir()})
			if err != nil {
				t.Fatal(name, err)
			}
			checkSums(t, got)
			got.Examples = nil
			if rows := int64(strings.Count(b.String(), "\n")); rows != got.JudgedRows {
				t.Errorf("%s: %d rows to judge by, the report says %d", name, rows, got.JudgedRows)
			}
			c.checkElsewhere(t, fsys, p, got, a.String(), b.String())
			if first {
				report, train, holdout, first = got, strings.Fields(a.String()), strings.Fields(b.String()), false
				continue
			}
			if diff := cmp.Diff(report, got); diff != "" || !slices.Equal(train, strings.Fields(a.String())) || !slices.Equal(holdout, strings.Fields(b.String())) {
				t.Errorf("%s with %d bytes of memory gives something else\n%s", name, memory, diff)
			}
		}
	}
	return report, train, holdout
}

func (c *crowd) held(from, to int) (n int64) {
	for _, p := range c.all[from:to] {
		if Held(p.ID) {
			n++
		}
	}
	return n
}

const day = 24 * time.Hour

func TestWhatAppsContributeIsCappedAndJudgesNothing(t *testing.T) {
	var c crowd
	c.add("imported", 2000, nil)
	c.add("a", 300, app("a", true, 5*time.Hour, nil))
	c.add("b", 300, app("b", true, 5*time.Hour, nil))
	c.add("c", 300, app("c", true, 5*time.Hour, nil))
	c.add("d", 50, app("d", true, time.Minute, nil))
	report, train, holdout := c.convert(t, Policy{Probation: 30 * day})
	// A caller's cap is 200, an hour's 400.
	if report.Open || report.Settled != 2000 || report.Rows != 2450 {
		t.Errorf("got %+v", report)
	}
	if sum := report.Skipped[callerCap] + report.Skipped[momentCap]; sum != 500 || report.Skipped[momentCap] < 200 {
		t.Errorf("left out are %v", report.Skipped)
	}
	var rows, left int64
	for _, one := range report.Contributions[1:] {
		if one.Origin != OriginApp || one.Rows > 200 || one.Rows < 50 {
			t.Errorf("%+v", one)
		}
		rows, left = rows+one.Rows, left+one.LeftOut
	}
	if report.Contributions[0] != (Contribution{Origin: "imported", Rows: 2000}) || rows != 450 || left != 500 || len(report.Contributions) != 5 {
		t.Errorf("contributions are %+v", report.Contributions)
	}
	if report.JudgedRows != c.held(0, 2000) || report.HoldoutRows <= report.JudgedRows {
		t.Errorf("%d rows are judged by, and %d held out", report.JudgedRows, report.HoldoutRows)
	}
	// None of the gateway's own attributes is a column.
	if commas := strings.Count(train[0], ","); commas != tinySchema(t).Width() || strings.Count(holdout[0], ",") != commas {
		t.Errorf("a row is %s", train[0])
	}
	known, _, same := c.convert(t, Policy{KnownOnly: true})
	if known.Rows != 2000 || known.Skipped[madeByApps] != 950 || !slices.Equal(holdout, same) {
		t.Errorf("without customers of apps: %d rows, left out %v", known.Rows, known.Skipped)
	}
	all, _, _ := c.convert(t, Policy{JudgeAll: true, Probation: 30 * day})
	if all.JudgedRows != all.HoldoutRows || all.HoldoutRows != report.HoldoutRows {
		t.Errorf("judged by all: %d of %d held-out rows", all.JudgedRows, all.HoldoutRows)
	}
	// After their probation they count as settled, and judge nothing still.
	late, _, same := c.convert(t, Policy{Probation: time.Second})
	if late.Rows != 2950 || late.Settled != 2950 || !slices.Equal(holdout, same) {
		t.Errorf("after the probation: %d rows, %d of them settled, left out %v", late.Rows, late.Settled, late.Skipped)
	}
	// Without an end of probation they never do.
	if never, _, _ := c.convert(t, Policy{}); never.Settled != 2000 {
		t.Errorf("without an end: %d rows have settled", never.Settled)
	}
}

func TestAnImportedLabelStandsAgainstOutcomes(t *testing.T) {
	zero, one := 0, 1
	var c crowd
	c.add("imported", 1000, nil)
	c.add("turned", 1000, func(i int, p *predict.Customer) { // all from 0 to 1, by one caller within one hour
		app("a", false, time.Hour, &zero)(i, p)
		p.Label = &one
	})
	c.add("confirmed", 100, func(i int, p *predict.Customer) {
		app("a", false, time.Hour, &zero)(i, p)
		p.Label = &zero
	})
	c.add("first", 100, app("a", false, time.Hour, nil)) // without an imported label
	report, train, holdout := c.convert(t, Policy{Probation: 30 * day})
	// 1100 have settled: 110 outcomes of the caller count, whichever the hash has first.
	if report.Settled != 1100 || report.Skipped[callerCap]+report.LeftOut[callerCap] != 1100-110 || report.LeftOut[callerCap] < 850 {
		t.Errorf("%d settled, left out are %v, and the labels of %v", report.Settled, report.Skipped, report.LeftOut)
	}
	ones := 0
	for _, row := range slices.Concat(train, holdout) {
		if row[0] == '1' {
			ones++
		}
	}
	if n := 500 + 110; ones > n+5 || ones < 500 {
		t.Errorf("%d rows have label 1, want at most %d", ones, n)
	}
	// The judges are all who have an imported label, but for the few who abstain.
	judges := c.held(0, 2100)
	if abstain := judges - report.JudgedRows; abstain < 1 || abstain > 110 {
		t.Errorf("%d of %d judges abstain", abstain, judges)
	}
	for _, row := range holdout {
		if n := rateOf(t, row); n >= 1000 && row[0] != '0' {
			t.Errorf("row %d judges with the label of an outcome", n)
		}
	}
}

// rateOf tells which customer a row is.
func rateOf(t *testing.T, row string) (n int) {
	t.Helper()
	fields := strings.Split(row, ",")
	if _, err := fmt.Sscanf(fields[5], "%d.5", &n); err != nil {
		t.Fatal(row, err)
	}
	return n
}

func TestAQuarterOfEachLabelMayAbstain(t *testing.T) {
	zero, one := 0, 1
	var c crowd
	c.add("imported", 4000, nil)
	c.add("turned", 400, func(i int, p *predict.Customer) {
		app("a", false, time.Hour, &one)(i, p)
		p.Label = &zero
	})
	report, _, _ := c.convert(t, Policy{})
	if abstain := c.held(4000, 4400); c.held(0, 4400)-report.JudgedRows != abstain {
		t.Errorf("%d of %d judge, want all but the %d", report.JudgedRows, c.held(0, 4400), abstain)
	}
	// Where they are most of those with label 1, three quarters of them stand.
	for i := range c.all[:4000] {
		if i%40 != 0 {
			c.all[i].Label = &zero
		} else {
			c.all[i].Label = &one
		}
	}
	report, _, holdout := c.convert(t, Policy{})
	held, judging := int64(0), int64(0)
	for _, row := range holdout {
		if row[0] == '1' {
			judging++
		}
	}
	for _, p := range c.all {
		if Held(p.ID) && (p.Imported != nil || *p.Label == 1) {
			held++
		}
	}
	if want := held - held/abstainOneIn; judging != want {
		t.Errorf("%d customers with label 1 judge, want %d of %d", judging, want, held)
	}
	if report.NewLabels < 300 {
		t.Errorf("%d new labels", report.NewLabels)
	}
}

func TestWithoutEnoughImportedCustomersAllJudge(t *testing.T) {
	var c crowd
	c.add("imported", 100, nil)
	c.add("a", 1000, app("a", true, time.Hour, nil))
	report, train, holdout := c.convert(t, Policy{Probation: 30 * day})
	if !report.Open || report.Rows != 1100 || report.JudgedRows != report.HoldoutRows || len(train)+len(holdout) != 1100 {
		t.Errorf("got %+v", report)
	}
}

func TestCallersInAReportAreBounded(t *testing.T) {
	var c crowd
	c.add("imported", 1000, nil)
	for i := range 200 {
		c.add(fmt.Sprint("of", i, "-"), 1, app(fmt.Sprint("caller", i), true, time.Hour, nil))
	}
	report, _, _ := c.convert(t, Policy{})
	var rows int64
	for _, one := range report.Contributions {
		rows += one.Rows
	}
	if len(report.Contributions) > maxCallers+1 || rows != report.Rows {
		t.Errorf("%d contributions of %d rows, want all %d", len(report.Contributions), rows, report.Rows)
	}
}

// What an alias of the label has beside an outcome's label is the imported one.
func TestTheAliasOfALabelThatAnOutcomeSet(t *testing.T) {
	attribute := func(name string, kind Kind, text string) Attribute {
		return Attribute{Name: name, Kind: kind, Text: text}
	}
	sound := []Attribute{attribute("customer_id", String, "1"), attribute("age", Number, "34"), attribute("job", String, "admin."),
		attribute("month", String, "jan"), attribute("rate", Number, "1.5"), attribute("yes, or no?", String, "no")}
	for name, tt := range map[string]struct {
		more     []Attribute
		imported int
		csv      byte
	}{
		"no outcome":                        {nil, -1, '0'},
		"an outcome":                        {[]Attribute{attribute("y", Number, "1"), attribute(OutcomeAttribute, Number, "7")}, 0, '1'},
		"an outcome before an imported one": {[]Attribute{attribute("y", Number, "0"), attribute(OutcomeAttribute, Number, "7"), attribute(ImportedAttribute, Number, "1")}, 1, '0'},
	} {
		m := &mapper{schema: tinySchema(t), ignored: func(string) {}}
		row, bad := m.convert(&Item{Attributes: append(sound[:len(sound):len(sound)], tt.more...)})
		if bad != nil {
			t.Fatalf("%s: %v", name, bad)
		}
		if row.imported != tt.imported || row.csv[0] != tt.csv {
			t.Errorf("%s: imported %d, row %s; want %d, %c", name, row.imported, row.csv, tt.imported, tt.csv)
		}
	}
}
