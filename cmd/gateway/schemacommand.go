package main

import (
	"errors"
	"fmt"
	"io"

	"gateway/internal/config"
	"gateway/internal/draft"
	"gateway/internal/schema"
)

type schemaCommand struct {
	Infer schemaInferCommand `cmd:"" help:"Draft a schema from the data in a CSV file."`
	Check schemaCheckCommand `cmd:"" help:"Check a schema file; without one, the schema that the settings name."`
	Show  schemaShowCommand  `cmd:"" help:"Print the schema that the settings name."`
}

type schemaInferCommand struct {
	File     string `arg:"" help:"CSV with a header row; - is standard input."`
	Name     string `help:"Name of the schema."`
	ID       string `name:"id" help:"Column that holds the customer id; guessed if not given."`
	Label    string `help:"Column to be learned; needed where the file does not show it." placeholder:"COLUMN"`
	Positive string `help:"Value of the label that is to be predicted." placeholder:"VALUE"`
}

// Run drafts a schema to standard output.
func (cmd schemaInferCommand) Run(c *console) error {
	cfg, err := config.Load()
	if err != nil {
		return err
	}
	in, _, err := openInput(cmd.File)
	if err != nil {
		return err
	}
	defer in.Close()
	d, err := draft.Infer(in, draft.Options{Name: cmd.Name, ID: cmd.ID, Label: cmd.Label, Positive: cmd.Positive, Target: cfg.Platform != config.SageMaker})
	if err != nil {
		return draftError(cmd.File, err)
	}
	_, err = c.stdout.Write(d.YAML)
	return err
}

// Help is shown by gateway schema infer --help.
func (schemaInferCommand) Help() string { return draftExitCodesHelp }

// draftExitCodesHelp ends the help of the commands that draft a schema.
const draftExitCodesHelp = "Exit codes: 0 success; 1 the command failed, or the file is at fault; 2 a flag or a setting is wrong, or the file does not show the label and --label must name it."

// draftError returns the error of a draft: of the command line, if a flag is wrong or
// missing, else of the file.
func draftError(file string, err error) error {
	var unclear *draft.UnclearError
	var option *draft.OptionError
	err = fmt.Errorf("%s: %w", file, err)
	if errors.As(err, &option) || errors.As(err, &unclear) && len(unclear.Candidates) > 0 {
		return &usageError{err}
	}
	return err
}

type schemaCheckCommand struct {
	File string `arg:"" optional:"" help:"Schema file."`
	JSON bool   `name:"json" help:"For machines."`
}

// Run says whether a schema can be used, and what it makes.
func (cmd schemaCheckCommand) Run(c *console) error {
	s, err := cmd.load()
	if err != nil {
		return err
	}
	if cmd.JSON {
		return printJSON(c, map[string]any{"name": s.Name, "features": len(s.Features),
			"columns": s.Columns(), "fingerprint": s.Fingerprint()})
	}
	_, err = fmt.Fprintf(c.stdout, "schema %s is good: %d features make %d columns; fingerprint %s\n",
		s.Name, len(s.Features), s.Width(), s.Fingerprint())
	return err
}

func (cmd schemaCheckCommand) load() (*schema.Schema, error) {
	if cmd.File != "" {
		return schema.Load(cmd.File)
	}
	cfg, err := config.Load()
	if err != nil {
		return nil, err
	}
	return cfg.LoadSchema()
}

type schemaShowCommand struct {
	JSON bool `name:"json" help:"As JSON Schema 2020-12."`
}

// Run prints the schema in use.
func (cmd schemaShowCommand) Run(c *console) error {
	cfg, err := config.Load()
	if err != nil {
		return err
	}
	path, err := cfg.SchemaPath()
	if err != nil {
		return err
	}
	s, err := cfg.LoadSchema()
	if err != nil {
		return &config.Error{Err: err}
	}
	switch {
	case cmd.JSON:
		_, err = c.stdout.Write(s.JSONSchema())
	case path == "":
		_, err = c.stdout.Write(schema.BankYAML())
	default:
		in, _, openErr := openInput(path)
		if openErr != nil {
			return openErr
		}
		defer in.Close()
		_, err = io.Copy(c.stdout, in)
	}
	return err
}
