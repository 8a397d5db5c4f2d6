package api_test

import (
	"fmt"
	"strings"
	"testing"

	"gateway/api"
	"gateway/api/edge"
	"gateway/internal/failure"
	"gateway/internal/testsize"

	"github.com/go-json-experiment/json"
)

// unknownMembers returns count JSON members that are in no schema.
func unknownMembers(count int) string {
	var b strings.Builder
	for i := range count {
		fmt.Fprintf(&b, `"x%d":0,`, i)
	}
	return strings.TrimSuffix(b.String(), ",")
}

func listOf(item string, count int) string {
	return strings.TrimSuffix(strings.Repeat(item+",", count), ",")
}

// TestOnlyTheFirstViolationsAreListed sends bodies of a few kilobytes with
// thousands of faults. All of them are counted, a hundred are listed, and the
// answer stays small.
func TestOnlyTheFirstViolationsAreListed(t *testing.T) {
	b := setup(t)
	for _, tt := range []struct {
		name, path, body string
		status, count    int
	}{
		{"members of a prediction", "/predict", "{" + unknownMembers(9100) + "}", 422, 9100},
		{"features", "/predict", `{"features":{` + unknownMembers(9100) + "}}", 422, 9100},
		{"members of a batch", "/predict/batch", "{" + unknownMembers(9100) + "}", 422, 9100},
		{"members of an outcome", "/outcomes", "{" + unknownMembers(9100) + "}", 422, 9102},
		{"a few", "/predict", "{" + unknownMembers(7) + "}", 422, 7},
		{"as many as are listed", "/predict", "{" + unknownMembers(failure.MaxViolations) + "}", 422, failure.MaxViolations},
	} {
		p := b.post(tt.path, tt.body).problem(tt.status)
		if len(p.Errors) != min(tt.count, failure.MaxViolations) || len(p.Errors)+p.ErrorsOmitted != tt.count {
			t.Errorf("%s: %d errors are listed and %d are not, of %d", tt.name, len(p.Errors), p.ErrorsOmitted, tt.count)
		}
		says := fmt.Sprintf("the first 100 are listed, and %d more are not", tt.count-failure.MaxViolations)
		if strings.Contains(p.Detail, says) != (p.ErrorsOmitted > 0) || !strings.Contains(p.Detail, fmt.Sprint(tt.count, " fields")) {
			t.Errorf("%s: %q", tt.name, p.Detail)
		}
	}
	if p := b.asOperator("POST", "/admin/retrain", "{"+unknownMembers(300)+"}", "Content-Type: application/json").problem(422); len(p.Errors) != 100 || p.ErrorsOmitted != 200 {
		t.Errorf("a renewal: %d errors are listed and %d are not", len(p.Errors), p.ErrorsOmitted)
	}
}

// TestTheItemsOfAListShareTheViolationsThatAreListed: each item keeps its place
// and its count.
func TestTheItemsOfAListShareTheViolationsThatAreListed(t *testing.T) {
	b := setup(t)
	b.store10042()
	items := testsize.Of(1000, 5000)
	for _, tt := range []struct {
		name, item string
		count      int // violations of each
	}{
		{"outcomes", `{}`, 2},
		{"outcomes", `{"a":0}`, 3},
		{"outcomes", `5`, 1},
		{"predictions", `{}`, 1},
		{"predictions", `{"age":34}`, 16},
		{"predictions", `{"age":-1}`, 17},
		{"predictions", `{"a":0}`, 1},
		{"predictions", `5`, 1},
	} {
		path, list := "/outcomes", "outcomes"
		if tt.name == "predictions" {
			path, list = "/predict/batch", "instances"
		}
		a := b.post(path, `{"`+list+`":[`+listOf(tt.item, items)+`]}`)
		var answer struct {
			Outcomes, Predictions []struct {
				Error *edge.Problem `json:"error"`
			}
			Failed int
		}
		if err := json.Unmarshal([]byte(a.body), &answer, json.MatchCaseInsensitiveNames(true)); err != nil {
			t.Fatal(err)
		}
		got := append(answer.Outcomes, answer.Predictions...)
		if len(got) != items || answer.Failed != items {
			t.Fatalf("%s of %s: %d items, %d failed", tt.name, tt.item, len(got), answer.Failed)
		}
		listed := 0
		for i, item := range got {
			listed += len(item.Error.Errors)
			if n := len(item.Error.Errors) + item.Error.ErrorsOmitted; n != tt.count || item.Error.Status != 422 {
				t.Fatalf("%s of %s: item %d has %d violations, want %d: %+v", tt.name, tt.item, i, n, tt.count, item.Error)
			}
		}
		if listed != failure.MaxViolations {
			t.Errorf("%s of %s: %d violations are listed", tt.name, tt.item, listed)
		}
		if each := len(a.body) / items; each > 280 {
			t.Errorf("%s of %s: the answer has %d bytes for each item", tt.name, tt.item, each)
		}
	}
}

