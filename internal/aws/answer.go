package aws

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"mime"
	"strconv"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Media types of answers.
const (
	typeCSV       = "text/csv"
	typeJSON      = "application/json"
	typeJSONLines = "application/jsonlines"
)

// answer is what a model said, by row.
type answer struct {
	scores []float64
	labels []int // or noLabel
}

// noLabel is the label where a model says none: XGBoost gives scores alone.
const noLabel = -1

// anyRows lets parseAnswer take any number of scores.
const anyRows = -1

// parseAnswer reads the body of an answer to rows rows. Anything but one
// probability for each row is an error, so that no score is given to the wrong
// row. Errors contain nothing of the body.
func parseAnswer(mediaType string, body []byte, rows int) (a answer, err error) {
	base := mediaType
	if base != typeJSON && base != typeCSV {
		base, _, _ = mime.ParseMediaType(mediaType) // what it cannot read, the first byte tells
	}
	text := bytes.TrimSpace(body)
	if len(text) == 0 {
		return a, errors.New("the answer is empty")
	}
	if rows > 0 && rows <= len(text) {
		a = answer{make([]float64, 0, rows), make([]int, 0, rows)}
	}
	switch {
	case base == typeJSONLines:
		err = a.fromJSONLines(text)
	case text[0] == '{' && a.scan(text):
	case text[0] == '{':
		err = a.fromJSON(text)
	case base == typeCSV || text[0] == '-' || (text[0] >= '0' && text[0] <= '9'):
		err = a.fromCSV(text)
	default:
		err = fmt.Errorf("an answer of type %.100q cannot be read", base)
	}
	if err != nil {
		return answer{}, err
	}
	if len(a.scores) != rows && rows != anyRows {
		return answer{}, fmt.Errorf("%w: %d rows were answered with %d scores", errForeign, rows, len(a.scores))
	}
	for i, x := range a.scores {
		if math.IsNaN(x) || x < 0 || x > 1 {
			return answer{}, fmt.Errorf("the score of row %d is not a probability", i+1)
		}
	}
	return a, nil
}

// prediction is an element of an answer in JSON.
type prediction struct {
	Score *float64 `json:"score"`
	// Containers have written it as 0 and as 0.0.
	Label *float64 `json:"predicted_label"`
}

func (a *answer) fromJSON(text []byte) error {
	var all struct {
		Predictions []jsontext.Value `json:"predictions"`
	}
	if err := json.Unmarshal(text, &all); err != nil {
		return errors.New("the answer is not the JSON that it should be")
	}
	for i, value := range all.Predictions {
		if err := a.add(value); err != nil {
			return fmt.Errorf("prediction %d: %w", i+1, err)
		}
	}
	return nil
}

func (a *answer) fromJSONLines(text []byte) error {
	for line := range bytes.Lines(text) {
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		if err := a.add(line); err != nil {
			return fmt.Errorf("line %d: %w", len(a.scores)+1, err)
		}
	}
	return nil
}

// add takes {"score":0.4,"predicted_label":0} or a bare number.
func (a *answer) add(value jsontext.Value) error {
	var p prediction
	var err error
	if value.Kind() == '{' {
		err = json.Unmarshal(value, &p)
	} else {
		err = json.Unmarshal(value, &p.Score)
	}
	if err != nil || p.Score == nil {
		return errors.New("there is no score")
	}
	label := noLabel
	if p.Label != nil {
		if *p.Label != 0 && *p.Label != 1 {
			return errors.New("the predicted label is neither 0 nor 1")
		}
		label = int(*p.Label)
	}
	a.scores = append(a.scores, *p.Score)
	a.labels = append(a.labels, label)
	return nil
}

// fromCSV reads both shapes of XGBoost: scores joined by commas on one line
// (images up to 0.90), or one on each line.
func (a *answer) fromCSV(text []byte) error {
	for cell := range bytes.FieldsFuncSeq(text, func(r rune) bool { return r == ',' || r == '\n' || r == '\r' }) {
		x, err := strconv.ParseFloat(string(bytes.TrimSpace(cell)), 64)
		if err != nil {
			return fmt.Errorf("score %d is not a number", len(a.scores)+1)
		}
		a.scores = append(a.scores, x)
		a.labels = append(a.labels, noLabel)
	}
	return nil
}

// label is the predicted label of a row: the model's own, which knows its
// threshold, else by one half.
func (a *answer) label(row int) int {
	if a.labels[row] != noLabel {
		return a.labels[row]
	}
	if a.scores[row] >= 0.5 {
		return 1
	}
	return 0
}
