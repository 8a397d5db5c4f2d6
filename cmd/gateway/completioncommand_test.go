package main

import (
	"os/exec"
	"slices"
	"strings"
	"testing"

	"gateway/internal/config"
	"gateway/internal/gatewaytest"
)

// completed asks a shell for the completions of a command line, whose last word is being
// typed.
func completed(t *testing.T, shell, script, line string) []string {
	t.Helper()
	path, err := exec.LookPath(shell)
	if err != nil {
		t.Skip(shell + " is not installed")
	}
	file := gatewaytest.WriteFile(t, "completion", script)
	args := []string{"-c", `source "$0"; IFS=' ' read -ra COMP_WORDS <<<"$1x"; COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
		COMP_WORDS[COMP_CWORD]=${COMP_WORDS[COMP_CWORD]%x}; _gateway; printf '%s\n' "${COMPREPLY[@]}"`, file, line}
	if shell == "fish" {
		args = []string{"-c", "source $argv[1]; complete -C $argv[2]", file, line}
	}
	out, err := exec.CommandContext(t.Context(), path, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	var words []string
	for line := range strings.Lines(string(out)) {
		word, _, _ := strings.Cut(strings.TrimSpace(line), "\t")
		words = append(words, word)
	}
	slices.Sort(words)
	return words
}

func TestShellsCompleteTheCommandLine(t *testing.T) {
	for _, shell := range []string{"bash", "fish"} {
		t.Run(shell, func(t *testing.T) {
			code, script, _ := command(t, "completion", shell)
			if code != exitOK {
				t.Fatalf("completion %s ended with %d", shell, code)
			}
			for line, want := range map[string][]string{
				"gateway mod":                          {"models"},
				"gateway models co":                    {"compare"},
				"gateway models --url":                 {"--url"},
				"gateway import --str":                 {"--strict"},
				"gateway import --numbering re":        {"refuse", "replace"},
				"gateway schema --help inf":            {"infer"},
				"gateway insights quality --js":        {"--json"},
				"gateway import models.csv --last-win": {"--last-wins"},
			} {
				if got := completed(t, shell, script, line); !slices.Equal(got, want) {
					t.Errorf("%q: got %q, want %q", line, got, want)
				}
			}
		})
	}
}

// Zsh completes inside its line editor alone, so a test can only parse the script.
func TestZshReadsItsCompletions(t *testing.T) {
	if _, err := exec.LookPath("zsh"); err != nil {
		t.Skip("zsh is not installed")
	}
	_, script, _ := command(t, "completion", "zsh")
	out, err := exec.CommandContext(t.Context(), "zsh", "-n", gatewaytest.WriteFile(t, "_gateway", script)).CombinedOutput()
	if err != nil || len(out) > 0 {
		t.Errorf("%v: %s", err, out)
	}
}

// TestCompletionsAndManPageHaveAllCommands holds them to what --help lists.
func TestCompletionsAndManPageHaveAllCommands(t *testing.T) {
	_, help, _ := command(t, "--help")
	_, list, found := strings.Cut(help, "Commands:\n")
	if !found {
		t.Fatal("--help has no list of commands")
	}
	var names []string
	for line := range strings.Lines(list) {
		if strings.HasPrefix(line, "  ") && !strings.HasPrefix(line, "   ") {
			names = append(names, strings.Fields(line)[0])
		}
	}
	if len(names) < 15 {
		t.Fatalf("--help lists only %q", names)
	}
	_, page, _ := command(t, "man")
	for _, shell := range []string{"bash", "zsh", "fish"} {
		_, script, _ := command(t, "completion", shell)
		for _, name := range names {
			if !strings.Contains(script, "' "+name+"'") {
				t.Errorf("the completions of %s do not have %s", shell, name)
			}
		}
	}
	for _, name := range names {
		if !strings.Contains(page, ".SS \"gateway "+name) {
			t.Errorf("the man page does not have %s", name)
		}
	}
	for _, s := range config.Settings() {
		if !strings.Contains(page, ".B "+s.Name+"\n") {
			t.Errorf("the man page does not have %s", s.Name)
		}
	}
}

func TestTheManPageHasNoWarnings(t *testing.T) {
	if _, err := exec.LookPath("groff"); err != nil {
		t.Skip("groff is not installed")
	}
	_, page, _ := command(t, "man")
	cmd := exec.CommandContext(t.Context(), "groff", "-man", "-ww", "-Tutf8", "-z")
	cmd.Stdin = strings.NewReader(page)
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("%v: %s", err, out)
	}
}

func TestCompletionOfAnUnknownShell(t *testing.T) {
	if code, _, errs := command(t, "completion", "tcsh"); code != exitUsage || !strings.Contains(errs, "bash") {
		t.Errorf("ended with %d: %s", code, errs)
	}
}
