package aws

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"path"
	"strings"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"gateway/internal/modelswap"
)

// Files implements modelswap.Files in a bucket, below a prefix.
//
// Names below "existing/" are exports that another program made. They may be in another
// bucket. They are read-only: the gateway does not remove what it has not written.
type Files struct {
	api      *Clients
	root     location
	existing *location
	metadata map[string]string // of every object that is written
}

// location is a place in S3. The prefix ends with a slash, or is empty.
type location struct{ bucket, prefix string }

// existingFolder is the folder of exports that another program made.
const existingFolder = "existing"

// NewFiles returns the files of a bucket below a prefix. Every written object has the
// fingerprint of the schema in its metadata. existing is the s3:// address of exports that
// another program made, or empty.
func NewFiles(api *Clients, bucket, prefix, existing, fingerprint string) (*Files, error) {
	f := &Files{api: api, root: location{bucket, folderPrefix(prefix)}, metadata: map[string]string{tagSchema: fingerprint}}
	if existing != "" {
		at, err := parseLocation(existing)
		if err != nil {
			return nil, err
		}
		f.existing = &at
	}
	return f, nil
}

func folderPrefix(prefix string) string {
	if prefix = strings.Trim(prefix, "/"); prefix != "" {
		prefix += "/"
	}
	return prefix
}

// parseLocation parses an address such as s3://bucket/prefix.
func parseLocation(address string) (location, error) {
	rest, ok := strings.CutPrefix(address, "s3://")
	bucket, prefix, _ := strings.Cut(rest, "/")
	if !ok || bucket == "" {
		return location{}, fmt.Errorf("%q is not an address such as s3://bucket/prefix", address)
	}
	return location{bucket, folderPrefix(prefix)}, nil
}

// at returns the location of a name and its key.
func (f *Files) at(name string) (location, string) {
	if f.existing != nil {
		if name == existingFolder {
			return *f.existing, strings.TrimSuffix(f.existing.prefix, "/")
		}
		if rest, ok := strings.CutPrefix(name, existingFolder+"/"); ok {
			return *f.existing, f.existing.prefix + rest
		}
	}
	return f.root, f.root.prefix + name
}

// isExisting reports whether the name is existingFolder or below it.
func isExisting(name string) bool {
	return name == existingFolder || strings.HasPrefix(name, existingFolder+"/")
}

// uri returns the s3:// address of a name.
func (f *Files) uri(name string) string {
	at, key := f.at(name)
	return "s3://" + at.bucket + "/" + key
}

// FS implements modelswap.Files.
func (f *Files) FS(ctx context.Context) fs.FS { return &bucketFS{ctx, f} }

// WriteFile implements modelswap.Files. The object appears once it is complete. The parts
// of a failed upload are removed.
func (f *Files) WriteFile(ctx context.Context, name string, write func(io.Writer) error) error {
	if err := f.own(name); err != nil {
		return err
	}
	_, key := f.at(name)
	u := &upload{ctx: ctx, api: f.api, bucket: f.root.bucket, key: key, metadata: f.metadata}
	err := write(u)
	if err == nil {
		err = u.complete()
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", name, errors.Join(err, u.abort()))
	}
	return nil
}

// own returns an error unless name is a valid name outside of existingFolder.
func (f *Files) own(name string) error {
	if !fs.ValidPath(name) || name == "." || isExisting(name) {
		return fmt.Errorf("file name %q is not valid", name)
	}
	return nil
}

// writeNew writes a small file. If the file exists, the error matches fs.ErrExist.
func (f *Files) writeNew(ctx context.Context, name string, text []byte) error {
	_, key := f.at(name)
	_, err := f.api.s3.PutObject(ctx, &s3.PutObjectInput{Bucket: &f.root.bucket, Key: &key, Body: bytes.NewReader(text),
		Metadata: f.metadata, IfNoneMatch: sdk.String("*")})
	if status := statusOf(err); status == http.StatusPreconditionFailed || status == http.StatusConflict {
		return &fs.PathError{Op: "write", Path: name, Err: fs.ErrExist}
	}
	if err != nil {
		return fileError("write", name, err)
	}
	return nil
}

