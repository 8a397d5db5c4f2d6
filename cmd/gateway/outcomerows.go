package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"gateway/api"
	"gateway/internal/schema"

	"github.com/go-json-experiment/json/jsontext"
)

// outcomeRows reads outcomes from CSV, row by row.
type outcomeRows struct {
	csv     *schema.CSVReader
	columns []string
}

// outcomeColumns are the columns that such a file may have.
var outcomeColumns = []string{"prediction_id", "customer_id", "outcome", "observed_at"}

// newOutcomeRows reads the header.
func newOutcomeRows(in io.Reader) (*outcomeRows, error) {
	table, err := schema.NewCSVReader(in, schema.MaxRow)
	if err != nil {
		return nil, err
	}
	r := &outcomeRows{csv: table}
	for _, name := range table.Header() {
		switch {
		case !slices.Contains(outcomeColumns, name):
			return nil, fmt.Errorf("the header row has the unknown column %q; known are %s", name, strings.Join(outcomeColumns, ", "))
		case slices.Contains(r.columns, name):
			return nil, fmt.Errorf("the header row has the column %s twice", name)
		}
		r.columns = append(r.columns, name)
	}
	switch {
	case !slices.Contains(r.columns, "outcome"):
		return nil, errors.New("the header row has no column outcome")
	case !slices.Contains(r.columns, "prediction_id") && !slices.Contains(r.columns, "customer_id"):
		return nil, errors.New("the header row has neither a column prediction_id nor a column customer_id")
	}
	return r, nil
}

// next returns the next outcome and its line, or io.EOF. The error of a single
// row is a *schema.RowError; any other error ends the file.
func (r *outcomeRows) next() (o api.Outcome, line int, err error) {
	line, cells, err := r.csv.Next()
	if err != nil {
		return o, line, err
	}
	wrong := func(detail string) (api.Outcome, int, error) {
		return o, line, &schema.RowError{Line: line, Detail: detail}
	}
	for i, text := range cells {
		text = strings.TrimSpace(text)
		switch r.columns[i] {
		case "prediction_id":
			o.PredictionID = text
		case "customer_id":
			o.CustomerID = text
		case "outcome":
			if text == "" {
				return wrong("has no outcome")
			}
			o.Outcome = jsonLabel(text)
		case "observed_at":
			if text == "" {
				continue
			}
			at, err := time.Parse(time.RFC3339, text)
			if err != nil {
				return wrong("has an observed_at that is not a time such as 2026-11-23T10:00:00Z")
			}
			o.ObservedAt = &at
		}
	}
	switch {
	case o.PredictionID == "" && o.CustomerID == "":
		return wrong("has neither a prediction_id nor a customer_id")
	case o.PredictionID != "" && o.CustomerID != "":
		return wrong("has both a prediction_id and a customer_id; it must have one of them")
	}
	return o, line, nil
}

// jsonLabel returns a label as POST /outcomes takes it: a number if the text is
// one.
func jsonLabel(text string) any {
	if value := jsontext.Value(text); value.IsValid() && value.Kind() == '0' {
		return value
	}
	return text
}
