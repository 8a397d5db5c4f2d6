package main

import (
	"strings"

	"gateway/deploy/image/sbom"
)

// spdxType is the predicate type of in-toto statements that hold SPDX.
const spdxType = "https://spdx.dev/Document"

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
func (l *layout) attestation(image descriptor, document sbom.Document) (descriptor, error) {
	s := statement{
		Type: "https://in-toto.io/Statement/v0.1", PredicateType: spdxType,
		Subject:   []subject{{Name: "gateway", Digest: map[string]string{"sha256": strings.TrimPrefix(image.Digest, "sha256:")}}},
		Predicate: document,
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
