package chart

import (
	"cmp"
	"fmt"
	"html/template"
)

// Bars shows a value for each of several names: to the right of zero, or to its
// left if it is negative. A value may have a threshold of its own.
type Bars struct {
	Title     string
	ValueName string // of the values, with their unit, such as "PSI"
	Bars      []Bar  // in the order in which they are to be read
	Marked    string // what Bar.Marked means, such as "drifted"
	Threshold string // what Bar.Threshold is; empty: "threshold"
	Below     string // what a negative value means; empty: "lowers"
	Above     string // what a positive value means where others are negative; empty: "raises"
	Empty     string // the message if there are no bars
}

// Bar is a value with a name.
type Bar struct {
	Name      string
	Value     float64  // NaN: unknown; it has a name and no bar
	Low, High float64  // bounds of Value, both NaN or both zero: there are none
	Threshold *float64 // nil: there is none
	Marked    bool     // it is drawn hatched and has an exclamation mark
	Note      string   // more about the value, for its title and the table
}

// maxBars bounds the bars that are drawn; the table has all.
const maxBars = 40

const barPitch = 30.0 // from one bar to the next

// SVG returns the picture.
func (b Bars) SVG(id string) template.HTML {
	if len(b.Bars) == 0 {
		return message(id, b.Title, orNoData(b.Empty))
	}
	bars := b.Bars[:min(len(b.Bars), maxBars)]
	x := b.axis(bars)
	entries := b.entries(bars, cleanID(id))
	_, top := placeLegend(entries)
	p := plot{left: 12, right: width - 12, top: top, bottom: top + barPitch*float64(len(bars)) + 4}
	p.x = scale{x.lo, x.hi, p.left, p.right}
	height := p.bottom + x.below()
	rest := len(b.Bars) - len(bars)
	if rest > 0 {
		height += lineHeight
	}
	return draw(id, b.Title, b.describe(), height, func(c *canvas) {
		c.hatching("marked", "chart-bar-marked-hatch")
		c.legend(entries)
		for _, t := range x.ticks {
			c.line("chart-gridline", p.x.at(t.value), p.top, p.x.at(t.value), p.bottom, "stroke-opacity", "0.25")
		}
		zero := p.x.at(0)
		for i, bar := range bars {
			c.bar(b, bar, p, zero, p.top+barPitch*float64(i))
		}
		c.line("chart-axis", zero, p.top, zero, p.bottom)
		c.xTicks(p, x)
		if rest > 0 {
			c.label(p.left, height-4, "start", fmt.Sprintf("%d more in the table", rest))
		}
	})
}

// axis returns the axis of the values. It has zero.
func (b Bars) axis(bars []Bar) axis {
	var values extent
	values.add(0)
	for _, bar := range bars {
		values.add(bar.Value)
		if bar.hasInterval() {
			values.add(bar.Low, bar.High)
		}
		if bar.Threshold != nil {
			values.add(*bar.Threshold)
		}
	}
	if values.lo == 0 && values.hi == 0 {
		values.hi = 1
	}
	x := axis{name: b.ValueName}
	x.lo, x.hi, x.ticks = niceAxis(values.lo, values.hi, 4)
	return x
}

func (b Bar) hasInterval() bool {
	return drawable(b.Value) && drawable(b.Low) && drawable(b.High) && (b.Low != 0 || b.High != 0)
}

// bar draws the name and the value of a bar above it.
func (c *canvas) bar(b Bars, bar Bar, p plot, zero, y float64) {
	value := number(bar.Value)
	name := bar.Name
	if bar.Marked {
		name = "! " + name
	}
	room := int((p.right-p.left)/charWidth) - len([]rune(value)) - 2
	c.label(p.left+3, y+12, "start", shorten(name, room))
	c.label(p.right, y+12, "end", value)
	const height = 9.0
	top := y + 16
	if drawable(bar.Value) {
		at := p.x.at(bar.Value)
		class, fill := "chart-bar-1", "currentColor"
		if bar.Value < 0 {
			class, fill = "chart-bar-2", "none"
		}
		if bar.Marked {
			class, fill = "chart-bar-marked", "url(#"+c.id+"-marked)"
		}
		c.empty("rect", "class", class, "x", num(min(at, zero)), "y", num(top), "width", num(max(max(at, zero)-min(at, zero), 0.5)), "height", num(height), "fill", fill, "stroke", "currentColor")
	}
	if bar.hasInterval() {
		c.line("chart-whisker", p.x.at(bar.Low), top+height/2, p.x.at(bar.High), top+height/2)
		for _, v := range []float64{bar.Low, bar.High} {
			c.line("chart-whisker", p.x.at(v), top+2, p.x.at(v), top+height-2)
		}
	}
	if bar.Threshold != nil && drawable(*bar.Threshold) {
		at := p.x.at(*bar.Threshold)
		c.line("chart-bar-threshold", at, top-2, at, top+height+2, "stroke-width", "2")
	}
	c.hover(b.tip(bar), p.left, y, p.right-p.left, barPitch)
}

