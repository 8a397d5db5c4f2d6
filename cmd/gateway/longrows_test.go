package main

import (
	"fmt"
	"strings"
	"testing"

	"gateway/internal/gatewaytest"
)

// TestAllCommandsReadRowsOfTheSameLength goes through init, import and predict with rows
// of 70,000 bytes, and shows them one that is too long.
func TestAllCommandsReadRowsOfTheSameLength(t *testing.T) {
	long := func(i int) string { return strings.Repeat(fmt.Sprintf("word%d ", i), 12_000)[:70_000] }
	var data strings.Builder
	data.WriteString("customer_id,visits,note,gone\n")
	for i := range 100 {
		fmt.Fprintf(&data, "c%d,%d,%s,%s\n", i, i%10, long(i), []string{"yes", "no"}[min(1, i%3)])
	}
	file := gatewaytest.WriteFile(t, "long.csv", data.String())
	t.Setenv("GATEWAY_DATA_DIR", t.TempDir())
	if code, out, errs := command(t, "init", file); code != exitOK || !strings.Contains(out, "imported 100 of 100 rows") {
		t.Fatalf("init ended with %d: %s%s", code, out, errs)
	}
	if code, out, errs := command(t, "predict", file); code != exitOK || strings.Count(out, "\n") != 101 {
		t.Errorf("predict ended with %d: %s", code, errs)
	}
	longer := gatewaytest.WriteFile(t, "longer.csv", "customer_id,visits,note,gone\nc1,1,n,yes\nc2,2,"+strings.Repeat("n", 2<<20)+",no\n")
	for _, args := range [][]string{{"schema", "infer"}, {"import"}, {"predict"}} {
		code, _, errs := command(t, append(args, longer)...)
		if want := "the row at line 3 is longer than 1048576 bytes"; code != exitFailed || !strings.Contains(errs, want) {
			t.Errorf("%s ended with %d: %s", args, code, errs)
		}
	}
}
