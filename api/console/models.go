package console

import (
	"math"
	"net/http"

	"gateway/api/console/chart"
	"gateway/internal/failure"
	"gateway/internal/modelswap"
)

// maxModels bounds the models of the list, newest first.
const maxModels = 200

// modelsPage is what the page of the models shows.
type modelsPage struct {
	Models  []modelswap.Model
	LeftOut int
	Chart   *drawing
	A, B    string // that are compared; empty: none
	Compare *comparison
}

// comparison has the figures of two models side by side.
type comparison struct {
	*modelswap.ModelComparison
	Metrics    []metricRow
	Importance *drawing
}

// metricRow is a metric of two models.
type metricRow struct {
	Title string
	modelswap.MetricDifference
}

func (c *Console) models(r *http.Request) (*page, error) {
	models, err := c.d.Renewals.Models(r.Context())
	if err != nil {
		return nil, err
	}
	data := &modelsPage{Models: models, A: r.URL.Query().Get("a"), B: r.URL.Query().Get("b")}
	if len(models) > maxModels {
		data.Models, data.LeftOut = models[:maxModels], len(models)-maxModels
	}
	data.Chart = draw("auc", modelsChart(data.Models))
	if data.A != "" || data.B != "" {
		if data.Compare, err = c.compare(r, data.A, data.B); err != nil {
			return nil, err
		}
	}
	return &page{name: "models", title: "Models", data: data}, nil
}

// modelsChart shows the AUC of each model on its own held-out rows.
func modelsChart(models []modelswap.Model) chart.Line {
	l := chart.Line{Title: "AUC on held-out rows, by the time the model was made", Name: "AUC", YName: "AUC", Share: true, Counted: "held-out rows",
		Empty: "No model has been evaluated."}
	for _, m := range models {
		if m.Metrics == nil {
			continue
		}
		p := chart.LinePoint{Time: m.CreatedAt, Value: m.Metrics.AUC, Low: math.NaN(), High: math.NaN(), Second: math.NaN(), Count: int64(m.Metrics.Rows)}
		if m.Metrics.AUCHigh > 0 {
			p.Low, p.High = m.Metrics.AUCLow, m.Metrics.AUCHigh
		}
		l.Points = append(l.Points, p)
	}
	return l
}

func (c *Console) compare(r *http.Request, a, b string) (*comparison, error) {
	if a == "" || b == "" || a == b {
		return nil, &failure.Error{Kind: failure.Invalid, Detail: "choose two different models",
			Violations: []failure.Violation{{Field: "b", Code: failure.CodeFormat, Detail: "must name another model than a"}}}
	}
	first, err := c.d.Renewals.ModelReport(r.Context(), a)
	if err != nil {
		return nil, err
	}
	second, err := c.d.Renewals.ModelReport(r.Context(), b)
	if err != nil {
		return nil, err
	}
	out := &comparison{ModelComparison: modelswap.CompareModels(first, second)}
	for _, m := range out.ModelComparison.Metrics {
		out.Metrics = append(out.Metrics, metricRow{figureTitle(m.Metric), m})
	}
	bars := chart.Bars{Title: "Importance for " + b + " less that for " + a, ValueName: "difference in log loss",
		Below: "matters less to " + b, Above: "matters more", Empty: "The importance cannot be compared. " + out.Unavailable["importance"]}
	for _, d := range out.ModelComparison.Importance {
		bars.Bars = append(bars.Bars, chart.Bar{Name: d.Feature, Value: d.LogLoss, Note: "in AUC " + number(d.AUC)})
	}
	out.Importance = draw("importance", bars)
	return out, nil
}