func (b Bars) entries(bars []Bar, id string) []entry {
	var threshold, marked, negative, whiskers bool
	for _, bar := range bars {
		threshold = threshold || bar.Threshold != nil
		marked = marked || bar.Marked
		negative = negative || bar.Value < 0
		whiskers = whiskers || bar.hasInterval()
	}
	var entries []entry
	if negative {
		entries = append(entries,
			entry{cmp.Or(b.Below, "lowers"), sampleOfFill("chart-bar-2", "none")},
			entry{cmp.Or(b.Above, "raises"), sampleOfFill("chart-bar-1", "currentColor")})
	}
	if whiskers {
		entries = append(entries, entry{"95 % interval", func(c *canvas, x, y float64) { c.whisker(x+sampleWidth/2, y, y+11) }})
	}
	if threshold {
		entries = append(entries, entry{b.threshold(), func(c *canvas, x, y float64) {
			c.line("chart-bar-threshold", x+sampleWidth/2, y, x+sampleWidth/2, y+12, "stroke-width", "2")
		}})
	}
	if marked && b.Marked != "" {
		entries = append(entries, entry{"! " + b.Marked, sampleOfFill("chart-bar-marked", "url(#"+id+"-marked)")})
	}
	return entries
}

func (b Bars) tip(bar Bar) string {
	text := bar.Name + ": " + b.ValueName + " " + number(bar.Value)
	if bar.hasInterval() {
		text = join(text, interval(bar.Low, bar.High))
	}
	if bar.Threshold != nil {
		text = join(text, b.threshold()+" "+number(*bar.Threshold))
	}
	if bar.Marked {
		text = join(text, b.Marked)
	}
	return join(text, bar.Note)
}

func (b Bars) threshold() string {
	return cmp.Or(b.Threshold, "threshold")
}

func (b Bars) describe() string {
	text := plural(int64(len(b.Bars)), "value", "values") + "."
	marked := ""
	for _, bar := range b.Bars {
		if bar.Marked && len(marked) < 300 {
			marked = join(marked, bar.Name)
		}
	}
	if marked != "" {
		text += " " + b.Marked + ": " + marked + "."
	}
	return text + " First: " + b.tip(b.Bars[0]) + "."
}

// Table returns all values. Columns that no bar fills are left out.
func (b Bars) Table() Table {
	var intervals, thresholds, marked, notes bool
	for _, bar := range b.Bars {
		intervals = intervals || bar.hasInterval()
		thresholds = thresholds || bar.Threshold != nil
		marked = marked || bar.Marked
		notes = notes || bar.Note != ""
	}
	t := Table{Caption: b.Title, Columns: []string{"name", b.ValueName}}
	column := func(shown bool, names ...string) {
		if shown {
			t.Columns = append(t.Columns, names...)
		}
	}
	column(intervals, "low", "high")
	column(thresholds, b.threshold())
	column(marked, b.Marked)
	column(notes, "note")
	for _, bar := range b.Bars {
		row := []string{bar.Name, number(bar.Value)}
		cell := func(shown bool, cells ...string) {
			if shown {
				row = append(row, cells...)
			}
		}
		low, high := unknown, unknown
		if bar.hasInterval() {
			low, high = number(bar.Low), number(bar.High)
		}
		cell(intervals, low, high)
		threshold := unknown
		if bar.Threshold != nil {
			threshold = number(*bar.Threshold)
		}
		cell(thresholds, threshold)
		cell(marked, map[bool]string{true: "yes", false: "no"}[bar.Marked])
		cell(notes, bar.Note)
		t.Rows = append(t.Rows, row)
	}
	return t
}
