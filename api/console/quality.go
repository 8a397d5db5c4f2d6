package console

import (
	"fmt"
	"math"
	"net/http"

	"gateway/api/console/chart"
	"gateway/internal/insights"
	"gateway/internal/insights/stats"
	"gateway/internal/schema"
)

// qualityPage is what the page of the quality shows: that of one model, and a line for
// each model of the report.
type qualityPage struct {
	View        *insightView
	Report      *insights.QualityReport
	Model       *insights.ModelQuality // nil: there are no predictions
	Figures     []qualityRow
	Default     string // spelling of the label that a mature prediction without an outcome counts as
	Hint        string // why figures are missing
	HasCosts    bool   // the gain can be shown in money
	Series      *drawing
	Calibration *drawing
	Histogram   *drawing
	ROC         *drawing
	Precision   *drawing
	Gain        *drawing
	Segments    *segmentsPart
}

// qualityRow is a figure as measured, as estimated, and on held-out rows.
type qualityRow struct {
	Title     string
	Measured  *stats.Figure
	Estimated *float64
	Band      *insights.Interval
	Holdout   *float64
}

func (c *Console) quality(r *http.Request) (*page, error) {
	v, err := c.readInsightView(r)
	if err != nil {
		return nil, err
	}
	q := v.query()
	q.Segments, q.Curves = v.Segments, true
	report, err := c.d.Insights.Quality(r.Context(), q)
	if err != nil {
		return nil, err
	}
	s := c.d.Predict.Schema()
	data := &qualityPage{View: v, Report: report, HasCosts: s.Costs != nil}
	if report.NoOutcomeMeans != nil {
		data.Default = s.Label.Spell(*report.NoOutcomeMeans).Value
	}
	if len(report.Models) > 0 {
		data.addModel(&report.Models[0], s)
	}
	return &page{name: "quality", title: "Quality", data: data}, nil
}

// addModel adds the figures and charts of a model.
func (p *qualityPage) addModel(m *insights.ModelQuality, s *schema.Schema) {
	p.Model = m
	p.Hint = insufficient(m)
	p.Figures = qualityRows(m)
	p.Series = draw("series", seriesChart(p.View.Figure, m, p.Hint))
	p.Calibration = draw("calibration", calibrationChart(m, p.Hint))
	names := [3]string{outcomeName(s, 1), outcomeName(s, 0), "no mature outcome"}
	p.Histogram = draw("histogram", histogramChart(m.Curves, names, p.Report.Threshold))
	p.ROC = draw("roc", curveChart("Recall over false positive rate (ROC)", chart.ROC, m.Curves, p.Hint))
	p.Precision = draw("precision", curveChart("Precision over recall", chart.PrecisionRecall, m.Curves, p.Hint))
	var costs *schema.Costs
	if p.View.Money {
		costs = s.Costs
	}
	p.Gain = draw("gain", gainChart(m.Curves, costs, outcomeName(s, 1), p.Hint))
	if m.Segments != nil {
		p.Segments = newSegmentsPart(m.Segments, p.View)
	}
}

// outcomeName names a class of the label, such as "y = yes".
func outcomeName(s *schema.Schema, label int) string {
	return s.Label.Name + " = " + s.Label.Spell(label).Value
}

// insufficient says what is missing for figures; empty where they are there.
func insufficient(m *insights.ModelQuality) string {
	if m.Insufficient == "" {
		return ""
	}
	return fmt.Sprintf("%s. A figure needs %d mature outcomes with %d of either label; of %s predictions, %s are mature, and %s have an outcome (of any age), %s of them positive.",
		m.Insufficient, stats.MinOutcomes, stats.MinOfEitherLabel, count(m.Predictions), count(m.Mature), count(m.Outcomes), count(m.Positives))
}

func qualityRows(m *insights.ModelQuality) []qualityRow {
	holdout := m.Holdout
	if holdout == nil {
		holdout = &insights.HoldoutQuality{}
	}
	e := &m.Estimated
	rows := []qualityRow{
		{"auc", m.AUC, e.AUC, nil, holdout.AUC}, {"log_loss", m.LogLoss, e.LogLoss, nil, holdout.LogLoss}, {"brier", m.Brier, e.Brier, nil, nil},
		{"calibration_error", m.CalibrationError, nil, nil, nil},
		{"accuracy", m.Accuracy, e.Accuracy, nil, nil}, {"precision", m.Precision, e.Precision, nil, nil}, {"recall", m.Recall, e.Recall, nil, nil},
	}
	for i := range rows {
		if band, ok := e.Bands[rows[i].Title]; ok {
			rows[i].Band = &band
		}
		rows[i].Title = figureTitle(rows[i].Title)
	}
	return rows
}

