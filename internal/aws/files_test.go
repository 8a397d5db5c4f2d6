package aws

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"gateway/internal/modelswap"
	"gateway/internal/sandbox"
	"gateway/internal/testsize"
)

func (s *stand) objects(prefix string) (keys []string) {
	s.t.Helper()
	pages := s3.NewListObjectsV2Paginator(s.api.s3, &s3.ListObjectsV2Input{Bucket: sdk.String(bucket), Prefix: &prefix})
	for pages.HasMorePages() {
		page, err := pages.NextPage(s.t.Context())
		s.must(err)
		for _, o := range page.Contents {
			keys = append(keys, *o.Key)
		}
	}
	return keys
}

func TestABucketIsAFileSystem(t *testing.T) {
	t.Parallel()
	s := start(t)
	for _, name := range []string{"a.txt", "folder/b.txt", "folder/deeper/c.txt", "folder/empty"} {
		text := "text of " + name
		if strings.HasSuffix(name, "empty") {
			text = ""
		}
		s.write(name, text)
	}
	if err := fstest.TestFS(s.files.FS(t.Context()), "a.txt", "folder/b.txt", "folder/deeper/c.txt", "folder/empty"); err != nil {
		t.Error(err)
	}
	for _, name := range []string{"nothing", "folder/nothing", "fold"} {
		for what, err := range map[string]error{
			"Open":    second(s.files.FS(t.Context()).Open(name)),
			"Stat":    second(fs.Stat(s.files.FS(t.Context()), name)),
			"ReadDir": second(fs.ReadDir(s.files.FS(t.Context()), name)),
		} {
			if !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s of %s: %v", what, name, err)
			}
		}
	}
	if got := s.objects("gateway/a.txt"); len(got) != 1 {
		t.Errorf("keys are %v, want one below the prefix", got)
	}
}

func second[T any](_ T, err error) error { return err }

func TestAFileAppearsWholeOrNotAtAll(t *testing.T) {
	t.Parallel()
	big := bytes.Repeat([]byte("0123456789abcdef"), (2*firstPart+firstPart/2)/16)
	failed := errors.New("the writer failed")
	tests := []struct {
		name  string
		write func(w io.Writer) error
		fault string // operation that is refused
		want  error
	}{
		{"the writer fails at once", func(io.Writer) error { return failed }, "", failed},
		{"the writer fails after some parts", func(w io.Writer) error { return errors.Join(second(w.Write(big)), failed) }, "", failed},
		{"a part is refused", func(w io.Writer) error { return second(w.Write(big)) }, "UploadPart", nil},
		{"the end is refused", func(w io.Writer) error { return second(w.Write(big)) }, "CompleteMultipartUpload", nil},
		{"a small file is refused", func(w io.Writer) error { return second(w.Write([]byte("x"))) }, "PutObject", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := start(t)
			s.write("file", "the old text")
			if tt.fault != "" {
				s.Order(tt.fault, sandbox.Fault{Kind: sandbox.Denied, Times: -1})
			}
			err := s.files.WriteFile(t.Context(), "file", tt.write)
			if err == nil || tt.want != nil && !errors.Is(err, tt.want) {
				t.Fatalf("got %v", err)
			}
			if text, err := fs.ReadFile(s.files.FS(t.Context()), "file"); string(text) != "the old text" {
				t.Errorf("the file is %.20q now (%v)", text, err)
			}
			uploads, err := s.api.s3.ListMultipartUploads(t.Context(), &s3.ListMultipartUploadsInput{Bucket: sdk.String(bucket)})
			if err != nil || len(uploads.Uploads) != 0 {
				t.Errorf("%d uploads are left behind (%v)", len(uploads.Uploads), err)
			}
		})
	}
}

