package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"gateway/deploy/image/sbom"
)

// place is what a release is made from: programs that bear the gateway's path, completions and
// functions.
type place struct {
	t    *testing.T
	dir  string
	args []string
}

// newPlace makes them anew. Two of them have nothing in common but their contents.
func newPlace(t *testing.T) *place {
	t.Helper()
	p := &place{t: t, dir: t.TempDir()}
	p.write("go.mod", "module gateway\n\ngo 1.26.0\n")
	p.write("cmd/gateway/main.go", "package main\n\nfunc main() {}\n")
	root, err := filepath.Abs("../../..")
	if err != nil {
		t.Fatal(err)
	}
	p.args = []string{"-version", "v1.2.3", "-root", root, "-generated", p.dir, "-source", "https://git.example/gateway", "-o", filepath.Join(p.dir, "release")}
	for _, name := range []string{"bash", "zsh", "fish", "man"} {
		p.write(name, "this is "+name)
	}
	for _, name := range []string{"gateway-function", "rotate"} {
		for _, arch := range []string{"arm64", "amd64"} {
			p.args = append(p.args, "-function", p.write(name+"-linux-"+arch+".zip", name+arch))
		}
	}
	for _, platform := range []string{"linux-arm64", "windows-amd64"} {
		system, arch, _ := strings.Cut(platform, "-")
		p.args = append(p.args, p.build(platform, "./cmd/gateway", "GOOS="+system, "GOARCH="+arch))
	}
	return p
}

func (p *place) write(name, text string) string {
	p.t.Helper()
	path := filepath.Join(p.dir, name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
		p.t.Fatal(err)
	}
	return path
}

func (p *place) build(output, pkg string, env ...string) string {
	p.t.Helper()
	cmd := exec.CommandContext(p.t.Context(), "go", "build", "-trimpath", "-buildvcs=false", "-o", output, pkg)
	cmd.Dir, cmd.Env = p.dir, append(os.Environ(), append(env, "CGO_ENABLED=0", "GOFLAGS=")...)
	if text, err := cmd.CombinedOutput(); err != nil {
		p.t.Fatalf("go build: %v\n%s", err, text)
	}
	return filepath.Join(p.dir, output)
}

// release runs the command and returns the files that it writes.
func (p *place) release() map[string][]byte {
	p.t.Helper()
	if err := run(p.args); err != nil {
		p.t.Fatal(err)
	}
	all := make(map[string][]byte)
	entries, err := os.ReadDir(filepath.Join(p.dir, "release"))
	if err != nil {
		p.t.Fatal(err)
	}
	for _, entry := range entries {
		if all[entry.Name()], err = os.ReadFile(filepath.Join(p.dir, "release", entry.Name())); err != nil {
			p.t.Fatal(err)
		}
	}
	return all
}

func TestARelease(t *testing.T) {
	t.Setenv("SOURCE_DATE_EPOCH", "1700000000")
	all := newPlace(t).release()
	var names []string
	for name := range all {
		names = append(names, name)
	}
	slices.Sort(names)
	if want := []string{"SHA256SUMS", "gateway-function-linux-amd64.zip", "gateway-function-linux-arm64.zip",
		"gateway-v1.2.3-linux-arm64.spdx.json", "gateway-v1.2.3-linux-arm64.tar.gz", "gateway-v1.2.3-sam.zip",
		"gateway-v1.2.3-windows-amd64.spdx.json", "gateway-v1.2.3-windows-amd64.zip", "rotate-linux-amd64.zip", "rotate-linux-arm64.zip"}; !slices.Equal(names, want) {
		t.Errorf("the release has %q, want %q", names, want)
	}
	for name, content := range all {
		if line := fmt.Sprintf("%x  %s\n", sha256.Sum256(content), name); name != "SHA256SUMS" && !strings.Contains(string(all["SHA256SUMS"]), line) {
			t.Errorf("SHA256SUMS does not have %s", line)
		}
	}
	documents := []string{"CHANGELOG.md", "LICENSE", "README.md", "completions/_gateway", "completions/gateway.bash", "completions/gateway.fish", "man/gateway.1"}
	unix, windows := untar(t, all["gateway-v1.2.3-linux-arm64.tar.gz"]), unzip(t, all["gateway-v1.2.3-windows-amd64.zip"])
	for _, name := range append([]string{"gateway"}, documents...) {
		if len(unix["gateway-v1.2.3-linux-arm64/"+name]) == 0 {
			t.Errorf("the archive for linux has no %s", name)
		}
	}
	for _, name := range append([]string{"gateway.exe"}, documents...) {
		if len(windows["gateway-v1.2.3-windows-amd64/"+name]) == 0 {
			t.Errorf("the archive for Windows has no %s", name)
		}
	}
	var document sbom.Document
	if err := json.Unmarshal(all["gateway-v1.2.3-linux-arm64.spdx.json"], &document); err != nil {
		t.Fatal(err)
	}
	program := document.Packages[0]
	if want := fmt.Sprintf("%x", sha256.Sum256(unix["gateway-v1.2.3-linux-arm64/gateway"])); program.Version != "v1.2.3" || program.Checksums[0].Value != want {
		t.Errorf("the SBOM is of %+v, want the program with the sum %s", program, want)
	}
	if document.Packages[1].Name != "stdlib" || document.Creation.Created != "2023-11-14T22:13:20Z" {
		t.Errorf("the SBOM has %+v, made at %s", document.Packages[1], document.Creation.Created)
	}
}

