package sandbox_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/google/go-cmp/cmp"
)

func (s *stand) get(key, bytes string) string {
	s.t.Helper()
	in := &s3.GetObjectInput{Bucket: aws.String(bucket), Key: &key}
	if bytes != "" {
		in.Range = &bytes
	}
	out, err := s.s3.GetObject(s.t.Context(), in)
	if err != nil {
		s.t.Fatal(err)
	}
	defer out.Body.Close()
	body, err := io.ReadAll(out.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return string(body)
}

func TestAnObjectComesBackWithItsMetadata(t *testing.T) {
	s := start(t)
	_, err := s.s3.PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String(bucket), Key: aws.String("a/ü b+c.csv"), Body: strings.NewReader("0,1\n1,2\n"),
		ContentType: aws.String("text/csv"), Metadata: map[string]string{"fingerprint": "f00d"}})
	if err != nil {
		t.Fatal(err)
	}
	if got := s.get("a/ü b+c.csv", ""); got != "0,1\n1,2\n" {
		t.Errorf("got %q", got)
	}
	for asked, want := range map[string]string{"bytes=0-2": "0,1", "bytes=4-": "1,2\n", "bytes=-2": "2\n"} {
		if got := s.get("a/ü b+c.csv", asked); got != want {
			t.Errorf("%s gives %q, want %q", asked, got, want)
		}
	}
	head, err := s.s3.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: aws.String(bucket), Key: aws.String("a/ü b+c.csv")})
	if err != nil || head.Metadata["fingerprint"] != "f00d" || *head.ContentLength != 8 || *head.ContentType != "text/csv" {
		t.Errorf("head is %+v (%v)", head, err)
	}
}

func TestAnUploadOfUnknownLengthIsUnchunkedAndItsTrailingChecksumVerified(t *testing.T) {
	s := start(t)
	body := strings.Repeat("0123456789", 20_000)
	for _, algorithm := range []types.ChecksumAlgorithm{"", types.ChecksumAlgorithmCrc32c, types.ChecksumAlgorithmSha256, types.ChecksumAlgorithmCrc64nvme} {
		in := &s3.PutObjectInput{Bucket: aws.String(bucket), Key: aws.String("k"), Body: strings.NewReader(body), ChecksumAlgorithm: algorithm}
		if _, err := s.s3.PutObject(t.Context(), in); err != nil {
			t.Fatalf("%s: %v", algorithm, err)
		}
		if got := s.get("k", ""); got != body {
			t.Errorf("%s: got %d bytes, want %d", algorithm, len(got), len(body))
		}
	}
	_, err := s.s3.PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String(bucket), Key: aws.String("k"), Body: strings.NewReader("x"), ChecksumCRC32: aws.String("AAAAAA==")})
	refused(t, err, "BadDigest", "The Crc32 you specified")
}

func TestAListComesInPagesAndInFolders(t *testing.T) {
	s := start(t)
	var want []string
	for i := range 25 {
		key := fmt.Sprintf("p/%02d/x", i)
		want = append(want, key)
		s.put(key, "x")
	}
	s.put("other", "x")
	var got []string
	pages := s3.NewListObjectsV2Paginator(s.s3, &s3.ListObjectsV2Input{Bucket: aws.String(bucket), Prefix: aws.String("p/"), MaxKeys: aws.Int32(7)})
	n := 0
	for ; pages.HasMorePages(); n++ {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range page.Contents {
			got = append(got, *o.Key)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" || n != 4 {
		t.Errorf("%d pages, -want +got:\n%s", n, diff)
	}
	got = nil
	pages = s3.NewListObjectsV2Paginator(s.s3, &s3.ListObjectsV2Input{Bucket: aws.String(bucket), Delimiter: aws.String("/"), Prefix: aws.String("p/"), MaxKeys: aws.Int32(10)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range page.CommonPrefixes {
			got = append(got, *p.Prefix+"x")
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("folders: -want +got:\n%s", diff)
	}
}

func TestObjectsAreCopiedAndDeleted(t *testing.T) {
	s := start(t)
	for _, key := range []string{"a", "b", "c"} {
		s.put(key, "of "+key)
	}
	if _, err := s.s3.CopyObject(t.Context(), &s3.CopyObjectInput{Bucket: aws.String(bucket), Key: aws.String("d"), CopySource: aws.String(bucket + "/a")}); err != nil {
		t.Fatal(err)
	}
	if got := s.get("d", ""); got != "of a" {
		t.Errorf("the copy is %q", got)
	}
	_, err := s.s3.DeleteObjects(t.Context(), &s3.DeleteObjectsInput{Bucket: aws.String(bucket), Delete: &types.Delete{Objects: []types.ObjectIdentifier{{Key: aws.String("a")}, {Key: aws.String("b")}, {Key: aws.String("none")}}}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.s3.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: aws.String(bucket), Key: aws.String("c")}); err != nil {
		t.Fatal(err)
	}
	_, err = s.s3.GetObject(t.Context(), &s3.GetObjectInput{Bucket: aws.String(bucket), Key: aws.String("a")})
	var none *types.NoSuchKey
	if !errors.As(err, &none) {
		t.Errorf("got %v, want NoSuchKey", err)
	}
	_, err = s.s3.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: aws.String(bucket), Key: aws.String("a")})
	var notFound *types.NotFound
	if !errors.As(err, &notFound) {
		t.Errorf("got %v, want NotFound", err)
	}
	_, err = s.s3.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: aws.String("nobody")})
	var noBucket *types.NoSuchBucket
	if !errors.As(err, &noBucket) {
		t.Errorf("got %v, want NoSuchBucket", err)
	}
}

