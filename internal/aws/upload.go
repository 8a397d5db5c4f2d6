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

// Sizes of the parts of an upload. S3 accepts at most 10,000 parts of at least 5 MiB, so
// parts grow: a file of 1 GiB has parts of 8 MiB, and the largest possible file has about
// 430 GiB.
const (
	firstPart = 8 << 20
	growEvery = 1000 // parts after which the size grows by firstPart
)

// abortTime is the time-out for removing the parts of a failed upload.
const abortTime = 30 * time.Second

// upload writes one object and has one part of it in memory. An object that fits into one
// part is written with a single call. upload stores a context because it is used within one
// call of WriteFile.
type upload struct {
	ctx         context.Context
	api         *Clients
	bucket, key string
	metadata    map[string]string

	buffer bytes.Buffer
	id     *string // of the multi-part upload; nil before the first part
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

// part uploads the buffer as the next part.
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

// complete uploads the rest and makes the object visible.
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

// abort removes the parts of an incomplete upload, which S3 would store and charge for.
func (u *upload) abort() error {
	if u.id == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(u.ctx), abortTime)
	defer cancel()
	_, err := u.api.s3.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{Bucket: &u.bucket, Key: &u.key, UploadId: u.id})
	return fault("abort upload", err)
}
