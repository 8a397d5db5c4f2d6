package chart

import (
	"fmt"
	"html/template"
	"sort"
)

// Histogram shows how many predictions have which score, by outcome.
type Histogram struct {
	Title     string
	Names     [3]string // of the outcomes: positive, negative, none yet; an empty name leaves the outcome out
	Bins      []HistogramBin
	Even      bool     // bins are drawn with the same width, for bounds such as 0.001, 0.01, 0.1; they must be sorted
	Threshold *float64 // a score from it on predicts the positive label; nil: it is not shown
	Empty     string   // the message if there are no predictions
}

// HistogramBin has the predictions whose score is between two bounds. A bin with
// bounds that cannot be drawn is in the table alone.
type HistogramBin struct {
	From, To float64
	Counts   [3]int64 // by outcome, as Names; not negative
}

// maxHistogramBins bounds the bins that are drawn; neighbours are added up.
const maxHistogramBins = 40

// SVG returns the picture.
func (h Histogram) SVG(id string) template.HTML {
	bins := h.drawn()
	largest := 0.0
	for _, b := range bins {
		for i, n := range b.Counts {
			if h.Names[i] != "" {
				largest = max(largest, float64(n))
			}
		}
	}
	if largest <= 0 {
		return message(id, h.Title, orNoData(h.Empty))
	}
	at, x := h.linear(bins)
	if h.Even {
		at, x = even(bins)
	}
	y := axis{name: "predictions"}
	y.lo, y.hi, y.ticks = niceAxis(0, min(largest, maxMagnitude), 4)
	entries := h.entries(cleanID(id))
	_, top := placeLegend(entries)
	p := newPlot(top, linePlotHeight, x, y)
	return draw(id, h.Title, h.describe(), p.bottom+x.below(), func(c *canvas) {
		c.hatching("none", "chart-bar-3-hatch")
		c.legend(entries)
		c.axes(p, x, y)
		for _, b := range bins {
			c.histogramBin(h, b, p.x.at(at(b.From)), p.x.at(at(b.To)), p)
		}
		if h.Threshold != nil && drawable(*h.Threshold) {
			place := p.x.at(at(*h.Threshold))
			c.line("chart-threshold", place, p.top, place, p.bottom, "stroke-dasharray", dashThreshold)
		}
		for _, b := range bins {
			from, to := p.x.at(at(b.From)), p.x.at(at(b.To))
			c.hover(h.tip(b), from, p.top, to-from, p.bottom-p.top)
		}
	})
}

// linear returns an axis of scores, on which a score is where its value is.
func (h Histogram) linear(bins []HistogramBin) (at func(float64) float64, x axis) {
	var bounds extent
	for _, b := range bins {
		bounds.add(b.From, b.To)
	}
	if h.Threshold != nil {
		bounds.add(*h.Threshold)
	}
	x.name = "score"
	x.lo, x.hi, x.ticks = niceAxis(bounds.lo, bounds.hi, 5)
	return func(score float64) float64 { return score }, x
}

// even returns an axis on which all bins have the width 1. A score within a bin is
// where it divides the bin.
func even(bins []HistogramBin) (at func(float64) float64, x axis) {
	x = axis{lo: 0, hi: float64(len(bins)), name: "score (bins of different widths)"}
	for i, b := range bins {
		x.ticks = append(x.ticks, tick{float64(i), number(b.From)})
	}
	x.ticks = append(x.ticks, tick{x.hi, number(bins[len(bins)-1].To)})
	return func(score float64) float64 {
		i := sort.Search(len(bins), func(i int) bool { return bins[i].To > score })
		if i == len(bins) {
			return x.hi
		}
		return float64(i) + min(max((score-bins[i].From)/(bins[i].To-bins[i].From), 0), 1)
	}, x
}

// drawn returns the bins to draw.
func (h Histogram) drawn() []HistogramBin {
	var bins []HistogramBin
	for _, b := range h.Bins {
		if drawable(b.From) && drawable(b.To) && b.From < b.To {
			bins = append(bins, b)
		}
	}
	together := (len(bins) + maxHistogramBins - 1) / maxHistogramBins
	if together <= 1 {
		return bins
	}
	var merged []HistogramBin
	for i, b := range bins {
		if i%together == 0 {
			merged = append(merged, b)
			continue
		}
		last := &merged[len(merged)-1]
		last.From, last.To = min(last.From, b.From), max(last.To, b.To)
		for k := range last.Counts {
			last.Counts[k] += b.Counts[k]
		}
	}
	return merged
}

// histogramBin draws the bars of a bin beside each other, between two places.
func (c *canvas) histogramBin(h Histogram, b HistogramBin, from, to float64, p plot) {
	var shown []int
	for i, name := range h.Names {
		if name != "" {
			shown = append(shown, i)
		}
	}
	each := (to - from) * 0.9 / float64(len(shown))
	for k, i := range shown {
		if b.Counts[i] <= 0 {
			continue
		}
		top := min(p.y.at(float64(b.Counts[i])), p.bottom-1)
		c.empty("rect", "class", outcomeClass(i), "x", num(from+(to-from)*0.05+float64(k)*each), "y", num(top),
			"width", num(max(each, 0.5)), "height", num(p.bottom-top), "fill", outcomeFill(i, c.id), "stroke", "currentColor")
	}
}

// Outcomes differ in their filling: full, hollow, hatched.

func outcomeClass(i int) string {
	return [...]string{"chart-bar-1", "chart-bar-2", "chart-bar-3"}[i]
}

func outcomeFill(i int, id string) string {
	return [...]string{"currentColor", "none", "url(#" + id + "-none)"}[i]
}

func (h Histogram) entries(id string) []entry {
	var entries []entry
	for i, name := range h.Names {
		if name != "" {
			entries = append(entries, entry{name, sampleOfFill(outcomeClass(i), outcomeFill(i, id))})
		}
	}
	if h.Threshold != nil {
		entries = append(entries, entry{"threshold " + number(*h.Threshold), sampleOfLine("chart-threshold", dashThreshold)})
	}
	return entries
}

func (h Histogram) tip(b HistogramBin) string {
	text := ""
	for i, name := range h.Names {
		if name != "" {
			text = join(text, count(b.Counts[i])+" "+name)
		}
	}
	return "score " + number(b.From) + " to " + number(b.To) + ": " + text
}

func (h Histogram) describe() string {
	var totals HistogramBin
	for _, b := range h.Bins {
		for i := range totals.Counts {
			totals.Counts[i] += b.Counts[i]
		}
	}
	text := fmt.Sprintf("%s of scores. Predictions by outcome:", plural(int64(len(h.Bins)), "bin", "bins"))
	parts := ""
	for i, name := range h.Names {
		if name != "" {
			parts = join(parts, count(totals.Counts[i])+" "+name)
		}
	}
	return text + " " + parts + "."
}

// Table returns all bins.
func (h Histogram) Table() Table {
	t := Table{Caption: h.Title, Columns: []string{"score"}}
	for _, name := range h.Names {
		if name != "" {
			t.Columns = append(t.Columns, name)
		}
	}
	for _, b := range h.Bins {
		row := []string{number(b.From) + " to " + number(b.To)}
		for i, name := range h.Names {
			if name != "" {
				row = append(row, count(b.Counts[i]))
			}
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}
