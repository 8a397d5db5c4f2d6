package export

import (
	"context"
	"io"
	"io/fs"

	"gateway/internal/failure"
)

// Layout is the arrangement of an export in its folder.
type Layout string

// The layouts.
const (
	Native Layout = "dynamodb" // DynamoDB's export to S3, with manifests
	Backup Layout = "backup"   // Data Pipeline or EMR, with a manifest
	Loose  Layout = "files"    // files of items without a manifest
)

// Reader reads the items of one export, file by file, in constant memory. It
// is not safe for concurrent use.
type Reader struct {
	fsys   fs.FS
	layout Layout
	folder string
	files  []dataFile
	total  int64

	next   int // index into files
	open   *openFile
	parser *parser
	buffer []byte
	err    error // why there are no more items
}

// Open finds the export at root and reads its manifests, not yet its items.
// root is a slash-separated path in fsys: the export's own folder, a folder
// above it such as the root of the bucket, or a single file of items. Files of
// items in the folder named count only if no export lies below it. fsys must
// support fs.Stat and fs.ReadDir on folders.
//
// Errors are *failure.Error of kind NotFound where nothing is there, of kind
// Conflict where the export is not complete yet, and of kind Invalid where
// there are several exports, or one that cannot be read; else those of fsys.
func Open(ctx context.Context, fsys fs.FS, root string) (*Reader, error) {
	r := &Reader{fsys: fsys, parser: newParser(), buffer: make([]byte, 64<<10), total: -1}
	if err := r.locate(ctx, root); err != nil {
		return nil, err
	}
	return r, nil
}

// Layout returns the layout of the export.
func (r *Reader) Layout() Layout { return r.layout }

// Folder returns the export's own folder, or the single file's name.
func (r *Reader) Folder() string { return r.folder }

// Total returns the number of items in the manifests, -1 if they have none. Next
// fails at the end of a file with another number.
func (r *Reader) Total() int64 { return r.total }

// Files returns the names of the data files.
func (r *Reader) Files() []string {
	names := make([]string, len(r.files))
	for i, f := range r.files {
		names[i] = f.name
	}
	return names
}

// Next returns the next item, or io.EOF after the last; by then every file has
// been compared with its manifest. A line that is no item is an Item with Err
// set. Any other error ends the reading and names the file.
func (r *Reader) Next() (Item, error) {
	for r.err == nil {
		if r.open == nil {
			if r.next == len(r.files) {
				r.err = io.EOF
				break
			}
			r.open, r.err = r.files[r.next].open(r.fsys, r.buffer)
			r.next++
			continue
		}
		line, err := r.open.next()
		switch {
		case err == nil:
			it := Item{File: r.open.name, Line: r.open.line}
			it.Attributes, it.Err = r.parser.parse(line)
			return it, nil
		case err == io.EOF:
			r.err = r.open.close()
			r.open = nil
		default:
			r.err = err
		}
	}
	return Item{}, r.err
}

// Close ends the reading. It may be called before its end.
func (r *Reader) Close() error {
	if r.err == nil {
		r.err = failure.Errorf(failure.Internal, "the export is closed")
	}
	if r.open == nil {
		return nil
	}
	err := r.open.close()
	r.open = nil
	return err
}
