// Command image writes the gateway's container image as an OCI layout, without
// a container engine and without a base image:
//
//	image -o DIR [-version V] [-revision COMMIT] [-source URL] [-ca FILE] [-schema FILE] BINARY…
//
// Each BINARY is the gateway, built for linux and one architecture, which the
// binary itself states. The image has the binary, certificate authorities, time
// zones and the user 65532. The same arguments give the same digest. The time
// of all files is SOURCE_DATE_EPOCH (seconds, default 0).
//
// Formats: the OCI image layout, index, manifest and configuration
// (https://github.com/opencontainers/image-spec, version 1.1), and BuildKit's
// attestation manifests for the SBOM
// (https://github.com/moby/buildkit/blob/master/docs/attestations/attestation-storage.md).
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "image:", err)
		os.Exit(1)
	}
}

// options are the arguments of the command.
type options struct {
	output, version, revision, source, extraCA, schema string
	created                                            time.Time
}

func run(args []string) error {
	var o options
	flags := flag.NewFlagSet("image", flag.ContinueOnError)
	flags.StringVar(&o.output, "o", "", "`directory` of the layout; what it holds is replaced")
	flags.StringVar(&o.version, "version", "dev", "version of the gateway")
	flags.StringVar(&o.revision, "revision", "", "commit that the binaries are built from")
	flags.StringVar(&o.source, "source", "", "`address` of the repository")
	flags.StringVar(&o.extraCA, "ca", "", "PEM `file` of further authorities, which becomes /etc/gateway/ca.pem")
	flags.StringVar(&o.schema, "schema", "", "`file` of the feature schema, which becomes /etc/gateway/schema.yaml")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if o.output == "" || flags.NArg() == 0 {
		return errors.New("usage: image -o DIR [flags] BINARY…")
	}
	var err error
	if o.created, err = sourceDate(os.Getenv("SOURCE_DATE_EPOCH")); err != nil {
		return err
	}
	return build(o, flags.Args())
}

// sourceDate reads SOURCE_DATE_EPOCH
// (https://reproducible-builds.org/specs/source-date-epoch/).
func sourceDate(value string) (time.Time, error) {
	if value == "" {
		return time.Unix(0, 0).UTC(), nil
	}
	seconds, err := strconv.ParseInt(value, 10, 64)
	if err != nil || seconds < 0 {
		return time.Time{}, fmt.Errorf("SOURCE_DATE_EPOCH is %q, not a number of seconds", value)
	}
	return time.Unix(seconds, 0).UTC(), nil
}

// build writes the layout beside its place and then renames it, so that a
// failure leaves the old one.
func build(o options, binaries []string) error {
	base, err := baseFiles(o)
	if err != nil {
		return err
	}
	parent := filepath.Dir(filepath.Clean(o.output))
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return err
	}
	temporary, err := os.MkdirTemp(parent, ".image-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temporary)
	if err := os.Chmod(temporary, 0o755); err != nil {
		return err
	}
	if err := writeImage(&layout{dir: temporary}, o, base, binaries); err != nil {
		return err
	}
	if err := os.RemoveAll(o.output); err != nil {
		return err
	}
	return os.Rename(temporary, o.output)
}
