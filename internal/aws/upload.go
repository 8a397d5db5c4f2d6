package aws

import (
	"bytes"
	"context"
	"fmt"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// Sizes of the parts of an upload. S3 takes at most ten thousand parts, of at
// least five MiB, so parts grow: a file of a gigabyte has parts of 8 MiB, and
// the largest that can be written has a terabyte.
const (
	firstPart = 8 << 20
	growEvery = 1000 // parts, after which the next ones are larger by firstPart
)

// abortTime bounds the taking back of a failed upload.
const abortTime = 30 * time.Second

// upload writes one object, holding one part in memory. A small one goes in a
// single call. It keeps its context, as it does not outlive its caller's call.
type upload struct {
	ctx         context.Context
	api         *Clients
	bucket, key string
	metadata    map[string]string

	buffer bytes.Buffer
	id     *string // of the multi-part upload, once there is one
	parts  []types.CompletedPart
}

// Write implements io.Writer.
func (u *upload) Write(p []byte) (n int, err error) {
	if err := u.ctx.Err(); err != nil {
		return 0, err
	}
	for len(p) > 0 {
		size := firstPart * (1 + len(u.parts)/growEvery)
		room := min(len(p), size-u.buffer.Len())
		u.buffer.Write(p[:room])
		n, p = n+room, p[room:]
		if u.buffer.Len() == size {
			if err := u.part(); err != nil {
				return n, err
			}
		}
	}
	return n, nil
}

// part sends what is in memory.
func (u *upload) part() error {
	if u.id == nil {
		out, err := u.api.s3.CreateMultipartUpload(u.ctx, &s3.CreateMultipartUploadInput{Bucket: &u.bucket, Key: &u.key,
			Metadata: u.metadata, ChecksumAlgorithm: types.ChecksumAlgorithmCrc32})
		if err != nil {
			return fault("begin upload", err)
		}
		u.id = out.UploadId
	}
	number := sdk.Int32(int32(len(u.parts) + 1))
	out, err := u.api.s3.UploadPart(u.ctx, &s3.UploadPartInput{Bucket: &u.bucket, Key: &u.key, UploadId: u.id,
		PartNumber: number, Body: bytes.NewReader(u.buffer.Bytes()), ChecksumAlgorithm: types.ChecksumAlgorithmCrc32})
	if err != nil {
		return fault(fmt.Sprintf("upload part %d", *number), err)
	}
	u.parts = append(u.parts, types.CompletedPart{PartNumber: number, ETag: out.ETag, ChecksumCRC32: out.ChecksumCRC32})
	u.buffer.Reset()
	return nil
}

// complete makes the object appear.
func (u *upload) complete() error {
	if err := u.ctx.Err(); err != nil {
		return err
	}
	if u.id == nil {
		_, err := u.api.s3.PutObject(u.ctx, &s3.PutObjectInput{Bucket: &u.bucket, Key: &u.key,
			Body: bytes.NewReader(u.buffer.Bytes()), Metadata: u.metadata})
		return fault("upload", err)
	}
	if u.buffer.Len() > 0 {
		if err := u.part(); err != nil {
			return err
		}
	}
	_, err := u.api.s3.CompleteMultipartUpload(u.ctx, &s3.CompleteMultipartUploadInput{Bucket: &u.bucket, Key: &u.key,
		UploadId: u.id, MultipartUpload: &types.CompletedMultipartUpload{Parts: u.parts}})
	if err == nil {
		u.id = nil
	}
	return fault("end upload", err)
}

// abort removes the parts of an upload that was not completed: they would be
// charged for and are not listed as an object.
func (u *upload) abort() error {
	if u.id == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(u.ctx), abortTime)
	defer cancel()
	_, err := u.api.s3.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{Bucket: &u.bucket, Key: &u.key, UploadId: u.id})
	return fault("take back the upload", err)
}
