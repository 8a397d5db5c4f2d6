package api_test

import (
	"os"
	"strings"
	"testing"

	"gateway/api"
	"gateway/internal/contracttest"
	"gateway/internal/predict"
	"gateway/internal/schema"

	"github.com/go-json-experiment/json"
)

// ownSchema has each kind of feature, names that YAML or JSON Pointer quote, and
// bounds that no zero is within.
const ownSchema = `
name: shop
id: shopper
label: {name: bought, positive: ["true"], negative: ["false"]}
features:
  - {name: _1, type: integer, min: 2.5, max: 3.5}
  - {name: spent, type: number, max: -0.5}
  - {name: plan, type: category, values: ["yes", "no"], encode: ordinal}
  - {name: "on", type: category, values: ["a,b", "1"], unknown: "1"}
  - {name: visits, type: integer, default: 4, exclude: true}
`

// TestTheDocumentsExamplesAreOfTheSchemaInForce sends what the served document
// has for examples.
func TestTheDocumentsExamplesAreOfTheSchemaInForce(t *testing.T) {
	text, err := os.ReadFile("../openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for name, yaml := range map[string]string{"built in": string(schema.BankYAML()), "own": ownSchema} {
		t.Run(name, func(t *testing.T) {
			s, err := schema.Parse("schema.yaml", []byte(yaml))
			if err != nil {
				t.Fatal(err)
			}
			b := setup(t, func(b *bundle, _ *api.Options, p *parts) {
				p.schema, b.scorer.Schema, b.deps.OpenAPI = s, s.Fingerprint(), text
			})
			features := s.AppendFeatures(nil, s.Example(), true)
			customers := []predict.Customer{{ID: "10042", Features: features}, {ID: "10043", Features: features}, {ID: "10099", Features: features}}
			if _, _, err := b.store.PutCustomers(t.Context(), customers); err != nil {
				t.Fatal(err)
			}
			served := b.do("GET", "/openapi.yaml", "").want(200).body
			if got := strings.Contains(served, "technician"); got != (name == "built in") {
				t.Errorf("a job of the bank's customers in the document: %t", got)
			}
			doc := contracttest.Open(t, []byte(served)) // validates the examples
			sent := 0
			for _, path := range []string{"/predict", "/predict/batch", "/outcomes", "/admin/customers"} {
				for mediaType, media := range doc.Paths().Value(path).Post.RequestBody.Value.Content {
					for summary, example := range media.Examples {
						body, ok := example.Value.Value.(string)
						if !ok {
							text, err := json.Marshal(example.Value.Value)
							if err != nil {
								t.Fatal(err)
							}
							body = string(text)
						}
						sent++
						a := b.asOperator("POST", path, body, "Content-Type: "+mediaType)
						if summary == "prediction" { // its prediction was never made
							a.want(404)
							continue
						}
						if a.status >= 300 || strings.Contains(a.body, `"errors":`) || strings.Contains(a.body, `"error":{`) {
							t.Errorf("%s, example %q: %d: %s\n%s", path, summary, a.status, a.body, body)
						}
					}
				}
			}
			if sent < 12 {
				t.Errorf("%d examples were sent, want all of them", sent)
			}
		})
	}
}

// TestParametersAreThoseOfOperations: Swagger UI resolves the references of the
// operation that it shows, and no others.
func TestParametersAreThoseOfOperations(t *testing.T) {
	for path, item := range openContract(t).Paths().Map() {
		if len(item.Parameters) > 0 {
			t.Errorf("%s: Swagger UI shows parameters of a path without their names", path)
		}
	}
}
