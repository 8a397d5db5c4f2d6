package chart

import (
	"fmt"
	"html/template"
	"math"
	"slices"
	"time"
)

// Line shows a figure over time with its interval, a part that is not mature
// yet, which is hatched, and up to one more line.
type Line struct {
	Title  string // names the picture; the caption of the table
	Name   string // of the line, such as "measured"
	Second string // name of a second line, which is dashed, such as "estimated"; empty: there is none
	YName  string // of the vertical axis, with its unit, such as "AUC"
	Share  bool   // values lie between 0 and 1, and so does the axis
	Points []LinePoint
	// Threshold is a value to compare with, such as a floor; nil: there is none.
	Threshold *LineThreshold
	Counted   string // what Count counts, such as "mature outcomes"; empty: it is not shown
	Immature  string // what the hatching means; empty: "not mature yet"
	Empty     string // the message if there is nothing to draw
}

// LinePoint has the values at a time. A value that is NaN is not known: it leaves
// a gap in the line. The chart sorts points by time.
type LinePoint struct {
	Time      time.Time // in the table in UTC
	Value     float64
	Low, High float64 // bounds of Value; NaN: there are none
	Second    float64 // value of the second line
	Count     int64   // of what the value is from
	Immature  bool    // the value may still change
}

// LineThreshold is a horizontal line.
type LineThreshold struct {
	Value float64
	Name  string
}

const linePlotHeight = 150.0

// SVG returns the picture.
func (l Line) SVG(id string) template.HTML {
	points := l.drawn()
	var values extent
	for _, p := range points {
		values.add(p.Value, p.Second)
		if drawable(p.Value) {
			values.add(p.Low, p.High)
		}
	}
	if !values.some {
		return message(id, l.Title, orNoData(l.Empty))
	}
	if l.Threshold != nil {
		values.add(l.Threshold.Value)
	}
	x, y := l.axes(points, values)
	entries := l.entries(points, cleanID(id))
	_, top := placeLegend(entries)
	p := newPlot(top, linePlotHeight, x, y)
	return draw(id, l.Title, l.describe(points), p.bottom+x.below(), func(c *canvas) {
		c.drawLine(l, points, p, x, y, entries)
	})
}

// drawn returns the points to draw, in order.
func (l Line) drawn() []LinePoint {
	points := make([]LinePoint, 0, len(l.Points))
	for _, p := range l.Points {
		if drawable(seconds(p.Time)) {
			points = append(points, p)
		}
	}
	byTime := func(a, b LinePoint) int { return a.Time.Compare(b.Time) }
	if !slices.IsSortedFunc(points, byTime) {
		slices.SortStableFunc(points, byTime)
	}
	kept := thin(len(points),
		func(i int) float64 { return points[i].Value },
		func(i int) float64 { return points[i].Second })
	thinned := make([]LinePoint, len(kept))
	for i, k := range kept {
		thinned[i] = points[k]
		if l.Second == "" {
			thinned[i].Second = math.NaN()
		}
	}
	return thinned
}

func (l Line) axes(points []LinePoint, values extent) (x, y axis) {
	from, to := seconds(points[0].Time), seconds(points[len(points)-1].Time)
	if to-from < 1 {
		from, to = from-3600, to+3600
	}
	x = axis{lo: from, hi: to, ticks: timeTicks(from, to, 4), name: "time (UTC)"}
	y.name = l.YName
	y.lo, y.hi, y.ticks = niceAxis(values.lo, values.hi, 4)
	if l.Share {
		y.lo, y.hi = max(y.lo, 0), min(y.hi, 1)
		if y.lo >= y.hi { // no value lies between 0 and 1
			y.lo, y.hi = 0, 1
		}
		y.ticks = slices.DeleteFunc(y.ticks, func(t tick) bool { return t.value < y.lo-1e-9 || t.value > y.hi+1e-9 })
	}
	return x, y
}

func (l Line) immature() string {
	if l.Immature == "" {
		return "not mature yet"
	}
	return l.Immature
}

