package main

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"runtime/debug"
	"strings"
	"testing"
	"testing/fstest"

	"gateway/api/edge"
)

// TestCommandsPrintWarningsOfTheStart swaps the classes of the label by hand: the model
// that serves is the wrong way round.
func TestCommandsPrintWarningsOfTheStart(t *testing.T) {
	file := initData(t)
	cfg := newConfig(t)
	code, _, errs := command(t, "init", file, "--label=gone")
	if code != exitOK || strings.Contains(errs, "warning:") {
		t.Fatalf("init ended with %d: %s", code, errs)
	}
	text, err := os.ReadFile(cfg.DataSchema())
	if err != nil {
		t.Fatal(err)
	}
	turned := strings.NewReplacer("positive: [", "negative: [", "negative: [", "positive: [").Replace(string(text))
	if err := os.WriteFile(cfg.DataSchema(), []byte(turned), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, _, errs := command(t, "import", file); code != exitOK || strings.Count(errs, "warning: ") != 1 || !strings.Contains(errs, "start a renewal with --force") {
		t.Errorf("import ended with %d: %s", code, errs)
	}
}

func TestTheLogOfACommand(t *testing.T) {
	var out bytes.Buffer
	warned := map[string]bool{}
	full := func() error { return &edge.Problem{Title: "Internal error", Status: 500, RequestID: "1"} }
	for range 2 {
		lines := newCommandLog(&out, warned)
		log := slog.New(commandHandler{commandLog: lines}).With("secret", "admin")
		log.Warn("it is readable", "setting", "A B")
		lines.starting.Store(false)
		log.Warn("trying again")
		log.Info("request", "request_id", "0")
	}
	lines := newCommandLog(&out, warned)
	log := slog.New(commandHandler{commandLog: lines})
	log.Error("request", "request_id", "1", "error", "the disk is full")
	log.Error("cannot drain", "error", "set mark: database or disk is full (13)")
	log.Error("cannot drain", "error", "write: no space left on device")
	log.Error("request", "request_id", "2", "error", "no table")
	if err := lines.end(full()); err == nil || err.Error() != "the disk is full" {
		t.Errorf("an internal error ends a command with %v", err)
	}
	want := "warning: it is readable secret=admin setting=\"A B\"\nerror: request request_id=2 error=\"no table\"\n"
	if got := out.String(); got != want {
		t.Errorf("it printed\n%swant\n%s", got, want)
	}
	for _, err := range []error{nil, errors.New("other"), &edge.Problem{Status: 503, Detail: "busy", RequestID: "1"}} {
		out.Reset()
		lines := newCommandLog(&out, warned)
		slog.New(commandHandler{commandLog: lines}).Error("request", "request_id", "1", "error", "x")
		if got := lines.end(err); got != err || !strings.Contains(out.String(), "request_id=1") {
			t.Errorf("%v became %v, and it printed %q", err, got, out.String())
		}
	}
}

// TestCommandsHaveTheMemoryLimitOfTheirControlGroup trains in a group that allows less
// than the data takes.
func TestCommandsHaveTheMemoryLimitOfTheirControlGroup(t *testing.T) {
	file := initData(t)
	newConfig(t)
	t.Setenv("GOMEMLIMIT", "")
	before := debug.SetMemoryLimit(-1)
	t.Cleanup(func() { debug.SetMemoryLimit(before) })
	group := fstest.MapFS{
		"proc/self/mountinfo":      {Data: []byte("35 25 0:30 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n")},
		"proc/self/cgroup":         {Data: []byte("0::/\n")},
		"sys/fs/cgroup/memory.max": {Data: []byte("8192\n")},
	}
	var out, errs bytes.Buffer
	code := run(&console{ctx: t.Context(), stdout: &out, stderr: &errs, root: group}, []string{"init", file, "--label=gone"})
	if code != exitFailed || !strings.Contains(errs.String(), "and this process may use 0 MiB: allow it more, or train on SageMaker") {
		t.Errorf("init ended with %d: %s%s", code, out.String(), errs.String())
	}
}
