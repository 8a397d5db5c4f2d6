// Command customers writes the generated customers of internal/demo to where
// they can be imported or converted from, for the scripts beside it:
//
//	go run ./scripts/customers -n 6000 > customers.csv
//	go run ./scripts/customers -n 10000000 -export FOLDER
//
// The second writes FOLDER/AWSDynamoDB/…, as DynamoDB exports a table to S3.
package main

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"

	"gateway/internal/demo"
	"gateway/internal/export"
	"gateway/internal/predict"
	"gateway/internal/schema"
)

func main() {
	n := flag.Int("n", 6000, "how many customers")
	seed := flag.Uint64("seed", 1, "the same seed gives the same customers")
	folder := flag.String("export", "", "write an export into this `folder` instead of CSV to standard output")
	flag.Parse()
	schema := schema.Bank()
	each := func(do func(predict.Customer) error) error { return demo.Each(schema, *n, *seed, do) }
	var err error
	if *folder != "" {
		_, err = export.Write(context.Background(), target(*folder), export.Meta{Schema: schema, ID: "customers-" + strconv.Itoa(*n)}, each)
	} else {
		err = writeCSV(os.Stdout, schema, each)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "customers:", err)
		os.Exit(1)
	}
}

// target is the folder in which the files of an export are made. They
// are read after the command has ended, so they need not appear whole.
type target string

// WriteFile implements export.Target.
func (t target) WriteFile(_ context.Context, name string, write func(io.Writer) error) error {
	path := filepath.Join(string(t), filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	if err := write(file); err != nil {
		_ = file.Close() // the first error says more
		return err
	}
	return file.Close()
}

// writeCSV writes customers as `gateway import` reads them: id, features, label.
func writeCSV(to io.Writer, schema *schema.Schema, each func(func(predict.Customer) error) error) error {
	out := csv.NewWriter(to)
	row := []string{schema.ID}
	for _, f := range schema.Features {
		row = append(row, f.Name)
	}
	if err := out.Write(append(row, schema.Label.Name)); err != nil {
		return err
	}
	err := each(func(c predict.Customer) error {
		features := make(map[string]any)
		if err := json.Unmarshal(c.Features, &features); err != nil {
			return err
		}
		row = append(row[:0], c.ID)
		for _, f := range schema.Features {
			row = append(row, fmt.Sprint(features[f.Name]))
		}
		label := ""
		if c.Label != nil {
			label = strconv.Itoa(*c.Label)
		}
		return out.Write(append(row, label))
	})
	if err != nil {
		return err
	}
	out.Flush()
	return out.Error()
}
