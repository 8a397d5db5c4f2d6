// Package sbom writes what a binary of the gateway is made of, in SPDX.
package sbom

import (
	"crypto/sha256"
	"encoding/hex"
	"runtime/debug"
	"strings"
	"time"
)

// Document is a document of SPDX 2.3 in JSON (https://spdx.github.io/spdx-spec/v2.3/).
type Document struct {
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

// Program is the gateway as it was built for a platform.
type Program struct {
	Version          string
	OS, Architecture string
	Created          time.Time
	Info             *debug.BuildInfo // as the linker recorded it
	Binary           []byte
}

// Of lists the modules that the binary was linked from, and the standard library.
func Of(p Program) Document {
	sum := sha256.Sum256(p.Binary)
	hash := hex.EncodeToString(sum[:])
	doc := Document{
		Version: "SPDX-2.3", License: "CC0-1.0", ID: "SPDXRef-DOCUMENT",
		Name:      "gateway-" + p.Version + "-" + p.OS + "-" + p.Architecture,
		Namespace: "https://spdx.org/spdxdocs/gateway-" + hash,
		Creation:  creation{Created: p.Created.Format(time.RFC3339), Creators: []string{"Tool: gateway-deploy-image"}},
	}
	program := spdxPackage{
		ID: "SPDXRef-gateway", Name: "gateway", Version: p.Version, Location: "NOASSERTION",
		Declared: "Apache-2.0", Concluded: "Apache-2.0", Copyright: "NOASSERTION", Purpose: "APPLICATION",
		Checksums: []checksum{{"SHA256", hash}},
	}
	doc.Packages = []spdxPackage{program, modulePackage("stdlib", strings.TrimPrefix(p.Info.GoVersion, "go"))}
	for _, module := range p.Info.Deps {
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
