package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/x509"
	"encoding/json"
	"io"
	"log"
	"maps"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	ocilayout "github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"gateway/deploy/image/sbom"
)

// goBuild builds a program as `make image` does.
func goBuild(t *testing.T, dir, pkg, output string, env ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "build", "-buildvcs=false", "-trimpath", "-ldflags", "-X main.version=test", "-o", output, pkg)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), append([]string{"GOOS=linux", "CGO_ENABLED=0", "GOAMD64=v1", "GOARM64=v8.0", "GOFLAGS="}, env...)...)
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build %s: %v\n%s", pkg, err, text)
	}
	return output
}

// smallProgram returns a binary with the name of the gateway and almost nothing in it.
func smallProgram(t *testing.T, env ...string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"go.mod":              "module gateway\n\ngo 1.26\n",
		"cmd/gateway/main.go": "package main\n\nvar version string\n\nfunc main() { println(version) }\n",
		"cmd/other/main.go":   "package main\n\nfunc main() {}\n",
	} {
		file := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	pkg := "./cmd/gateway"
	if slices.Contains(env, "PROGRAM=other") {
		pkg = "./cmd/other"
	}
	return goBuild(t, dir, pkg, filepath.Join(dir, "binary"), env...)
}

// smallImage writes an image of small programs for both architectures.
func smallImage(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "dist", "image")
	t.Setenv("SOURCE_DATE_EPOCH", "1796000000")
	err := run([]string{"-o", dir, "-version", "v1.2.3", "-revision", "abc", "-source", "https://example.org/gateway",
		smallProgram(t, "GOARCH=amd64"), smallProgram(t, "GOARCH=arm64")})
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// readIndex returns the one index that a layout names.
func readIndex(t *testing.T, dir string) v1.ImageIndex {
	t.Helper()
	root, err := ocilayout.ImageIndexFromPath(dir)
	if err != nil {
		t.Fatal(err)
	}
	top, err := root.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	if len(top.Manifests) != 1 {
		t.Fatalf("index.json names %d objects, want one index", len(top.Manifests))
	}
	whole, err := root.ImageIndex(top.Manifests[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	return whole
}

// The layout is pushed to a registry whole, and each architecture is pulled from there.
func TestARegistryTakesTheLayout(t *testing.T) {
	whole := readIndex(t, smallImage(t))
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	defer server.Close()
	ref, err := name.ParseReference(strings.TrimPrefix(server.URL, "http://") + "/gateway:v1.2.3")
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.WriteIndex(ref, whole); err != nil {
		t.Fatal(err)
	}
	for _, arch := range []string{"amd64", "arm64"} {
		image, err := remote.Image(ref, remote.WithPlatform(v1.Platform{OS: "linux", Architecture: arch}))
		if err != nil {
			t.Fatal(err)
		}
		if err := validate.Image(image); err != nil {
			t.Error(err)
		}
		config, err := image.ConfigFile()
		if err != nil {
			t.Fatal(err)
		}
		if config.Architecture != arch || config.OS != "linux" || config.Config.User != "65532:65532" {
			t.Errorf("%s: platform %s/%s, user %q", arch, config.OS, config.Architecture, config.Config.User)
		}
		for label, want := range map[string]string{
			"org.opencontainers.image.version": "v1.2.3", "org.opencontainers.image.revision": "abc",
			"org.opencontainers.image.source": "https://example.org/gateway", "org.opencontainers.image.licenses": "Apache-2.0",
			"org.opencontainers.image.created": "2026-11-30T00:53:20Z",
		} {
			if got := config.Config.Labels[label]; got != want {
				t.Errorf("%s: label %s is %q, want %q", arch, label, got, want)
			}
		}
	}
}

// filesOf returns the headers and contents of an image's files.
func filesOf(t *testing.T, image v1.Image) (map[string]*tar.Header, map[string][]byte) {
	t.Helper()
	layers, err := image.Layers()
	if err != nil {
		t.Fatal(err)
	}
	headers, contents := make(map[string]*tar.Header), make(map[string][]byte)
	for _, layer := range layers {
		r, err := layer.Compressed()
		if err != nil {
			t.Fatal(err)
		}
		unzipped, err := gzip.NewReader(r)
		if err != nil {
			t.Fatal(err)
		}
		archive := tar.NewReader(unzipped)
		for {
			header, err := archive.Next()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			headers[header.Name] = header
			if contents[header.Name], err = io.ReadAll(archive); err != nil {
				t.Fatal(err)
			}
		}
	}
	return headers, contents
}

// imageFor returns the image of an architecture.
func imageFor(t *testing.T, whole v1.ImageIndex, arch string) v1.Image {
	t.Helper()
	list, err := whole.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range list.Manifests {
		if d.Platform.Architecture == arch {
			image, err := whole.Image(d.Digest)
			if err != nil {
				t.Fatal(err)
			}
			return image
		}
	}
	t.Fatalf("the index has no image for %s", arch)
	return nil
}

func TestTheFilesOfTheImage(t *testing.T) {
	headers, contents := filesOf(t, imageFor(t, readIndex(t, smallImage(t)), "amd64"))
	for name, header := range headers {
		if owner := header.Uid; header.Gid != owner || owner != 0 && name != "data/" {
			t.Errorf("%s belongs to %d:%d", name, header.Uid, header.Gid)
		}
		if header.Mode&0o022 != 0 {
			t.Errorf("%s has the mode %o, which lets others write", name, header.Mode)
		}
		if !header.ModTime.Equal(time.Unix(1796000000, 0)) {
			t.Errorf("%s has the time %s", name, header.ModTime)
		}
	}
	if data := headers["data/"]; data == nil || data.Uid != user || data.Mode != 0o700 || data.Typeflag != tar.TypeDir {
		t.Errorf("data/ is %+v", data)
	}
	if binary := headers["gateway"]; binary == nil || binary.Mode != 0o755 {
		t.Errorf("gateway is %+v", binary)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(contents["etc/ssl/certs/ca-certificates.crt"]) || len(pool.Subjects()) < 100 { //nolint:staticcheck // The pool is not the system's.
		t.Errorf("only %d authorities", len(pool.Subjects())) //nolint:staticcheck // As above.
	}
	if !slices.ContainsFunc(pool.Subjects(), func(s []byte) bool { return bytes.Contains(s, []byte("Amazon Root CA 1")) }) { //nolint:staticcheck // As above.
		t.Error("the authority of Amazon's services is missing")
	}
	zone, err := time.LoadLocationFromTZData("Europe/Berlin", contents["usr/share/zoneinfo/Europe/Berlin"])
	if err != nil {
		t.Fatal(err)
	}
	if _, offset := time.Unix(1796000000, 0).In(zone).Zone(); offset != 3600 {
		t.Errorf("Berlin is %d s from UTC in winter", offset)
	}
}

func TestFurtherAuthorities(t *testing.T) {
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, authorities()[:4096], 0o644); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "image")
	binary := smallProgram(t, "GOARCH=amd64")
	if err := run([]string{"-o", dir, "-ca", ca, binary}); err != nil {
		t.Fatal(err)
	}
	_, contents := filesOf(t, imageFor(t, readIndex(t, dir), "amd64"))
	if !bytes.Equal(contents["etc/gateway/ca.pem"], authorities()[:4096]) {
		t.Error("/etc/gateway/ca.pem is not the file")
	}
	before, err := os.ReadFile(filepath.Join(dir, "index.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(ca, []byte("<html>not found</html>"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := run([]string{"-o", dir, "-ca", ca, binary}); err == nil || !strings.Contains(err.Error(), "no certificate") {
		t.Errorf("a page instead of certificates: %v", err)
	}
	after, err := os.ReadFile(filepath.Join(dir, "index.json"))
	if err != nil || !bytes.Equal(before, after) {
		t.Errorf("a failed build changed the layout (%v)", err)
	}
	if rest, _ := filepath.Glob(filepath.Join(filepath.Dir(dir), ".image-*")); len(rest) > 0 {
		t.Errorf("left behind: %s", rest)
	}
}

func TestASchemaInTheImage(t *testing.T) {
	schema := filepath.Join(t.TempDir(), "churn.yaml")
	if err := os.WriteFile(schema, []byte("name: churn\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "image")
	if err := run([]string{"-o", dir, "-schema", schema, smallProgram(t, "GOARCH=amd64")}); err != nil {
		t.Fatal(err)
	}
	image := imageFor(t, readIndex(t, dir), "amd64")
	config, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	headers, contents := filesOf(t, image)
	for _, variable := range config.Config.Env {
		if name, ok := strings.CutPrefix(variable, "GATEWAY_SCHEMA=/"); ok {
			if string(contents[name]) != "name: churn\n" || headers[name].Mode != 0o644 {
				t.Errorf("%s is %q, %+v", name, contents[name], headers[name])
			}
			return
		}
	}
	t.Error("GATEWAY_SCHEMA is not set")
}

func TestBinariesThatAreRefused(t *testing.T) {
	amd64 := smallProgram(t, "GOARCH=amd64")
	text := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(text, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	for want, binaries := range map[string][]string{
		"already":                      {amd64, amd64},
		"not gateway/cmd/gateway":      {smallProgram(t, "GOARCH=amd64", "PROGRAM=other")},
		"built for darwin":             {smallProgram(t, "GOARCH=arm64", "GOOS=darwin")},
		"could not read Go build info": {text},
	} {
		dir := filepath.Join(t.TempDir(), "image")
		err := run(append([]string{"-o", dir}, binaries...))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the error is %v, want one with %q", err, want)
		}
		if _, err := os.Stat(dir); !os.IsNotExist(err) {
			t.Errorf("%s: there is a layout (%v)", want, err)
		}
	}
	t.Setenv("SOURCE_DATE_EPOCH", "yesterday")
	if err := run([]string{"-o", t.TempDir(), amd64}); err == nil || !strings.Contains(err.Error(), "SOURCE_DATE_EPOCH") {
		t.Errorf("the error is %v", err)
	}
}

// The SBOM is bound to its image, and lists what the linker recorded.
func TestTheSBOM(t *testing.T) {
	whole := readIndex(t, smallImage(t))
	list, err := whole.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	images, bound := make(map[string]bool), make(map[string]bool)
	for _, d := range list.Manifests {
		if d.Annotations["vnd.docker.reference.type"] != "attestation-manifest" {
			images[d.Digest.String()] = true
			continue
		}
		image, err := whole.Image(d.Digest)
		if err != nil {
			t.Fatal(err)
		}
		layers, err := image.Layers()
		if err != nil || len(layers) != 1 {
			t.Fatalf("%d layers (%v)", len(layers), err)
		}
		r, err := layers[0].Compressed()
		if err != nil {
			t.Fatal(err)
		}
		var s struct {
			PredicateType string
			Subject       []subject
			Predicate     sbom.Document
		}
		if err := json.NewDecoder(r).Decode(&s); err != nil {
			t.Fatal(err)
		}
		of := d.Annotations["vnd.docker.reference.digest"]
		bound[of] = true
		if s.PredicateType != spdxType || len(s.Subject) != 1 || "sha256:"+s.Subject[0].Digest["sha256"] != of {
			t.Errorf("the statement is about %v, the manifest about %s", s.Subject, of)
		}
		checkSPDX(t, s.Predicate, "gateway", "stdlib")
	}
	if !maps.Equal(images, bound) || len(images) != 2 {
		t.Errorf("images %v, SBOMs for %v", images, bound)
	}
}

// checkSPDX checks what SPDX requires of a document, and that it lists packages.
func checkSPDX(t *testing.T, doc sbom.Document, packages ...string) {
	t.Helper()
	ids, names := map[string]bool{doc.ID: true}, make(map[string]bool)
	for _, pkg := range doc.Packages {
		if ids[pkg.ID] {
			t.Errorf("two packages have the id %s", pkg.ID)
		}
		ids[pkg.ID], names[pkg.Name] = true, true
		if pkg.Version == "" || pkg.Location == "" {
			t.Errorf("incomplete: %+v", pkg)
		}
	}
	for _, r := range doc.Relationships {
		if !ids[r.From] || !ids[r.To] {
			t.Errorf("%s %s %s names what is not there", r.From, r.Type, r.To)
		}
	}
	if doc.Version != "SPDX-2.3" || len(doc.Relationships) != len(doc.Packages) {
		t.Errorf("%s with %d packages and %d relationships", doc.Version, len(doc.Packages), len(doc.Relationships))
	}
	for _, name := range packages {
		if !names[name] {
			t.Errorf("the SBOM does not list %s", name)
		}
	}
}
