package main

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"gateway/api"
	"gateway/api/client"
	"gateway/internal/schema"
)

type predictCommand struct {
	File   string `arg:"" help:"CSV with a header row; a column of labels is passed over. - is standard input."`
	Output string `short:"o" help:"File to write; standard output if not given. Text that begins like a formula gets an apostrophe before it." placeholder:"FILE"`
	remote
}

// scoredColumns are added to the columns of the input.
var scoredColumns = []string{"prediction_id", "score", "predicted_label", "model", "error"}

// waitingRows is the maximum number of rows that are sent and not yet answered.
// It must exceed what the gateway scores at once, or both would wait for ever.
const waitingRows = 16 << 10

// Help is shown by gateway predict --help.
func (predictCommand) Help() string {
	return "Exit code 1 also means that a row could not be scored. Such a row keeps its place, with the reason in the column error.\n\n" + exitCodesHelp
}

// Run scores a file row by row in constant memory and writes it out again with
// the answer behind each row. It fails if any row did.
func (cmd predictCommand) Run(c *console) error {
	in, size, err := openInput(cmd.File)
	if err != nil {
		return err
	}
	defer in.Close()
	bar := newProgress(c.stderr, "rows", size)
	text := schema.NewTextReader(bar.reader(in))
	s := &fileScoring{json: cmd.JSON, notes: c.stderr, bar: bar}
	err = cmd.with(c, func(ctx context.Context, client *client.Client) error {
		return writeOutput(c, cmd.Output, func(w io.Writer) error {
			s.out, s.csv = w, csv.NewWriter(w)
			err := s.run(ctx, client, text)
			s.csv.Flush()
			return errors.Join(err, s.csv.Error())
		})
	})
	took := bar.done()
	noteDecoded(c.stderr, cmd.File, text)
	if err != nil {
		return fmt.Errorf("%s: %w", cmd.File, err)
	}
	fmt.Fprintf(c.stderr, "scored %d of %d rows in %s\n", s.rows-s.failed, s.rows, took)
	if s.failed > 0 {
		return fmt.Errorf("%s: %d of %d rows could not be scored; the column error says why", cmd.File, s.failed, s.rows)
	}
	return nil
}

// fileScoring scores one file.
type fileScoring struct {
	json   bool
	out    io.Writer
	notes  io.Writer
	csv    *csv.Writer
	bar    *progress
	rows   int64
	failed int64
}

// sentRow is a row of the file that waits for its answer.
type sentRow struct {
	line   int
	cells  []string
	unread string // why it cannot be read
}

// run sends the rows and, as the answers come back in the same order, writes
// each row with its answer.
func (s *fileScoring) run(ctx context.Context, client *client.Client, in io.Reader) error {
	table, err := schema.NewCSVReader(in, schema.MaxRow)
	if err != nil {
		return err
	}
	header := table.Header()
	if table.HeaderIsData() {
		table.UnreadHeader()
		header = schema.NumberedNames(len(header))
	}
	if !s.json {
		all := schema.UniqueNames(slices.Concat(header, scoredColumns))
		if added := all[len(header):]; !slices.Equal(added, scoredColumns) {
			fmt.Fprintf(s.notes, "the file has columns of these names, so the prediction is in %s\n", strings.Join(added, ", "))
		}
		if err := s.csv.Write(schema.SafeCells(slices.Concat(header, all[len(header):]))); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	body, send := io.Pipe()
	waiting := make(chan sentRow, waitingRows)
	go func() {
		defer close(waiting)
		_ = send.CloseWithError(feed(ctx, table, header, send, waiting))
	}()
	err = nil
	for item, answerErr := range client.PredictBatch(ctx, "text/csv", body) {
		if err = answerErr; err != nil {
			break
		}
		row, ok := <-waiting
		if !ok {
			err = errors.New("the gateway answered more rows than it was sent")
			break
		}
		if err = s.write(header, row, item); err != nil {
			break
		}
	}
	cancel()
	_ = body.Close()
	if err != nil {
		return err
	}
	if _, more := <-waiting; more {
		return errors.New("the gateway answered fewer rows than it was sent")
	}
	return nil
}

// feed sends the rows as CSV and queues each for its answer. For a row that
// cannot be read it sends one that the gateway refuses, so that every row has an
// answer.
func feed(ctx context.Context, table *schema.CSVReader, header []string, to io.Writer, waiting chan<- sentRow) error {
	out := newRowSender(to, header)
	for {
		line, cells, err := table.Next()
		row := sentRow{line: line, cells: slices.Clone(cells)}
		var unread *schema.RowError
		switch {
		case errors.As(err, &unread):
			row.unread = unread.Error()
			cells = out.refused
		case errors.Is(err, io.EOF):
			return out.flush()
		case err != nil:
			return errors.Join(out.flush(), err)
		}
		select {
		case waiting <- row:
		case <-ctx.Done():
			return ctx.Err()
		}
		if err := out.write(line, cells); err != nil {
			return err
		}
	}
}

func (s *fileScoring) write(header []string, row sentRow, item api.BatchItem) error {
	s.rows++
	s.bar.set(s.rows)
	failure := row.unread
	if failure == "" && item.Error != nil {
		failure = strings.ReplaceAll(item.Error.Error(), "\n  ", "; ")
	}
	if failure != "" {
		s.failed++
	}
	if s.json {
		line := map[string]any{"row": s.rows, "line": row.line, "error": failure}
		if failure == "" {
			line = map[string]any{"row": s.rows, "line": row.line, "prediction_id": item.PredictionID, "score": item.Score,
				"predicted_label": item.PredictedLabel, "model": item.Model}
		}
		text, err := json.Marshal(line)
		if err != nil {
			return err
		}
		_, err = s.out.Write(append(text, '\n'))
		return err
	}
	cells := make([]string, len(header))
	copy(cells, row.cells)
	answer := []string{"", "", "", "", failure}
	if failure == "" {
		answer = []string{item.PredictionID, strconv.FormatFloat(item.Score, 'g', -1, 64), strconv.Itoa(item.PredictedLabel), item.Model, ""}
	}
	return s.csv.Write(schema.SafeCells(slices.Concat(cells, answer)))
}
