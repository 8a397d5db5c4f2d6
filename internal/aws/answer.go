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

// answer is the scores and labels of a model, by row.
type answer struct {
	scores []float64
	labels []int // or noLabel
}

// noLabel is the label of a row that the model gave none: XGBoost answers with scores
// alone.
const noLabel = -1

// anyRows makes parseAnswer accept any number of scores.
const anyRows = -1

// parseAnswer parses the body of an answer to a call of the given number of rows.
// Anything but one probability for each row is an error, so that no row gets the score
// of another. Errors contain nothing of the body, which may repeat the rows.
func parseAnswer(mediaType string, body []byte, rows int) (a answer, err error) {
	base := mediaType
	if base != typeJSON && base != typeCSV {
		base, _, _ = mime.ParseMediaType(mediaType) // empty if malformed: the first byte of the body decides then
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
		err = fmt.Errorf("the media type %.100q of the answer is not supported", base)
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
	// Containers write it as 0 or as 0.0.
	Label *float64 `json:"predicted_label"`
}

func (a *answer) fromJSON(text []byte) error {
	var all struct {
		Predictions []jsontext.Value `json:"predictions"`
	}
	if err := json.Unmarshal(text, &all); err != nil {
		return errors.New("the answer is not a JSON object with a list of predictions")
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

// add parses one prediction: {"score":0.4,"predicted_label":0} or a bare number.
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

// fromCSV parses both layouts of XGBoost: scores joined by commas on one line (images up
// to 0.90), or one score on each line.
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

// label returns the predicted label of a row: the model's own if it gave one, because it
// depends on the model's threshold; else the score rounded at 0.5.
func (a *answer) label(row int) int {
	if a.labels[row] != noLabel {
		return a.labels[row]
	}
	if a.scores[row] >= 0.5 {
		return 1
	}
	return 0
}