// maxTagged is the maximum size of files for readTagged, in bytes.
const maxTagged = 1 << 20

// readTagged reads a small file and its ETag.
func (f *Files) readTagged(ctx context.Context, name string) (text []byte, etag string, err error) {
	at, key := f.at(name)
	out, err := f.api.s3.GetObject(ctx, &s3.GetObjectInput{Bucket: &at.bucket, Key: &key})
	if err != nil {
		return nil, "", fileError("read", name, err)
	}
	defer out.Body.Close()
	text, err = io.ReadAll(io.LimitReader(out.Body, maxTagged+1))
	switch {
	case err != nil:
		return nil, "", fileError("read", name, err)
	case len(text) > maxTagged:
		return nil, "", fault("read "+name, fmt.Errorf("the file is larger than %d bytes", maxTagged))
	}
	return text, sdk.ToString(out.ETag), nil
}

// replaceTagged writes a small file if its ETag is still etag, or, with an empty etag, if
// it does not exist. Else it returns modelswap.ErrStale.
func (f *Files) replaceTagged(ctx context.Context, name string, text []byte, etag string) (newTag string, err error) {
	_, key := f.at(name)
	input := &s3.PutObjectInput{Bucket: &f.root.bucket, Key: &key, Body: bytes.NewReader(text), Metadata: f.metadata}
	if etag == "" {
		input.IfNoneMatch = sdk.String("*")
	} else {
		input.IfMatch = &etag
	}
	out, err := f.api.s3.PutObject(ctx, input)
	if err == nil {
		return sdk.ToString(out.ETag), nil
	}
	if status := statusOf(err); status != http.StatusPreconditionFailed && status != http.StatusConflict && codeOf(err) != "NoSuchKey" {
		return "", fileError("write", name, err)
	}
	// If the answer to a write was lost, the client has repeated the write, and S3 has
	// refused the repetition.
	now, newTag, err := f.readTagged(ctx, name)
	switch {
	case err == nil && bytes.Equal(now, text):
		return newTag, nil
	case err == nil || errors.Is(err, fs.ErrNotExist):
		return "", modelswap.ErrStale
	}
	return "", err
}

// RemoveAll implements modelswap.Files. It does nothing for names of existingFolder, and
// returns no error, so that the files of any renewal can be removed in the same way.
func (f *Files) RemoveAll(ctx context.Context, name string) error {
	if isExisting(name) {
		return nil
	}
	if err := f.own(name); err != nil {
		return fmt.Errorf("folder name %q is not valid", name)
	}
	_, key := f.at(name)
	prefix := key + "/"
	for {
		// Deleted objects are not listed again, so each listing starts anew.
		page, err := f.api.s3.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: &f.root.bucket, Prefix: &prefix})
		if err != nil {
			return fileError("list", name, err)
		}
		if len(page.Contents) == 0 {
			return nil
		}
		objects := make([]types.ObjectIdentifier, len(page.Contents))
		for i, o := range page.Contents {
			objects[i].Key = o.Key
		}
		out, err := f.api.s3.DeleteObjects(ctx, &s3.DeleteObjectsInput{Bucket: &f.root.bucket,
			Delete: &types.Delete{Objects: objects, Quiet: sdk.Bool(true)}})
		if err != nil {
			return fileError("remove", name, err)
		}
		if len(out.Errors) > 0 {
			e := out.Errors[0]
			return fault("remove "+name, fmt.Errorf("%d of %d objects: %s: %s", len(out.Errors), len(objects), sdk.ToString(e.Code), sdk.ToString(e.Message)))
		}
	}
}

// Check returns an error unless the buckets can be listed.
func (f *Files) Check(ctx context.Context) error {
	for _, at := range []*location{&f.root, f.existing} {
		if at == nil {
			continue
		}
		if _, err := f.api.s3.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: &at.bucket, Prefix: &at.prefix, MaxKeys: sdk.Int32(1)}); err != nil {
			return fault("bucket "+at.bucket, err)
		}
	}
	return nil
}

// relative returns the name of a key. ok is false if the key is not below the root.
func (f *Files) relative(key string) (string, bool) {
	name, ok := strings.CutPrefix(key, f.root.prefix)
	return path.Clean(name), ok
}
