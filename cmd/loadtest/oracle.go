package main

import (
	"bytes"
	"context"
	"fmt"
	"strconv"
	"sync"

	"gateway/internal/demo"
	"gateway/internal/learn"
	"gateway/internal/predict"
	"gateway/internal/schema"
)

// row is the data of one customer: in the format of apps and in that of the runtime.
type row struct {
	id       string
	features []byte // JSON
	csv      []byte
	vector   schema.Vector
}

// instance returns the row in the format of apps.
func (r *row) instance() []byte {
	return []byte(`{"customer_id":"` + r.id + `","features":` + string(r.features) + `}`)
}

// maxDistinct is the number of different rows.
const maxDistinct = 1024

// rowsOf generates customers that the gateway has not stored.
func rowsOf(schema *schema.Schema) ([]row, error) {
	customers, err := demo.Customers(schema, maxDistinct, 6)
	if err != nil {
		return nil, err
	}
	return encode(schema, customers, "load-")
}

func encode(s *schema.Schema, customers []predict.Customer, prefix string) ([]row, error) {
	rows := make([]row, len(customers))
	for i, c := range customers {
		record, err := s.DecodeStored(c.Features, nil)
		if err != nil {
			return nil, err
		}
		v := s.Encode(record)
		rows[i] = row{id: prefix + c.ID, features: c.Features, csv: schema.AppendCSV(nil, v), vector: v}
	}
	return rows, nil
}

// oracle computes right scores: with the model that an answer names, from its artifact, for the
// row of the request.
type oracle struct {
	rows []row
	read func(ctx context.Context, model string) (*learn.Artifact, error)

	known sync.Map // model → []float64, by row
	mu    sync.Mutex
}

// scores returns the scores of a model for all rows. It reads each artifact once.
func (o *oracle) scores(ctx context.Context, model string) ([]float64, error) {
	if known, found := o.known.Load(model); found {
		return known.([]float64), nil
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if known, found := o.known.Load(model); found {
		return known.([]float64), nil
	}
	a, err := o.read(ctx, model)
	if err != nil {
		return nil, fmt.Errorf("model %s: %w", model, err)
	}
	scores := make([]float64, len(o.rows))
	for i, r := range o.rows {
		scores[i] = float64(float32(a.Model.Score(r.vector))) // containers have single precision
	}
	o.known.Store(model, scores)
	return scores, nil
}

// right reports whether an answer of the gateway has the score of the n-th row by the model
// that it names.
func (o *oracle) right(ctx context.Context, n int, body []byte) bool {
	model, found := member(body, `"model":"`, '"')
	if !found {
		return false
	}
	scores, err := o.scores(ctx, string(model))
	return err == nil && scoreIs(body, scores[n%len(scores)])
}

// raw reports whether an answer of the runtime has the score of the n-th row by a model.
func (o *oracle) raw(ctx context.Context, model string, n int, body []byte) bool {
	scores, err := o.scores(ctx, model)
	return err == nil && scoreIs(body, scores[n%len(scores)])
}

func scoreIs(body []byte, want float64) bool {
	text, found := member(body, `"score":`, ',')
	if !found {
		return false
	}
	got, err := strconv.ParseFloat(string(bytes.TrimSpace(text)), 64)
	return err == nil && got == want // all digits must be equal
}

// member returns the value after a name in a JSON object without nested objects.
func member(body []byte, name string, end byte) (value []byte, found bool) {
	at := bytes.Index(body, []byte(name))
	if at < 0 {
		return nil, false
	}
	value, _, found = bytes.Cut(body[at+len(name):], []byte{end})
	return value, found
}

// predictions returns requests to the gateway of one prediction each.
func (o *oracle) predictions(path, headers string) [][]byte {
	out := make([][]byte, len(o.rows))
	for i, r := range o.rows {
		out[i] = post(path, headers, "application/json", r.instance())
	}
	return out
}

// invocations returns requests to the runtime itself, for peers without a gateway.
func (o *oracle) invocations() [][]byte {
	out := make([][]byte, len(o.rows))
	for i, r := range o.rows {
		out[i] = post("/endpoints/"+endpointName+"/invocations", "", "text/csv", r.csv)
	}
	return out
}

// post returns a request with its header.
func post(path, headers, contentType string, body []byte) []byte {
	return fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: load\r\n%sContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s",
		path, headers, contentType, len(body), body)
}
