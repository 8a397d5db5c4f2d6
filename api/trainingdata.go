package api

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"

	"github.com/go-json-experiment/json/jsontext"

	"gateway/api/edge"
)

// RenewalHeader names the renewal that made the training data of a response.
const RenewalHeader = "X-Renewal-Id"

// exportTrainingData answers the newest training data.
func (a *api) exportTrainingData(w http.ResponseWriter, r *http.Request) error {
	format, err := exportFormat(r, csvType)
	if err != nil {
		return err
	}
	holdout := false
	switch r.URL.Query().Get("holdout") {
	case "", "false":
	case "true":
		holdout = true
	default:
		return invalidQuery("holdout", "must be true or false")
	}
	data, renewal, err := a.d.Renewals.TrainingData(r.Context(), holdout)
	if err != nil {
		return err
	}
	defer data.Close()
	edge.Of(r.Context()).Target = renewal
	w.Header().Set(RenewalHeader, renewal)
	schema := a.d.Predict.Schema()
	columns := append([]string{schema.Label.Name}, schema.Columns()...)
	return a.exporting(w, r, format, func(x *export) error {
		if format == ndjsonType {
			return trainingLines(x, columns, data)
		}
		if err := x.csv.Write(columns); err != nil {
			return err
		}
		x.csv.Flush()
		_, err = io.CopyBuffer(struct{ io.Writer }{x}, struct{ io.Reader }{data}, make([]byte, copyBuffer))
		return err
	})
}

// trainingLines writes rows of training CSV, which are numbers, as objects.
func trainingLines(to io.Writer, columns []string, data io.Reader) error {
	names := make([][]byte, len(columns)) // with all that is before the value
	for i, column := range columns {
		name, err := jsontext.AppendQuote([]byte{','}, column)
		if err != nil {
			return err
		}
		names[i] = append(name, ':')
	}
	names[0][0] = '{'
	rows := bufio.NewScanner(data)
	rows.Buffer(make([]byte, 0, copyBuffer), maxTrainingRow)
	var line []byte
	for rows.Scan() {
		line = line[:0]
		cells := 0
		for cell := range bytes.SplitSeq(rows.Bytes(), []byte{','}) {
			if cells < len(names) {
				line = append(append(line, names[cells]...), cell...)
			}
			cells++
		}
		if cells != len(names) {
			return fmt.Errorf("a row of the training data has %d columns, the schema has %d with the label", cells, len(names))
		}
		if _, err := to.Write(append(line, '}', '\n')); err != nil {
			return err
		}
	}
	return rows.Err()
}

// maxTrainingRow is the maximum length of a row of training data in bytes: a
// schema makes at most 10,000 columns.
const maxTrainingRow = 1 << 20
