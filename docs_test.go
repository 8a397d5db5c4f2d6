package gateway

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	link    = regexp.MustCompile(`\]\(([^()\s]+)\)`)
	heading = regexp.MustCompile(`(?m)^#+ (.+)$`)
	fenced  = regexp.MustCompile("(?s)```.*?```")
	inSlug  = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
)

// TestLinksOfTheDocuments follows every relative link in the project's pages, to
// the file and to the heading.
func TestLinksOfTheDocuments(t *testing.T) {
	pages := make(map[string]string)
	err := fs.WalkDir(os.DirFS("."), ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && (name == ".git" || name == "bin" || entry.Name() == "node_modules"):
			return fs.SkipDir
		case path.Ext(name) == ".md":
			text, err := os.ReadFile(filepath.FromSlash(name))
			pages[name] = fenced.ReplaceAllString(string(text), "")
			return err
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	checked := 0
	for name, text := range pages {
		for _, match := range link.FindAllStringSubmatch(text, -1) {
			target, anchor, _ := strings.Cut(match[1], "#")
			if strings.Contains(target, ":") {
				continue // of another site
			}
			checked++
			file := name
			if target != "" {
				file = path.Join(path.Dir(name), target)
			}
			if _, err := os.Stat(filepath.FromSlash(file)); err != nil {
				t.Errorf("%s: the link %s leads nowhere", name, match[1])
				continue
			}
			if anchor != "" && !hasHeading(pages[file], anchor) {
				t.Errorf("%s: %s has no heading #%s", name, file, anchor)
			}
		}
	}
	if checked < 50 {
		t.Errorf("only %d links were found", checked)
	}
}

// hasHeading reports whether a page has a heading with this anchor, which is made
// as GitHub makes it.
func hasHeading(text, anchor string) bool {
	for _, match := range heading.FindAllStringSubmatch(text, -1) {
		slug := strings.ReplaceAll(inSlug.ReplaceAllString(strings.ToLower(match[1]), ""), " ", "-")
		if slug == anchor {
			return true
		}
	}
	return false
}

// TestTheIndexHasAllDecisions holds docs/decisions/README.md to the folder.
func TestTheIndexHasAllDecisions(t *testing.T) {
	index, err := os.ReadFile(filepath.Join("docs", "decisions", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	notes, err := filepath.Glob(filepath.Join("docs", "decisions", "0*.md"))
	if err != nil || len(notes) == 0 {
		t.Fatalf("%d notes (%v)", len(notes), err)
	}
	for _, note := range notes {
		if !strings.Contains(string(index), "("+filepath.Base(note)+")") {
			t.Errorf("docs/decisions/README.md does not list %s", filepath.Base(note))
		}
	}
}
