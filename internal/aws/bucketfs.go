package aws

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// bucketFS is a file system over a bucket: slashes in keys separate folders. It can be
// used until the context that FS was given ends.
type bucketFS struct {
	ctx   context.Context
	files *Files
}

var (
	_ fs.StatFS    = (*bucketFS)(nil)
	_ fs.ReadDirFS = (*bucketFS)(nil)
)

// Open implements fs.FS. Reads stream the object. After a broken connection they
// continue at the same offset, unless the object has changed.
func (b *bucketFS) Open(name string) (fs.File, error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrInvalid}
	}
	at, key := b.files.at(name)
	r := &objectReader{ctx: b.ctx, api: b.files.api, bucket: at.bucket, key: key, name: name}
	if name != "." {
		err := r.connect()
		if err == nil {
			return r, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	entries, err := b.ReadDir(name)
	if err != nil {
		return nil, err
	}
	return &folderFile{info: info{name: path.Base(name), dir: true}, entries: entries}, nil
}

// Stat implements fs.StatFS.
func (b *bucketFS) Stat(name string) (fs.FileInfo, error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: "stat", Path: name, Err: fs.ErrInvalid}
	}
	at, key := b.files.at(name)
	if name != "." {
		out, err := b.files.api.s3.HeadObject(b.ctx, &s3.HeadObjectInput{Bucket: &at.bucket, Key: &key})
		if err == nil {
			return info{name: path.Base(name), size: sdk.ToInt64(out.ContentLength), time: sdk.ToTime(out.LastModified)}, nil
		}
		if err = fileError("stat", name, err); !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	if _, err := b.list(name, 1); err != nil {
		return nil, err
	}
	return info{name: path.Base(name), dir: true}, nil
}

// ReadDir implements fs.ReadDirFS.
func (b *bucketFS) ReadDir(name string) ([]fs.DirEntry, error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: fs.ErrInvalid}
	}
	return b.list(name, 0)
}

// list returns the entries of a folder, sorted by name: at most limit of them, or all if
// limit is zero. A folder without entries does not exist.
func (b *bucketFS) list(name string, limit int32) ([]fs.DirEntry, error) {
	at, key := b.files.at(name)
	prefix := key + "/"
	if name == "." {
		prefix = at.prefix
	}
	if key == "" {
		prefix = ""
	}
	var entries []fs.DirEntry
	input := &s3.ListObjectsV2Input{Bucket: &at.bucket, Prefix: &prefix, Delimiter: sdk.String("/")}
	if limit > 0 {
		input.MaxKeys = &limit
	}
	found := false
	pages := s3.NewListObjectsV2Paginator(b.files.api.s3, input)
	for pages.HasMorePages() {
		page, err := pages.NextPage(b.ctx)
		if err != nil {
			return nil, fileError("list", name, err)
		}
		for _, p := range page.CommonPrefixes {
			found = true
			folder := strings.TrimSuffix(strings.TrimPrefix(sdk.ToString(p.Prefix), prefix), "/")
			if fs.ValidPath(folder) {
				entries = append(entries, info{name: folder, dir: true})
			}
		}
		for _, o := range page.Contents {
			found = true
			file := strings.TrimPrefix(sdk.ToString(o.Key), prefix)
			if fs.ValidPath(file) { // some tools make an object for an empty folder
				entries = append(entries, info{name: file, size: sdk.ToInt64(o.Size), time: sdk.ToTime(o.LastModified)})
			}
		}
		if limit > 0 {
			break
		}
	}
	if !found {
		return nil, &fs.PathError{Op: "list", Path: name, Err: fs.ErrNotExist}
	}
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return entries, nil
}

// maxReconnects is the maximum number of consecutive reconnects without a byte read.
const maxReconnects = 5

// objectReader reads an object.
type objectReader struct {
	ctx               context.Context
	api               *Clients
	bucket, key, name string

	body   io.ReadCloser
	offset int64
	failed int // consecutive failures
	etag   *string
	info   info
}

// connect requests the object from r.offset on.
func (r *objectReader) connect() error {
	in := &s3.GetObjectInput{Bucket: &r.bucket, Key: &r.key}
	if r.offset > 0 {
		in.Range, in.IfMatch = sdk.String(fmt.Sprintf("bytes=%d-", r.offset)), r.etag
	}
	out, err := r.api.s3.GetObject(r.ctx, in)
	if err != nil {
		return fileError("open", r.name, err)
	}
	if r.offset == 0 {
		r.etag = out.ETag
		r.info = info{name: path.Base(r.name), size: sdk.ToInt64(out.ContentLength), time: sdk.ToTime(out.LastModified)}
	}
	r.body = out.Body
	return nil
}

// Read implements fs.File.
func (r *objectReader) Read(p []byte) (int, error) {
	if r.body == nil {
		return 0, fs.ErrClosed
	}
	for {
		n, err := r.body.Read(p)
		r.offset += int64(n)
		if n > 0 {
			r.failed = 0
		}
		switch {
		case err == nil, err == io.EOF && r.offset >= r.info.size:
			return n, err
		case n > 0:
			return n, nil // the next call gets the error again
		case r.ctx.Err() != nil:
			return 0, r.ctx.Err()
		case r.failed == maxReconnects:
			return 0, fault("read "+r.name, fmt.Errorf("the connection broke at byte %d of %d: %w", r.offset, r.info.size, err))
		}
		r.failed++
		_ = r.body.Close() // it failed
		if err := r.connect(); err != nil {
			return 0, err
		}
	}
}

// Stat implements fs.File.
func (r *objectReader) Stat() (fs.FileInfo, error) { return r.info, nil }

// Close implements fs.File.
func (r *objectReader) Close() error {
	if r.body == nil {
		return fs.ErrClosed
	}
	err := r.body.Close()
	r.body = nil
	return err
}

// folderFile is an open folder.
type folderFile struct {
	info    info
	entries []fs.DirEntry
}

// Stat implements fs.File.
func (f *folderFile) Stat() (fs.FileInfo, error) { return f.info, nil }

// Read implements fs.File.
func (f *folderFile) Read([]byte) (int, error) {
	return 0, &fs.PathError{Op: "read", Path: f.info.name, Err: errors.New("is a folder")}
}

// Close implements fs.File.
func (f *folderFile) Close() error { return nil }

// ReadDir implements fs.ReadDirFile.
func (f *folderFile) ReadDir(n int) ([]fs.DirEntry, error) {
	if n <= 0 {
		n = len(f.entries)
	} else if len(f.entries) == 0 {
		return nil, io.EOF
	}
	n = min(n, len(f.entries))
	out := f.entries[:n]
	f.entries = f.entries[n:]
	return out, nil
}

// info describes a file or folder.
type info struct {
	name string
	size int64
	time time.Time
	dir  bool
}

func (i info) Name() string               { return i.name }
func (i info) Size() int64                { return i.size }
func (i info) ModTime() time.Time         { return i.time }
func (i info) IsDir() bool                { return i.dir }
func (i info) Sys() any                   { return nil }
func (i info) Type() fs.FileMode          { return i.Mode().Type() }
func (i info) Info() (fs.FileInfo, error) { return i, nil }
func (i info) String() string             { return fs.FormatFileInfo(i) }

// Mode implements fs.FileInfo.
func (i info) Mode() fs.FileMode {
	if i.dir {
		return fs.ModeDir | 0o500
	}
	return 0o400
}
