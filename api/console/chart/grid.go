package chart

import (
	"fmt"
	"html/template"
	"time"
)

// Grid shows the steps of a renewal, from above, by attempt, from the left.
type Grid struct {
	Title string
	Steps []GridStep
	Empty string // the message if there are no steps
}

// GridStep is a row.
type GridStep struct {
	Name     string
	Attempts []GridAttempt // the first first; fewer than other steps have: the rest is blank
}

// GridAttempt is a cell.
type GridAttempt struct {
	State    State
	Duration time.Duration // negative: not known yet
	Note     string        // for the title and the table, such as the error
}

// State is that of a step.
type State int

// The states. Others are shown as Pending.
const (
	Pending State = iota
	Running
	Succeeded
	Failed
	Skipped
	Cancelled
)

// states have the words and classes of states.
var states = [...]struct{ name, class string }{
	{"pending", "chart-cell-pending"},
	{"running", "chart-cell-running"},
	{"succeeded", "chart-cell-succeeded"},
	{"failed", "chart-cell-failed"},
	{"skipped", "chart-cell-skipped"},
	{"cancelled", "chart-cell-cancelled"},
}

func (s State) known() State {
	if s < 0 || int(s) >= len(states) {
		return Pending
	}
	return s
}

// String returns the word for a state.
func (s State) String() string {
	return states[s.known()].name
}

const (
	maxAttempts = 8  // columns that are drawn
	maxSteps    = 40 // rows that are drawn
	cellHeight  = 26.0
)

// SVG returns the picture. Of more than 8 attempts it shows the last 7, and in a
// first column how the ones before ended.
func (g Grid) SVG(id string) template.HTML {
	if len(g.Steps) == 0 {
		return message(id, g.Title, orNoData(g.Empty))
	}
	steps := g.Steps[:min(len(g.Steps), maxSteps)]
	columns := gridColumns(steps)
	entries := stateEntries(steps, columns)
	_, top := placeLegend(entries)
	l := gridLayout{columns: columns, top: top + lineHeight + 2}
	for _, s := range steps {
		l.left = min(max(l.left, textWidth(s.Name)+8), width/3)
	}
	l.cell = min((width-2-l.left)/float64(len(columns)), 110)
	height := l.top + cellHeight*float64(len(steps)) + 4
	return draw(id, g.Title, g.describe(), height, func(c *canvas) {
		c.legend(entries)
		c.attempts(l)
		for i, s := range steps {
			c.step(s, l, l.top+cellHeight*float64(i))
		}
	})
}

// gridColumn shows the newest attempt of a step from the first to the last,
// counted from 0.
type gridColumn struct{ first, last int }

func gridColumns(steps []GridStep) []gridColumn {
	attempts := 1
	for _, s := range steps {
		attempts = max(attempts, len(s.Attempts))
	}
	var columns []gridColumn
	next := 0
	if attempts > maxAttempts {
		next = attempts - maxAttempts + 1
		columns = append(columns, gridColumn{0, next - 1})
	}
	for ; next < attempts; next++ {
		columns = append(columns, gridColumn{next, next})
	}
	return columns
}

// of returns the index of the attempt that the column shows, -1 for none.
func (g gridColumn) of(s GridStep) int {
	if i := min(g.last, len(s.Attempts)-1); i >= g.first {
		return i
	}
	return -1
}

func (g gridColumn) name() string {
	if g.first == g.last {
		return count(int64(g.first + 1))
	}
	return count(int64(g.first+1)) + "–" + count(int64(g.last+1))
}

type gridLayout struct {
	columns         []gridColumn
	left, top, cell float64
}

// stateEntries explain the states that are drawn.
func stateEntries(steps []GridStep, columns []gridColumn) []entry {
	var seen [len(states)]bool
	for _, s := range steps {
		for _, column := range columns {
			if i := column.of(s); i >= 0 {
				seen[s.Attempts[i].State.known()] = true
			}
		}
	}
	var entries []entry
	for s, is := range seen {
		if is {
			entries = append(entries, entry{State(s).String(), func(c *canvas, x, y float64) {
				c.state(State(s), x, y-1, sampleWidth, 14)
			}})
		}
	}
	return entries
}

