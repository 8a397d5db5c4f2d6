package main

import (
	"fmt"

	"gateway/internal/config"
)

type configCommand struct {
	JSON     bool `name:"json" help:"Print JSON."`
	Markdown bool `help:"Print the page docs/configuration.md."`
}

// Run prints the settings. It reads none, so that it works while one is wrong.
func (cmd configCommand) Run(c *console) error {
	if cmd.JSON {
		return printJSON(c, config.Settings())
	}
	text := config.Table()
	if cmd.Markdown {
		text = config.Document()
	}
	_, err := fmt.Fprint(c.stdout, text)
	return err
}
