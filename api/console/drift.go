package console

import (
	"math"
	"net/http"
	"slices"

	"gateway/api/console/chart"
	"gateway/internal/insights"
	"gateway/internal/insights/stats"
)

// scoreChoice stands for the score among the features.
const scoreChoice = "score"

// driftPage is what the page of the drift shows.
type driftPage struct {
	View       *insightView
	Report     *insights.DriftReport
	Features   []string // whose drift can be shown over time; scoreChoice is the first
	Chosen     string   // one of Features
	Drifted    []string
	ByFeature  *drawing
	Series     *drawing
	Bins       *drawing
	MinRows    int
	MinPSI     float64
	ChosenNote string
}

func (c *Console) drift(r *http.Request) (*page, error) {
	v, err := c.readInsightView(r)
	if err != nil {
		return nil, err
	}
	data := &driftPage{View: v, MinRows: stats.MinDriftRows, MinPSI: stats.MinDriftPSI}
	p := &page{name: "drift", title: "Drift", data: data}
	if v.Model == "" && !v.serves {
		return p, nil // there is no model to report of
	}
	report, err := c.d.Insights.Drift(r.Context(), v.query())
	if err != nil {
		return nil, err
	}
	data.Report = report
	data.addFeatures(v.Feature)
	return p, nil
}

// addFeatures adds what is shown of all features, and of the chosen one.
func (p *driftPage) addFeatures(chosen string) {
	p.Features = []string{scoreChoice}
	if p.Report.Score.Drifted {
		p.Drifted = append(p.Drifted, "the score")
	}
	for _, f := range p.Report.Features {
		p.Features = append(p.Features, f.Feature)
		if f.Drifted {
			p.Drifted = append(p.Drifted, f.Feature)
		}
	}
	p.Chosen = scoreChoice
	switch {
	case slices.Contains(p.Features, chosen):
		p.Chosen = chosen
	case len(p.Report.Features) > 0: // the one of most interest
		p.Chosen = p.Report.Features[0].Feature
	}
	empty := "There are no figures of drift. " + p.missing()
	p.ByFeature = draw("features", driftBars(p.Report, empty))
	p.Series = draw("series", driftSeries(p.Report, p.Chosen, empty))
	bins, note := p.bins()
	p.ChosenNote = note
	p.Bins = draw("bins", binsChart(p.Chosen, bins, empty))
}

// missing says what figures of drift need.
func (p *driftPage) missing() string {
	if p.Report.Unavailable != "" {
		return p.Report.Unavailable + "."
	}
	return "They need " + count(p.MinRows) + " rows in the time shown, and as many in the training data; there are " +
		count(p.Report.Window.Rows) + " and " + count(p.Report.Reference.Rows) + "."
}

// bins returns those of the chosen feature, and why it has no figures.
func (p *driftPage) bins() (bins []insights.DriftBin, note string) {
	if p.Chosen == scoreChoice {
		return p.Report.Score.Bins, p.Report.Score.Insufficient
	}
	for _, f := range p.Report.Features {
		if f.Feature == p.Chosen {
			return f.Bins, f.Insufficient
		}
	}
	return nil, ""
}

func driftBars(report *insights.DriftReport, empty string) chart.Bars {
	b := chart.Bars{Title: "Drift by feature", ValueName: "PSI", Marked: "drifted", Empty: empty}
	add := func(name string, d insights.Distance) {
		if d.PSI != nil {
			b.Bars = append(b.Bars, chart.Bar{Name: name, Value: *d.PSI, Threshold: d.Threshold, Marked: d.Drifted})
		}
	}
	add(scoreChoice, report.Score.Distance)
	for _, f := range report.Features {
		add(f.Feature, f.Distance)
	}
	return b
}

// driftSeries shows the drift of a feature over time. Its threshold depends on the rows
// of a bucket, so it is the second line.
func driftSeries(report *insights.DriftReport, feature, empty string) chart.Line {
	l := chart.Line{Title: "Drift of " + feature + " over time", Name: "PSI", Second: "threshold", YName: "PSI", Counted: "rows",
		Empty: empty + " A point needs as many rows, too."}
	for _, p := range report.Series {
		point := chart.LinePoint{Time: p.Start, Value: math.NaN(), Low: math.NaN(), High: math.NaN(), Second: math.NaN(), Count: p.Rows}
		if feature == scoreChoice {
			point.Value, point.Second = orNaN(p.Score), orNaN(p.ScoreThreshold)
		} else if psi, ok := p.PSI[feature]; ok {
			point.Value, point.Second = psi, p.Thresholds[feature]
		}
		l.Points = append(l.Points, point)
	}
	return l
}

// binsChart shows the share of rows by value, with that of the training data as a mark.
func binsChart(feature string, bins []insights.DriftBin, empty string) chart.Bars {
	b := chart.Bars{Title: "Shares of rows by value of " + feature, ValueName: "share of rows", Threshold: "in the training data", Empty: empty}
	if feature == scoreChoice {
		b.Threshold = "on held-out rows"
	}
	for _, bin := range bins {
		if bin.Live != nil || bin.Reference != nil {
			b.Bars = append(b.Bars, chart.Bar{Name: bin.Label, Value: orNaN(bin.Live), Threshold: bin.Reference})
		}
	}
	return b
}
