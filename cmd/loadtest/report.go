package main

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// report writes the results of the scenarios as Markdown.
type report struct {
	out   io.Writer
	wrong int // number of wrong answers in all scenarios
}

// judge counts the wrong answers of a run. It writes the first of them, and the first requests
// without an answer.
func (r *report) judge(load *run, all records) {
	r.wrong += all.wrong()
	for _, sample := range load.wrong {
		r.note("**Wrong**: %s", sample)
	}
	for _, sample := range load.lost {
		r.note("**Lost**: %s", sample)
	}
}

func (r *report) head(text string) { fmt.Fprintf(r.out, "\n## %s\n", text) }

func (r *report) note(format string, args ...any) {
	fmt.Fprintf(r.out, "\n"+format+"\n", args...)
}

// table writes a table. All columns but the first are numbers and aligned to the right.
func (r *report) table(columns []string, rows [][]string) {
	fmt.Fprintf(r.out, "\n| %s |\n|---%s|\n", strings.Join(columns, " | "), strings.Repeat("|---:", len(columns)-1))
	for _, row := range rows {
		fmt.Fprintf(r.out, "| %s |\n", strings.Join(row, " | "))
	}
}

// bound is a condition with the measured value, and whether it held.
type bound struct {
	what, measured, wanted string
	held                   bool
}

func (r *report) bounds(bounds []bound) {
	rows := make([][]string, len(bounds))
	for i, b := range bounds {
		verdict := "yes"
		if !b.held {
			verdict = "**no**"
		}
		rows[i] = []string{b.what, b.measured, b.wanted, verdict}
	}
	r.table([]string{"what", "measured", "to reach", "reached"}, rows)
}

func ms(d time.Duration) string { return fmt.Sprintf("%.2f", float64(d.Microseconds())/1000) }

func us(d time.Duration) string { return fmt.Sprintf("%.1f", float64(d.Nanoseconds())/1000) }

func seconds(d time.Duration) string {
	if d < 0 {
		return "never"
	}
	return fmt.Sprintf("%.1f s", d.Seconds())
}

func mib(n int64) string { return fmt.Sprintf("%.0f", float64(n)/(1<<20)) }

func times(a, b float64) string {
	if b == 0 {
		return "–"
	}
	return fmt.Sprintf("%.2f", a/b)
}

func percent(part, whole float64) string {
	if whole == 0 {
		return "–"
	}
	return fmt.Sprintf("%.1f %%", 100*part/whole)
}

func count[N int | int64](n N) string { return fmt.Sprint(n) }

// failures returns the numbers of failed records by status, as a text.
func failures(rs records) string {
	text := count(len(rs))
	by := rs.statuses()
	for i, status := range slices.Sorted(maps.Keys(by)) {
		sep := ", "
		if i == 0 {
			sep = ": "
		}
		what := strconv.Itoa(status)
		if status == 0 {
			what = "lost"
		}
		text += fmt.Sprintf("%s%d × %s", sep, by[status], what)
	}
	return text
}

// notOK reports whether a request has no prediction.
func notOK(r *record) bool { return r.status != http.StatusOK }

func rate(perSecond float64) string { return fmt.Sprintf("%.0f", perSecond) }
