package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"gateway/api/client"
	"gateway/internal/config"
	"gateway/internal/datadir"
	"gateway/internal/draft"
	"gateway/internal/modelswap"
	"gateway/internal/predict"
	"gateway/internal/schema"
)

// initCommand goes from a file of customers to a trained model.
type initCommand struct {
	File     string `arg:"" help:"CSV of customers with a column to learn."`
	Label    string `help:"Column to be learned; needed where the file does not show it." placeholder:"COLUMN"`
	Positive string `help:"Value of the label that is to be predicted." placeholder:"VALUE"`
	ID       string `name:"id" help:"Column that holds the customer id." placeholder:"COLUMN"`
	Name     string `help:"Name of the schema; the file's name if not given."`
	Schema   string `help:"Where to write the schema; schema.yaml in the data dir if not given." placeholder:"PATH"`
	platform string // that the settings name
	Yes      bool   `short:"y" help:"Ask nothing: accept what is marked as a guess, and replace an earlier draft."`
}

// Run drafts a schema, asks on a terminal what is unclear, writes the schema,
// imports the file and trains the first model.
func (cmd initCommand) Run(c *console) error {
	cfg, err := config.Load()
	if err != nil {
		return err
	}
	if cmd.File == "-" {
		return &usageError{errors.New("init reads the file twice, so it cannot be standard input")}
	}
	cmd.platform = cfg.Platform
	path := cmd.Schema
	if path == "" {
		path = cfg.DataSchema()
	}
	if cfg.Schema != "" && !sameFile(cfg.Schema, path) {
		return &usageError{fmt.Errorf("GATEWAY_SCHEMA names %s, and init would write %s: unset GATEWAY_SCHEMA, or give --schema %s", cfg.Schema, path, cfg.Schema)}
	}
	d, err := cmd.draft(c)
	if err != nil {
		return err
	}
	cmd.summary(c.stdout, d)
	if err := cmd.write(c, path, d); err != nil {
		return err
	}
	fmt.Fprintf(c.stdout, "wrote %s\n\n", path)
	on := remote{schema: path}
	numbering := predict.NumberRefuse
	if cmd.Yes {
		numbering = predict.NumberReplace
	}
	if err := (importCommand{File: cmd.File, Numbering: string(numbering), remote: on}).Run(c); err != nil {
		return err
	}
	_, err = os.Stat(turnedFile(path))
	turned := err == nil
	err = (retrainCommand{Watch: true, Force: turned, Reason: "gateway init " + filepath.Base(cmd.File), remote: on}).Run(c)
	var ended *renewalError
	switch {
	case errors.As(err, &ended) && ended.renewal.Status == modelswap.Rejected && ended.renewal.Metrics.Champion != nil:
		fmt.Fprintf(c.stdout, "The model that served before goes on serving: %s\n", ended.renewal.Error)
	case err != nil:
		return err
	case turned:
		if err := os.Remove(turnedFile(path)); err != nil {
			return err
		}
	}
	cmd.next(c.stdout, &cfg, path)
	return nil
}

// draft drafts the schema. On a terminal it asks what the file does not show.
func (cmd *initCommand) draft(c *console) (*draft.Draft, error) {
	for {
		d, err := cmd.infer(c)
		var unclear *draft.UnclearError
		switch {
		case errors.As(err, &unclear) && len(unclear.Candidates) > 0 && cmd.asks(c):
			if cmd.Label, err = cmd.chooseLabel(c, unclear); err != nil {
				return nil, err
			}
			continue
		case err != nil:
			return nil, draftError(cmd.File, err)
		case !d.Label.Guess || !cmd.asks(c):
			return d, nil
		}
		if cmd.Positive, err = cmd.choosePositive(c, &d.Label); err != nil {
			return nil, err
		}
	}
}

// asks reports whether there is a person to ask.
func (cmd *initCommand) asks(c *console) bool {
	return !cmd.Yes && c.answers != nil
}

func (cmd *initCommand) infer(c *console) (*draft.Draft, error) {
	in, size, err := openInput(cmd.File)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	bar := newProgress(c.stderr, "rows", size)
	defer bar.done()
	return draft.Infer(bar.reader(in), draft.Options{Name: cmd.name(), ID: cmd.ID, Label: cmd.Label, Positive: cmd.Positive, Target: cmd.platform != config.SageMaker})
}