func (l Line) entries(points []LinePoint, id string) []entry {
	entries := []entry{{l.Name, func(c *canvas, x, y float64) {
		c.line("chart-line-1", x, y+6, x+sampleWidth, y+6)
		c.marker(false, x+sampleWidth/2, y+6)
	}}}
	if l.Second != "" {
		entries = append(entries, entry{l.Second, func(c *canvas, x, y float64) {
			c.line("chart-line-2", x, y+6, x+sampleWidth, y+6, "stroke-dasharray", dashSecond)
			c.marker(true, x+sampleWidth/2, y+6)
		}})
	}
	if slices.ContainsFunc(points, hasInterval) {
		entries = append(entries, entry{"95 % interval", func(c *canvas, x, y float64) {
			c.area("chart-band", []float64{x, y, x + sampleWidth, y, x + sampleWidth, y + 11, x, y + 11})
		}})
	}
	if l.Threshold != nil {
		entries = append(entries, entry{l.Threshold.Name, sampleOfLine("chart-threshold", dashThreshold)})
	}
	if slices.ContainsFunc(points, func(p LinePoint) bool { return p.Immature }) {
		entries = append(entries, entry{l.immature(), sampleOfFill("chart-hatched", "url(#"+id+"-immature)")})
	}
	return entries
}

func hasInterval(p LinePoint) bool {
	return drawable(p.Value) && drawable(p.Low) && drawable(p.High)
}

func (c *canvas) drawLine(l Line, points []LinePoint, p plot, x, y axis, entries []entry) {
	immature := c.hatching("immature", "chart-hatch")
	c.legend(entries)
	c.axes(p, x, y)
	edges := middles(points, p)
	for from := 0; from < len(points); from++ {
		if !points[from].Immature {
			continue
		}
		to := from
		for to+1 < len(points) && points[to+1].Immature {
			to++
		}
		c.empty("rect", "class", "chart-hatched", "x", num(edges[from]), "y", num(p.top),
			"width", num(edges[to+1]-edges[from]), "height", num(p.bottom-p.top), "fill", immature)
		from = to
	}
	c.bands(points, p)
	if l.Threshold != nil && drawable(l.Threshold.Value) {
		at := p.y.at(l.Threshold.Value)
		c.line("chart-threshold", p.left, at, p.right, at, "stroke-dasharray", dashThreshold)
	}
	c.runs(points, p, true, func(point LinePoint) float64 { return point.Second })
	c.runs(points, p, false, func(point LinePoint) float64 { return point.Value })
	for i, point := range points {
		c.hover(l.tip(point), edges[i], p.top, edges[i+1]-edges[i], p.bottom-p.top)
	}
}

// middles returns the places halfway between points, with the ends of the plot.
func middles(points []LinePoint, p plot) []float64 {
	edges := []float64{p.left}
	for i := 1; i < len(points); i++ {
		a, b := seconds(points[i-1].Time), seconds(points[i].Time)
		edges = append(edges, p.x.at(a+(b-a)/2))
	}
	return append(edges, p.right)
}

// bands draws the intervals: an area for each run of points that have one.
func (c *canvas) bands(points []LinePoint, p plot) {
	for from := 0; from < len(points); from++ {
		to := from
		for to < len(points) && hasInterval(points[to]) {
			to++
		}
		if to == from {
			continue
		}
		c.band(points[from:to], p)
		from = to
	}
}

func (c *canvas) band(points []LinePoint, p plot) {
	if len(points) == 1 {
		at := p.x.at(seconds(points[0].Time))
		c.line("chart-whisker", at, p.y.at(points[0].Low), at, p.y.at(points[0].High))
		return
	}
	var outline []float64
	for _, point := range points {
		outline = append(outline, p.x.at(seconds(point.Time)), p.y.at(point.High))
	}
	for _, point := range slices.Backward(points) {
		outline = append(outline, p.x.at(seconds(point.Time)), p.y.at(point.Low))
	}
	c.area("chart-band", outline)
}

