package export

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gateway/internal/schema"
)

func TestConvertSplitsAndAccounts(t *testing.T) {
	to := writeBank(t, 300)
	open := func() *Reader {
		r, err := Open(t.Context(), to.MapFS, ".")
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	var all, train, holdout bytes.Buffer
	var progress []int64
	report, err := Convert(t.Context(), schema.Bank(), open(), Outputs{All: &all, Train: &train, Holdout: &holdout},
		Options{TempDir: t.TempDir(), Watermark: 100, Progress: func(n int64) { progress = append(progress, n) }})
	if err != nil {
		t.Fatal(err)
	}
	checkSums(t, report)
	if report.Items != 300 || report.Skipped["unlabelled"] != 30 || report.Rows != 270 {
		t.Errorf("got %+v", report)
	}
	var positive, fresh int64
	for _, c := range bankCustomers(300) {
		if c.Label != nil && *c.Label == 1 {
			positive++
		}
		if c.Label != nil && c.Outcome > 100 {
			fresh++
		}
	}
	// Customer 294's outcome is the highest; it is labelled, 293+1 not being a tenth.
	if report.Positive != positive || report.NewLabels != fresh || report.Watermark != 294 {
		t.Errorf("%d positive, %d new, watermark %d; want %d, %d, 294", report.Positive, report.NewLabels, report.Watermark, positive, fresh)
	}
	if n := progress[len(progress)-1]; n != 300 {
		t.Errorf("the last progress is %d", n)
	}

	lines := strings.SplitAfter(strings.TrimSuffix(all.String(), "\n"), "\n")
	if len(lines) != 270 || strings.Count(lines[0], ",") != schema.Bank().Width() {
		t.Errorf("%d lines, the first %q", len(lines), lines[0])
	}
	if n := int64(strings.Count(train.String(), "\n")); n != report.TrainRows || n == 0 {
		t.Errorf("%d training lines, the report says %d", n, report.TrainRows)
	}
	if n := int64(strings.Count(holdout.String(), "\n")); n != report.HoldoutRows || n == 0 {
		t.Errorf("%d holdout lines, the report says %d", n, report.HoldoutRows)
	}
	both := strings.SplitAfter(train.String()+holdout.String(), "\n")
	same := strings.SplitAfter(all.String(), "\n")
	slices.Sort(both)
	slices.Sort(same)
	if diff := cmp.Diff(same, both); diff != "" {
		t.Errorf("the parts do not make the whole\n%s", diff)
	}

	sumOf := func(text string) string {
		sum := sha256.Sum256([]byte(text))
		return hex.EncodeToString(sum[:])
	}
	if report.SHA256 != sumOf(train.String()) {
		t.Error("SHA256 is not that of Train")
	}
	one, err := Convert(t.Context(), schema.Bank(), open(), Outputs{All: new(bytes.Buffer)}, Options{TempDir: t.TempDir()})
	if err != nil || one.SHA256 != sumOf(all.String()) {
		t.Errorf("SHA256 is not that of All: %v", err)
	}
	none, err := Convert(t.Context(), schema.Bank(), open(), Outputs{}, Options{TempDir: t.TempDir()})
	if err != nil || none.SHA256 != one.SHA256 || none.Rows != 270 {
		t.Errorf("with no output: %+v, %v", none, err)
	}
}

// The rows of Train are those of customers who are not held, and the label is
// the first column.
func TestRowsLandOnTheSideOfTheirCustomer(t *testing.T) {
	var input strings.Builder
	want := map[string]bool{}
	for i := range 200 {
		id := fmt.Sprint("c", i)
		// The rate is the customer's number, so that a row tells whose it is.
		fmt.Fprintf(&input, `{"customer_id":{"s":%q},"age":{"n":"34"},"job":{"s":"admin."},"month":{"s":"jan"},"rate":{"n":"%d.5"},"y":{"n":"1"}}`+"\n", id, i)
		want[fmt.Sprintf("1,34,1,1,999,%d.5,0", i)] = Held(id)
	}
	r, err := Open(t.Context(), files(map[string]string{"f": input.String()}), "f")
	if err != nil {
		t.Fatal(err)
	}
	var train, holdout bytes.Buffer
	if _, err := Convert(t.Context(), tinySchema(t), r, Outputs{Train: &train, Holdout: &holdout}, Options{TempDir: t.TempDir()}); err != nil {
		t.Fatal(err)
	}
	got := map[string]bool{}
	for line := range strings.Lines(train.String()) {
		got[strings.TrimSpace(line)] = false
	}
	for line := range strings.Lines(holdout.String()) {
		got[strings.TrimSpace(line)] = true
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestOutputDependsOnNothingButTheCustomers(t *testing.T) {
	to := writeBank(t, 500)
	want, report, err := convertFS(t, schema.Bank(), to.MapFS, ".", Options{TempDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	items := customersAsLines(t)
	reversed := slices.Clone(items)
	slices.Reverse(reversed)
	for name, test := range map[string]struct {
		lines []string
		opts  Options
	}{
		"reversed":               {reversed, Options{}},
		"spilled":                {items, Options{Memory: 1, TempDir: t.TempDir()}},
		"spilled and reversed":   {reversed, Options{Memory: 20_000, TempDir: t.TempDir()}},
		"the last rows spill it": {items, Options{Memory: 200_000, TempDir: t.TempDir()}},
	} {
		t.Run(name, func(t *testing.T) {
			got, r, err := convertFS(t, schema.Bank(), files(map[string]string{"f": strings.Join(test.lines, "")}), "f", test.opts)
			if err != nil || got != want {
				t.Errorf("other bytes, or %v", err)
			}
			r.Examples = report.Examples // these name lines
			if diff := cmp.Diff(report, r); diff != "" {
				t.Errorf("another report\n%s", diff)
			}
			if test.opts.TempDir != "" {
				if left, _ := os.ReadDir(test.opts.TempDir); len(left) > 0 {
					t.Errorf("temporary files are left: %v", left)
				}
			}
		})
	}
	if got, _, _ := convertFS(t, schema.Bank(), files(map[string]string{"f": strings.Join(items, "")}), "f", Options{TempDir: t.TempDir()}); got != want {
		t.Error("other bytes from a single file")
	}
}

// customersAsLines returns the 500 customers as uncompressed lines.
func customersAsLines(t *testing.T) []string {
	t.Helper()
	var all []string
	schema := schema.Bank()
	for i, c := range bankCustomers(500) {
		line, err := appendItem(nil, schema, c)
		if err != nil {
			t.Fatal(i, err)
		}
		all = append(all, string(line))
	}
	return all
}

func TestReportCountsByFeatureAndName(t *testing.T) {
	line := func(id, extra string) string {
		return fmt.Sprintf(`{"customer_id":{"s":%q},"age":{"n":"34"},"month":{"s":"jan"},"rate":{"n":"1"},%s}`+"\n", id, extra)
	}
	input := line("1", `"job":{"s":"pilot"},"y":{"n":"1"},"email":{"s":"x"},"_outcome":{"n":"5"}`) +
		line("2", `"job":{"s":"pilot"},"y":{"n":"0"},"pdays":{"n":"1"},"email":{"s":"x"},"_outcome":{"n":"6"}`) +
		line("3", `"job":{"s":"admin."},"y":{"n":"0"},"_outcome":{"n":"x"}`) +
		line("4", `"job":{"s":"pilot"},"_outcome":{"n":"9"}`) + // unlabelled: seen, not used
		"broken\n" +
		line("2", `"job":{"s":"pilot"},"y":{"n":"1"}`) // a second time; "0,…" comes first
	_, got, err := convertFS(t, tinySchema(t), files(map[string]string{"f": input}), "f", Options{Watermark: 5})
	if err != nil {
		t.Fatal(err)
	}
	checkSums(t, got)
	want := newReport()
	want.Items, want.Rows, want.Positive, want.NewLabels, want.Watermark = 6, 3, 1, 1, 9
	want.Skipped = map[string]int64{"unlabelled": 1, "broken_line": 1, "duplicate_id": 1}
	want.Mapped = map[string]int64{"job": 2}
	want.Defaulted = map[string]int64{"pdays": 2, "wealth": 3}
	want.Ignored = map[string]int64{"email": 2}
	want.Examples = []Example{{"f", 4, "unlabelled", ""}, {"f", 5, "broken_line", "the line is neither a JSON object nor the ^B/^C form of old backups"}}
	got.SHA256, got.TrainRows, got.HoldoutRows = "", 0, 0
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestReportIsBounded(t *testing.T) {
	var input strings.Builder
	for i := range 2000 {
		fmt.Fprintf(&input, `{"extra%d":{"s":"x"},"%s":{"s":"x"}}`+"\n", i%100, strings.Repeat("long", 50))
	}
	_, got, err := convertFS(t, schema.Bank(), files(map[string]string{"f": input.String()}), "f", Options{TempDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Ignored) > maxIgnored+1 || got.Ignored["extra0"] != 20 || got.Ignored[otherNames] != 2000+51*20 {
		t.Errorf("%d names, %d others", len(got.Ignored), got.Ignored[otherNames])
	}
	if len(got.Examples) != maxExamplesPerReason {
		t.Errorf("%d examples", len(got.Examples))
	}
	if text, err := json.Marshal(got); err != nil || len(text) > 4000 {
		t.Errorf("%d bytes, %v", len(text), err)
	}
}

func TestReportsJSON(t *testing.T) {
	text, err := json.Marshal(newReport())
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"items":0,"rows":0,"skipped":{},"mapped":{},"defaulted":{},"ignored":{},"train_rows":0,"holdout_rows":0,` +
		`"positive":0,"new_labels":0,"watermark":0,"sha256":"","examples":[]}`
	if string(text) != want {
		t.Errorf("got  %s\nwant %s", text, want)
	}
}

func TestAnEmptyExportGivesNoRows(t *testing.T) {
	to := writeBank(t, 0)
	if !strings.Contains(to.order[1], "/data/") {
		t.Errorf("there is no data file: %v", to.order)
	}
	got, report, err := convertFS(t, schema.Bank(), to.MapFS, ".", Options{TempDir: t.TempDir()})
	if err != nil || got != "" || report.Items != 0 {
		t.Errorf("%q, %+v, %v", got, report, err)
	}
}
