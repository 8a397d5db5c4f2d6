package api

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"slices"
	"strings"

	"gateway/internal/failure"
	"gateway/internal/schema"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"go.yaml.in/yaml/v3"
)

// exampleModel is the beginning of the names of models in the examples of the document.
const exampleModel = "bank-2026"

// documentOf returns openapi.yaml with examples of the schema in force. The examples of
// the text belong to the built-in schema.
func documentOf(text []byte, s *schema.Schema) ([]byte, error) {
	bank := schema.Bank()
	if bytes.Equal(s.JSONSchema(), bank.JSONSchema()) {
		return text, nil
	}
	text = bytes.ReplaceAll(text, []byte(bank.Fingerprint()), []byte(s.Fingerprint()))
	text = bytes.ReplaceAll(text, []byte(exampleModel), []byte(s.Name+strings.TrimPrefix(exampleModel, bank.Name)))
	var root yaml.Node
	if err := yaml.Unmarshal(text, &root); err != nil {
		return nil, fmt.Errorf("openapi.yaml: %w", err)
	}
	if err := setExamples(&root, s); err != nil {
		return nil, fmt.Errorf("openapi.yaml: %w", err)
	}
	var out bytes.Buffer
	enc := yaml.NewEncoder(&out)
	enc.SetIndent(2)
	if err := enc.Encode(&root); err != nil {
		return nil, fmt.Errorf("openapi.yaml: %w", err)
	}
	return out.Bytes(), nil
}

// setExamples replaces the examples that name features, categories or labels.
func setExamples(root *yaml.Node, s *schema.Schema) error {
	const id, other = "10042", "10043"
	record := s.Example()
	all := jsontext.Value(s.AppendFeatures(nil, record, true))
	values, err := s.StoredValues(all)
	if err != nil {
		return err
	}
	label := s.Label.Spell(1)
	var spelled any = label.Value
	if !label.IsText {
		spelled = jsontext.Value(label.Value)
	}
	first := object{s.Features[0].Name: values[0]}
	row := string(schema.AppendCSV(nil, s.Encode(record)))
	header, cells := make([]string, len(values)), make([]string, len(values))
	for i, v := range values {
		header[i], cells[i] = s.Features[i].Name, s.Cell(i, v)
	}
	const observed, prediction = "2026-11-23T10:00:00Z", "019ab0d3-6a5e-7c41-9f0e-5d2b8c1a7e34"
	violation := object{"field": failure.Pointer("/features/", s.Features[0].Name), "code": failure.CodeMissing,
		"detail": "is required and has no default"}
	customer := object{s.ID: id, "features": all, s.Label.Name: spelled}
	recorded := object{"prediction_id": prediction, "customer_id": id, "created_at": "2026-11-23T09:58:41.207Z", "caller": "web",
		"score": 0.7528, "predicted_label": 1, "model": s.Name + "-20261123-094412-c07b1f58", "schema": s.Fingerprint(), "latency_us": 1500,
		"outcome": 1, "observed_at": "2026-11-24T10:00:00Z", "features": first}
	training := object{s.Label.Name: 1}
	for i, x := range s.Encode(record)[:min(s.Width(), 3)] {
		training[s.Columns()[i]] = x
	}
	reasons := []object{{"feature": s.Features[0].Name, "contribution": 1.2207}}
	const (
		predictBody  = "paths /predict post requestBody content application/json examples "
		batchBody    = "paths /predict/batch post requestBody content "
		outcomesBody = "paths /outcomes post requestBody content application/json examples "
		customers    = "paths /admin/customers "
		invocations  = "paths /endpoints/{name}/invocations post requestBody content text/csv examples"
	)
	replace := []struct {
		path  string
		value any
	}{
		{predictBody + "features value", object{"features": all}},
		{predictBody + "both value", object{"customer_id": id, "features": first}},
		{"paths /predict post responses 200 content application/json examples explained value reasons", reasons},
		{batchBody + "application/json examples mixed value", object{"instances": []object{{"customer_id": id}, {"features": all}}}},
		{batchBody + "text/csv examples rows value", table(header, cells)},
		{batchBody + "text/csv examples stored value", table([]string{s.ID}, []string{id}, []string{other})},
		{"paths /predict/batch post responses 422 content application/problem+json example errors", []object{violation}},
		{outcomesBody + "prediction value", object{"prediction_id": prediction, "outcome": spelled, "observed_at": observed}},
		{outcomesBody + "customer value", object{"customer_id": id, "outcome": spelled}},
		{outcomesBody + "list value", object{"outcomes": []object{{"customer_id": id, "outcome": spelled, "observed_at": observed}}}},
		{invocations, object{"row": object{"summary": "The columns of the schema in force", "value": row}}},
		{"paths /schema get responses 200 content application/schema+json example", jsontext.Value(s.JSONSchema())},
		{customers + "post requestBody content text/csv examples rows value",
			table(slices.Concat([]string{s.ID}, header, []string{s.Label.Name}), slices.Concat([]string{id}, cells, []string{label.Value}))},
		{customers + "post requestBody content application/x-ndjson examples flat value", line(customer)},
		{customers + "get responses 200 content application/x-ndjson examples one value", line(customer)},
		{"paths /admin/predictions get responses 200 content application/x-ndjson examples one value", line(recorded)},
		{"paths /admin/training-data get responses 200 content application/x-ndjson examples one value", line(training)},
		{"paths /admin/status get responses 200 content application/json example schema name", s.Name},
		{"components responses Invalid content application/problem+json example errors", []object{violation}},
		{"components responses Invalid content application/problem+json example detail", "1 field of the request broke the schema"},
	}
	for _, r := range replace {
		if err := setNode(root.Content[0], strings.Fields(r.path), r.value); err != nil {
			return fmt.Errorf("%s: %w", r.path, err)
		}
	}
	return nil
}

type object = map[string]any

// setNode replaces what is at a path of names.
func setNode(node *yaml.Node, path []string, value any) error {
	for _, name := range path {
		i := 0
		for i < len(node.Content) && (node.Kind != yaml.MappingNode || node.Content[i].Value != name) {
			i += 2
		}
		if i >= len(node.Content) {
			return fmt.Errorf("there is no %s", name)
		}
		node = node.Content[i+1]
	}
	text, err := json.Marshal(value, json.Deterministic(true))
	if err != nil {
		return err
	}
	var made yaml.Node
	if err := yaml.Unmarshal(text, &made); err != nil { // JSON is YAML
		return err
	}
	anchor := node.Anchor
	*node = *made.Content[0]
	node.Anchor = anchor
	return nil
}

// table returns rows as CSV.
func table(rows ...[]string) string {
	var b strings.Builder
	x := csv.NewWriter(&b)
	_ = x.WriteAll(rows) // into memory
	return b.String()
}

// line returns a value as a line of NDJSON.
func line(value any) string {
	text, err := json.Marshal(value, json.Deterministic(true))
	if err != nil {
		panic(err) // strings and numbers only
	}
	return string(text) + "\n"
}
