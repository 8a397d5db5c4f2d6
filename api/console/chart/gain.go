package chart

import (
	"cmp"
	"fmt"
	"html/template"
	"math"
	"slices"
)

// Gain shows what contacting customers brings, in customers or in money, where
// those with the highest scores are contacted first.
type Gain struct {
	Title  string
	Unit   string // of the gain, such as "customers won" or "EUR"
	Points []GainPoint
	Chosen float64 // share contacted that is chosen, whose nearest point is marked; NaN: none is
	Empty  string  // the message if no point can be drawn
}

// GainPoint is the gain of contacting a share of the customers. The chart sorts
// points by share.
type GainPoint struct {
	Share     float64 // of the customers, 0 to 1
	Threshold float64 // the lowest score that is contacted; NaN: unknown
	Gain      float64 // cumulative; may be negative where contacts cost more than they bring
}

// SVG returns the picture.
func (g Gain) SVG(id string) template.HTML {
	points := g.drawn()
	if len(points) == 0 {
		return message(id, g.Title, orNoData(g.Empty))
	}
	var gains extent
	gains.add(0)
	for _, p := range points {
		gains.add(p.Gain)
	}
	x, y := shareAxis("share of customers contacted"), axis{name: g.Unit}
	for i := range x.ticks {
		x.ticks[i].label = percent(x.ticks[i].value)
	}
	y.lo, y.hi, y.ticks = niceAxis(gains.lo, gains.hi, 4)
	chosen := g.chosen(points)
	entries := []entry{
		{"by score", sampleOfLine("chart-line-1", "")},
		{"at random", sampleOfLine("chart-threshold", dashBaseline)},
	}
	if chosen >= 0 {
		entries = append(entries, entry{"chosen", func(c *canvas, x, y float64) { c.diamond(x+sampleWidth/2, y+6) }})
	}
	_, top := placeLegend(entries)
	p := newPlot(top, linePlotHeight, x, y)
	return draw(id, g.Title, g.describe(points, chosen), p.bottom+x.below(), func(c *canvas) {
		c.legend(entries)
		c.axes(p, x, y)
		c.gain(g, points, chosen, p)
	})
}

// drawn returns the points to draw, in order.
func (g Gain) drawn() []GainPoint {
	var points []GainPoint
	for _, p := range g.Points {
		if p.Share >= 0 && p.Share <= 1 && drawable(p.Gain) {
			points = append(points, p)
		}
	}
	slices.SortStableFunc(points, func(a, b GainPoint) int { return cmp.Compare(a.Share, b.Share) })
	kept := thin(len(points), func(i int) float64 { return points[i].Gain })
	thinned := make([]GainPoint, len(kept))
	for i, k := range kept {
		thinned[i] = points[k]
	}
	return thinned
}

// chosen returns the index of the point nearest to the chosen share, -1 for none.
func (g Gain) chosen(points []GainPoint) int {
	nearest, least := -1, math.Inf(1)
	for i, p := range points {
		if d := math.Abs(p.Share - g.Chosen); d < least {
			nearest, least = i, d
		}
	}
	return nearest
}

func (c *canvas) gain(g Gain, points []GainPoint, chosen int, p plot) {
	last := points[len(points)-1]
	// Contacting everyone brings the same in any order, so chance is the line to there.
	if last.Share > 0 {
		c.line("chart-threshold", p.x.at(0), p.y.at(0), p.x.at(last.Share), p.y.at(last.Gain), "stroke-dasharray", dashBaseline)
	}
	if p.y.lo < 0 {
		c.line("chart-axis", p.left, p.y.at(0), p.right, p.y.at(0))
	}
	var line []float64
	for _, point := range points {
		line = append(line, p.x.at(point.Share), p.y.at(point.Gain))
	}
	c.path("chart-line-1", line)
	if len(points) == 1 {
		c.marker(false, line[0], line[1])
	}
	if chosen >= 0 {
		x, y := line[2*chosen], line[2*chosen+1]
		c.line("chart-guide", x, y, x, p.bottom, "stroke-opacity", "0.6")
		c.diamond(x, y)
	}
	for i, point := range points {
		from, to := p.left, p.right
		if i > 0 {
			from = (line[2*i-2] + line[2*i]) / 2
		}
		if i+1 < len(points) {
			to = (line[2*i] + line[2*i+2]) / 2
		}
		c.hover(g.tip(point), from, p.top, to-from, p.bottom-p.top)
	}
}

func (g Gain) tip(p GainPoint) string {
	text := percent(p.Share) + " contacted: " + number(p.Gain) + " " + g.Unit
	if !math.IsNaN(p.Threshold) {
		text = join(text, "scores from "+number(p.Threshold))
	}
	return text
}

func (g Gain) describe(points []GainPoint, chosen int) string {
	best := points[0]
	for _, p := range points {
		if p.Gain > best.Gain {
			best = p
		}
	}
	text := fmt.Sprintf("%s. Highest: %s.", plural(int64(len(points)), "point", "points"), g.tip(best))
	if chosen >= 0 {
		text += " Chosen: " + g.tip(points[chosen]) + "."
	}
	return text
}

// Table returns all points or, of many, those of the picture.
func (g Gain) Table() Table {
	points := g.Points
	if isMany(len(points)) {
		points = g.drawn()
	}
	t := Table{Caption: g.Title, Note: partOf(len(points), len(g.Points)), Columns: []string{"share contacted", g.Unit, "lowest score"}}
	for _, p := range points {
		t.Rows = append(t.Rows, []string{percent(p.Share), number(p.Gain), number(p.Threshold)})
	}
	return t
}
