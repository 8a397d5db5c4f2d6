package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"testing"

	"gateway/internal/demo"
	"gateway/internal/export"
	"gateway/internal/predict"
	"gateway/internal/schema"
)

const customers = 500

func each(do func(predict.Customer) error) error {
	return demo.Each(schema.Bank(), customers, 1, do)
}

func TestTheCSVIsWhatTheCustomersAre(t *testing.T) {
	s := schema.Bank()
	var text bytes.Buffer
	if err := writeCSV(&text, s, each); err != nil {
		t.Fatal(err)
	}
	table, err := schema.NewCSVTable(s, &text, 1<<10)
	if err != nil {
		t.Fatal(err)
	}
	err = each(func(c predict.Customer) error {
		row, err := table.Next()
		if err != nil || row.Violations.Count() > 0 {
			t.Fatalf("row of %s: %v %v", c.ID, row.Violations, err)
		}
		features := s.AppendFeatures(nil, row.Features, true)
		same := row.Label == nil && c.Label == nil || row.Label != nil && c.Label != nil && *row.Label == *c.Label
		if row.CustomerID != c.ID || !bytes.Equal(features, c.Features) || !same {
			t.Errorf("the row of %s is of %s, with %s", c.ID, row.CustomerID, features)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := table.Next(); !errors.Is(err, io.EOF) {
		t.Errorf("after the last row: %v", err)
	}
}

func TestTheExportCanBeConverted(t *testing.T) {
	folder, labelled := t.TempDir(), int64(0)
	_, err := export.Write(t.Context(), target(folder), export.Meta{Schema: schema.Bank(), ID: "test", PartItems: 200}, each)
	if err != nil {
		t.Fatal(err)
	}
	if err := each(func(c predict.Customer) error {
		if c.Label != nil {
			labelled++
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	r, err := export.Open(t.Context(), os.DirFS(folder), ".")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	report, err := export.Convert(t.Context(), schema.Bank(), r, export.Outputs{All: io.Discard}, export.Options{TempDir: t.TempDir()})
	if err != nil || report.Items != customers || report.Rows != labelled {
		t.Errorf("%d items gave %d rows, want %d and %d (%v)", report.Items, report.Rows, customers, labelled, err)
	}
}
