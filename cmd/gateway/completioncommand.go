package main

import (
	"fmt"
	"strings"

	"github.com/alecthomas/kong"
)

type completionCommand struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"The shell: bash, zsh or fish."`
}

// Help says how to use what is printed.
func (completionCommand) Help() string {
	return `Source it where the shell starts: for bash "source <(gateway completion bash)" in ~/.bashrc, for zsh "source <(gateway completion zsh)" in ~/.zshrc after compinit, for fish "gateway completion fish | source" in config.fish.`
}

// Run prints the completions of a shell.
func (cmd completionCommand) Run(c *console, k *kong.Context) error {
	tree := treeOf(k.Model.Node, "", nil)
	script := map[string]func(*commandNode) string{"bash": bashCompletion, "zsh": zshCompletion, "fish": fishCompletion}[cmd.Shell]
	_, err := fmt.Fprint(c.stdout, script(&tree))
	return err
}

// quoted quotes a text for bash and zsh.
func quoted(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }

// bashCompletion completes words from lists: commands, or flags after a dash, or the values
// of the flag before. Where there is nothing to list, bash completes files.
func bashCompletion(tree *commandNode) string {
	var lists, values strings.Builder
	tree.all(func(n *commandNode) {
		var commands, flags []string
		for _, c := range n.Commands {
			commands = append(commands, c.Name)
		}
		for _, f := range n.Flags {
			flags = append(flags, "--"+f.Name)
			if f.TakesValue {
				fmt.Fprintf(&values, "        %s) COMPREPLY=($(compgen -W %s -- \"$cur\")); return ;;\n", quoted(n.Path+" --"+f.Name), quoted(strings.Join(f.Values, " ")))
			}
		}
		fmt.Fprintf(&lists, "        %s) commands=%s flags=%s ;;\n", quoted(n.Path), quoted(strings.Join(commands, " ")), quoted(strings.Join(flags, " ")))
	})
	return `# Completion of gateway for bash, by: gateway completion bash
_gateway() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} at='' commands='' flags='' word
    for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
        case "$at $word" in
        ` + tree.paths("|") + `) at="$at $word" ;;
        esac
    done
    case "$at $prev" in
` + values.String() + `    esac
    case "$at" in
` + lists.String() + `    esac
    if [[ $cur == -* ]]; then
        COMPREPLY=($(compgen -W "$flags" -- "$cur"))
    else
        COMPREPLY=($(compgen -W "$commands" -- "$cur"))
    fi
}
complete -o default -F _gateway gateway
`
}

// zshCompletion is like bashCompletion, and describes commands and flags.
func zshCompletion(tree *commandNode) string {
	described := func(name, help string) string {
		return quoted(strings.ReplaceAll(name, ":", `\:`) + ":" + help)
	}
	var lists, values strings.Builder
	tree.all(func(n *commandNode) {
		var commands, flags []string
		for _, c := range n.Commands {
			commands = append(commands, described(c.Name, c.Help))
		}
		for _, f := range n.Flags {
			flags = append(flags, described("--"+f.Name, f.Help))
			if len(f.Values) > 0 {
				fmt.Fprintf(&values, "        %s) compadd -- %s; return ;;\n", quoted(n.Path+" --"+f.Name), strings.Join(f.Values, " "))
			} else if f.TakesValue {
				fmt.Fprintf(&values, "        %s) _files; return ;;\n", quoted(n.Path+" --"+f.Name))
			}
		}
		fmt.Fprintf(&lists, "        %s) commands=(%s) flags=(%s) ;;\n", quoted(n.Path), strings.Join(commands, " "), strings.Join(flags, " "))
	})
	return `#compdef gateway
# Completion of gateway for zsh, by: gateway completion zsh
_gateway() {
    local at='' word
    local -a commands flags
    for word in "${(@)words[2,CURRENT-1]}"; do
        case "$at $word" in
        ` + tree.paths("|") + `) at="$at $word" ;;
        esac
    done
    case "$at ${words[CURRENT-1]}" in
` + values.String() + `    esac
    case "$at" in
` + lists.String() + `    esac
    if [[ $PREFIX == -* ]]; then
        _describe -o flag flags
    elif (( $#commands )); then
        _describe command commands
    else
        _files
    fi
}
if [[ $funcstack[1] == _gateway ]]; then _gateway "$@"; else compdef _gateway gateway; fi
`
}

// fishCompletion has a line for each command and flag, under the condition that the command
// above it is the one that was typed.
func fishCompletion(tree *commandNode) string {
	escaped := func(text string) string {
		return "'" + strings.NewReplacer(`\`, `\\`, "'", `\'`).Replace(text) + "'"
	}
	var lines strings.Builder
	tree.all(func(n *commandNode) {
		at := fmt.Sprintf(`complete -c gateway -n %s`, escaped(`__gateway_at "`+n.Path+`"`))
		for _, c := range n.Commands {
			fmt.Fprintf(&lines, "%s -f -a %s -d %s\n", at, c.Name, escaped(c.Help))
		}
		for _, f := range n.Flags {
			line := at + " -l " + f.Name
			if f.Short != "" {
				line += " -s " + f.Short
			}
			switch {
			case len(f.Values) > 0:
				line += " -x -a " + escaped(strings.Join(f.Values, " "))
			case f.TakesValue:
				line += " -r"
			}
			fmt.Fprintf(&lines, "%s -d %s\n", line, escaped(f.Help))
		}
	})
	return `# Completion of gateway for fish, by: gateway completion fish
function __gateway_at
    set -l at
    for word in (commandline -opc)[2..]
        switch "$at $word"
            case ` + tree.paths(" ") + `
                set at "$at $word"
        end
    end
    test "$at" = "$argv[1]"
end
` + lines.String()
}
