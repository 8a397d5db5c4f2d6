package chart

import (
	"fmt"
	"html/template"
	"math"
	"slices"
)

// Reliability shows whether scores are the chances of the positive label: for
// each bin of scores the rate of positives, which lies on the diagonal if they
// are, and below it the number of predictions.
type Reliability struct {
	Title string
	Bins  []ReliabilityBin
	Empty string // the message if no bin can be drawn
}

// ReliabilityBin has the predictions whose score is between two bounds.
type ReliabilityBin struct {
	From, To  float64 // bounds of the score, 0 to 1
	Count     int64   // predictions with an outcome
	MeanScore float64 // 0 to 1; NaN: the bin has no point
	Rate      float64 // share of positives, 0 to 1; NaN: the bin has no point
	Low, High float64 // bounds of Rate; NaN: there are none
}

// SVG returns the picture.
func (r Reliability) SVG(id string) template.HTML {
	drawn, largest := 0, int64(0)
	for _, b := range r.Bins {
		largest = max(largest, b.Count)
		if b.drawable() {
			drawn++
		}
	}
	if drawn == 0 {
		return message(id, r.Title, orNoData(r.Empty))
	}
	entries := []entry{
		{"rate of positives", func(c *canvas, x, y float64) {
			c.line("chart-line-1", x, y+6, x+sampleWidth, y+6)
			c.marker(false, x+sampleWidth/2, y+6)
		}},
		{"as it should be", sampleOfLine("chart-threshold", dashBaseline)},
	}
	if slices.ContainsFunc(r.Bins, ReliabilityBin.hasInterval) {
		entries = append(entries, entry{"95 % interval", func(c *canvas, x, y float64) { c.whisker(x+sampleWidth/2, y, y+11) }})
	}
	_, top := placeLegend(entries)
	x, y := shareAxis(""), shareAxis("rate of positives")
	p := newPlot(top, 190, x, y)
	counts := axis{name: "predictions"}
	counts.lo, counts.hi, counts.ticks = niceAxis(0, float64(max(largest, 1)), 2)
	below := p
	below.top = p.bottom + lineHeight + 8 + lineHeight
	below.bottom = below.top + 50
	below.y = scale{counts.lo, counts.hi, below.bottom, below.top}
	x.name = "mean score"
	return draw(id, r.Title, r.describe(drawn), below.bottom+x.below(), func(c *canvas) {
		c.legend(entries)
		c.axes(p, shareAxis(""), y)
		c.line("chart-threshold", p.left, p.bottom, p.right, p.top, "stroke-dasharray", dashBaseline)
		c.reliability(r.Bins, p)
		c.axes(below, x, counts)
		c.counts(r.Bins, below)
		for _, b := range r.Bins {
			if from, to := below.x.at(b.From), below.x.at(b.To); drawable(b.From) && drawable(b.To) && to > from {
				c.hover(b.tip(), from, p.top, to-from, below.bottom-p.top)
			}
		}
	})
}

func (b ReliabilityBin) drawable() bool {
	return drawable(b.MeanScore) && drawable(b.Rate)
}

func (b ReliabilityBin) hasInterval() bool {
	return b.drawable() && drawable(b.Low) && drawable(b.High)
}

func (c *canvas) reliability(bins []ReliabilityBin, p plot) {
	var points []float64
	for _, b := range bins {
		if !b.drawable() {
			continue
		}
		x := p.x.at(b.MeanScore)
		points = append(points, x, p.y.at(b.Rate))
		if b.hasInterval() {
			c.whisker(x, p.y.at(b.High), p.y.at(b.Low))
		}
	}
	c.path("chart-line-1", points)
	for i := 0; i < len(points); i += 2 {
		c.marker(false, points[i], points[i+1])
	}
}

// whisker draws an interval between two heights.
func (c *canvas) whisker(x, top, bottom float64) {
	c.line("chart-whisker", x, top, x, bottom)
	c.line("chart-whisker", x-3, top, x+3, top)
	c.line("chart-whisker", x-3, bottom, x+3, bottom)
}

func (c *canvas) counts(bins []ReliabilityBin, p plot) {
	for _, b := range bins {
		from, to := p.x.at(b.From), p.x.at(b.To)
		if !drawable(b.From) || !drawable(b.To) || to <= from || b.Count <= 0 {
			continue
		}
		top := p.y.at(float64(b.Count))
		c.empty("rect", "class", "chart-bar-1", "x", num(from+0.5), "y", num(top), "width", num(max(to-from-1, 0.5)), "height", num(p.bottom-top), "fill", "currentColor")
	}
}

func (b ReliabilityBin) tip() string {
	return "score " + number(b.From) + " to " + number(b.To) + ": " +
		join(plural(b.Count, "prediction", "predictions"), "mean score "+number(b.MeanScore), "rate of positives "+number(b.Rate), interval(b.Low, b.High))
}

func (r Reliability) describe(drawn int) string {
	worst, gap := -1, -1.0
	for i, b := range r.Bins {
		if d := math.Abs(b.Rate - b.MeanScore); b.drawable() && d > gap {
			worst, gap = i, d
		}
	}
	return fmt.Sprintf("%s. The largest difference is at scores %s to %s: mean score %s, rate of positives %s.", plural(int64(drawn), "bin of scores", "bins of scores"),
		number(r.Bins[worst].From), number(r.Bins[worst].To), number(r.Bins[worst].MeanScore), number(r.Bins[worst].Rate))
}

// Table returns the bins.
func (r Reliability) Table() Table {
	t := Table{Caption: r.Title, Columns: []string{"score", "predictions", "mean score", "rate of positives", "low", "high"}}
	for _, b := range r.Bins {
		t.Rows = append(t.Rows, []string{number(b.From) + " to " + number(b.To), count(b.Count), number(b.MeanScore), number(b.Rate), number(b.Low), number(b.High)})
	}
	return t
}
