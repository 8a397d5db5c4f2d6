// Command release writes what a version of the gateway is published as:
//
//	release -o DIR -version V -root REPOSITORY -generated DIR [-source URL] [-function ZIP]… BINARY…
//
// Each BINARY is the gateway, built for a system and an architecture, which the binary itself
// states. The result is an archive for each (tar.gz, and zip for Windows) with the licence, the
// documents, the completions of shells and the man page, which are read from the folder
// -generated; an SBOM for each in SPDX; the functions of Lambda, and with them the application
// for AWS SAM; and SHA256SUMS. The same arguments give the same digests. The time of all files is
// SOURCE_DATE_EPOCH (seconds, default 0).
package main

import (
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

// release is what is being written.
type release struct {
	dir, version, root, generated, source string
	functions, binaries                   []string
	created                               time.Time
}

func run(args []string) error {
	var r release
	flags := flag.NewFlagSet("release", flag.ContinueOnError)
	flags.StringVar(&r.dir, "o", "", "`directory` of the result; what it holds is replaced")
	flags.StringVar(&r.version, "version", "dev", "version of the gateway")
	flags.StringVar(&r.root, "root", ".", "`directory` of the repository")
	flags.StringVar(&r.generated, "generated", "", "`directory` of the completions and the man page")
	flags.StringVar(&r.source, "source", "", "`address` of the repository")
	flags.Func("function", "`zip` of a function of Lambda", func(name string) error {
		r.functions = append(r.functions, name)
		return nil
	})
	if err := flags.Parse(args); err != nil {
		return err
	}
	if r.binaries = flags.Args(); r.dir == "" || r.generated == "" || len(r.binaries) == 0 {
		return errors.New("usage: release -o DIR -generated DIR [flags] BINARY…")
	}
	seconds, err := strconv.ParseInt("0"+os.Getenv("SOURCE_DATE_EPOCH"), 10, 64)
	if err != nil {
		return fmt.Errorf("SOURCE_DATE_EPOCH is %q, not a number of seconds", os.Getenv("SOURCE_DATE_EPOCH"))
	}
	r.created = time.Unix(seconds, 0).UTC()
	return r.write()
}

func (r *release) write() error {
	if err := os.RemoveAll(r.dir); err != nil {
		return err
	}
	if err := os.MkdirAll(r.dir, 0o755); err != nil {
		return err
	}
	for _, name := range r.binaries {
		if err := r.program(name); err != nil {
			return err
		}
	}
	for _, name := range r.functions {
		content, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		if err := r.save(filepath.Base(name), content); err != nil {
			return err
		}
	}
	if len(r.functions) > 0 {
		if err := r.application(); err != nil {
			return err
		}
	}
	return r.sums()
}

func (r *release) save(name string, content []byte) error {
	return os.WriteFile(filepath.Join(r.dir, name), content, 0o644)
}

// sums writes SHA256SUMS, which `sha256sum -c` reads.
func (r *release) sums() error {
	entries, err := os.ReadDir(r.dir) // sorted by name
	if err != nil {
		return err
	}
	var text strings.Builder
	for _, entry := range entries {
		content, err := os.ReadFile(filepath.Join(r.dir, entry.Name()))
		if err != nil {
			return err
		}
		fmt.Fprintf(&text, "%x  %s\n", sha256.Sum256(content), entry.Name())
	}
	return r.save("SHA256SUMS", []byte(text.String()))
}

// documents are the files beside a program.
func (r *release) documents() ([]file, error) {
	var all []file
	for _, name := range []string{"LICENSE", "README.md", "CHANGELOG.md"} {
		content, err := os.ReadFile(filepath.Join(r.root, name))
		if err != nil {
			return nil, err
		}
		all = append(all, file{name, content, 0o644})
	}
	for name, from := range map[string]string{"completions/gateway.bash": "bash", "completions/_gateway": "zsh", "completions/gateway.fish": "fish", "man/gateway.1": "man"} {
		content, err := os.ReadFile(filepath.Join(r.generated, from))
		if err != nil {
			return nil, err
		}
		all = append(all, file{name, content, 0o644})
	}
	sortFiles(all)
	return all, nil
}

func sortFiles(files []file) {
	slices.SortFunc(files, func(a, b file) int { return strings.Compare(a.name, b.name) })
}
