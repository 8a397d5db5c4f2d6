package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
)

// exitCodesHelp ends the help of the operators' commands.
const exitCodesHelp = `Exit codes: 0 success; 1 the command failed, or the gateway refused or gave no answer; 2 a flag or a setting is wrong.

Without --url the command works on the data dir (GATEWAY_DATA_DIR) and the settings, for which no gateway may be serving from that data dir.`

// writeTable writes rows of cells in aligned columns.
func writeTable(out io.Writer, rows [][]string) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, cells := range rows {
		line := strings.TrimRight(strings.Join(cells, "\t"), "\t ")
		if _, err := fmt.Fprintln(w, line); err != nil {
			return err
		}
	}
	return w.Flush()
}

// oneLine makes a text fit into a cell.
func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

// shownTime is a time for people, in UTC.
func shownTime(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format("2006-01-02 15:04:05 UTC")
}

func shownTimePtr(t *time.Time) string {
	if t == nil {
		return "-"
	}
	return shownTime(*t)
}

// shownName is a name, or a dash for none.
func shownName(name *string) string {
	if name == nil || *name == "" {
		return "-"
	}
	return *name
}
