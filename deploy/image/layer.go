package main

import (
	"archive/tar"
	"bytes"
	"cmp"
	"compress/gzip"
	"io"
	"path"
	"slices"
	"strings"
	"time"
)

// file is a file or, if its name ends in a slash, a directory of the image.
// Names have no leading slash.
type file struct {
	name    string
	content []byte
	mode    int64
	owner   int // of user and group
}

// writeTar writes the files and all directories above them, in the order of
// their names, with one time.
func writeTar(w io.Writer, files []file, modified time.Time) error {
	all := slices.Clone(files)
	known := make(map[string]bool)
	for _, f := range files {
		known[f.name] = true
	}
	for _, f := range files {
		for dir := path.Dir(strings.TrimSuffix(f.name, "/")); dir != "."; dir = path.Dir(dir) {
			if name := dir + "/"; !known[name] {
				known[name] = true
				all = append(all, file{name: name, mode: 0o755})
			}
		}
	}
	slices.SortFunc(all, func(a, b file) int { return cmp.Compare(a.name, b.name) })
	archive := tar.NewWriter(w)
	for _, f := range all {
		header := &tar.Header{
			Name: f.name, Mode: f.mode, Size: int64(len(f.content)), Uid: f.owner, Gid: f.owner,
			ModTime: modified, Typeflag: tar.TypeReg, Format: tar.FormatPAX,
		}
		if strings.HasSuffix(f.name, "/") {
			header.Typeflag = tar.TypeDir
		}
		if err := archive.WriteHeader(header); err != nil {
			return err
		}
		if _, err := archive.Write(f.content); err != nil {
			return err
		}
	}
	return archive.Close()
}

// compress returns the content in gzip's format, whose header has no time.
func compress(content []byte) ([]byte, error) {
	var compressed bytes.Buffer
	w := gzip.NewWriter(&compressed)
	if _, err := w.Write(content); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return compressed.Bytes(), nil
}
