package main

import (
	"crypto/sha256"
	"encoding/hex"
	"runtime/debug"
	"strings"
	"time"
)

// spdxType is the predicate type of in-toto statements that hold SPDX.
const spdxType = "https://spdx.dev/Document"

// spdx is a document of SPDX 2.3 in JSON (https://spdx.github.io/spdx-spec/v2.3/).
type spdx struct {
	Version       string         `json:"spdxVersion"`
	License       string         `json:"dataLicense"`
	ID            string         `json:"SPDXID"`
	Name          string         `json:"name"`
	Namespace     string         `json:"documentNamespace"`
	Creation      creation       `json:"creationInfo"`
	Packages      []spdxPackage  `json:"packages"`
	Relationships []relationship `json:"relationships"`
}

type creation struct {
	Created  string   `json:"created"`
	Creators []string `json:"creators"`
}

type spdxPackage struct {
	ID        string        `json:"SPDXID"`
	Name      string        `json:"name"`
	Version   string        `json:"versionInfo,omitempty"`
	Location  string        `json:"downloadLocation"`
	Analyzed  bool          `json:"filesAnalyzed"`
	Declared  string        `json:"licenseDeclared"`
	Concluded string        `json:"licenseConcluded"`
	Copyright string        `json:"copyrightText"`
	Purpose   string        `json:"primaryPackagePurpose,omitempty"`
	Checksums []checksum    `json:"checksums,omitempty"`
	Refs      []externalRef `json:"externalRefs,omitempty"`
}

type checksum struct {
	Algorithm string `json:"algorithm"`
	Value     string `json:"checksumValue"`
}

type externalRef struct {
	Category string `json:"referenceCategory"`
	Type     string `json:"referenceType"`
	Locator  string `json:"referenceLocator"`
}

type relationship struct {
	From string `json:"spdxElementId"`
	Type string `json:"relationshipType"`
	To   string `json:"relatedSpdxElement"`
}

// spdxOf lists the modules that the binary was linked from, as the linker
// recorded them, and the standard library.
func spdxOf(o options, p platform, info *debug.BuildInfo, binary []byte) spdx {
	sum := sha256.Sum256(binary)
	hash := hex.EncodeToString(sum[:])
	doc := spdx{
		Version: "SPDX-2.3", License: "CC0-1.0", ID: "SPDXRef-DOCUMENT",
		Name:      "gateway-" + o.version + "-" + p.OS + "-" + p.Architecture,
		Namespace: "https://spdx.org/spdxdocs/gateway-" + hash,
		Creation:  creation{Created: o.created.Format(time.RFC3339), Creators: []string{"Tool: gateway-deploy-image"}},
	}
	program := spdxPackage{
		ID: "SPDXRef-gateway", Name: "gateway", Version: o.version, Location: "NOASSERTION",
		Declared: "Apache-2.0", Concluded: "Apache-2.0", Copyright: "NOASSERTION", Purpose: "APPLICATION",
		Checksums: []checksum{{"SHA256", hash}},
	}
	doc.Packages = []spdxPackage{program, modulePackage("stdlib", strings.TrimPrefix(info.GoVersion, "go"))}
	for _, module := range info.Deps {
		if module.Replace != nil {
			module = module.Replace
		}
		doc.Packages = append(doc.Packages, modulePackage(module.Path, module.Version))
	}
	doc.Relationships = []relationship{{"SPDXRef-DOCUMENT", "DESCRIBES", program.ID}}
	for _, pkg := range doc.Packages[1:] {
		doc.Relationships = append(doc.Relationships, relationship{program.ID, "DEPENDS_ON", pkg.ID})
	}
	return doc
}

// modulePackage describes a Go module. Its name in lists of vulnerabilities is
// its package URL (https://github.com/package-url/purl-spec).
func modulePackage(path, version string) spdxPackage {
	return spdxPackage{
		ID: "SPDXRef-" + spdxID(path), Name: path, Version: version, Location: "NOASSERTION",
		Declared: "NOASSERTION", Concluded: "NOASSERTION", Copyright: "NOASSERTION", Purpose: "LIBRARY",
		Refs: []externalRef{{"PACKAGE-MANAGER", "purl", "pkg:golang/" + path + "@" + version}},
	}
}

// spdxID replaces what SPDX does not allow in identifiers.
func spdxID(s string) string {
	return strings.Map(func(r rune) rune {
		if 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '.' || r == '-' {
			return r
		}
		return '-'
	}, s)
}

// statement is an in-toto statement, version 0.1
// (https://github.com/in-toto/attestation/tree/main/spec/v0.1.0).
type statement struct {
	Type          string    `json:"_type"`
	PredicateType string    `json:"predicateType"`
	Subject       []subject `json:"subject"`
	Predicate     any       `json:"predicate"`
}

type subject struct {
	Name   string            `json:"name"`
	Digest map[string]string `json:"digest"`
}

// attestation writes the SBOM of an image as a manifest that names the image.
// It is listed in the image's index, so that it goes where the image goes.
func (l *layout) attestation(image descriptor, sbom spdx) (descriptor, error) {
	s := statement{
		Type: "https://in-toto.io/Statement/v0.1", PredicateType: spdxType,
		Subject:   []subject{{Name: "gateway", Digest: map[string]string{"sha256": strings.TrimPrefix(image.Digest, "sha256:")}}},
		Predicate: sbom,
	}
	layer, err := l.object(typeInToto, s)
	if err != nil {
		return descriptor{}, err
	}
	layer.Annotations = map[string]string{"in-toto.io/predicate-type": spdxType}
	config := imageConfig{Architecture: "unknown", OS: "unknown", RootFS: rootFS{Type: "layers", DiffIDs: []string{layer.Digest}}}
	d, err := l.manifest(config, []descriptor{layer}, nil)
	if err != nil {
		return descriptor{}, err
	}
	d.Platform = &platform{OS: "unknown", Architecture: "unknown"}
	d.Annotations = map[string]string{
		"vnd.docker.reference.type":   "attestation-manifest",
		"vnd.docker.reference.digest": image.Digest,
	}
	return d, nil
}
