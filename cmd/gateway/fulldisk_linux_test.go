package main

import (
	"fmt"
	"strings"
	"testing"

	"gateway/internal/disktest"
	"gateway/internal/gatewaytest"
)

// TestInitOnAFullDiskSaysSo imports more than the disk of the data dir holds.
func TestInitOnAFullDiskSaysSo(t *testing.T) {
	var data strings.Builder
	data.WriteString("customer_id,visits,note,gone\n")
	for i := range 20_000 {
		fmt.Fprintf(&data, "customer %d,%d,%s,%s\n", i, i%40, strings.Repeat("n", 100+i%3), []string{"yes", "no"}[i%7%2])
	}
	file := gatewaytest.WriteFile(t, "many.csv", data.String())
	t.Setenv("GATEWAY_DATA_DIR", disktest.New(t, 5<<20))
	code, out, errs := command(t, "init", file)
	if code != exitFailed || strings.Contains(errs, "Internal error") || !strings.HasSuffix(errs, "many.csv: store: put customers: database or disk is full (13)\n") || strings.Count(errs, "is full (13)") != 1 {
		t.Errorf("init ended with %d: %s\n%s", code, errs, out)
	}
}
