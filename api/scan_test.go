package api

import (
	"log/slog"
	"strings"
	"testing"

	"gateway/internal/predict"
	"gateway/internal/predict/predicttest"
	"gateway/internal/schema"

	"github.com/prometheus/client_golang/prometheus"
)

// scanSchema has all that a feature may be.
const scanSchema = `
name: small
id: customer_id
label: {name: y, positive: [1], negative: [0]}
features:
  - {name: age, type: integer, min: 17, max: 98}
  - {name: job, type: category, values: [admin., services, unknown], unknown: unknown}
  - {name: month, type: category, values: [mar, apr, "mai \"x\""], encode: ordinal, default: apr}
  - {name: rate, type: number, alias: [emp.rate], default: 2}
  - {name: note, type: number, exclude: true, min: -1e3}
  - {name: gap, type: number, missing: allow, fill: 3}
  - {name: hole, type: category, values: [a], missing: allow}
  - {name: since, type: date, min: 1970-01-01, missing: allow}
`

// requests are what Scan should take, and what it must leave to the decoder or
// read as the decoder does.
var requests = []struct {
	text string
	fast bool
}{
	{`{"features":{"age":34,"job":"admin.","month":"mar","rate":-1.75,"note":0}}`, true},
	{` { "customer_id" : "10042" , "explain" : true,` + "\n\t\r" + `"features":{ "rate" : 0.1 } } `, true},
	{`{"age":34,"job":"services"}`, true},
	{`{"emp.rate":123456789.012345,"customer_id":"~ !"}`, true},
	{`{"customer_id":"1","features":{"age":20},"rate":1,"explain":false}`, true},
	{`{"customer_id":"1","explain":"all"}`, true},
	{`{"customer_id":"1","explain": "all" ,"age":20}`, true},
	{`{"features":{"rate":-0}}`, true},
	{`{"features":{"rate":-0.0,"age":017}}`, false},
	{`{"features":{"rate":1234567890.1234567}}`, false}, // more digits than are exact
	{`{"features":{"rate":1e3}}`, false},
	{`{"features":{"rate":1.}}`, false},
	{`{"features":{"rate":.5}}`, false},
	{`{"features":{"rate":- 5}}`, false},
	{`{"features":{"rate":+5}}`, false},
	{`{"features":{"rate":"5"}}`, false},
	{`{"features":{"age":34.0}}`, false},
	{`{"features":{"age":16}}`, false},
	{`{"features":{"age":99}}`, false},
	{`{"features":{"age":null}}`, false},
	{`{"features":{"gap":1,"hole":"a"}}`, true},
	{`{"features":{"gap":null,"hole":null}}`, false},
	{`{"gap":null,"age":34}`, false},
	{`{"age":34,"since":"2026-11-30"}`, false},
	{`{"age":34,"since":20000}`, false},
	{`{"age":34,"since":"1969-12-31"}`, false},
	{`{"features":{"age":34,"age":34}}`, false},
	{`{"features":{"rate":1,"emp.rate":1}}`, false},
	{`{"features":{"rate":1},"rate":1}`, false},
	{`{"features":{"job":"pilot"}}`, false},
	{`{"features":{"job":"admin\u002e"}}`, false},
	{`{"features":{"month":"mai \"x\""}}`, false},
	{`{"features":{"job":"é"}}`, false},
	{"{\"features\":{\"job\":\"admin.\x00\"}}", false},
	{`{"features":{"colour":1}}`, false},
	{`{"features":{}}`, false},
	{`{"features":{"age":34}}{}`, false},
	{`{"features":{"age":34}}` + "\x00", false},
	{`{"features":{"age":34},}`, false},
	{`{"features":{"age":34}`, false},
	{`{"features":{"age":34,"job"}}`, false},
	{`{"features":[],"customer_id":"1"}`, false},
	{`{"customer_id":"1","customer_id":"1"}`, false},
	{`{"customer_id":""}`, false},
	{`{"customer_id":1}`, false},
	{`{"customer_id":"1","explain":tru}`, false},
	{`{"customer_id":"1","explain":truex}`, false},
	{`{"customer_id":"1","explain":"al"}`, false},
	{`{"customer_id":"1","explain":"alle"}`, false},
	{`{"customer_id":"1","explain":"All"}`, false},
	{`{"customer_id":"1","explain":"\u0061ll"}`, false},
	{`{"customer_id":"1","explain":true,"explain":true}`, false},
	{`{"customer_id":"` + strings.Repeat("1", 257) + `"}`, false},
	{`{}`, false},
	{`[]`, false},
	{``, false},
}

