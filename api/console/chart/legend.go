package chart

// entry explains a way of drawing: sample draws it in a box of sampleWidth by 10
// at a place.
type entry struct {
	label  string
	sample func(c *canvas, x, y float64)
}

const sampleWidth = 20.0

// place is where an entry of a legend stands.
type place struct{ x, y float64 }

// placeLegend returns where the entries stand, in rows, and the height of all.
func placeLegend(entries []entry) (places []place, height float64) {
	x, y := 2.0, 2.0
	for _, e := range entries {
		w := sampleWidth + 5 + textWidth(e.label) + 10
		if x > 2 && x+w > width {
			x, y = 2, y+lineHeight
		}
		places = append(places, place{x, y})
		x += w
	}
	if len(entries) == 0 {
		return nil, 2
	}
	return places, y + lineHeight + 4
}

// legend draws the entries.
func (c *canvas) legend(entries []entry) {
	places, _ := placeLegend(entries)
	for i, e := range entries {
		e.sample(c, places[i].x, places[i].y)
		limit := int((width - places[i].x - sampleWidth - 5) / charWidth)
		c.label(places[i].x+sampleWidth+5, places[i].y+10, "start", shorten(e.label, limit))
	}
}

// Ways of drawing that several kinds of chart have.

func sampleOfLine(class, dash string) func(*canvas, float64, float64) {
	return func(c *canvas, x, y float64) {
		c.line(class, x, y+6, x+sampleWidth, y+6, dashes(dash)...)
	}
}

func dashes(dash string) []string {
	if dash == "" {
		return nil
	}
	return []string{"stroke-dasharray", dash}
}

func sampleOfFill(class, fill string) func(*canvas, float64, float64) {
	return func(c *canvas, x, y float64) {
		c.empty("rect", "class", class, "x", num(x+2), "y", num(y), "width", num(sampleWidth-4), "height", "11", "fill", fill, "stroke", "currentColor")
	}
}

// Dashes that tell lines apart without colour.
const (
	dashSecond    = "6 4"
	dashThreshold = "2 3"
	dashBaseline  = "8 3 2 3"
)
