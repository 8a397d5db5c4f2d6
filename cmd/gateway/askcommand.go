package main

import (
	"cmp"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net/http"
	"os"
	"path"
	"strconv"
	"strings"
	"time"

	"gateway/api/client"
	"gateway/api/edge"
	"gateway/internal/ask"
	"gateway/internal/aws"
	"gateway/internal/config"
	"gateway/internal/datadir"
	"gateway/internal/modelswap"
)

type askCommand struct {
	SQL     string        `arg:"" optional:"" help:"The question: one SELECT, WITH … SELECT or VALUES over the table datasource; - reads it from standard input. Without one the table is explained."`
	CSV     bool          `name:"csv" help:"Print CSV: a header and the rows."`
	Rows    int           `help:"Maximum number of rows to print; 1000 if not given." default:"1000" placeholder:"N"`
	Here    bool          `help:"On the platform sagemaker, answer in this process too, instead of in Athena."`
	Timeout time.Duration `help:"Stop the question after this time; 2m if not given." default:"2m" placeholder:"TIME"`
	remote
}

// Help is shown by gateway ask --help.
func (askCommand) Help() string {
	return `The table datasource has a row for each labelled customer of the newest training data, held-out rows too. Its columns are the schema's features as people write them (categories are text, dates are text such as 2026-11-23, what is missing is NULL) and the label as 0 or 1. Excluded features are not in it.

  gateway ask
  gateway ask 'SELECT job, count(*) AS customers, avg(y) AS rate FROM datasource GROUP BY job ORDER BY rate DESC'
  gateway ask --csv 'SELECT corr(age, y), corr(duration, y) FROM datasource' > correlations.csv

A question reads. Everything else is refused: other statements, several statements, files of this machine. On the platform local, and with --here, SQLite answers in this process, with Athena's corr, stddev and variance added; on sagemaker, Athena (GATEWAY_ATHENA_WORKGROUP, _DATABASE, _OUTPUT), in a table that is dropped after the question. The data comes from the gateway that serves from the data dir, from --url, or from the data dir itself. --json prints {"columns": [...], "rows": [[...]]}, and "more": true if --rows cut it off.

Exit codes: 0 success; 1 the question failed, took too long, or there is no training data; 2 the statement is refused, or a flag or a setting is wrong.`
}

// Run answers a question, or explains the table.
func (cmd askCommand) Run(c *console) error {
	if err := cmd.check(); err != nil {
		return &usageError{err}
	}
	cfg, err := config.Load()
	if err != nil {
		return err
	}
	s, err := cfg.LoadSchema()
	if err != nil {
		return &config.Error{Err: err}
	}
	table := ask.NewTable(s)
	if cmd.SQL == "-" {
		text, err := io.ReadAll(io.LimitReader(os.Stdin, maxQuestion+1))
		if err != nil {
			return err
		}
		cmd.SQL = string(text)
	} else if cmd.SQL == "" {
		return cmd.explain(c, cfg, s.Name, table)
	}
	if len(cmd.SQL) > maxQuestion {
		return &usageError{fmt.Errorf("the SQL is longer than %d KiB", maxQuestion>>10)}
	}
	engine := ask.SQLite
	if cfg.Platform == config.SageMaker && !cmd.Here {
		engine = ask.Athena
	}
	question, err := ask.Parse(cmd.SQL, engine)
	if err != nil {
		return &usageError{err}
	}
	if question.Declared != nil {
		_, err := fmt.Fprintln(c.stdout, question.Declared.Answer(table))
		return err
	}
	answer := cmd.answer
	if engine == ask.Athena {
		answer = cmd.answerInAthena
	}
	result, err := answer(c, cfg, table, question)
	switch {
	case errors.Is(err, ask.ErrReads):
		return &usageError{err}
	case err != nil:
		return err
	}
	return cmd.print(c, result)
}

// maxQuestion is the maximum length of a question in bytes, that of Athena.
const maxQuestion = 256 << 10

func (cmd askCommand) check() error {
	switch {
	case cmd.CSV && cmd.JSON:
		return errors.New("--csv and --json exclude each other")
	case cmd.Rows < 1:
		return errors.New("--rows: must be at least 1")
	case cmd.Timeout <= 0:
		return errors.New("--timeout: must be longer than 0s")
	}
	return nil
}

// onServing is remote.onExisting, but if a gateway serves from the data dir, it uses that
// gateway.
func (cmd askCommand) onServing(c *console, cfg config.Config, do func(ctx context.Context, client *client.Client) error) error {
	err := cmd.onExisting(c, do)
	if url := datadir.OwnerOf(cfg.DataDir).URL; errors.Is(err, datadir.ErrInUse) && url != "" {
		serving := cmd.remote
		serving.URL = url
		err = serving.with(c, do)
	}
	var problem *edge.Problem
	if errors.As(err, &problem) && problem.Status == http.StatusNotFound {
		return errors.New("there is no training data for this schema yet: gateway retrain makes it from the customers that have a label (gateway import)")
	}
	return err
}