// runs draws a line, with a gap where its value is not known. Few points, and
// those between two gaps, have markers.
func (c *canvas) runs(points []LinePoint, p plot, second bool, value func(LinePoint) float64) {
	const maxMarkers = 40
	class, dash := "chart-line-1", []string(nil)
	if second {
		class, dash = "chart-line-2", dashes(dashSecond)
	}
	var run []float64
	flush := func() {
		if len(run) > 2 {
			c.path(class, run, dash...)
		}
		if len(run) == 2 || len(points) <= maxMarkers {
			for i := 0; i < len(run); i += 2 {
				c.marker(second, run[i], run[i+1])
			}
		}
		run = nil
	}
	for _, point := range points {
		if v := value(point); drawable(v) {
			run = append(run, p.x.at(seconds(point.Time)), p.y.at(v))
		} else {
			flush()
		}
	}
	flush()
}

// marker draws a dot, or a square for the second line.
func (c *canvas) marker(second bool, x, y float64) {
	if second {
		c.empty("rect", "class", "chart-mark-2", "x", num(x-2.5), "y", num(y-2.5), "width", "5", "height", "5", "fill", "currentColor")
		return
	}
	c.empty("circle", "class", "chart-mark-1", "cx", num(x), "cy", num(y), "r", "2.5", "fill", "currentColor")
}

func (l Line) tip(p LinePoint) string {
	text := join(l.Name+" "+number(p.Value), interval(p.Low, p.High))
	if l.Second != "" {
		text = join(text, l.Second+" "+number(p.Second))
	}
	if l.Counted != "" {
		text = join(text, count(p.Count)+" "+l.Counted)
	}
	if p.Immature {
		text = join(text, l.immature())
	}
	return moment(p.Time) + ": " + text
}

func (l Line) describe(points []LinePoint) string {
	text := fmt.Sprintf("%s from %s to %s.", plural(int64(len(points)), "point", "points"), moment(points[0].Time), moment(points[len(points)-1].Time))
	text += describeValues(l.Name, points, func(p LinePoint) float64 { return p.Value })
	if l.Second != "" {
		text += describeValues(l.Second, points, func(p LinePoint) float64 { return p.Second })
	}
	immature := 0
	for _, p := range points {
		if p.Immature {
			immature++
		}
	}
	if immature > 0 {
		text += " Of these " + count(int64(immature)) + ": " + l.immature() + "."
	}
	return text
}

func describeValues(name string, points []LinePoint, value func(LinePoint) float64) string {
	var seen extent
	last := math.NaN()
	for _, p := range points {
		if v := value(p); drawable(v) {
			seen.add(v)
			last = v
		}
	}
	if !seen.some {
		return " " + name + ": no value."
	}
	return fmt.Sprintf(" %s: lowest %s, highest %s, last %s.", name, number(seen.lo), number(seen.hi), number(last))
}

// Table returns the points of the picture. Columns that no point fills are left out.
func (l Line) Table() Table {
	points := l.drawn()
	intervals := slices.ContainsFunc(points, hasInterval)
	immature := slices.ContainsFunc(points, func(p LinePoint) bool { return p.Immature })
	t := Table{Caption: l.Title, Note: partOf(len(points), len(l.Points))}
	row := func(p LinePoint, cell func(column, value string)) {
		cell("time", moment(p.Time))
		cell(l.Name, number(p.Value))
		if intervals {
			cell("low", number(p.Low))
			cell("high", number(p.High))
		}
		if l.Second != "" {
			cell(l.Second, number(p.Second))
		}
		if l.Counted != "" {
			cell(l.Counted, count(p.Count))
		}
		if state := "mature"; immature {
			if p.Immature {
				state = l.immature()
			}
			cell("state", state)
		}
	}
	row(LinePoint{}, func(column, _ string) { t.Columns = append(t.Columns, column) })
	for _, p := range points {
		var cells []string
		row(p, func(_, value string) { cells = append(cells, value) })
		t.Rows = append(t.Rows, cells)
	}
	return t
}
