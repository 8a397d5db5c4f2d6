package main

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/crypto/x509roots/fallback/bundle"
)

// user is the user and group that the gateway runs as.
const user = 65532

// schemaFile is the place of a feature schema in the image.
const schemaFile = "etc/gateway/schema.yaml"

// baseFiles returns all files of the image but the binary.
func baseFiles(o options) ([]file, error) {
	zones, err := timeZones()
	if err != nil {
		return nil, fmt.Errorf("time zones: %w", err)
	}
	files := append(zones,
		file{name: "data/", mode: 0o700, owner: user},
		file{name: "etc/passwd", mode: 0o644, content: fmt.Appendf(nil, "root:x:0:0:root:/:/nologin\ngateway:x:%d:%d:gateway:/data:/nologin\n", user, user)},
		file{name: "etc/group", mode: 0o644, content: fmt.Appendf(nil, "root:x:0:\ngateway:x:%d:\n", user)},
		file{name: "etc/ssl/certs/ca-certificates.crt", mode: 0o644, content: authorities()},
	)
	if o.extraCA != "" {
		content, err := os.ReadFile(o.extraCA)
		if err != nil {
			return nil, err
		}
		if !x509.NewCertPool().AppendCertsFromPEM(content) {
			return nil, fmt.Errorf("%s has no certificate in PEM", o.extraCA)
		}
		files = append(files, file{name: "etc/gateway/ca.pem", mode: 0o644, content: content})
	}
	if o.schema != "" {
		content, err := os.ReadFile(o.schema)
		if err != nil {
			return nil, err
		}
		files = append(files, file{name: schemaFile, mode: 0o644, content: content})
	}
	return files, nil
}

// authorities returns Mozilla's certificate authorities in PEM. An authority
// that is trusted for older certificates alone is left out: a file of
// certificates cannot say so.
func authorities() []byte {
	var text bytes.Buffer
	for root := range bundle.Roots() {
		if root.Constraint == nil {
			// A bytes.Buffer takes everything.
			_ = pem.Encode(&text, &pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate})
		}
	}
	return text.Bytes()
}

// timeZones returns the zones that come with Go, below /usr/share/zoneinfo.
func timeZones() ([]file, error) {
	root, err := exec.CommandContext(context.Background(), "go", "env", "GOROOT").Output()
	if err != nil {
		return nil, fmt.Errorf("go env GOROOT: %w", err)
	}
	archive, err := zip.OpenReader(filepath.Join(strings.TrimSpace(string(root)), "lib", "time", "zoneinfo.zip"))
	if err != nil {
		return nil, err
	}
	defer archive.Close()
	var files []file
	for _, entry := range archive.File {
		if strings.HasSuffix(entry.Name, "/") {
			continue
		}
		r, err := entry.Open()
		if err != nil {
			return nil, err
		}
		content, err := io.ReadAll(r)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", entry.Name, err)
		}
		files = append(files, file{name: "usr/share/zoneinfo/" + entry.Name, mode: 0o644, content: content})
	}
	return files, nil
}