func TestScanTakesTheUsualRequest(t *testing.T) {
	a := scanAPI(t)
	for _, tt := range requests {
		if fast := sameAsDecoded(t, a, tt.text); fast != tt.fast {
			t.Errorf("%s: read by Scan: %v, want %v", tt.text, fast, tt.fast)
		}
		if fast := sameAsDecodedList(t, a, listOf(tt.text)); fast != tt.fast {
			t.Errorf("%s: read by ScanInstances: %v, want %v", listOf(tt.text), fast, tt.fast)
		}
	}
	for _, text := range []string{`{"instances":[]}`, `{"instances":[{"age":34}],"explain":true}`, `{"instances":[{"age":34}]}{}`, `{"instances":[{"age":34},]}`,
		`{"instances":[{"age":34}}`, `{"instances":[{"age":34}]`, `{"instances":{"age":34}}`, `{"Instances":[{"age":34}]}`, `[{"age":34}]`, `{"instances":[{"age":34},{"age":34},{"age":34},{"age":34}]}`} {
		if sameAsDecodedList(t, a, text) {
			t.Errorf("%s: read by ScanInstances", text)
		}
	}
}

// listOf is a text between others, in a list.
func listOf(text string) string {
	return ` { "instances" : [{"age":35}, ` + text + ` ,{"customer_id":"7","explain":true}]}`
}

// FuzzScan holds the fast path to the strict one: what it takes, that one takes
// with the same result.
func FuzzScan(f *testing.F) {
	a := scanAPI(f)
	for _, r := range requests {
		f.Add(r.text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		sameAsDecoded(t, a, text)
		sameAsDecodedList(t, a, text)
		sameAsDecodedList(t, a, listOf(text))
	})
}

func scanAPI(t testing.TB) *api {
	t.Helper()
	schema, err := schema.Parse("small.yaml", []byte(scanSchema))
	if err != nil {
		t.Fatal(err)
	}
	store := predicttest.NewStore()
	return &api{d: Deps{Predict: predict.NewService(schema, &predicttest.Scorer{}, store, store, slog.New(slog.DiscardHandler), prometheus.NewRegistry())}}
}

// sameAsDecoded reports whether Scan takes the text, and fails where the
// decoder does not take it, or takes it otherwise.
func sameAsDecoded(t *testing.T, a *api, text string) bool {
	t.Helper()
	s := a.d.Predict.Schema()
	fast := schema.Input{Features: s.NewRecord()}
	if !s.Scan([]byte(text), &fast) {
		return false
	}
	doc := a.documents.get()
	doc.text.WriteString(text)
	doc.dec.Reset(&doc.text)
	strict, err := a.instance(doc, s.NewRecord())
	if err == nil {
		err = doc.end()
	}
	if violations := doc.take(); err != nil || violations.Count() > 0 {
		t.Errorf("%q: Scan takes it, the decoder does not: %v, %v", text, err, violations)
		return true
	}
	sameRequest(t, s, text, requestOf(fast), strict)
	return true
}

// sameAsDecodedList does the same with ScanInstances, of three at most.
func sameAsDecodedList(t *testing.T, a *api, text string) bool {
	t.Helper()
	a.o.MaxItems = 3
	schema := a.d.Predict.Schema()
	fast, ok := schema.ScanInstances([]byte(text), a.o.MaxItems)
	if !ok {
		return false
	}
	doc := a.documents.get()
	doc.text.WriteString(text)
	doc.dec.Reset(&doc.text)
	strict, results, err := a.decodeInstances(nil, doc)
	if err != nil || len(strict) != len(fast) {
		t.Fatalf("%q: ScanInstances has %d, the decoder %d: %v", text, len(fast), len(strict), err)
	}
	for i := range fast {
		if results[i].Err != nil {
			t.Errorf("%q: ScanInstances takes it, the decoder does not: %v", text, results[i].Err)
		}
		sameRequest(t, schema, text, requestOf(fast[i]), strict[i])
	}
	return true
}

func sameRequest(t *testing.T, schema *schema.Schema, text string, fast, strict predict.Request) {
	t.Helper()
	got, want := schema.AppendFeatures(nil, fast.Features, true), schema.AppendFeatures(nil, strict.Features, true)
	if string(got) != string(want) || fast.CustomerID != strict.CustomerID || fast.Explain != strict.Explain {
		t.Errorf("%q: Scan reads %s %q %v, the decoder %s %q %v", text,
			got, fast.CustomerID, fast.Explain, want, strict.CustomerID, strict.Explain)
	}
}
