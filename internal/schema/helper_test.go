package schema_test

import (
	"bytes"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"

	"gateway/internal/failure"
	"gateway/internal/schema"
)

// readAll reads a table to its end and counts its rows.
func readAll(t testing.TB, table schema.Table, each func(schema.Row)) int {
	t.Helper()
	for n := 0; ; n++ {
		row, err := table.Next()
		if errors.Is(err, io.EOF) {
			return n
		}
		if err != nil {
			t.Fatalf("after %d rows: %v", n, err)
		}
		each(row)
	}
}

// csvOf is a table of small's features from text.
func csvOf(t testing.TB, s *schema.Schema, text string) schema.Table {
	t.Helper()
	table, err := schema.NewCSVTable(s, strings.NewReader(text), 1<<16)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// decode reads one JSON object of features.
func decode(s *schema.Schema, text string) (schema.Record, []failure.Violation, error) {
	r := s.NewRecord()
	var violations failure.Violations
	err := s.DecodeFeatures(r, jsontext.NewDecoder(bytes.NewReader([]byte(text))), "/features/", &violations)
	return r, violations.Listed, err
}

// record reads features that must be sound.
func record(t testing.TB, s *schema.Schema, text string) schema.Record {
	t.Helper()
	r, violations, err := decode(s, text)
	if err != nil || len(violations) > 0 {
		t.Fatalf("%v, violations %v", err, violations)
	}
	return r
}

// codes writes violations as "field code", one a line.
func codes(violations []failure.Violation) string {
	lines := make([]string, len(violations))
	for i, v := range violations {
		lines[i] = v.Field + " " + v.Code
	}
	return strings.Join(lines, "\n")
}

// details writes violations as "field code: detail", one a line.
func details(violations []failure.Violation) string {
	lines := make([]string, len(violations))
	for i, v := range violations {
		lines[i] = v.Field + " " + v.Code + ": " + v.Detail
	}
	return strings.Join(lines, "\n")
}

// violationsOf returns the violations of an error.
func violationsOf(t testing.TB, err error) []failure.Violation {
	t.Helper()
	var e *failure.Error
	if !errors.As(err, &e) {
		t.Fatalf("got the error %v, want violations", err)
	}
	return e.Violations
}

var update = flag.Bool("update", false, "write the golden files anew")

// golden compares got with a file of testdata.
func golden(t testing.TB, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s differs; if that is meant, run the test with -update (-want +got):\n%s", path, diff)
	}
}
