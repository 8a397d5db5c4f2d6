package main

import (
	"bufio"
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
	"gateway/internal/predict"
)

type predictCommand struct {
	File   string `arg:"" help:"CSV with a header row; a column of labels is passed over. - is standard input."`
	Output string `short:"o" help:"File to write; standard output if not given." placeholder:"FILE"`
	remote
}

// scoredColumns are added to the columns of the input.
var scoredColumns = []string{"score", "predicted_label", "model", "error"}

// waitingRows is how many rows may be on their way to the gateway and back. It
// must exceed what the gateway scores at once, or both would wait for ever.
const waitingRows = 16 << 10

// Run scores a file row by row in constant memory and writes it out again with
// the answer behind each row. It fails if any row did.
func (cmd predictCommand) Run(c *console) error {
	in, size, err := openInput(cmd.File)
	if err != nil {
		return err
	}
	defer in.Close()
	bar := newProgress(c.stderr, "rows", size)
	s := &scoring{json: cmd.JSON, bar: bar}
	err = cmd.with(c, func(ctx context.Context, client *api.Client) error {
		return writeOutput(c, cmd.Output, func(w io.Writer) error {
			s.out, s.csv = w, csv.NewWriter(w)
			err := s.run(ctx, client, bufio.NewReaderSize(bar.reader(in), 1<<16))
			s.csv.Flush()
			return errors.Join(err, s.csv.Error())
		})
	})
	took := bar.done()
	if err != nil {
		return fmt.Errorf("%s: %w", cmd.File, err)
	}
	fmt.Fprintf(c.stderr, "scored %d of %d rows in %s\n", s.rows-s.failed, s.rows, took)
	if s.failed > 0 {
		return fmt.Errorf("%s: %d of %d rows could not be scored; the column error says why", cmd.File, s.failed, s.rows)
	}
	return nil
}

// scoring is one file on its way through the gateway.
type scoring struct {
	json   bool
	out    io.Writer
	csv    *csv.Writer
	bar    *progress
	rows   int64
	failed int64
}

// run sends the rows and, as the answers come back in the same order, writes
// each row with its answer.
func (s *scoring) run(ctx context.Context, client *api.Client, in *bufio.Reader) error {
	head, _ := in.Peek(4096)
	table := csv.NewReader(in)
	table.Comma = predict.Delimiter(string(head))
	table.FieldsPerRecord = -1
	header, err := table.Read()
	if err != nil {
		return fmt.Errorf("the header row: %w", err)
	}
	header[0] = strings.TrimPrefix(header[0], "\ufeff")
	if !s.json {
		if err := s.csv.Write(slices.Concat(header, scoredColumns)); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	body, send := io.Pipe()
	waiting := make(chan []string, waitingRows)
	go func() {
		defer close(waiting)
		_ = send.CloseWithError(feed(ctx, table, header, send, waiting))
	}()
	err = nil
	for item, answerErr := range client.PredictBatch(ctx, "text/csv", body) {
		if err = answerErr; err != nil {
			break
		}
		cells, ok := <-waiting
		if !ok {
			err = errors.New("the gateway answered more rows than it was sent")
			break
		}
		if err = s.write(header, cells, item); err != nil {
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

// feed writes the rows as plain CSV and queues each for its answer.
func feed(ctx context.Context, table *csv.Reader, header []string, to io.Writer, waiting chan<- []string) error {
	w := csv.NewWriter(to)
	err := w.Write(header)
	for err == nil {
		var cells []string
		if cells, err = table.Read(); err != nil {
			break
		}
		select {
		case waiting <- cells:
		case <-ctx.Done():
			return ctx.Err()
		}
		err = w.Write(cells)
	}
	w.Flush()
	if errors.Is(err, io.EOF) {
		return w.Error()
	}
	return err
}

func (s *scoring) write(header, cells []string, item api.BatchItem) error {
	s.rows++
	s.bar.set(s.rows)
	failure := ""
	if item.Error != nil {
		s.failed++
		failure = item.Error.Error()
	}
	if s.json {
		line := map[string]any{"row": s.rows, "error": failure}
		if item.Error == nil {
			line = map[string]any{"row": s.rows, "score": item.Score, "predicted_label": item.PredictedLabel, "model": item.Model}
		}
		text, err := json.Marshal(line)
		if err != nil {
			return err
		}
		_, err = s.out.Write(append(text, '\n'))
		return err
	}
	for len(cells) < len(header) {
		cells = append(cells, "")
	}
	answer := []string{"", "", "", failure}
	if item.Error == nil {
		answer = []string{strconv.FormatFloat(item.Score, 'g', -1, 64), strconv.Itoa(item.PredictedLabel), item.Model, ""}
	}
	return s.csv.Write(slices.Concat(cells[:len(header)], answer))
}