var notSchemaName = regexp.MustCompile(`[^a-z0-9]+`)

// name returns the name of the schema: the one given, or one made of the file's.
func (cmd *initCommand) name() string {
	if cmd.Name != "" {
		return cmd.Name
	}
	base := strings.ToLower(strings.TrimSuffix(filepath.Base(cmd.File), filepath.Ext(cmd.File)))
	name := strings.Trim(notSchemaName.ReplaceAllString(base, "-"), "-")
	if name == "" || name[0] >= '0' && name[0] <= '9' {
		name = "customers-" + name
	}
	return strings.Trim(name[:min(len(name), schema.MaxName)], "-")
}

// chooseLabel asks which column is the label.
func (cmd *initCommand) chooseLabel(c *console, unclear *draft.UnclearError) (string, error) {
	fmt.Fprintf(c.stderr, "Which column is to be predicted? These have two values:\n")
	for i, k := range unclear.Candidates {
		fmt.Fprintf(c.stderr, "  %2d  %s\n", i+1, k)
	}
	for _, miss := range unclear.NearMisses {
		fmt.Fprintf(c.stderr, "      %s\n", miss)
	}
	n, err := cmd.ask(c, "Number: ", len(unclear.Candidates))
	if err != nil {
		return "", err
	}
	return unclear.Candidates[n-1].Column, nil
}

// choosePositive asks which value of the label is to be predicted.
func (cmd *initCommand) choosePositive(c *console, l *draft.Label) (string, error) {
	fmt.Fprintf(c.stderr, "Column %q has two values. The probability of which one is to be predicted?\n", l.Column)
	for i, k := range []draft.Class{l.Positive, l.Negative} {
		fmt.Fprintf(c.stderr, "  %2d  %s (%d rows)\n", i+1, strings.Join(k.Texts, ", "), k.Count)
	}
	n, err := cmd.ask(c, "Number: ", 2)
	if err != nil {
		return "", err
	}
	return []draft.Class{l.Positive, l.Negative}[n-1].Texts[0], nil
}

// ask reads a number from 1 to most.
func (cmd *initCommand) ask(c *console, prompt string, most int) (int, error) {
	for {
		fmt.Fprint(c.stderr, prompt)
		line, err := c.answers.ReadString('\n')
		if n, parseErr := strconv.Atoi(strings.TrimSpace(line)); parseErr == nil && n >= 1 && n <= most {
			return n, nil
		}
		if err != nil {
			return 0, errors.New("no answer")
		}
		fmt.Fprintf(c.stderr, "Give a number from 1 to %d.\n", most)
	}
}

// summary prints what was decided.
func (cmd *initCommand) summary(out io.Writer, d *draft.Draft) {
	l := &d.Label
	total := float64(l.Positive.Count + l.Negative.Count)
	fmt.Fprintf(out, "rows     %d\n", d.Rows)
	for _, note := range d.Notes {
		fmt.Fprintf(out, "note     %s\n", note)
	}
	guess := ""
	if l.Guess {
		guess = "; a guess: use --positive " + shellQuote(l.Negative.Texts[0]) + " for the other"
	}
	fmt.Fprintf(out, "label    %s: %s\npositive %s, %.1f %% of the rows: %s%s\n", oneLine(l.Column), l.Why, strings.Join(l.Positive.Texts, ", "),
		100*float64(l.Positive.Count)/total, l.WhyValue, guess)
	if l.Missing > 0 {
		fmt.Fprintf(out, "note     %d rows have no label; they are imported and not learned from\n", l.Missing)
	}
	if d.ID == "" {
		fmt.Fprintf(out, "id       none, rows are numbered from 1: %s\n", d.WhyID)
	} else {
		fmt.Fprintf(out, "id       %s: %s\n", oneLine(d.ID), d.WhyID)
	}
	fmt.Fprintf(out, "features %d\n", d.Features)
	for _, text := range d.Guesses {
		fmt.Fprintf(out, "guess    %s\n", text)
	}
	for _, k := range d.LeftOut {
		fmt.Fprintf(out, "left out %s: %s\n", oneLine(k.Column), k.Reason)
	}
}

