package console

import (
	"html/template"

	"gateway/api/console/chart"
)

// drawing is a chart with its table, for the template "chart".
type drawing struct {
	ID      string // unique in the page
	Title   string
	Picture template.HTML
	Table   chart.Table
}

// draw returns a drawing. Its title is the caption of the table.
func draw(id string, c chart.Chart) *drawing {
	table := c.Table()
	return &drawing{ID: id, Title: table.Caption, Picture: c.SVG(id), Table: table}
}
