package sandbox

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/md5"
	"crypto/sha256"
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"path"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/uuid"
)

// dataFiles is the number of partitions of an exported table. The last one is empty, because
// DynamoDB writes an empty file for an empty partition.
const dataFiles = 4

func (e *tableExport) folder() string { return path.Join(e.in.S3Prefix, "AWSDynamoDB", e.id) }

// writeExport writes the files of a full export of DynamoDB that follow _started: the data,
// the manifest of the data and then the summary.
func (s *Server) writeExport(ctx context.Context, e *tableExport) (manifest string, err error) {
	folder := e.folder()
	put := func(name string, body []byte) {
		if err == nil {
			err = s.upload(ctx, e.in.S3Bucket, path.Join(folder, name), body)
		}
	}
	var entries bytes.Buffer
	for n := range dataFiles {
		body, items, size := e.dataFile(n)
		e.billed += size
		name := "data/" + e.dataName(n)
		put(name, body)
		sum := md5.Sum(body)
		key := path.Join(folder, name)
		if s.options.ManifestWithoutPrefix {
			key = path.Join("AWSDynamoDB", e.id, name)
		}
		entries.Write(append(marshal(struct {
			Items int    `json:"itemCount"`
			MD5   string `json:"md5Checksum"`
			ETag  string `json:"etag"`
			Key   string `json:"dataFileS3Key"`
		}{items, base64.StdEncoding.EncodeToString(sum[:]), hex.EncodeToString(sum[:]) + "-1", key}), '\n'))
	}
	withSum := func(name string, body []byte) {
		sum := md5.Sum(body)
		put(name+".md5", []byte(base64.StdEncoding.EncodeToString(sum[:])))
		put(name+".json", body)
	}
	withSum("manifest-files", entries.Bytes())
	withSum("manifest-summary", e.summary(path.Join(folder, "manifest-files.json")))
	return path.Join(folder, "manifest-summary.json"), err
}

func (e *tableExport) dataName(n int) string {
	sum := sha256.Sum256(fmt.Append(nil, e.id, n))
	return strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(sum[:16])) + ".json.gz"
}

// dataFile returns the file of one partition.
func (e *tableExport) dataFile(n int) (body []byte, items int, size int64) {
	var out bytes.Buffer
	zip := gzip.NewWriter(&out)
	for i, it := range e.items {
		if i%(dataFiles-1) != n {
			continue
		}
		line := append(marshal(struct{ Item item }{it}), '\n')
		_, _ = zip.Write(line) // a bytes.Buffer does not fail
		size += int64(len(line))
		items++
	}
	if items == 0 {
		return nil, 0, 0
	}
	_ = zip.Close()
	return out.Bytes(), items, size
}

// summary returns the file manifest-summary.json.
func (e *tableExport) summary(files string) []byte {
	stamp := func(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }
	var prefix, sse *string
	if e.in.S3Prefix != "" {
		prefix = &e.in.S3Prefix
	}
	if e.in.S3SseAlgorithm != "" {
		sse = &e.in.S3SseAlgorithm
	}
	return marshal(struct {
		Version      string  `json:"version"`
		ExportArn    string  `json:"exportArn"`
		StartTime    string  `json:"startTime"`
		EndTime      string  `json:"endTime"`
		TableArn     string  `json:"tableArn"`
		TableID      string  `json:"tableId"`
		ExportTime   string  `json:"exportTime"`
		Bucket       string  `json:"s3Bucket"`
		Prefix       *string `json:"s3Prefix"`
		SSE          *string `json:"s3SseAlgorithm"`
		Key          *string `json:"s3SseKmsKeyId"`
		Files        string  `json:"manifestFilesS3Key"`
		Billed       int64   `json:"billedSizeBytes"`
		Items        int     `json:"itemCount"`
		OutputFormat string  `json:"outputFormat"`
		ExportType   string  `json:"exportType"`
	}{"2020-06-30", e.arn, stamp(e.begun), stamp(e.due), e.in.TableArn, e.tableID, stamp(e.time()), e.in.S3Bucket, prefix, sse, nil, files,
		e.billed, len(e.items), "DYNAMODB_JSON", "FULL_EXPORT"})
}

// Backup is the format of a backup of AWS Data Pipeline.
type Backup int

// The two formats.
const (
	// JSONBackup is the format of the present EMR connector: {"age":{"n":"34"}}.
	JSONBackup Backup = iota
	// HiveBackup is the oldest format, with control characters between attributes.
	HiveBackup
)

// WriteBackup writes a table in the layout of a backup of Data Pipeline: part files, a
// manifest and _SUCCESS below bucket/prefix. It returns the number of items.
func (s *Server) WriteBackup(ctx context.Context, table, bucket, prefix string, spelling Backup) (int, error) {
	items, err := s.scanAll(ctx, table)
	if err != nil {
		return 0, err
	}
	const parts = 2
	type entry struct {
		URL       string `json:"url"`
		Mandatory bool   `json:"mandatory"`
	}
	var entries []entry
	for n := range parts {
		var b bytes.Buffer
		for i, it := range items {
			if i%parts == n {
				b.WriteString(spelling.line(it) + "\n")
			}
		}
		key := path.Join(prefix, uuid.NewString())
		if err := s.upload(ctx, bucket, key, b.Bytes()); err != nil {
			return 0, err
		}
		entries = append(entries, entry{"s3://" + bucket + "/" + key, true})
	}
	manifest := marshal(struct {
		Name    string  `json:"name"`
		Version int     `json:"version"`
		Entries []entry `json:"entries"`
	}{"DynamoDB-export", 3, entries})
	if err := s.upload(ctx, bucket, path.Join(prefix, "manifest"), manifest); err != nil {
		return 0, err
	}
	return len(items), s.upload(ctx, bucket, path.Join(prefix, "_SUCCESS"), nil)
}

func (b Backup) line(it item) string {
	var parts []string
	for _, name := range sortedKeys(it) {
		value := string(marshal(it[name].lower()))
		if b == HiveBackup {
			parts = append(parts, name+"\x03"+value)
			continue
		}
		parts = append(parts, string(marshal(name))+":"+value)
	}
	if b == HiveBackup {
		return strings.Join(parts, "\x02")
	}
	return "{" + strings.Join(parts, ",") + "}"
}

// lower returns a value with the field names of version 1 of the Java SDK, at every depth: the
// first letter is lower case.
func (a attribute) lower() map[string]any {
	kind := strings.ToLower(a.kind[:1]) + a.kind[1:]
	switch a.kind {
	case "L":
		var l []attribute
		_ = json.Unmarshal(a.raw, &l) // it was validated when it was stored
		out := make([]any, len(l))
		for i, one := range l {
			out[i] = one.lower()
		}
		return map[string]any{kind: out}
	case "M":
		var m item
		_ = json.Unmarshal(a.raw, &m) // it was validated when it was stored
		out := make(map[string]any, len(m))
		for name, one := range m {
			out[name] = one.lower()
		}
		return map[string]any{kind: out}
	}
	return map[string]any{kind: a.raw}
}