// attempts draws the heads of the columns.
func (c *canvas) attempts(l gridLayout) {
	word := "attempt "
	if textWidth(word)+2*charWidth > l.cell {
		word = ""
		c.label(2, l.top-6, "start", "attempt")
	}
	for i, column := range l.columns {
		c.label(l.left+(float64(i)+0.5)*l.cell, l.top-6, "middle", word+column.name())
	}
}

// step draws a row.
func (c *canvas) step(s GridStep, l gridLayout, y float64) {
	c.label(2, y+cellHeight/2+3, "start", shorten(s.Name, int((l.left-4)/charWidth)))
	for i, column := range l.columns {
		attempt := column.of(s)
		if attempt < 0 {
			continue
		}
		a, x := s.Attempts[attempt], l.left+float64(i)*l.cell
		c.state(a.State, x+1, y+1, l.cell-2, cellHeight-2)
		if text := formatDuration(a.Duration); a.Duration >= 0 && textWidth(text)+20 <= l.cell-2 {
			class := "chart-text chart-cell-text"
			if a.State == Failed {
				class += " chart-cell-failed-text"
			}
			c.element("text", text, "class", class, "x", num(x+20), "y", num(y+cellHeight/2+4), "fill", "currentColor")
		}
		c.hover(a.tip(s.Name, attempt+1), x, y, l.cell, cellHeight)
	}
}

// state draws a box with the sign of a state at its left.
func (c *canvas) state(s State, x, y, w, h float64) {
	s = s.known()
	attributes := []string{"class", states[s].class, "x", num(x), "y", num(y), "width", num(w), "height", num(h), "rx", "2", "fill", "none", "stroke", "currentColor"}
	if s == Skipped || s == Pending {
		attributes = append(attributes, "stroke-dasharray", "3 2")
	}
	c.empty("rect", attributes...)
	c.sign(s, x+10, y+h/2)
}

// sign draws the sign of a state around a place: a tick, a cross, a triangle, a
// dash, a square, or a ring.
func (c *canvas) sign(s State, x, y float64) {
	class := states[s].class + "-sign"
	switch s {
	case Succeeded:
		c.path(class, []float64{x - 4, y, x - 1, y + 3, x + 4, y - 4}, "stroke-width", "2")
	case Failed:
		c.path(class, []float64{x - 4, y - 4, x + 4, y + 4}, "stroke-width", "2")
		c.path(class, []float64{x + 4, y - 4, x - 4, y + 4}, "stroke-width", "2")
	case Running:
		c.path(class, []float64{x - 3, y - 4, x + 4, y, x - 3, y + 4, x - 3, y - 4}, "stroke-width", "2")
	case Skipped:
		c.path(class, []float64{x - 4, y, x + 4, y}, "stroke-width", "2")
	case Cancelled:
		c.path(class, []float64{x - 3, y - 3, x + 3, y - 3, x + 3, y + 3, x - 3, y + 3, x - 3, y - 3}, "stroke-width", "2")
	default:
		c.empty("circle", "class", class, "cx", num(x), "cy", num(y), "r", "2.5", "fill", "none", "stroke", "currentColor")
	}
}

func (a GridAttempt) tip(step string, attempt int) string {
	text := fmt.Sprintf("%s, attempt %d: %s", step, attempt, a.State)
	if a.Duration >= 0 {
		text = join(text, formatDuration(a.Duration))
	}
	return join(text, a.Note)
}

func (g Grid) describe() string {
	var counts [len(states)]int64
	for _, s := range g.Steps {
		state := Pending
		if n := len(s.Attempts); n > 0 {
			state = s.Attempts[n-1].State.known()
		}
		counts[state]++
	}
	parts := ""
	for s, n := range counts {
		if n > 0 {
			parts = join(parts, count(n)+" "+State(s).String())
		}
	}
	return plural(int64(len(g.Steps)), "step", "steps") + " at their last attempt: " + parts + "."
}

// Table returns all attempts.
func (g Grid) Table() Table {
	t := Table{Caption: g.Title, Columns: []string{"step", "attempt", "state", "duration", "note"}}
	for _, s := range g.Steps {
		if len(s.Attempts) == 0 {
			t.Rows = append(t.Rows, []string{s.Name, unknown, Pending.String(), unknown, ""})
		}
		for i, a := range s.Attempts {
			t.Rows = append(t.Rows, []string{s.Name, count(int64(i + 1)), a.State.String(), formatDuration(a.Duration), a.Note})
		}
	}
	return t
}