// seriesChart shows a figure over time. A bucket with a prediction that is not mature yet
// is hatched.
func seriesChart(figure string, m *insights.ModelQuality, hint string) chart.Line {
	title := figureTitle(figure)
	l := chart.Line{Title: title + " over time", Name: "measured", YName: title, Share: figure != "log_loss", Counted: "mature outcomes",
		Empty: "There is neither a measured nor an estimated " + title + " yet. " + hint}
	estimates := map[string]func(insights.QualityPoint) *float64{
		"auc":      func(p insights.QualityPoint) *float64 { return p.EstimatedAUC },
		"log_loss": func(p insights.QualityPoint) *float64 { return p.EstimatedLogLoss },
	}
	estimate := estimates[figure]
	if estimate != nil {
		l.Second = "estimated"
	}
	for _, p := range m.Series {
		point := chart.LinePoint{Time: p.Start, Value: math.NaN(), Low: math.NaN(), High: math.NaN(), Second: math.NaN(), Immature: p.Mature < p.Predictions}
		if f := p.Figures[figure]; f != nil {
			point.Value, point.Low, point.High, point.Count = f.Value, f.Low, f.High, f.Count
		}
		if estimate != nil {
			point.Second = orNaN(estimate(p))
		}
		l.Points = append(l.Points, point)
	}
	return l
}

func orNaN(v *float64) float64 {
	if v == nil {
		return math.NaN()
	}
	return *v
}

func calibrationChart(m *insights.ModelQuality, hint string) chart.Reliability {
	r := chart.Reliability{Title: "Calibration: rate of positives by score", Empty: "There is no calibration yet. " + hint}
	for _, b := range m.Calibration {
		r.Bins = append(r.Bins, chart.ReliabilityBin{From: b.From, To: b.To, Count: b.Count,
			MeanScore: orNaN(b.MeanScore), Rate: orNaN(b.PositiveRate), Low: orNaN(b.Low), High: orNaN(b.High)})
	}
	return r
}

// histogramChart shows scores by outcome. names are those of the outcomes 1, 0 and none.
func histogramChart(curves *insights.Curves, names [3]string, threshold float64) chart.Histogram {
	h := chart.Histogram{Title: "Scores by outcome", Names: names, Even: true, Threshold: &threshold, Empty: "There are no predictions in this time."}
	if curves == nil {
		return h
	}
	for _, b := range curves.Histogram {
		rest := max(0, b.Predictions-b.Negatives-b.Positives)
		h.Bins = append(h.Bins, chart.HistogramBin{From: b.From, To: b.To, Counts: [3]int64{b.Positives, b.Negatives, rest}})
	}
	return h
}

func curveChart(title string, kind chart.CurveKind, curves *insights.Curves, hint string) chart.Curve {
	v := chart.Curve{Title: title, Kind: kind, Threshold: math.NaN(), BaseRate: math.NaN(), Empty: "There is no curve yet. " + hint}
	if curves == nil {
		return v
	}
	for _, p := range curves.Thresholds {
		v.Points = append(v.Points, curvePoint(p))
	}
	if curves.Operating != nil {
		chosen := curvePoint(*curves.Operating)
		v.Chosen = &chosen
	}
	if n := len(curves.Thresholds); n > 0 {
		v.BaseRate = orNaN(curves.Thresholds[n-1].Precision) // where all are predicted positive
	}
	return v
}

func curvePoint(p stats.ThresholdPoint) chart.CurvePoint {
	return chart.CurvePoint{Threshold: p.Threshold, Recall: p.Recall, FalsePositiveRate: p.FalsePositiveRate, Precision: orNaN(p.Precision)}
}

// gainChart shows what contacting those with the highest scores brings: positives, or
// money by the costs of the schema. It takes a contact that is not needed to cost a false
// positive, and a positive that is contacted to save a false negative.
func gainChart(curves *insights.Curves, costs *schema.Costs, positive, hint string) chart.Gain {
	g := chart.Gain{Title: "Gain in customers", Unit: "customers with " + positive, Chosen: math.NaN(), Empty: "There is no gain yet. " + hint}
	worth, contact := 1.0, 0.0
	if costs != nil {
		g.Title, g.Unit = "Gain in money, by the costs of the schema", "saved costs"
		worth, contact = costs.FalseNegative, costs.FalsePositive
	}
	if curves == nil {
		return g
	}
	var positives, negatives float64
	for _, b := range curves.Histogram {
		positives, negatives = positives+float64(b.Positives), negatives+float64(b.Negatives)
	}
	for _, p := range curves.Thresholds {
		g.Points = append(g.Points, chart.GainPoint{Share: p.PositiveShare, Threshold: p.Threshold,
			Gain: p.Recall*positives*worth - p.FalsePositiveRate*negatives*contact})
	}
	if curves.Operating != nil {
		g.Chosen = curves.Operating.PositiveShare
	}
	return g
}
