package export

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"

	"github.com/go-json-experiment/json"

	"gateway/internal/failure"
)

// Names of the files of DynamoDB's export, as "Amazon DynamoDB Developer Guide:
// DynamoDB table export output format" gives them.
const (
	startedFile = "_started"
	summaryFile = "manifest-summary.json"
	filesFile   = "manifest-files.json"
)

// maxManifest bounds a manifest, in bytes: some 200,000 data files.
const maxManifest = 64 << 20

// summary is manifest-summary.json. The members of incremental exports are there
// to recognise those.
type summary struct {
	Version            string  `json:"version"`
	ExportArn          string  `json:"exportArn"`
	StartTime          string  `json:"startTime"`
	EndTime            string  `json:"endTime"`
	TableArn           string  `json:"tableArn"`
	TableID            string  `json:"tableId"`
	ExportTime         string  `json:"exportTime"`
	S3Bucket           string  `json:"s3Bucket"`
	S3Prefix           *string `json:"s3Prefix"`
	S3SseAlgorithm     *string `json:"s3SseAlgorithm"`
	S3SseKmsKeyID      *string `json:"s3SseKmsKeyId"`
	ManifestFilesS3Key string  `json:"manifestFilesS3Key"`
	BilledSizeBytes    int64   `json:"billedSizeBytes"`
	ItemCount          *int64  `json:"itemCount"`
	OutputFormat       string  `json:"outputFormat"`
	ExportType         string  `json:"exportType,omitempty"`
}

// fileEntry is one line of manifest-files.json.
type fileEntry struct {
	ItemCount     *int64 `json:"itemCount"`
	MD5Checksum   string `json:"md5Checksum"` // base64, of the file as stored
	ETag          string `json:"etag"`
	DataFileS3Key string `json:"dataFileS3Key"`
}

// useNative reads the manifests of the export in r.folder.
func (r *Reader) useNative(ctx context.Context) error {
	r.layout = Native
	name := path.Join(r.folder, summaryFile)
	text, err := r.readManifest(name)
	if err != nil {
		return err
	}
	var s summary
	if err := json.Unmarshal(text, &s); err != nil {
		return &failure.Error{Kind: failure.Invalid, Detail: name + " is not the summary of an export", Err: err}
	}
	switch {
	case s.ExportType != "" && s.ExportType != "FULL_EXPORT":
		return failure.Errorf(failure.Invalid, "%s: this is an incremental export (%s); it holds changes, not customers: make a full export", name, shorten(s.ExportType))
	case s.OutputFormat != "DYNAMODB_JSON":
		return failure.Errorf(failure.Invalid, "%s: the output format is %q; only DYNAMODB_JSON is supported", name, shorten(s.OutputFormat))
	case s.ItemCount == nil:
		return failure.Errorf(failure.Invalid, "%s has no itemCount", name)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := r.useFiles(path.Join(r.folder, filesFile)); err != nil {
		return err
	}
	r.total = *s.ItemCount
	var sum int64
	for _, f := range r.files {
		sum += f.items
	}
	if sum != r.total {
		return failure.Errorf(failure.Invalid, "%s: the files hold %d items together; the summary says %d", path.Join(r.folder, filesFile), sum, r.total)
	}
	return nil
}

// useFiles reads manifest-files.json: one JSON object a line.
func (r *Reader) useFiles(name string) error {
	text, err := r.readManifest(name)
	if err != nil {
		return err
	}
	seen := make(map[string]bool)
	number := 0
	for line := range bytes.Lines(text) {
		number++
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		var e fileEntry
		if err := json.Unmarshal(line, &e); err != nil {
			return &failure.Error{Kind: failure.Invalid, Detail: fmt.Sprintf("%s, line %d: not an entry of a manifest", name, number), Err: err}
		}
		sum, err := base64.StdEncoding.DecodeString(e.MD5Checksum)
		if err != nil || len(sum) != md5.Size {
			return failure.Errorf(failure.Invalid, "%s, line %d: md5Checksum is not an MD5 in base64", name, number)
		}
		if e.ItemCount == nil || *e.ItemCount < 0 {
			return failure.Errorf(failure.Invalid, "%s, line %d: itemCount is missing or negative", name, number)
		}
		within, ok := withinExport(e.DataFileS3Key)
		if !ok {
			return failure.Errorf(failure.Invalid, "%s, line %d: the key %q does not lie in an export", name, number, shorten(e.DataFileS3Key))
		}
		file := path.Join(r.folder, within)
		if seen[file] {
			return failure.Errorf(failure.Invalid, "%s, line %d: %s is named twice", name, number, file)
		}
		seen[file] = true
		r.files = append(r.files, dataFile{name: file, sum: sum, items: *e.ItemCount})
	}
	return nil
}

// withinExport returns the part of an S3 key below the export's own folder,
// "data/x.json.gz" of "a/AWSDynamoDB/0170…/data/x.json.gz". The part before it
// is where the export was written, not where it is now: exports are copied, and
// DynamoDB's documentation shows keys without their prefix.
func withinExport(key string) (string, bool) {
	const marker = "AWSDynamoDB/"
	i := strings.LastIndex(key, marker)
	if i < 0 || (i > 0 && key[i-1] != '/') {
		return "", false
	}
	_, within, found := strings.Cut(key[i+len(marker):], "/")
	return within, found && within != "." && fs.ValidPath(within)
}

// readManifest reads a manifest and compares it with its checksum, if one is
// beside it. Real exports call that manifest-….md5, the documentation
// manifest-….checksum.
func (r *Reader) readManifest(name string) ([]byte, error) {
	text, err := readSmall(r.fsys, name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &failure.Error{Kind: failure.Invalid, Detail: name + " is missing", Err: err}
	}
	if err != nil {
		return nil, err
	}
	stem := strings.TrimSuffix(name, ".json")
	for _, beside := range []string{stem + ".md5", stem + ".checksum"} {
		written, err := readSmall(r.fsys, beside)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		got, want := md5.Sum(text), strings.TrimSpace(string(written))
		if want != base64.StdEncoding.EncodeToString(got[:]) && !strings.EqualFold(want, hex.EncodeToString(got[:])) {
			return nil, failure.Errorf(failure.Invalid, "%s: its MD5 checksum differs from the one in %s", name, path.Base(beside))
		}
	}
	return text, nil
}

// readSmall reads a file whole, up to maxManifest bytes.
func readSmall(fsys fs.FS, name string) ([]byte, error) {
	f, err := fsys.Open(name)
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", name, err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxManifest+1))
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, err)
	}
	if len(text) > maxManifest {
		return nil, failure.Errorf(failure.Invalid, "%s is larger than %d bytes, which no manifest is", name, maxManifest)
	}
	return text, nil
}