func TestAConditionalPutDoesNotOverwrite(t *testing.T) {
	s := start(t)
	put := func(ifNone, ifMatch *string) error {
		_, err := s.s3.PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String(bucket), Key: aws.String("k"), Body: strings.NewReader("x"), IfNoneMatch: ifNone, IfMatch: ifMatch})
		return err
	}
	if err := put(aws.String("*"), nil); err != nil {
		t.Fatal(err)
	}
	refused(t, put(aws.String("*"), nil), "PreconditionFailed", "At least one")
	refused(t, put(nil, aws.String("0000")), "PreconditionFailed", "At least one")
}

func TestAMultipartUploadBecomesOneObject(t *testing.T) {
	s := start(t)
	begin := func() *string {
		out, err := s.s3.CreateMultipartUpload(t.Context(), &s3.CreateMultipartUploadInput{Bucket: aws.String(bucket), Key: aws.String("big"), Metadata: map[string]string{"rows": "2"}})
		if err != nil {
			t.Fatal(err)
		}
		return out.UploadId
	}
	id := begin()
	parts := [][]byte{bytes.Repeat([]byte("a"), 5<<20), []byte("end")}
	var done []types.CompletedPart
	for i, body := range parts {
		out, err := s.s3.UploadPart(t.Context(), &s3.UploadPartInput{Bucket: aws.String(bucket), Key: aws.String("big"), UploadId: id, PartNumber: aws.Int32(int32(i + 1)), Body: bytes.NewReader(body)})
		if err != nil {
			t.Fatal(err)
		}
		done = append(done, types.CompletedPart{ETag: out.ETag, PartNumber: aws.Int32(int32(i + 1))})
	}
	if out, err := s.s3.ListParts(t.Context(), &s3.ListPartsInput{Bucket: aws.String(bucket), Key: aws.String("big"), UploadId: id}); err != nil || len(out.Parts) != 2 {
		t.Errorf("parts are %v (%v)", out, err)
	}
	complete := func(id *string, parts []types.CompletedPart) error {
		_, err := s.s3.CompleteMultipartUpload(t.Context(), &s3.CompleteMultipartUploadInput{Bucket: aws.String(bucket), Key: aws.String("big"), UploadId: id, MultipartUpload: &types.CompletedMultipartUpload{Parts: parts}})
		return err
	}
	refused(t, complete(id, []types.CompletedPart{done[1], done[0]}), "InvalidPartOrder", "")
	if err := complete(id, done); err != nil {
		t.Fatal(err)
	}
	head, err := s.s3.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: aws.String(bucket), Key: aws.String("big")})
	if err != nil || *head.ContentLength != 5<<20+3 || !strings.HasSuffix(*head.ETag, `-2"`) || head.Metadata["rows"] != "2" {
		t.Errorf("head is %+v (%v)", head, err)
	}
	refused(t, complete(id, done), "NoSuchUpload", "")
	id = begin()
	if _, err := s.s3.AbortMultipartUpload(t.Context(), &s3.AbortMultipartUploadInput{Bucket: aws.String(bucket), Key: aws.String("big"), UploadId: id}); err != nil {
		t.Fatal(err)
	}
	left, err := s.s3.ListMultipartUploads(t.Context(), &s3.ListMultipartUploadsInput{Bucket: aws.String(bucket)})
	if err != nil || len(left.Uploads) != 0 {
		t.Errorf("uploads left: %v (%v)", left, err)
	}
}
