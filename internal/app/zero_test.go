package app

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"gateway/api/client"
	"gateway/api/edge"
	"gateway/internal/gatewaytest"
)

// TestTextThatNoDatabaseKeepsIsRefusedAlike sends U+0000 wherever text is stored
// or looked up, to a gateway with SQLite and to one with Postgres.
func TestTextThatNoDatabaseKeepsIsRefusedAlike(t *testing.T) {
	requests := []struct {
		name, method, path, contentType, body string
		status                                int
		field                                 string
	}{
		{"the id of a prediction", "POST", "/predict", "application/json", `{"customer_id":"a\u0000"}`, 422, "customer_id"},
		{"the id of an outcome", "POST", "/outcomes", "application/json", `{"customer_id":"a\u0000","outcome":1}`, 422, "customer_id"},
		{"the prediction of an outcome", "POST", "/outcomes", "application/json", `{"prediction_id":"a\u0000","outcome":1}`, 422, "prediction_id"},
		{"the id of an outcome in a list", "POST", "/outcomes", "application/json", `{"outcomes":[{"customer_id":"a\u0000","outcome":1}]}`, 202, "/outcomes/0/customer_id"},
		{"a reason", "POST", "/admin/retrain", "application/json", `{"reason":"a\u0000"}`, 422, "reason"},
		{"a gate", "POST", "/admin/retrain", "application/json", `{"overrides":{"gate":"auc\u0000"}}`, 422, "/overrides/gate"},
		{"a hyperparameter", "POST", "/admin/retrain", "application/json", `{"overrides":{"hyperparameters":{"wd":"\u0000"}}}`, 422, "/overrides/hyperparameters/wd"},
		{"the name of a hyperparameter", "POST", "/admin/retrain", "application/json", `{"overrides":{"hyperparameters":{"w\u0000d":"1"}}}`, 422, "/overrides/hyperparameters/w\x00d"},
		{"an instance type", "POST", "/admin/retrain", "application/json", `{"overrides":{"training":{"instance_type":"\u0000"}}}`, 422, "/overrides/training/instance_type"},
		{"a model", "POST", "/admin/rollback", "application/json", `{"model":"a\u0000"}`, 422, "model"},
		{"a page", "GET", "/admin/renewals?before=a%00", "", "", 422, "before"},
		{"a page that is not UTF-8", "GET", "/admin/renewals?before=%ff", "", "", 422, "before"},
		{"the entries of the audit", "GET", "/admin/audit?before=a%00", "", "", 422, "before"},
		{"a renewal", "GET", "/admin/renewals/a%00", "", "", 404, ""},
		{"a renewal that is not UTF-8", "GET", "/admin/renewals/%ff", "", "", 404, ""},
		{"the events of a renewal", "GET", "/admin/renewals/a%00/events", "", "", 404, ""},
		{"the end of a renewal", "POST", "/admin/renewals/a%00/cancel", "", "", 404, ""},
		{"a renewal to go on with", "POST", "/admin/renewals/a%00/resume", "application/json", "{}", 404, ""},
		{"an imported id", "POST", "/admin/customers", "text/csv", strings.Replace(demoCSV(t, 1), "\n", "\na\x00", 1), 200, "customer_id"},
		{"an imported id in JSON", "POST", "/admin/customers", "application/x-ndjson", `{"customer_id":"a\u0000"}`, 200, "customer_id"},
	}
	for name, postgres := range map[string]bool{"SQLite": false, "Postgres": true} {
		t.Run(name, func(t *testing.T) {
			var g *gatewayUnderTest
			if postgres {
				t.Setenv("GATEWAY_DB_SECRET_ID", "file:"+gatewaytest.DatabaseSecret(t))
				t.Setenv("GATEWAY_DEMO", "false")
				g = start(t, newConfig(t))
				g.model(t)
			} else {
				g = startPrepared(t, newConfig(t), demonstrated)
			}
			for _, test := range requests {
				req, err := http.NewRequestWithContext(t.Context(), test.method, g.url+test.path, strings.NewReader(test.body))
				if err != nil {
					t.Fatal(err)
				}
				req.Header.Set("Authorization", "Bearer "+g.client.Token)
				if test.contentType != "" {
					req.Header.Set("Content-Type", test.contentType)
				}
				res, err := g.client.HTTP.Do(req)
				if err != nil {
					t.Fatal(err)
				}
				body, err := io.ReadAll(res.Body)
				res.Body.Close()
				if err != nil {
					t.Fatal(err)
				}
				if res.StatusCode != test.status {
					t.Errorf("%s: %d %s, want %d", test.name, res.StatusCode, body, test.status)
				}
				quoted, _ := json.Marshal(test.field)
				if test.field != "" && !strings.Contains(string(body), `"field":`+string(quoted)) {
					t.Errorf("%s: %s does not name %s", test.name, body, quoted)
				}
				var p edge.Problem
				if test.status >= 400 && (json.Unmarshal(body, &p) != nil || p.Detail == "") {
					t.Errorf("%s: %s has no detail", test.name, body)
				}
			}
		})
	}
}

// TestAHeaderInAnotherEncodingIsExplained imports and scores CSV as Windows
// programs write it.
func TestAHeaderInAnotherEncodingIsExplained(t *testing.T) {
	g := startPrepared(t, newConfig(t), demonstrated)
	for text, want := range map[string]string{
		"age;gr\xf6\xdfe\n34;1\n":       "seems to be Windows-1252; save it as UTF-8\n  gr\\xf6\\xdfe: is not valid UTF-8",
		"\xff\xfea\x00g\x00e\x00\n\x00": "seems to be UTF-16; save it as UTF-8",
		"a\x00g\x00e\x00,\x00":          "seems to be UTF-16; save it as UTF-8",
	} {
		_, err := g.client.Import(t.Context(), "text/csv", strings.NewReader(text), client.ImportOptions{}, nil)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("import of %q: %v, want %q", text, err, want)
		}
		for _, err := range g.client.PredictBatch(t.Context(), "text/csv", strings.NewReader(text)) {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("batch of %q: %v, want %q", text, err, want)
			}
		}
	}
}
