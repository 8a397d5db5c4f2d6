package chart

import (
	_ "embed"
	"html/template"
)

// Stylesheet is the CSS of all charts: colours for light and dark, for forced
// colours and for print. A page may set its custom properties otherwise.
//
//go:embed chart.css
var Stylesheet string

// Chart is a picture with its table.
type Chart interface {
	// SVG returns the picture. The id must be unique in the page; characters other than
	// ASCII letters, digits, "-" and "_" become "-".
	SVG(id string) template.HTML
	// Table returns the values of the picture.
	Table() Table
}

// Table has the values of a chart as text, which is not escaped.
type Table struct {
	Caption string
	Note    string     // what is left out; empty: nothing is
	Columns []string   // names; the first column names the row
	Rows    [][]string // a cell for each column
}

// noData is the message of a picture that was given no other.
const noData = "There is no data to show."

func orNoData(message string) string {
	if message == "" {
		return noData
	}
	return message
}
