package gatewaytest

import (
	"fmt"
	"strings"
	"testing"

	"gateway/internal/draft"
)

// Sample is the article's sample customer.
func Sample() map[string]any {
	return map[string]any{"age": 34, "job": "technician", "marital": "married", "education": "high.school",
		"default": "no", "housing": "yes", "loan": "no", "contact": "cellular", "month": "jun", "day_of_week": "wed",
		"duration": 190, "campaign": 1, "pdays": 3, "previous": 4, "poutcome": "success", "emp_var_rate": -1.7,
		"cons_price_idx": 94.055, "cons_conf_idx": -39.8, "euribor3m": 0.715, "nr_employed": 4991.6}
}

// SmallData is a CSV of customers whose label depends on what they do, and the
// schema for it.
func SmallData(t *testing.T) (file, schemaFile string) {
	t.Helper()
	var data strings.Builder
	data.WriteString("customer_id,visits,plan,churned\n")
	for i := range 900 {
		fmt.Fprintf(&data, "%d,%d,%s,%d\n", i, i%40, []string{"free", "pro", "team"}[i%3], (i%3)*(i%7)/9)
	}
	file = WriteFile(t, "customers.csv", data.String())
	d, err := draft.Infer(strings.NewReader(data.String()), draft.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return file, WriteFile(t, "schema.yaml", string(d.YAML))
}
