// Package chart draws charts as SVG, on the server, for the pages of the
// console.
//
//	line.go         Line: a figure over time, with its interval and its immature part
//	reliability.go  Reliability: the rate of positives against the score, with counts
//	histogram.go    Histogram: scores by outcome
//	curve.go        Curve: ROC, or precision against recall
//	bars.go         Bars: one value a name, against a threshold or on both sides of zero
//	gain.go         Gain: what contacting the best share of customers brings
//	grid.go         Grid: the steps of a renewal by attempt
//
// A chart is a struct of plain data. Its SVG method returns the picture and its
// Table method the same values as text, for the table beside it:
//
//	line := chart.Line{Title: "AUC by day", Name: "measured", Points: points}
//	page.Picture, page.Table = line.SVG("auc"), line.Table()
//
// A picture has neither style nor script, so that it works under a content
// security policy that forbids both: it has class names, whose colours are in
// Stylesheet. Without the stylesheet it is drawn in the colour of the text. What
// differs in colour differs in dashes, hatching or shape as well. Each picture has
// a title and a description for screen readers, and each of its points has its
// values as a title, which browsers show under the pointer.
//
// A picture is 360 units wide and takes the width that it is given. Within an
// element of the class chart-figure its text is smaller where the picture is large.
//
// # Values
//
// A value that is not known is NaN; it leaves a gap. So does one that cannot be
// drawn: an infinite one, one beyond 1e15 either way, or a time outside of the
// years 1 to 9999. The table says "–" for NaN and has the others as they are.
// Where nothing is left to draw, the picture has a message. Values in tables and
// titles are rounded to six significant digits, and never to less than a hundredth
// where they are below 1e15. Times are in UTC.
//
// More points than can be told apart are thinned: of each stretch the lowest and
// the highest stay. The table has the points of the picture then, and says so.
package chart
