package export

import (
	"context"
	"crypto/md5"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"path"
	"regexp"
	"time"

	"github.com/go-json-experiment/json"

	"gateway/internal/failure"
	"gateway/internal/predict"
	"gateway/internal/schema"
)

// Target stores the files of an export, under slash-separated names.
type Target interface {
	// WriteFile makes or replaces the file with what write writes. The file
	// appears whole; if write or WriteFile fails, nothing changes.
	WriteFile(ctx context.Context, name string, write func(io.Writer) error) error
}

// Meta describes the export to write.
type Meta struct {
	Schema *schema.Schema // names the id and the label
	ID     string         // of the export: letters, digits, '.', '_' and '-'
	Folder string         // above AWSDynamoDB in the target; may be empty
	Bucket string         // for the summary only; may be empty
	Table  string         // for the summary only; empty: "customers"
	// Time is the start, the end and the moment of the data in the summary: the
	// same customers at the same Time give the same bytes.
	Time time.Time
	// PartItems bounds the items of one data file. Zero means 100,000.
	PartItems int
}

// Written is the result of Write.
type Written struct {
	Folder string // the export's own, for Open
	Items  int64
}

// Bounds of one data file. A part is compressed in memory before it is written,
// because WriteFile writes a whole file and the manifest has its checksum.
const (
	defaultPartItems = 100_000
	maxPartBytes     = 32 << 20 // before compression
)

var exportID = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$`)

// Write writes customers in the layout of DynamoDB's export to S3, full,
// DYNAMODB_JSON. each calls its argument with every customer, in any order, and
// returns the argument's error. The summary is written last: Open refuses an
// export without it as incomplete. Writing the same export again replaces it.
func Write(ctx context.Context, to Target, meta Meta, each func(func(predict.Customer) error) error) (Written, error) {
	if !exportID.MatchString(meta.ID) {
		return Written{}, failure.Errorf(failure.Invalid, "%q cannot be the id of an export", shorten(meta.ID))
	}
	w := &exportWriter{ctx: ctx, to: to, meta: meta, folder: path.Join(meta.Folder, "AWSDynamoDB", meta.ID)}
	if w.meta.PartItems <= 0 {
		w.meta.PartItems = defaultPartItems
	}
	if w.meta.Table == "" {
		w.meta.Table = "customers"
	}
	if err := w.file(startedFile, nil); err != nil {
		return Written{}, err
	}
	err := each(func(c predict.Customer) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		return w.add(c)
	})
	if err == nil && (w.part.items > 0 || len(w.entries) == 0) {
		err = w.endPart() // without customers there is one file, as in DynamoDB's exports
	}
	if err == nil {
		err = w.manifests()
	}
	return Written{Folder: w.folder, Items: w.items}, err
}

// exportWriter is one call of Write. It keeps ctx, which it does not outlive.
type exportWriter struct {
	ctx     context.Context
	to      Target
	meta    Meta
	folder  string
	part    part
	parts   int
	entries []byte // manifest-files.json so far
	items   int64
	bytes   int64 // of items as text
	item    []byte
}

func (w *exportWriter) add(c predict.Customer) error {
	var err error
	if w.item, err = appendItem(w.item[:0], w.meta.Schema, c); err != nil {
		return err
	}
	w.part.add(w.item)
	w.items++
	w.bytes += int64(len(w.item))
	if w.part.items < int64(w.meta.PartItems) && w.part.bytes < maxPartBytes {
		return nil
	}
	return w.endPart()
}

// endPart writes the data file and its line of the manifest.
func (w *exportWriter) endPart() error {
	stored := w.part.end()
	name := "data/" + partName(w.meta.ID, w.parts)
	if err := w.file(name, stored); err != nil {
		return err
	}
	sum := md5.Sum(stored)
	tag := md5.Sum(sum[:]) // as S3 makes it for an upload in one part
	line, err := json.Marshal(fileEntry{
		ItemCount:     &w.part.items,
		MD5Checksum:   base64.StdEncoding.EncodeToString(sum[:]),
		ETag:          hex.EncodeToString(tag[:]) + "-1",
		DataFileS3Key: path.Join(w.folder, name),
	})
	if err != nil {
		return err
	}
	w.entries = append(append(w.entries, line...), '\n')
	w.parts++
	w.part.reset()
	return nil
}

func (w *exportWriter) manifests() error {
	if err := w.withSum(filesFile, w.entries); err != nil {
		return err
	}
	table := "arn:aws:dynamodb:local:000000000000:table/" + w.meta.Table
	at := w.meta.Time.UTC().Format("2006-01-02T15:04:05.000Z")
	s := summary{
		Version:            "2020-06-30",
		ExportArn:          table + "/export/" + w.meta.ID,
		StartTime:          at,
		EndTime:            at,
		TableArn:           table,
		TableID:            w.meta.Table,
		ExportTime:         at,
		S3Bucket:           w.meta.Bucket,
		ManifestFilesS3Key: path.Join(w.folder, filesFile),
		BilledSizeBytes:    w.bytes,
		ItemCount:          &w.items,
		OutputFormat:       "DYNAMODB_JSON",
		ExportType:         "FULL_EXPORT",
	}
	if w.meta.Folder != "" {
		s.S3Prefix = &w.meta.Folder
	}
	text, err := json.Marshal(s)
	if err != nil {
		return err
	}
	return w.withSum(summaryFile, text)
}

// withSum writes a manifest and, before it, its checksum: once the summary is
// there, the export is complete.
func (w *exportWriter) withSum(name string, text []byte) error {
	sum := md5.Sum(text)
	stem := name[:len(name)-len(".json")]
	if err := w.file(stem+".md5", []byte(base64.StdEncoding.EncodeToString(sum[:]))); err != nil {
		return err
	}
	return w.file(name, text)
}

func (w *exportWriter) file(name string, content []byte) error {
	name = path.Join(w.folder, name)
	err := w.to.WriteFile(w.ctx, name, func(out io.Writer) error {
		_, err := out.Write(content)
		return err
	})
	if err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	return nil
}
