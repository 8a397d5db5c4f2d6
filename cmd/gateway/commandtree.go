package main

import (
	"strings"

	"github.com/alecthomas/kong"
)

// commandNode is a command as completions and the man page need it.
type commandNode struct {
	Path     string // words after the program's name, each after a space; empty for the program
	Name     string
	Help     string // one line
	Detail   string
	Usage    string // arguments, such as <file>
	Commands []commandNode
	Flags    []commandFlag
}

// commandFlag is a flag of a command, its own or one of a command above.
type commandFlag struct {
	Name, Help, Placeholder string
	Short                   string // one letter, or empty
	Values                  []string
	TakesValue              bool
}

// treeOf reads a command and those below it, without hidden ones.
func treeOf(node *kong.Node, path string, inherited []commandFlag) commandNode {
	n := commandNode{Path: path, Name: node.Name, Help: node.Help, Detail: node.Detail}
	n.Flags = append(n.Flags, inherited...)
	for _, flag := range node.Flags {
		if !flag.Hidden {
			n.Flags = append(n.Flags, flagOf(flag))
		}
	}
	for _, argument := range node.Positional {
		n.Usage += " " + argument.Summary()
	}
	for _, child := range node.Children {
		if child.Type == kong.CommandNode && !child.Hidden {
			n.Commands = append(n.Commands, treeOf(child, path+" "+child.Name, n.Flags))
		}
	}
	if node.DefaultCmd != nil { // its flags may follow the name of this one
		for _, flag := range node.DefaultCmd.Flags {
			n.Flags = append(n.Flags, flagOf(flag))
		}
	}
	return n
}

func flagOf(flag *kong.Flag) commandFlag {
	f := commandFlag{Name: flag.Name, Help: flag.Help, TakesValue: !flag.IsBool() && !flag.IsCounter()}
	if flag.Short != 0 {
		f.Short = string(flag.Short)
	}
	if f.TakesValue {
		f.Placeholder = flag.FormatPlaceHolder()
	}
	if flag.Enum != "" {
		for _, value := range flag.EnumSlice() {
			if value = strings.TrimSpace(value); value != "" {
				f.Values = append(f.Values, value)
			}
		}
	}
	return f
}

// all calls do for the command and those below it.
func (n *commandNode) all(do func(*commandNode)) {
	do(n)
	for i := range n.Commands {
		n.Commands[i].all(do)
	}
}

// paths are the commands below this one, as patterns of the shells: quoted, with | between.
func (n *commandNode) paths(separator string) string {
	var paths []string
	n.all(func(c *commandNode) {
		if c.Path != "" {
			paths = append(paths, "'"+c.Path+"'")
		}
	})
	return strings.Join(paths, separator)
}
