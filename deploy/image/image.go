package main

import (
	"debug/buildinfo"
	"fmt"
	"os"
	"slices"
	"time"

	"gateway/deploy/image/sbom"
)

// writeImage writes an image for each binary, with its SBOM, and one index of
// them all.
func writeImage(l *layout, o options, base []file, binaries []string) error {
	baseLayer, baseID, err := l.layer(base, o.created)
	if err != nil {
		return err
	}
	whole := index{SchemaVersion: 2, MediaType: typeIndex, Annotations: labels(o)}
	var sboms []descriptor
	for _, name := range binaries {
		info, err := buildinfo.ReadFile(name)
		if err != nil {
			return err
		}
		p, err := platformOf(name, info)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(whole.Manifests, func(d descriptor) bool { return *d.Platform == p }) {
			return fmt.Errorf("%s: there is a binary for %s already", name, p.Architecture)
		}
		content, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		layer, id, err := l.layer([]file{{name: "gateway", content: content, mode: 0o755}}, o.created)
		if err != nil {
			return err
		}
		image, err := l.manifest(configOf(o, p, baseID, id), []descriptor{baseLayer, layer}, labels(o))
		if err != nil {
			return err
		}
		image.Platform = &p
		attestation, err := l.attestation(image, sbom.Of(sbom.Program{Version: o.version, OS: p.OS, Architecture: p.Architecture,
			Created: o.created, Info: info, Binary: content}))
		if err != nil {
			return err
		}
		whole.Manifests = append(whole.Manifests, image)
		sboms = append(sboms, attestation)
	}
	whole.Manifests = append(whole.Manifests, sboms...)
	image, err := l.object(typeIndex, whole)
	if err != nil {
		return err
	}
	image.Annotations = map[string]string{"org.opencontainers.image.ref.name": o.version}
	return l.finish(image)
}

// manifest writes a configuration and the manifest of an image.
func (l *layout) manifest(config imageConfig, layers []descriptor, annotations map[string]string) (descriptor, error) {
	d, err := l.object(typeConfig, config)
	if err != nil {
		return descriptor{}, err
	}
	return l.object(typeManifest, manifest{SchemaVersion: 2, MediaType: typeManifest, Config: d, Layers: layers, Annotations: annotations})
}

// platformOf returns what the binary was built for. It refuses one that needs
// what the image does not have.
func platformOf(name string, info *buildinfo.BuildInfo) (platform, error) {
	settings := make(map[string]string)
	for _, s := range info.Settings {
		settings[s.Key] = s.Value
	}
	if info.Path != "gateway/cmd/gateway" {
		return platform{}, fmt.Errorf("%s is the program %s, not gateway/cmd/gateway", name, info.Path)
	}
	if settings["GOOS"] != "linux" {
		return platform{}, fmt.Errorf("%s is built for %s, not for linux", name, settings["GOOS"])
	}
	if settings["CGO_ENABLED"] != "0" {
		return platform{}, fmt.Errorf("%s is built with cgo, and the image has no C library: set CGO_ENABLED=0", name)
	}
	return platform{OS: "linux", Architecture: settings["GOARCH"]}, nil
}

// configOf returns how the image is run. Dockerfile says the same.
func configOf(o options, p platform, layers ...string) imageConfig {
	var steps []history
	for _, step := range []string{"authorities, time zones, user", "the binary"} {
		steps = append(steps, history{Created: &o.created, CreatedBy: "deploy/image: " + step})
	}
	variables := []string{"PATH=/", "GATEWAY_ADDR=0.0.0.0:8080", "GATEWAY_DATA_DIR=/data"}
	if o.schema != "" {
		variables = append(variables, "GATEWAY_SCHEMA=/"+schemaFile)
	}
	return imageConfig{
		Created: &o.created, Architecture: p.Architecture, OS: p.OS,
		Config: containerConfig{
			User:         fmt.Sprintf("%d:%d", user, user),
			ExposedPorts: map[string]struct{}{"8080/tcp": {}},
			Env:          variables,
			Entrypoint:   []string{"/gateway"},
			Cmd:          []string{"serve"},
			Volumes:      map[string]struct{}{"/data": {}},
			WorkingDir:   "/",
			Labels:       labels(o),
		},
		RootFS:  rootFS{Type: "layers", DiffIDs: layers},
		History: steps,
	}
}

// labels returns the annotations that OCI defines for images.
func labels(o options) map[string]string {
	all := map[string]string{
		"org.opencontainers.image.title":       "gateway",
		"org.opencontainers.image.description": "Prediction gateway: predictions for apps, and the loop that keeps the model fresh",
		"org.opencontainers.image.licenses":    "Apache-2.0",
		"org.opencontainers.image.version":     o.version,
		"org.opencontainers.image.created":     o.created.Format(time.RFC3339),
	}
	if o.revision != "" {
		all["org.opencontainers.image.revision"] = o.revision
	}
	if o.source != "" {
		all["org.opencontainers.image.source"] = o.source
	}
	return all
}
