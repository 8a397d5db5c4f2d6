package schema_test

import (
	"slices"
	"testing"

	"gateway/internal/schema"
)

func TestSafeCellsHoldNoFormula(t *testing.T) {
	cells := []string{"=1+1", "+A1", "-A1", "@SUM(A1)", "\t=1", "\r=1", "-1.7", "+3,5%", "-1e9", "", "a=1", "two\r\nlines", "{\"a\":1}"}
	want := []string{"'=1+1", "'+A1", "'-A1", "'@SUM(A1)", "'\t=1", "' =1", "-1.7", "+3,5%", "-1e9", "", "a=1", "two lines", "{\"a\":1}"}
	if got := schema.SafeCells(cells); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