func TestALargeFileGoesAndComesInPieces(t *testing.T) {
	t.Parallel()
	s := start(t)
	sum := sha256.New()
	const size = 70_000
	chunks, parts := testsize.Of(150, 300), testsize.Of(2, 3) // 10.5 or 21 MB
	err := s.files.WriteFile(t.Context(), "large", func(w io.Writer) error {
		for i := range chunks {
			chunk := bytes.Repeat(fmt.Appendf(nil, "%07d\n", i), size/8)
			sum.Write(chunk)
			if _, err := w.Write(chunk); err != nil {
				return err
			}
		}
		return nil
	})
	s.must(err)
	if n := s.Count("UploadPart"); n != parts {
		t.Errorf("%d parts, want %d", n, parts)
	}
	head, err := s.api.s3.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: sdk.String(bucket), Key: sdk.String("gateway/large")})
	if err != nil || head.Metadata[tagSchema] != s.schema.Fingerprint() {
		t.Errorf("metadata is %v (%v), want the schema's fingerprint", head.Metadata, err)
	}
	// The connection breaks twice on the way back.
	s.Order("GetObject", sandbox.Fault{Kind: sandbox.Truncate, Times: 2})
	file, err := s.files.FS(t.Context()).Open("large")
	s.must(err)
	defer file.Close()
	got := sha256.New()
	n, err := io.Copy(got, file)
	if err != nil || n != int64(chunks*size) || !bytes.Equal(got.Sum(nil), sum.Sum(nil)) {
		t.Errorf("read %d bytes of %d, the same: %v (%v)", n, chunks*size, bytes.Equal(got.Sum(nil), sum.Sum(nil)), err)
	}
	if n := s.Count("GetObject"); n != 3 {
		t.Errorf("%d connections, want one and two more", n)
	}
}

func TestAFileThatChangesWhileItIsReadIsAnError(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.write("file", strings.Repeat("old ", 10_000))
	s.Order("GetObject", sandbox.Fault{Kind: sandbox.Truncate})
	file, err := s.files.FS(t.Context()).Open("file")
	s.must(err)
	defer file.Close()
	s.write("file", strings.Repeat("new ", 10_000))
	if text, err := io.ReadAll(file); err == nil {
		t.Errorf("read %d bytes of two files", len(text))
	}
}

func TestReadingEndsWithItsContext(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.write("file", "text")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.files.FS(ctx).Open("file"); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestRemoveAllTakesTheFolderAndNothingBesideIt(t *testing.T) {
	t.Parallel()
	s := start(t)
	for i := range 1100 { // more than a list or a removal takes
		_, err := s.api.s3.PutObject(t.Context(), &s3.PutObjectInput{Bucket: sdk.String(bucket), Key: sdk.String(fmt.Sprintf("gateway/renewals/1/%04d", i))})
		s.must(err)
	}
	s.write("renewals/10/train.csv", "x")
	s.must(s.files.RemoveAll(t.Context(), "renewals/1"))
	s.must(s.files.RemoveAll(t.Context(), "renewals/1"))
	if got := s.objects(""); len(got) != 1 || got[0] != "gateway/renewals/10/train.csv" {
		t.Errorf("left are %d: %.3v", len(got), got)
	}
	for _, name := range []string{".", "", "../x", "/x"} {
		if err := s.files.RemoveAll(t.Context(), name); err == nil {
			t.Errorf("%q was removed", name)
		}
	}
}

func TestWhatOthersWroteIsReadOnly(t *testing.T) {
	t.Parallel()
	s := start(t)
	_, err := s.api.s3.PutObject(t.Context(), &s3.PutObjectInput{Bucket: sdk.String(bucket), Key: sdk.String("backups/2018/part-0"), Body: strings.NewReader("theirs")})
	s.must(err)
	s.files, err = NewFiles(s.api, bucket, "gateway", "s3://"+bucket+"/backups/", "")
	s.must(err)
	if text, err := fs.ReadFile(s.files.FS(t.Context()), "existing/2018/part-0"); string(text) != "theirs" {
		t.Fatalf("read %q (%v)", text, err)
	}
	s.must(s.files.RemoveAll(t.Context(), "existing/2018"))
	if err := s.files.WriteFile(t.Context(), "existing/new", func(io.Writer) error { return nil }); err == nil {
		t.Error("a file was written among those of others")
	}
	if got := s.objects("backups/"); len(got) != 1 {
		t.Errorf("theirs are %v", got)
	}
}

func TestABucketThatIsWrongIsToldAtStart(t *testing.T) {
	t.Parallel()
	s := start(t)
	files, err := NewFiles(s.api, "no-such-bucket", "", "", "")
	s.must(err)
	isFault(t, files.Check(t.Context()), modelswap.Input, "NoSuchBucket")
	s.must(s.files.Check(t.Context()))
	s.Order("ListObjectsV2", sandbox.Fault{Kind: sandbox.Denied})
	isFault(t, s.files.Check(t.Context()), modelswap.Input, "AccessDenied")
}