func TestTheApplicationOfAReleaseIsWhole(t *testing.T) {
	app := unzip(t, newPlace(t).release()["gateway-v1.2.3-sam.zip"])
	template := string(app["template.yaml"])
	for _, want := range []string{"SemanticVersion: 1.2.3\n", "SourceCodeUrl: https://git.example/gateway\n", "HomePageUrl: https://git.example/gateway\n",
		"LicenseUrl: LICENSE\n", "ReadmeUrl: README.md\n", "CodeUri: gateway-function-linux-arm64.zip\n", "CodeUri: rotate-linux-arm64.zip\n"} {
		if !strings.Contains(template, want) {
			t.Errorf("the template has no %q", want)
		}
	}
	for _, name := range []string{"LICENSE", "README.md", "gateway-function-linux-arm64.zip", "rotate-linux-arm64.zip"} {
		if len(app[name]) == 0 {
			t.Errorf("the application has no %s", name)
		}
	}
	if _, err := exec.LookPath("cfn-lint"); err == nil {
		dir := t.TempDir()
		for name, content := range app {
			if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if out, err := exec.CommandContext(t.Context(), "cfn-lint", filepath.Join(dir, "template.yaml")).CombinedOutput(); err != nil {
			t.Errorf("cfn-lint: %v\n%s", err, out)
		}
	}
}

func TestAVersionThatIsNoReleaseHasAnApplication(t *testing.T) {
	p := newPlace(t)
	p.args[1] = "f0e5d28-dirty"
	app := unzip(t, p.release()["gateway-f0e5d28-dirty-sam.zip"])
	if !strings.Contains(string(app["template.yaml"]), "SemanticVersion: 0.0.0\n") {
		t.Error("the application has another version than 0.0.0")
	}
}

func TestTwoReleasesAreTheSame(t *testing.T) {
	t.Setenv("SOURCE_DATE_EPOCH", "1700000000")
	first, second := newPlace(t), newPlace(t)
	later := time.Now().Add(time.Hour) // of what the second one is made from
	if err := os.Chtimes(filepath.Join(second.dir, "bash"), later, later); err != nil {
		t.Fatal(err)
	}
	one, two := first.release(), second.release()
	if len(one) < 10 || len(one) != len(two) {
		t.Errorf("the releases have %d and %d files", len(one), len(two))
	}
	for name, content := range one {
		if !bytes.Equal(content, two[name]) {
			t.Errorf("%s differs", name)
		}
	}
	t.Setenv("SOURCE_DATE_EPOCH", "1700000002")
	if bytes.Equal(one["gateway-v1.2.3-linux-arm64.tar.gz"], second.release()["gateway-v1.2.3-linux-arm64.tar.gz"]) {
		t.Error("the archive does not depend on SOURCE_DATE_EPOCH")
	}
}

func TestWhatAReleaseRefuses(t *testing.T) {
	p := newPlace(t)
	p.write("cmd/other/main.go", "package main\n\nfunc main() {}\n")
	for name, args := range map[string][]string{
		"is the program gateway/cmd/other": append(slices.Clone(p.args), p.build("other", "./cmd/other")),
		"no such file":                     append(slices.Clone(p.args), "/no/such/binary"),
		"usage":                            {"-o", filepath.Join(p.dir, "release")},
		"could not read Go build info":     append(slices.Clone(p.args), filepath.Join(p.dir, "man")),
	} {
		if err := run(args); err == nil || !strings.Contains(strings.ToLower(err.Error()), strings.ToLower(name)) {
			t.Errorf("got %v, want %s", err, name)
		}
	}
}

func untar(t *testing.T, archive []byte) map[string][]byte {
	t.Helper()
	plain, err := gzip.NewReader(bytes.NewReader(archive))
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string][]byte)
	for r := tar.NewReader(plain); ; {
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		if all[header.Name], err = io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
		if executable := header.Mode&0o111 != 0; executable != strings.HasSuffix(header.Name, "/gateway") {
			t.Errorf("%s has the mode %o", header.Name, header.Mode)
		}
	}
}

func unzip(t *testing.T, archive []byte) map[string][]byte {
	t.Helper()
	r, err := zip.NewReader(bytes.NewReader(archive), int64(len(archive)))
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string][]byte)
	for _, f := range r.File {
		in, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		if all[f.Name], err = io.ReadAll(in); err != nil {
			t.Fatal(err)
		}
	}
	return all
}
