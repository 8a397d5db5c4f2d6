package main

import (
	"bytes"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestRequestsAreCountedByWhatWasHeldUp(t *testing.T) {
	h := &holdups{kinds: []stallKind{{name: "first"}, {name: "second"}}, seen: make([]heldUp, 2)}
	for _, r := range []struct {
		record
		kind int
		keep bool
	}{
		{record{status: 200, took: time.Second}, 0, false},
		{record{status: 503}, 0, true},
		{record{status: 0}, 1, true},
		{record{status: 200, wrong: true}, 1, true},
	} {
		h.now = r.kind
		if keep := h.count(&r.record); keep != r.keep {
			t.Errorf("%+v is kept: %t, want %t", r.record, keep, r.keep)
		}
	}
	var out bytes.Buffer
	h.tell(&report{out: &out})
	for _, row := range []string{"| first | 0 | 0.00 | 2 | 1 | 0 | 0 | 1000.00 |", "| second | 0 | 0.00 | 2 | 0 | 1 | 1 | 0.00 |"} {
		if !strings.Contains(out.String(), row) {
			t.Errorf("there is no row %q in\n%s", row, out.String())
		}
	}
	if h.requests() != 4 {
		t.Errorf("%d requests of 4", h.requests())
	}
}

func TestAFrozenProcessIsEnded(t *testing.T) {
	p, err := launch("sleep", filepath.Join(t.TempDir(), "log"), exec.Command("sleep", "3600"))
	if err != nil {
		t.Fatal(err)
	}
	if err := p.freeze(); err != nil {
		t.Error(err)
	}
	if err := p.stop(); err != nil {
		t.Error(err)
	}
}
