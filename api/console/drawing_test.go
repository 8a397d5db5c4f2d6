package console

import (
	"strings"
	"testing"

	"gateway/api/console/chart"
)

// TestDrawingHasItsTable renders a chart with its table, and one without values.
func TestDrawingHasItsTable(t *testing.T) {
	bars := chart.Bars{Title: "Drift <by> feature", ValueName: "PSI", Bars: []chart.Bar{{Name: "a<b", Value: 0.25}}}
	layout := parseTemplates()["overview"]
	var page strings.Builder
	if err := layout.ExecuteTemplate(&page, "chart", draw("drift", bars)); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`<svg xmlns="http://www.w3.org/2000/svg" class="chart" role="img"`, `<h3>Drift &lt;by&gt; feature</h3>`,
		`<th scope="row">a&lt;b</th><td>0.25</td>`, `id="drift-title"`, `id="drift-details"`} {
		if !strings.Contains(page.String(), want) {
			t.Errorf("the figure has no %q:\n%s", want, &page)
		}
	}
	page.Reset()
	if err := layout.ExecuteTemplate(&page, "chart", draw("none", chart.Line{Title: "AUC", Empty: "no outcome yet"})); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(page.String(), "no outcome yet") || strings.Contains(page.String(), "<table>") {
		t.Errorf("a figure without values: %s", &page)
	}
}
