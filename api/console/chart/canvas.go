package chart

import (
	"encoding/xml"
	"html/template"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Sizes in units of the view box.
const (
	width      = 360.0
	lineHeight = 16.0 // of text
	charWidth  = 7.2  // of an average character of a wide font
	fontSize   = 12.0
)

// canvas writes SVG.
type canvas struct {
	text strings.Builder
	id   string // prefix of ids
}

// draw returns an SVG image of a height, with the content that body writes. The
// title names it and desc says what is to be seen, for screen readers.
func draw(id, title, desc string, height float64, body func(*canvas)) template.HTML {
	c := &canvas{id: cleanID(id)}
	c.open("svg", "xmlns", "http://www.w3.org/2000/svg", "class", "chart", "role", "img",
		"viewBox", "0 0 "+num(width)+" "+num(height), "width", num(width), "height", num(height),
		"font-size", num(fontSize), "aria-labelledby", c.id+"-title", "aria-describedby", c.id+"-desc")
	c.element("title", title, "id", c.id+"-title")
	c.element("desc", desc, "id", c.id+"-desc")
	body(c)
	c.close("svg")
	return template.HTML(c.text.String()) //nolint:gosec // escaped by element and attributes
}

// message returns a picture that says why there is nothing to see.
func message(id, title, text string) template.HTML {
	const room = width - 32
	lines := wrap(text, int(math.Floor(room/charWidth)))
	height := max(96, float64(len(lines)+3)*lineHeight)
	return draw(id, title, text, height, func(c *canvas) {
		c.rect("chart-frame", 1, 1, width-2, height-2)
		y := height/2 - float64(len(lines)-1)*lineHeight/2 + 4
		for i, line := range lines {
			c.label(width/2, y+float64(i)*lineHeight, "middle", line)
		}
	})
}

func (c *canvas) open(tag string, attributes ...string) {
	c.tag(tag, attributes)
	c.text.WriteString(">")
}

func (c *canvas) close(tag string) {
	c.text.WriteString("</" + tag + ">")
}

// empty writes an element without content.
func (c *canvas) empty(tag string, attributes ...string) {
	c.tag(tag, attributes)
	c.text.WriteString("/>")
}

// element writes an element with text.
func (c *canvas) element(tag, text string, attributes ...string) {
	c.open(tag, attributes...)
	c.text.WriteString(escape(text))
	c.close(tag)
}

// titled writes an element with a title, which browsers show under the pointer.
func (c *canvas) titled(title, tag string, attributes ...string) {
	c.open(tag, attributes...)
	c.element("title", title)
	c.close(tag)
}

// tag writes the begin of a tag. Attributes are pairs of name and value.
func (c *canvas) tag(tag string, attributes []string) {
	c.text.WriteString("<" + tag)
	for i := 0; i+1 < len(attributes); i += 2 {
		c.text.WriteString(" " + attributes[i] + `="` + escape(attributes[i+1]) + `"`)
	}
}

// label writes text; anchor is start, middle or end.
func (c *canvas) label(x, y float64, anchor, text string) {
	c.element("text", text, "class", "chart-text", "x", num(x), "y", num(y), "text-anchor", anchor, "fill", "currentColor")
}

// line draws a straight line.
func (c *canvas) line(class string, x1, y1, x2, y2 float64, attributes ...string) {
	c.empty("line", append([]string{"class", class, "x1", num(x1), "y1", num(y1), "x2", num(x2), "y2", num(y2), "stroke", "currentColor"}, attributes...)...)
}

// rect draws the outline of a rectangle.
func (c *canvas) rect(class string, x, y, w, h float64, attributes ...string) {
	c.empty("rect", append([]string{"class", class, "x", num(x), "y", num(y), "width", num(w), "height", num(h), "fill", "none", "stroke", "currentColor"}, attributes...)...)
}

// hover gives a part of the picture a title.
func (c *canvas) hover(title string, x, y, w, h float64) {
	c.titled(title, "rect", "class", "chart-hover", "x", num(x), "y", num(y), "width", num(max(w, 0)), "height", num(max(h, 0)), "fill", "none", "pointer-events", "all")
}

// path draws an open line through points, x and y alternating.
func (c *canvas) path(class string, points []float64, attributes ...string) {
	c.empty("path", append([]string{"class", class, "d", pathData(points), "fill", "none", "stroke", "currentColor"}, attributes...)...)
}

// area fills what the points enclose.
func (c *canvas) area(class string, points []float64) {
	c.empty("path", "class", class, "d", pathData(points)+"Z", "fill", "currentColor", "fill-opacity", "0.18", "stroke", "none")
}

func pathData(points []float64) string {
	var d strings.Builder
	for i := 0; i+1 < len(points); i += 2 {
		command := "L"
		if i == 0 {
			command = "M"
		}
		d.WriteString(command + num(points[i]) + " " + num(points[i+1]))
	}
	return d.String()
}

// hatching defines a pattern of slanted lines and returns its paint. The name
// tells it from others in the same picture; the class has the colour.
func (c *canvas) hatching(name, class string) (paint string) {
	id := c.id + "-" + name
	c.open("defs")
	c.open("pattern", "id", id, "width", "6", "height", "6", "patternUnits", "userSpaceOnUse", "patternTransform", "rotate(45)")
	c.line(class, 0, 0, 0, 6, "stroke-width", "2")
	c.close("pattern")
	c.close("defs")
	return "url(#" + id + ")"
}

// num formats a coordinate.
func num(v float64) string {
	text := strconv.FormatFloat(v, 'f', 2, 64)
	text = strings.TrimRight(strings.TrimRight(text, "0"), ".")
	if text == "-0" {
		return "0"
	}
	return text
}

// escape makes text safe in XML and HTML, in content and in quoted attributes.
// What XML does not allow is replaced.
func escape(text string) string {
	if strings.IndexFunc(text, special) < 0 {
		return text
	}
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(text)) // a Builder does not fail
	return b.String()
}

// special reports whether a character may need to be escaped.
func special(r rune) bool {
	return r < ' ' || r > '~' || strings.ContainsRune(`<>&"'`, r)
}

func cleanID(id string) string {
	clean := strings.Map(func(r rune) rune {
		if r == '-' || r == '_' || '0' <= r && r <= '9' || 'A' <= r && r <= 'Z' || 'a' <= r && r <= 'z' {
			return r
		}
		return '-'
	}, id)
	if clean == "" {
		return "chart"
	}
	return clean
}

// shorten cuts text to a number of characters.
func shorten(text string, limit int) string {
	if utf8.RuneCountInString(text) <= limit {
		return text
	}
	return string([]rune(text)[:max(limit-1, 0)]) + "…"
}

// wrap breaks text at spaces into lines of a number of characters, at most six.
func wrap(text string, limit int) []string {
	const maxLines = 6
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		word = shorten(word, limit)
		if line != "" && utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > limit {
			lines = append(lines, line)
			line = ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	lines = append(lines, line)
	if len(lines) > maxLines {
		lines = append(lines[:maxLines-1], "…")
	}
	return lines
}

// textWidth estimates the width of text.
func textWidth(text string) float64 {
	return charWidth * float64(utf8.RuneCountInString(text))
}
