package main

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/alecthomas/kong"

	"gateway/internal/config"
)

type manCommand struct{}

// Help says how to read what is printed.
func (manCommand) Help() string { return "Read it with `gateway man | man -l -`." }

// Run prints the man page, in the macros of man(7).
func (manCommand) Run(c *console, k *kong.Context) error {
	tree := treeOf(k.Model.Node, "", nil)
	_, err := fmt.Fprint(c.stdout, manPage(&tree))
	return err
}

// roff escapes a text, which may have several lines.
func roff(text string) string {
	text = strings.NewReplacer(`\`, `\e`, "-", `\-`).Replace(text)
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		if strings.HasPrefix(line, ".") || strings.HasPrefix(line, "'") {
			lines[i] = `\&` + line
		}
	}
	var ascii strings.Builder
	for _, r := range strings.Join(lines, "\n.br\n") {
		if r < utf8.RuneSelf {
			ascii.WriteRune(r)
		} else {
			fmt.Fprintf(&ascii, `\[u%04X]`, r)
		}
	}
	return ascii.String()
}

func manPage(tree *commandNode) string {
	var b strings.Builder
	fmt.Fprintf(&b, ".TH GATEWAY 1 \"\" \"gateway %s\"\n.SH NAME\ngateway \\- predictions for apps, and the loop that keeps the model fresh\n", roff(version))
	fmt.Fprintf(&b, ".SH SYNOPSIS\n.B gateway\n.RI [ command ]\n.RI [ flags ]\n.SH DESCRIPTION\n%s\n.SH COMMANDS\n", roff(tree.Help))
	tree.all(func(n *commandNode) {
		if n.Path == "" || len(n.Commands) > 0 && n.Usage == "" && n.Detail == "" {
			return // its commands say more
		}
		fmt.Fprintf(&b, ".SS \"gateway%s%s\"\n%s\n", roff(n.Path), roff(n.Usage), roff(n.Help))
		if n.Detail != "" {
			fmt.Fprintf(&b, ".PP\n%s\n", roff(n.Detail))
		}
		for _, f := range n.Flags {
			if f.Name != "help" {
				b.WriteString(f.man())
			}
		}
	})
	b.WriteString(".SH ENVIRONMENT\nThe variables of the AWS SDK and of OpenTelemetry keep their meaning.\n")
	for _, s := range config.Settings() {
		fmt.Fprintf(&b, ".TP\n.B %s\n%s\n", roff(s.Name), roff(s.Meaning))
		if s.Default != "" {
			fmt.Fprintf(&b, "(default: %s)\n", roff(s.Default))
		}
	}
	fmt.Fprintf(&b, ".SH EXIT STATUS\n.TP\n.B %d\nThe command succeeded.\n.TP\n.B %d\nThe command failed.\n.TP\n.B %d\nThe command line or a setting is wrong.\n", exitOK, exitFailed, exitUsage)
	return b.String()
}

// man is the entry of a flag.
func (f *commandFlag) man() string {
	name := `\fB` + roff("--"+f.Name) + `\fR`
	if f.Short != "" {
		name = `\fB` + roff("-"+f.Short) + `\fR, ` + name
	}
	if f.Placeholder != "" {
		name += `=\fI` + roff(f.Placeholder) + `\fR`
	}
	return ".TP\n" + name + "\n" + roff(f.Help) + "\n"
}
