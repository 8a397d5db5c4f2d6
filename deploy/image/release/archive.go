package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"debug/buildinfo"
	"encoding/json"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"

	"gateway/deploy/image/sbom"
)

// file is an entry of an archive.
type file struct {
	name    string
	content []byte
	mode    int64
}

// program writes the archive of a binary, and its SBOM.
func (r *release) program(name string) error {
	info, err := buildinfo.ReadFile(name)
	if err != nil {
		return err
	}
	if info.Path != "gateway/cmd/gateway" {
		return fmt.Errorf("%s is the program %s, not gateway/cmd/gateway", name, info.Path)
	}
	p := sbom.Program{Version: r.version, Created: r.created, Info: info}
	for _, s := range info.Settings {
		switch s.Key {
		case "GOOS":
			p.OS = s.Value
		case "GOARCH":
			p.Architecture = s.Value
		}
	}
	if p.Binary, err = os.ReadFile(name); err != nil {
		return err
	}
	files, err := r.documents()
	if err != nil {
		return err
	}
	folder, binary, write, extension := strings.Join([]string{"gateway", r.version, p.OS, p.Architecture}, "-"), "gateway", r.tarball, ".tar.gz"
	if p.OS == "windows" {
		binary, write, extension = "gateway.exe", r.zip, ".zip"
	}
	archive, err := write(folder, append([]file{{binary, p.Binary, 0o755}}, files...))
	if err != nil {
		return err
	}
	if err := r.save(folder+extension, archive); err != nil {
		return err
	}
	document, err := json.MarshalIndent(sbom.Of(p), "", "  ")
	if err != nil {
		return err
	}
	return r.save(folder+".spdx.json", append(document, '\n'))
}

// tarball packs files below a folder.
func (r *release) tarball(folder string, files []file) ([]byte, error) {
	var out bytes.Buffer
	compressed := gzip.NewWriter(&out)
	archive := tar.NewWriter(compressed)
	for _, f := range files {
		header := tar.Header{Typeflag: tar.TypeReg, Name: path.Join(folder, f.name), Size: int64(len(f.content)), Mode: f.mode, ModTime: r.created, Format: tar.FormatUSTAR}
		if err := archive.WriteHeader(&header); err != nil {
			return nil, err
		}
		if _, err := archive.Write(f.content); err != nil {
			return nil, err
		}
	}
	if err := archive.Close(); err != nil {
		return nil, err
	}
	err := compressed.Close()
	return out.Bytes(), err
}

// zip packs files below a folder; an empty one is none.
func (r *release) zip(folder string, files []file) ([]byte, error) {
	var out bytes.Buffer
	archive := zip.NewWriter(&out)
	for _, f := range files {
		header := zip.FileHeader{Name: path.Join(folder, f.name), Method: zip.Deflate, Modified: r.created}
		header.SetMode(os.FileMode(f.mode))
		w, err := archive.CreateHeader(&header)
		if err != nil {
			return nil, err
		}
		if _, err := w.Write(f.content); err != nil {
			return nil, err
		}
	}
	err := archive.Close()
	return out.Bytes(), err
}

// semantic matches versions that the Serverless Application Repository takes.
var semantic = regexp.MustCompile(`^v?(\d+\.\d+\.\d+)$`)

// application packs the application for AWS SAM: the template with its version and addresses,
// and the functions that it names, for arm64.
func (r *release) application() error {
	template, err := os.ReadFile(filepath.Join(r.root, "deploy/sam/template.yaml"))
	if err != nil {
		return err
	}
	number := "0.0.0" // of a build that is no release
	if m := semantic.FindStringSubmatch(r.version); m != nil {
		number = m[1]
	}
	changes := []string{"SemanticVersion: 0.0.0", "SemanticVersion: " + number, "LicenseUrl: ../../LICENSE", "LicenseUrl: LICENSE"}
	if r.source != "" {
		changes = append(changes, "HomePageUrl: https://example.com/prediction-gateway", "HomePageUrl: "+r.source,
			"SourceCodeUrl: https://example.com/prediction-gateway", "SourceCodeUrl: "+r.source)
	}
	files := []file{}
	for _, f := range r.functions {
		name := filepath.Base(f)
		function, arm := strings.CutSuffix(name, "-linux-arm64.zip")
		if !arm {
			continue
		}
		content, err := os.ReadFile(f)
		if err != nil {
			return err
		}
		files = append(files, file{name, content, 0o644})
		changes = append(changes, "CodeUri: ../../dist/"+function+"/linux-arm64", "CodeUri: "+name)
	}
	text := string(template)
	for i := 0; i < len(changes); i += 2 {
		if !strings.Contains(text, changes[i]) {
			return fmt.Errorf("deploy/sam/template.yaml has no %q", changes[i])
		}
		text = strings.ReplaceAll(text, changes[i], changes[i+1])
	}
	if left := regexp.MustCompile(`\.\./\S*`).FindString(text); left != "" {
		return fmt.Errorf("deploy/sam/template.yaml names %s, which is not in the application", left)
	}
	files = append(files, file{"template.yaml", []byte(text), 0o644})
	for name, from := range map[string]string{"README.md": "deploy/sam/README.md", "LICENSE": "LICENSE"} {
		content, err := os.ReadFile(filepath.Join(r.root, from))
		if err != nil {
			return err
		}
		files = append(files, file{name, content, 0o644})
	}
	sortFiles(files)
	archive, err := r.zip("", files)
	if err != nil {
		return err
	}
	return r.save("gateway-"+r.version+"-sam.zip", archive)
}