var plainWord = regexp.MustCompile(`^[A-Za-z0-9_./:=-]+$`)

// shellQuote quotes a word for a shell if it is not plain.
func shellQuote(word string) string {
	if plainWord.MatchString(word) {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

// turnedFile returns the path of a file beside a schema that is there from the moment
// at which its label has another positive value until a model has learned that one.
// That model is deployed however good the other one is.
func turnedFile(schema string) string { return schema + ".turned" }

// turns reports whether a label has another positive value than in the schema at a path,
// if there is one.
func turns(path string, l *schema.Label) bool {
	old, err := schema.Load(path)
	if err != nil {
		return false
	}
	for _, spelling := range old.Label.Positive {
		if label, ok := l.FromText(spelling.Value); ok && label == 0 {
			return true
		}
	}
	return false
}

// write writes the schema. It replaces an earlier draft only with --yes, and nothing
// while a gateway serves from the data dir or if the store has the customers of
// another file.
func (cmd *initCommand) write(c *console, path string, d *draft.Draft) error {
	old, err := os.ReadFile(path)
	switch {
	case err == nil && bytes.Equal(old, d.YAML):
		return nil
	case err == nil && !cmd.Yes:
		return &usageError{fmt.Errorf("%s exists and is another schema: to add rows of its columns, use gateway import; to replace it, give --yes; or name another data dir with GATEWAY_DATA_DIR", path)}
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	draft := path + ".draft"
	defer os.Remove(draft)
	if err := os.WriteFile(draft, d.YAML, 0o600); err != nil {
		return err
	}
	if err := cmd.checkStore(c, draft, path, d); err != nil {
		return err
	}
	if turns(path, &d.Schema.Label) {
		if err := os.WriteFile(turnedFile(path), nil, 0o600); err != nil {
			return err
		}
	}
	return datadir.ReplaceFile(path, func(w io.Writer) error {
		_, err := w.Write(d.YAML)
		return err
	})
}

// checkStore returns an error if the store has customers that were not imported by
// init of the same file: a model would learn from them too, whatever their label was.
// draft has the new schema, path the old one if there is one.
func (cmd *initCommand) checkStore(c *console, draft, path string, d *draft.Draft) error {
	stored := int64(0)
	err := remote{schema: draft}.with(c, func(ctx context.Context, gateway *client.Client) error {
		status, err := gateway.Status(ctx)
		customers, _ := status["customers"].(map[string]any)
		total, _ := customers["total"].(float64)
		demo, _ := customers["demo"].(float64)
		stored = int64(total - demo)
		return err
	})
	if err != nil || stored == 0 {
		return err
	}
	old, err := schema.Load(path)
	switch {
	case err != nil || old.Name != d.Schema.Name:
		return fmt.Errorf("the store has customers of another schema (%s), and the model would learn from them: name another data dir with GATEWAY_DATA_DIR", grouped(stored))
	case old.Label.Name != d.Schema.Label.Name && d.Label.Missing > 0:
		return fmt.Errorf("the store has labels of column %q, and %d rows have no value in column %q: they would keep the other label. Name another data dir with GATEWAY_DATA_DIR",
			old.Label.Name, d.Label.Missing, d.Label.Column)
	}
	return nil
}

// next prints what to run next.
func (cmd *initCommand) next(out io.Writer, cfg *config.Config, path string) {
	env := ""
	if dir := os.Getenv("GATEWAY_DATA_DIR"); dir != "" {
		env = "GATEWAY_DATA_DIR=" + shellQuote(dir) + " "
	}
	if !sameFile(path, cfg.DataSchema()) {
		env += "GATEWAY_SCHEMA=" + shellQuote(path) + " "
	}
	program := "gateway"
	if strings.ContainsRune(os.Args[0], filepath.Separator) {
		program = shellQuote(os.Args[0])
	}
	fmt.Fprintf(out, "\nNext:\n  %s%s   serve predictions on http://%s; try them on /docs\n  %s%s predict %s   score the file\n",
		env, program, cfg.Addr, env, program, shellQuote(cmd.File))
}

// sameFile reports whether two paths name one file, which need not exist.
func sameFile(a, b string) bool {
	x, errA := filepath.Abs(a)
	y, errB := filepath.Abs(b)
	return errA == nil && errB == nil && x == y
}
