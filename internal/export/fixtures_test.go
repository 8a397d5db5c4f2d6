package export

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gateway/internal/schema"
	"gateway/internal/testsize"
)

// sharedExports finds the fixtures that lie beside a checkout of the project:
// shared/data/exports, in the working directory or above it.
func sharedExports(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		at := filepath.Join(dir, "shared", "data", "exports")
		if _, err := os.Stat(at); err == nil {
			return at
		}
		if parent := filepath.Dir(dir); parent != dir {
			dir = parent
			continue
		}
		t.Skip("no shared/data/exports above the working directory; the other tests stand without it")
	}
}

// The same 2,053 customers in both layouts.
func TestBothFixturesGiveTheSameBytes(t *testing.T) {
	fsys := os.DirFS(sharedExports(t))
	var first string
	var firstReport Report
	for _, test := range []struct {
		root   string
		layout Layout
	}{
		{"pitr", Native}, {"pitr/AWSDynamoDB/01700000000000-a1b2c3d4", Native}, {"datapipeline", Backup},
	} {
		for _, memory := range []int64{0, 50_000} {
			if !testsize.Long && (test.layout == Backup) != (memory > 0) {
				continue
			}
			r, err := Open(t.Context(), fsys, test.root)
			if err != nil {
				t.Fatal(err)
			}
			if r.Layout() != test.layout {
				t.Errorf("%s is taken as %s", test.root, r.Layout())
			}
			var all, train, holdout bytes.Buffer
			report, err := Convert(t.Context(), schema.Bank(), r, Outputs{All: &all, Train: &train, Holdout: &holdout}, Options{Memory: memory, TempDir: t.TempDir()})
			if err != nil {
				t.Fatal(err)
			}
			r.Close()
			checkSums(t, report)
			if first == "" {
				first, firstReport = all.String(), report
				t.Logf("%+v", report)
			}
			if all.String() != first {
				t.Errorf("%s, memory %d: other bytes", test.root, memory)
			}
			if diff := cmp.Diff(firstReport, report); diff != "" {
				t.Errorf("%s, memory %d: another report\n%s", test.root, memory, diff)
			}
		}
	}
	if firstReport.Rows != 2053 || firstReport.Positive != 243 || len(firstReport.Skipped) > 0 || len(firstReport.Ignored) > 0 {
		t.Errorf("got %+v", firstReport)
	}
	for line := range strings.Lines(first) {
		if width := strings.Count(line, ",") + 1; width != 1+schema.Bank().Width() {
			t.Fatalf("a row of %d columns", width)
		}
	}
	// From above both, it is not clear which one is meant.
	if _, err := Open(t.Context(), fsys, "."); err == nil || !strings.Contains(err.Error(), "several") {
		t.Errorf("got %v", err)
	}
}