// answer loads the table and asks the question.
func (cmd askCommand) answer(c *console, cfg config.Config, table *ask.Table, question *ask.Question) (*ask.Result, error) {
	d, err := ask.Open(c.ctx, table, question)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	err = cmd.onServing(c, cfg, func(ctx context.Context, client *client.Client) error {
		data, err := client.TrainingData(ctx)
		if err != nil {
			return err
		}
		defer data.Close()
		bar := newProgress(c.stderr, "rows", -1)
		defer bar.done()
		return d.Load(ctx, data, bar.set)
	})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(c.ctx, cmd.Timeout)
	defer cancel()
	result, err := d.Ask(ctx, question, cmd.Rows)
	return result, cmd.stopped(ctx, err)
}

// stopped returns the error of a question, in words for people if its time was over.
func (cmd askCommand) stopped(ctx context.Context, err error) error {
	if err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fmt.Errorf("the question was stopped after %s (--timeout)", cmd.Timeout)
	}
	return err
}

// answerInAthena asks the question in Athena, over the files of the training data.
func (cmd askCommand) answerInAthena(c *console, cfg config.Config, table *ask.Table, question *ask.Question) (*ask.Result, error) {
	s, err := cfg.LoadSchema()
	if err != nil {
		return nil, &config.Error{Err: err}
	}
	renewal, err := cmd.renewal(c, cfg)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, what := range []string{"train_file", "holdout_file"} {
		name, ok := renewal.Step(modelswap.Convert).Detail[what].(string)
		if !ok {
			return nil, fmt.Errorf("the record of renewal %s does not say where its training data is, because an earlier version made it: renew the model, or use --here", renewal.ID)
		}
		names = append(names, name)
	}
	api, err := aws.Connect(c.ctx, slog.New(slog.NewTextHandler(c.stderr, &slog.HandlerOptions{Level: slog.LevelWarn})))
	if err != nil {
		return nil, &usageError{err}
	}
	files, err := aws.NewFiles(api, cfg.S3.Bucket, cfg.S3.Prefix, "", s.Fingerprint())
	if err != nil {
		return nil, &config.Error{Err: err}
	}
	output := cmp.Or(cfg.Athena.Output, "s3://"+path.Join(cfg.S3.Bucket, cfg.S3.Prefix, "athena")+"/")
	queries := aws.NewAthena(api, aws.AthenaSettings{Workgroup: cfg.Athena.Workgroup, Database: cfg.Athena.Database, Output: output})
	ctx, cancel := context.WithTimeout(c.ctx, cmd.Timeout)
	defer cancel()
	rows := ask.NewCollector(cmd.Rows)
	columns, err := aws.NewAsker(queries, files).Ask(ctx, names, func(name string, files []string) string {
		return table.AthenaSQL(question, name, files)
	}, rows.Add)
	if err != nil && !ask.Full(err) {
		return nil, cmd.stopped(ctx, err)
	}
	return rows.Result(columns), nil
}

// renewal returns the renewal that made the newest training data.
func (cmd askCommand) renewal(c *console, cfg config.Config) (renewal *modelswap.Renewal, err error) {
	err = cmd.onServing(c, cfg, func(ctx context.Context, client *client.Client) error {
		id, err := client.TrainingDataRenewal(ctx)
		if err == nil {
			renewal, err = client.Renewal(ctx, id)
		}
		return err
	})
	return renewal, err
}

// print writes a result in the form that the flags ask for.
func (cmd askCommand) print(c *console, result *ask.Result) (err error) {
	switch {
	case cmd.JSON:
		return printJSON(c, jsonResult(result))
	case cmd.CSV:
		err = csv.NewWriter(c.stdout).WriteAll(cells(result, result.Columns, csvCell))
	default:
		if err = writeTable(c.stdout, cells(result, result.Columns, tableCell)); err == nil && !result.More {
			_, err = fmt.Fprintf(c.stderr, "rows: %d\n", len(result.Rows))
		}
	}
	if err == nil && result.More {
		_, err = fmt.Fprintf(c.stderr, "there are more than these %d rows: --rows prints more\n", len(result.Rows))
	}
	return err
}

// askedResult is a result as --json prints it.
type askedResult struct {
	Columns []string `json:"columns"`
	Rows    [][]any  `json:"rows"`
	More    bool     `json:"more,omitempty"`
}

// jsonResult replaces numbers that JSON does not have by texts.
func jsonResult(r *ask.Result) askedResult {
	out := askedResult{Columns: r.Columns, Rows: r.Rows, More: r.More}
	if out.Rows == nil {
		out.Rows = [][]any{}
	}
	for _, row := range out.Rows {
		for i, v := range row {
			if x, ok := v.(float64); ok && (math.IsInf(x, 0) || math.IsNaN(x)) {
				row[i] = csvCell(x)
			}
		}
	}
	return out
}

