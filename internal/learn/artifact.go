package learn

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

// Artifact is a model together with what it was made from: everything needed
// to decide whether to serve it, and to make it again.
type Artifact struct {
	Name            string            // the model's name
	Schema          string            // fingerprint of the feature schema of its columns
	Data            string            // SHA-256 of the training CSV, in hex
	Rows            int               // rows trained on
	CreatedAt       time.Time         // in UTC
	Algorithm       Algorithm         // that of Model
	Hyperparameters map[string]string // as given to Train
	Seed            uint64            // as given to Train
	Metrics         *Metrics          // on rows not trained on; may be nil
	Figures         *Figures          // on the same rows; may be nil
	Model           *Model
}

const (
	artifactFormat  = "gateway-model"
	artifactVersion = 1
	// maxHeader and maxPayload bound what Decode reads, in bytes. A thousand
	// deep trees take about 5 MB.
	maxHeader  = 256
	maxPayload = 64 << 20
)

// header is the first line of an artifact.
type header struct {
	Format  string `json:"format"`
	Version int    `json:"version"`
	Bytes   int    `json:"bytes"`  // length of the payload, which is the rest
	SHA256  string `json:"sha256"` // of the payload, in hex
}

func newHeader(payload []byte) header {
	digest := sha256.Sum256(payload)
	return header{artifactFormat, artifactVersion, len(payload), hex.EncodeToString(digest[:])}
}

// line returns the one spelling of h that is valid.
func (h header) line() []byte {
	line, err := json.Marshal(h)
	if err != nil {
		return nil // impossible: strings and whole numbers always encode
	}
	return append(line, '\n')
}

// Encode writes a to w: one line of JSON that names format, version, length
// and digest, then the payload, also JSON. The same artifact gives the same
// bytes, and every number comes back exactly. An artifact that Decode would
// refuse is not written; the error matches ErrArtifact.
func (a *Artifact) Encode(w io.Writer) error {
	if err := a.check(); err != nil {
		return err
	}
	payload, err := json.Marshal(a.toJSON())
	if err != nil {
		return artifactErrorf("artifact %q cannot be encoded: %v", a.Name, err)
	}
	if len(payload) > maxPayload {
		return artifactErrorf("artifact %q is too large: %d bytes, at most %d", a.Name, len(payload), maxPayload)
	}
	if _, err := w.Write(newHeader(payload).line()); err != nil {
		return err
	}
	_, err = w.Write(payload)
	return err
}

// Decode reads an artifact written by Encode, up to the end of r. It believes
// nothing: truncated, altered or oversized input, another format or version,
// and models that could not be run safely are errors that match ErrArtifact
// and say what is wrong. An error of r is returned as it is.
func Decode(r io.Reader) (*Artifact, error) {
	in := bufio.NewReaderSize(r, maxHeader)
	line, err := in.ReadSlice('\n')
	switch {
	case errors.Is(err, io.EOF):
		return nil, artifactErrorf("not a whole artifact: it ends within its header")
	case errors.Is(err, bufio.ErrBufferFull):
		return nil, artifactErrorf("not an artifact: its first line is no header")
	case err != nil:
		return nil, err
	}
	line = bytes.Clone(line)
	var h header
	if err := json.Unmarshal(line, &h); err != nil || h.Format != artifactFormat {
		return nil, artifactErrorf("not an artifact: its first line is no header")
	}
	if h.Version != artifactVersion {
		return nil, artifactErrorf("artifact has version %d; this program reads version %d", h.Version, artifactVersion)
	}
	if h.Bytes < 0 || h.Bytes > maxPayload {
		return nil, artifactErrorf("artifact is said to have %d bytes; at most %d are read", h.Bytes, maxPayload)
	}
	payload, err := io.ReadAll(io.LimitReader(in, int64(h.Bytes)+1))
	if err != nil {
		return nil, err
	}
	if len(payload) < h.Bytes {
		return nil, artifactErrorf("artifact is truncated: %d of %d bytes", len(payload), h.Bytes)
	}
	if !bytes.Equal(newHeader(payload).line(), line) {
		return nil, artifactErrorf("artifact is corrupt: its contents do not match its digest")
	}
	var wire artifactJSON
	strict := json.NewDecoder(bytes.NewReader(payload))
	strict.DisallowUnknownFields()
	if err := strict.Decode(&wire); err != nil {
		return nil, artifactErrorf("artifact cannot be understood: %v", err)
	}
	if _, err := strict.Token(); !errors.Is(err, io.EOF) {
		return nil, artifactErrorf("artifact cannot be understood: more follows its end")
	}
	a, err := wire.artifact()
	if err != nil {
		return nil, err
	}
	if err := a.check(); err != nil {
		return nil, err
	}
	return a, nil
}

// CheckSchema reports whether a may serve rows of the feature schema with the
// given fingerprint. If not, the error matches ErrSchema and names both.
func (a *Artifact) CheckSchema(fingerprint string) error {
	if a.Schema == fingerprint {
		return nil
	}
	return &fault{ErrSchema, fmt.Sprintf("model %q was trained for feature schema %s, not %s",
		a.Name, clip(a.Schema), clip(fingerprint))}
}
