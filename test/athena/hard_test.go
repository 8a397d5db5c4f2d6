package athena

import (
	"encoding/csv"
	"fmt"
	"iter"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"gateway/internal/export"
	"gateway/internal/schema"
)

func parse(t testing.TB, text string) *schema.Schema {
	t.Helper()
	s, err := schema.Parse("schema.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func items(n int, bad float64, kinds map[string]string) iter.Seq[string] {
	g := &generator{random: rand.New(rand.NewPCG(1, 2)), bad: bad, kinds: kinds}
	return func(yield func(string) bool) {
		for i := range n {
			if !yield(g.item(i)) {
				return
			}
		}
	}
}

// itemsWanted is GATEWAY_TEST_ITEMS, for a long run by hand.
func itemsWanted() int {
	if n, err := strconv.Atoi(os.Getenv("GATEWAY_TEST_ITEMS")); err == nil {
		return n
	}
	return 20_000
}

// TestTheHardCasesAreEqual holds the SQL to the converter of the gateway: every type of
// value in every policy of features, outcomes of apps, and the caps on them.
func TestTheHardCasesAreEqual(t *testing.T) {
	s := parse(t, hardSchema)
	folder := filepath.Join(t.TempDir(), "0170")
	writeNative(t, folder, items(itemsWanted(), 0.02, nil))
	for name, policy := range map[string]export.Policy{
		"usual":               {Now: now, Probation: 14 * 24 * time.Hour},
		"known only":          {Now: now, Probation: 14 * 24 * time.Hour, KnownOnly: true},
		"no end of a trial":   {Now: now},
		"judge by all":        {Now: now, Probation: time.Hour, JudgeAll: true},
		"known, judge by all": {Now: now, Probation: 24 * time.Hour, JudgeAll: true, KnownOnly: true},
	} {
		t.Run(name, func(t *testing.T) {
			start := time.Now()
			want := inline(t, s, folder, &policy, 1000)
			took := time.Since(start)
			start = time.Now()
			got := bySQL(t, s, export.Native, filepath.Join(folder, "data", "*.gz"), &policy, 1000)
			t.Logf("%d items: inline %s, SQL %s", want.report.Items, took.Round(time.Millisecond), time.Since(start).Round(time.Millisecond))
			equal(t, want, got)
			if len(want.report.Skipped) < 20 || want.report.LeftOut == nil || want.report.Rows < want.report.Items/4 {
				t.Errorf("the items show too little: %+v", want.report.Skipped)
			}
		})
	}
}

// TestItemsAreTheSameInEachRun: a failure of the tests above can be repeated, and the
// digests of two runs can be compared.
func TestItemsAreTheSameInEachRun(t *testing.T) {
	a := slices.Collect(items(500, 0.02, nil))
	b := slices.Collect(items(500, 0.02, nil))
	if n := len(difference(a, b)); n > 0 {
		t.Errorf("%d of %d items differ", n, len(a))
	}
}

// TestFewCustomersAreEqual: without enough imported customers there are no caps.
func TestFewCustomersAreEqual(t *testing.T) {
	s := parse(t, hardSchema)
	folder := filepath.Join(t.TempDir(), "0170")
	writeNative(t, folder, items(150, 0.01, nil))
	policy := export.Policy{Now: now}
	want := inline(t, s, folder, &policy, 0)
	if !want.report.Open {
		t.Fatal("150 items are enough for a comparison")
	}
	equal(t, want, bySQL(t, s, export.Native, filepath.Join(folder, "data", "*.gz"), &policy, 0))
}

// TestTheOldBackupIsEqual reads the connector's layout.
func TestTheOldBackupIsEqual(t *testing.T) {
	s := parse(t, hardSchema)
	folder := t.TempDir()
	kinds := map[string]string{"S": "s", "N": "n", "BOOL": "bOOL", "NULL": "nULLValue", "L": "l", "M": "m", "SS": "sS", "NS": "nS", "B": "b"}
	var text strings.Builder
	for item := range items(5000, 0.03, kinds) {
		text.WriteString(item + "\n")
	}
	for name, content := range map[string]string{
		"0af8f0a2-0000-4000-8000-000000000000": text.String(),
		"manifest":                             `{"name":"DynamoDB-export","version":3,"entries":[{"url":"s3://b/0af8f0a2-0000-4000-8000-000000000000","mandatory":true}]}`,
	} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	policy := export.Policy{Now: now, Probation: 14 * 24 * time.Hour}
	want := inline(t, s, folder, &policy, 0)
	equal(t, want, bySQL(t, s, export.Backup, filepath.Join(folder, "*"), &policy, 0))
}

// TestTheBankIsEqual converts the bank data as a native export, text by text.
func TestTheBankIsEqual(t *testing.T) {
	folder := bankExport(t)
	s := schema.Bank()
	policy := export.Policy{Now: now, Probation: 14 * 24 * time.Hour}
	want := inline(t, s, folder, &policy, 0)
	got := bySQL(t, s, export.Native, filepath.Join(folder, "data", "*"), &policy, 0)
	equal(t, want, got)
}

// bankExport writes the bank data as DynamoDB's export and returns its folder.
func bankExport(t testing.TB) string {
	t.Helper()
	file, err := os.Open(filepath.FromSlash("../../../shared/data/bank/bank-additional.csv"))
	if err != nil {
		t.Skip("no shared/data/bank beside the repository; TestTheHardCasesAreEqual needs none")
	}
	defer file.Close()
	r := csv.NewReader(file)
	r.Comma = ';'
	rows, err := r.ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(t.TempDir(), "0170")
	writeNative(t, folder, func(yield func(string) bool) {
		for n, row := range rows[1:] {
			item := fmt.Sprintf(`{"customer_id":{"S":"%d"}`, n+1)
			for i, cell := range row {
				kind := "S"
				if _, err := strconv.ParseFloat(cell, 64); err == nil {
					kind = "N"
				}
				item += fmt.Sprintf(`,"%s":{"%s":"%s"}`, strings.ReplaceAll(rows[0][i], ".", "_"), kind, cell)
			}
			if !yield(item + "}") {
				return
			}
		}
	})
	return folder
}