// TestARowOfAStreamListsTheFirstViolations, and of the import too.
func TestARowOfAStreamListsTheFirstViolations(t *testing.T) {
	b := setup(t)
	row := "{" + unknownMembers(5000) + "}\n"
	var item api.BatchItem
	b.do("POST", "/predict/batch", row, "Content-Type: application/x-ndjson").want(200).decode(&item)
	if item.Error == nil || len(item.Error.Errors) != 100 || item.Error.ErrorsOmitted != 4900 || !strings.HasPrefix(item.Error.Detail, "line 1: 5000 fields") {
		t.Errorf("got %+v", item.Error)
	}
	a := b.asOperator("POST", "/admin/customers", row+row, "Content-Type: application/x-ndjson").want(200)
	var line api.ImportLine
	answer{t, 200, nil, nil, a.lines()[1]}.decode(&line)
	if line.Line != 2 || len(line.Errors) != 100 || line.Omitted != 4900 {
		t.Errorf("got line %d with %d errors and %d more", line.Line, len(line.Errors), line.Omitted)
	}
	var header strings.Builder
	for i := range 600 {
		fmt.Fprintf(&header, "x%d,", i)
	}
	if p := b.do("POST", "/predict/batch", header.String()+"x\n1\n", "Content-Type: text/csv").problem(422); len(p.Errors) != 100 || p.ErrorsOmitted < 501 {
		t.Errorf("a header: %d errors are listed and %d are not", len(p.Errors), p.ErrorsOmitted)
	}
}

// Also where all features that a caller gave are wrong, those that it did not
// give are named.
func TestMissingFeaturesAreNamedBesideWrongOnes(t *testing.T) {
	b := setup(t)
	item := func(a answer) edge.Problem {
		t.Helper()
		items := a.want(200).items()
		if len(items) != 1 || items[0].Error == nil {
			t.Fatalf("got %s", a.body)
		}
		return *items[0].Error
	}
	full := strings.TrimSuffix(csvHeader, "\n")
	wrong := full + "\nx" + strings.Repeat(",", strings.Count(full, ",")) + "\n"
	for name, p := range map[string]edge.Problem{
		"one request":          b.post("/predict", `{"features":{"age":"x"}}`).problem(422),
		"a flat one":           b.post("/predict", `{"age":"x"}`).problem(422),
		"a row of CSV":         item(b.stream("text/csv", wrong)),
		"a row of NDJSON":      item(b.stream("application/x-ndjson", `{"features":{"age":"x"}}`)),
		"a flat row of NDJSON": item(b.stream("application/x-ndjson", `{"age":"x"}`)),
	} {
		missing := 0
		for _, v := range p.Errors {
			if v.Code == failure.CodeMissing {
				missing++
			}
		}
		if missing < 10 || missing == len(p.Errors) {
			t.Errorf("%s: %d of %d errors are of missing features: %s", name, missing, len(p.Errors), fields(p))
		}
	}
}
