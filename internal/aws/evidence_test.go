package aws

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"gateway/internal/export"
	"gateway/internal/predict"
	"gateway/internal/store"
)

func TestTheTableSaysWhereLabelsComeFrom(t *testing.T) {
	t.Parallel()
	noon := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	s := start(t)
	s.createTable(table, "customer_id", types.ScalarAttributeTypeS)
	c := s.customers(s.schema)
	zero, one := 0, 1
	features := []byte(`{"x":1,"month":"may"}`)
	_, _, err := c.PutCustomers(t.Context(), []predict.Customer{{ID: "labelled", Features: features, Label: &zero}, {ID: "unlabelled", Features: features},
		{ID: "predicted", Features: features, Label: &zero}})
	s.must(err)
	s.must(c.Append(t.Context(), []predict.Prediction{
		{ID: "p", CustomerID: "invented", CreatedAt: noon, Features: features, Model: "m", Schema: "s"},
		{ID: "q", CustomerID: "predicted", CreatedAt: noon, Features: []byte(`{"x":7}`), Model: "m", Schema: "s"}}))
	report := func(o predict.Outcome, caller string) {
		t.Helper()
		o.Caller = caller
		if m, err := c.RecordOutcomes(t.Context(), []predict.Outcome{o}); err != nil || !m[0].Found {
			t.Fatalf("got %+v (%v)", m, err)
		}
	}
	report(predict.Outcome{CustomerID: "labelled", Label: 1, ObservedAt: noon}, "crm")
	report(predict.Outcome{CustomerID: "unlabelled", Label: 1, ObservedAt: noon}, "crm")
	report(predict.Outcome{PredictionID: "p", Label: 1, ObservedAt: noon}, "")
	report(predict.Outcome{PredictionID: "q", Label: 1, ObservedAt: noon}, "web")
	hold := func(id string, want map[string]string) {
		t.Helper()
		item := s.item(id)
		for _, name := range []string{"y", export.OriginAttribute, export.CallerAttribute, export.ImportedAttribute} {
			if got := text(item, name); got != want[name] {
				t.Errorf("%s: %s is %q, want %q", id, name, got, want[name])
			}
		}
		if text(item, export.LabelledAttribute) == "" {
			t.Errorf("%s: it is not there when the outcome was received", id)
		}
	}
	hold("labelled", map[string]string{"y": "1", "_caller": "'crm'", "_imported": "0"})
	hold("unlabelled", map[string]string{"y": "1", "_caller": "'crm'"})
	hold("invented", map[string]string{"y": "1", "_origin": "'app'", "_caller": "'anonymous'"})
	hold("predicted", map[string]string{"y": "1", "_caller": "'web'", "_imported": "0"})
	if item := s.item("predicted"); text(item, "x") != "1" {
		t.Errorf("a prediction changed the features of a known customer: %v", item)
	}
	// The ledger now knows that the customer of the prediction was in the table before.
	ledger := c.LabelSync.outcomes.(*store.Line)
	made := map[string]bool{}
	s.must(ledger.EachCustomer(t.Context(), func(p predict.Customer) error { made[p.ID] = p.Made; return nil }))
	if !made["invented"] || made["predicted"] || made["labelled"] {
		t.Errorf("the ledger takes for made from predictions: %v", made)
	}
	// A second outcome keeps the imported label, and so does an import after it.
	report(predict.Outcome{CustomerID: "labelled", Label: 0, ObservedAt: noon.Add(time.Hour)}, "web")
	hold("labelled", map[string]string{"y": "0", "_caller": "'web'", "_imported": "0"})
	_, _, err = c.PutCustomers(t.Context(), []predict.Customer{{ID: "labelled", Features: features, Label: &one}, {ID: "invented", Features: features, Label: &zero}})
	s.must(err)
	hold("labelled", map[string]string{"y": "0", "_caller": "'web'", "_imported": "1"})
	hold("invented", map[string]string{"y": "1", "_caller": "'anonymous'", "_imported": "0"}) // imported now
}

func TestTheGatewaysOwnAttributesCannotBeFeatures(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.createTable(table, "customer_id", types.ScalarAttributeTypeS)
	for _, name := range []string{"_outcome", "_observed", "_origin", "_caller", "_labelled", "_imported"} {
		schema := parseSchema(t, "{name: p, id: customer_id, label: {name: y, positive: [1], negative: [0]}, features: [{name: x, type: number, alias: ["+name+"]}]}")
		if _, err := OpenCustomers(t.Context(), s.api, table, schema); err == nil {
			t.Errorf("%s is taken for a feature", name)
		}
	}
}
