package chart

import (
	"fmt"
	"html/template"
	"math"
)

// Curve shows what a model reaches at each threshold: how many of the positives
// it finds, against how many others it takes for positives (ROC), or against how
// many of those it names are positives (precision and recall).
type Curve struct {
	Title     string
	Kind      CurveKind
	Points    []CurvePoint // by threshold, either way
	Threshold float64      // that is in force, whose nearest point is marked; NaN: none is
	Chosen    *CurvePoint  // is marked instead of a point, with its Threshold; nil: Threshold decides
	BaseRate  float64      // share of positives, which is the precision of chance; NaN: unknown
	Empty     string       // the message if no point can be drawn
}

// CurveKind says what a Curve has on its axes.
type CurveKind int

// The kinds.
const (
	ROC             CurveKind = iota // recall over the false positive rate
	PrecisionRecall                  // precision over recall
)

// CurvePoint has the rates at a threshold, each from 0 to 1. A NaN is a rate of
// nothing, such as a precision where nothing is predicted positive.
type CurvePoint struct {
	Threshold         float64
	Recall            float64 // share of the positives that are predicted positive
	FalsePositiveRate float64 // share of the negatives that are predicted positive
	Precision         float64 // share of positives among those predicted positive
}

// at returns the coordinates of a point.
func (k CurveKind) at(p CurvePoint) (x, y float64) {
	if k == PrecisionRecall {
		return p.Recall, p.Precision
	}
	return p.FalsePositiveRate, p.Recall
}

func (k CurveKind) names() (x, y string) {
	if k == PrecisionRecall {
		return "recall", "precision"
	}
	return "false positive rate", "recall"
}

// SVG returns the picture.
func (v Curve) SVG(id string) template.HTML {
	points := v.drawn()
	if len(points) == 0 {
		return message(id, v.Title, orNoData(v.Empty))
	}
	xName, yName := v.Kind.names()
	x, y := shareAxis(xName), shareAxis(yName)
	chosen := v.chosen(points)
	entries := []entry{{"model", sampleOfLine("chart-line-1", "")}}
	if v.hasChance() {
		entries = append(entries, entry{"chance", sampleOfLine("chart-threshold", dashBaseline)})
	}
	if chosen != nil {
		entries = append(entries, entry{"threshold " + number(v.inForce()), func(c *canvas, x, y float64) { c.diamond(x+sampleWidth/2, y+6) }})
	}
	_, top := placeLegend(entries)
	p := newPlot(top, 220, x, y)
	return draw(id, v.Title, v.describe(points, chosen), p.bottom+x.below(), func(c *canvas) {
		c.legend(entries)
		c.axes(p, x, y)
		c.chance(v, p)
		c.curve(v, points, p)
		if chosen != nil {
			px, py := v.Kind.at(*chosen)
			c.diamond(p.x.at(px), p.y.at(py))
		}
		for _, point := range points {
			px, py := v.Kind.at(point)
			c.hover(point.tip(), p.x.at(px)-4, p.y.at(py)-4, 8, 8)
		}
	})
}

// drawn returns the points to draw.
func (v Curve) drawn() []CurvePoint {
	var points []CurvePoint
	for _, p := range v.Points {
		if x, y := v.Kind.at(p); drawable(x) && drawable(y) {
			points = append(points, p)
		}
	}
	kept := thin(len(points),
		func(i int) float64 { x, _ := v.Kind.at(points[i]); return x },
		func(i int) float64 { _, y := v.Kind.at(points[i]); return y })
	thinned := make([]CurvePoint, len(kept))
	for i, k := range kept {
		thinned[i] = points[k]
	}
	return thinned
}

// chosen returns the point to mark, nil for none.
func (v Curve) chosen(points []CurvePoint) *CurvePoint {
	if v.Chosen != nil {
		if x, y := v.Kind.at(*v.Chosen); drawable(x) && drawable(y) {
			return v.Chosen
		}
		return nil
	}
	var nearest *CurvePoint
	least := math.Inf(1)
	for i := range points {
		if d := math.Abs(points[i].Threshold - v.Threshold); d < least {
			nearest, least = &points[i], d
		}
	}
	return nearest
}

// inForce returns the threshold that is marked.
func (v Curve) inForce() float64 {
	if v.Chosen != nil {
		return v.Chosen.Threshold
	}
	return v.Threshold
}

func (v Curve) hasChance() bool {
	return v.Kind == ROC || drawable(v.BaseRate)
}

// chance draws what scores without information reach.
func (c *canvas) chance(v Curve, p plot) {
	switch {
	case v.Kind == ROC:
		c.line("chart-threshold", p.left, p.bottom, p.right, p.top, "stroke-dasharray", dashBaseline)
	case drawable(v.BaseRate):
		at := p.y.at(v.BaseRate)
		c.line("chart-threshold", p.left, at, p.right, at, "stroke-dasharray", dashBaseline)
	}
}

func (c *canvas) curve(v Curve, points []CurvePoint, p plot) {
	var line []float64
	for _, point := range points {
		x, y := v.Kind.at(point)
		line = append(line, p.x.at(x), p.y.at(y))
	}
	c.path("chart-line-1", line)
	if len(points) == 1 {
		c.marker(false, line[0], line[1])
	}
}

// diamond marks what is chosen.
func (c *canvas) diamond(x, y float64) {
	c.empty("path", "class", "chart-chosen", "d", pathData([]float64{x, y - 6, x + 6, y, x, y + 6, x - 6, y})+"Z", "fill", "currentColor")
}

func (p CurvePoint) tip() string {
	return "threshold " + number(p.Threshold) + ": " +
		join("recall "+number(p.Recall), "false positive rate "+number(p.FalsePositiveRate), "precision "+number(p.Precision))
}

func (v Curve) describe(points []CurvePoint, chosen *CurvePoint) string {
	x, y := v.Kind.names()
	text := fmt.Sprintf("%s over %s at %s.", y, x, plural(int64(len(points)), "threshold", "thresholds"))
	if chosen != nil {
		text += " In force: " + chosen.tip() + "."
	}
	return text
}

// Table returns all points or, of many, those of the picture.
func (v Curve) Table() Table {
	points := v.Points
	if isMany(len(points)) {
		points = v.drawn()
	}
	t := Table{Caption: v.Title, Note: partOf(len(points), len(v.Points)), Columns: []string{"threshold", "recall", "false positive rate", "precision"}}
	for _, p := range points {
		t.Rows = append(t.Rows, []string{number(p.Threshold), number(p.Recall), number(p.FalsePositiveRate), number(p.Precision)})
	}
	return t
}
