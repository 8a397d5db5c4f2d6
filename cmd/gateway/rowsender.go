package main

import (
	"encoding/csv"
	"io"
	"strings"
)

// rowSender writes rows as CSV on the lines that they have in their file, so that
// the gateway's errors name those lines. Blank lines fill the gaps.
type rowSender struct {
	to      io.Writer
	csv     *csv.Writer
	next    int      // line of the next row
	refused []string // a row that does not match the header
	err     error    // of writing the header
}

func newRowSender(to io.Writer, header []string) *rowSender {
	s := &rowSender{to: to, csv: csv.NewWriter(to), next: 2, refused: []string{"unread"}}
	if len(header) == 1 {
		s.refused = []string{"unread", "unread"}
	}
	// All names are quoted, because a name may contain what the gateway would take
	// for the delimiter. A line end in a name would shift the lines.
	quoted := make([]string, len(header))
	for i, name := range header {
		quoted[i] = `"` + strings.ReplaceAll(name, `"`, `""`) + `"`
		s.next += strings.Count(name, "\n")
	}
	_, s.err = io.WriteString(to, strings.Join(quoted, ",")+"\n")
	return s
}

// write writes a row that begins on the given line of its file.
func (s *rowSender) write(line int, cells []string) error {
	if s.err != nil {
		return s.err
	}
	if gap := line - s.next; gap > 0 {
		if err := s.flush(); err != nil {
			return err
		}
		if _, err := io.WriteString(s.to, strings.Repeat("\n", gap)); err != nil {
			return err
		}
		s.next = line
	}
	s.next++
	for _, cell := range cells {
		s.next += strings.Count(cell, "\n")
	}
	return s.csv.Write(cells)
}

func (s *rowSender) flush() error {
	s.csv.Flush()
	if s.err != nil {
		return s.err
	}
	return s.csv.Error()
}