// cells are a header and the rows of a result as text.
func cells(r *ask.Result, header []string, cell func(any) string) [][]string {
	rows := append(make([][]string, 0, len(r.Rows)+1), header)
	for _, values := range r.Rows {
		row := make([]string, len(values))
		for i, v := range values {
			row[i] = cell(v)
		}
		rows = append(rows, row)
	}
	return rows
}

// csvCell is a value with all its digits; empty for NULL.
func csvCell(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64)
	}
	return fmt.Sprint(v)
}

// tableCell is a value for people: a number with at most six decimals, a dash for NULL.
func tableCell(v any) string {
	switch v := v.(type) {
	case nil:
		return "-"
	case float64:
		if v == 0 {
			return "0"
		}
		if size := math.Abs(v); size < 1e-4 || size >= 1e15 {
			return strconv.FormatFloat(v, 'g', 6, 64)
		}
		text := strconv.FormatFloat(v, 'f', 6, 64)
		return strings.TrimRight(strings.TrimRight(text, "0"), ".")
	case string:
		return oneLine(v)
	}
	return fmt.Sprint(v)
}

// tableInfo is what gateway ask says of the table without a question.
type tableInfo struct {
	Table     string        `json:"table"`
	Line      string        `json:"line"`
	Renewal   string        `json:"renewal"`
	Model     *string       `json:"model"`
	MadeAt    *time.Time    `json:"made_at"`
	Rows      int64         `json:"rows"`
	HeldOut   int64         `json:"held_out"`
	Columns   []tableColumn `json:"columns"`
	Excluded  []string      `json:"excluded,omitempty"`
	Personal  []string      `json:"personal,omitempty"`
	Questions []string      `json:"questions"`
}

type tableColumn struct {
	Name string `json:"name"`
	Type string `json:"type"`
}

// explain prints the table's columns, where its data comes from and useful questions.
func (cmd askCommand) explain(c *console, cfg config.Config, line string, table *ask.Table) error {
	renewal, err := cmd.renewal(c, cfg)
	if err != nil {
		return err
	}
	info := tableInfo{Table: ask.TableName, Line: line, Renewal: renewal.ID, Model: renewal.Model, Excluded: table.Excluded(), Personal: table.Personal(), Questions: table.Suggestions()}
	made := renewal.Step(modelswap.Convert)
	info.MadeAt = made.FinishedAt
	train, _ := made.Detail["train_rows"].(float64)
	held, _ := made.Detail["holdout_rows"].(float64)
	info.Rows, info.HeldOut = int64(train+held), int64(held)
	for _, column := range table.Columns {
		info.Columns = append(info.Columns, tableColumn{column.Name, column.Type})
	}
	if cmd.JSON {
		return printJSON(c, info)
	}
	return printTableInfo(c, info)
}

func printTableInfo(c *console, info tableInfo) error {
	age := "-"
	if info.MadeAt != nil {
		age = shownAge(time.Since(*info.MadeAt))
	}
	fmt.Fprintf(c.stdout, "table %s: %d labelled customers, %d of them held out from training\n", info.Table, info.Rows, info.HeldOut)
	fmt.Fprintf(c.stdout, "data of model line %s, made %s (%s old) by renewal %s, model %s\n\n", info.Line, shownTimePtr(info.MadeAt), age, info.Renewal, shownName(info.Model))
	rows := [][]string{{"COLUMN", "TYPE", "NOTE"}}
	for i, column := range info.Columns {
		note := ""
		if i == len(info.Columns)-1 {
			note = "the label: 0 or 1"
		}
		rows = append(rows, []string{column.Name, column.Type, note})
	}
	if err := writeTable(c.stdout, rows); err != nil {
		return err
	}
	if len(info.Excluded) > 0 {
		fmt.Fprintf(c.stdout, "\nnot in the training data, and so not here: %s (excluded by the schema), the customers' ids\n", strings.Join(info.Excluded, ", "))
	} else {
		fmt.Fprintln(c.stdout, "\nnot in the training data, and so not here: the customers' ids")
	}
	if len(info.Personal) > 0 {
		fmt.Fprintf(c.stdout, "personal, and here because the model is made from them: %s\n", strings.Join(info.Personal, ", "))
	}
	fmt.Fprintln(c.stdout, "\nquestions to begin with:")
	for _, question := range info.Questions {
		fmt.Fprintf(c.stdout, "  gateway ask '%s'\n", strings.ReplaceAll(question, "'", `'\''`))
	}
	return nil
}

// shownAge is a duration for people, in its largest unit.
func shownAge(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", int(d.Hours()))
	}
	return fmt.Sprintf("%d days", int(d.Hours()/24))
}
