package chart

// plot is the area of a picture that data is drawn in, with its scales.
type plot struct {
	left, top, right, bottom float64
	x, y                     scale
}

// axis has the range of a direction, its ticks and its name.
type axis struct {
	lo, hi float64
	ticks  []tick
	name   string
}

func shareAxis(name string) axis {
	return axis{lo: 0, hi: 1, ticks: shareTicks(), name: name}
}

// newPlot lays out a plot of a height below top, with room for the labels of
// both axes.
func newPlot(top, height float64, x, y axis) plot {
	widest := 0.0
	for _, t := range y.ticks {
		widest = max(widest, textWidth(t.label))
	}
	p := plot{left: min(widest+10, width/2), top: top, right: width - 12}
	if y.name != "" {
		p.top += lineHeight
	}
	p.bottom = p.top + height
	p.x = scale{x.lo, x.hi, p.left, p.right}
	p.y = scale{y.lo, y.hi, p.bottom, p.top}
	return p
}

// axes draws both axes: lines at the ticks of y, marks at those of x.
func (c *canvas) axes(p plot, x, y axis) {
	if y.name != "" {
		c.label(2, p.top-8, "start", y.name)
	}
	for _, t := range y.ticks {
		at := p.y.at(t.value)
		c.line("chart-gridline", p.left, at, p.right, at, "stroke-opacity", "0.25")
		c.label(p.left-5, at+4, "end", t.label)
	}
	c.line("chart-axis", p.left, p.bottom, p.right, p.bottom)
	c.xTicks(p, x)
}

// xTicks draws the ticks and the name of the axis below a plot. A label that
// would touch the one before is left out.
func (c *canvas) xTicks(p plot, x axis) {
	free := 0.0
	for _, t := range x.ticks {
		at := p.x.at(t.value)
		c.line("chart-axis", at, p.bottom, at, p.bottom+4)
		half := textWidth(t.label) / 2
		middle := min(max(at, half), width-half)
		if middle-half < free {
			continue
		}
		c.label(middle, p.bottom+lineHeight, "middle", t.label)
		free = middle + half + charWidth
	}
	if x.name != "" {
		c.label((p.left+p.right)/2, p.bottom+2*lineHeight, "middle", x.name)
	}
}

// below is the height that the labels of the axis below a plot take.
func (x axis) below() float64 {
	if x.name == "" {
		return lineHeight + 6
	}
	return 2*lineHeight + 6
}
