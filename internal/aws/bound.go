package aws

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"

	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// Maximum sizes, in bytes, of what is read into memory, after decompression.
const (
	// maxServiceAnswer is for an answer of a service. DynamoDB has the largest, with
	// up to 16 MiB of items.
	maxServiceAnswer = 32 << 20
	// maxSecretAnswer is for an answer of Secrets Manager, whose secrets have up to
	// 64 KiB.
	maxSecretAnswer = 1 << 20
	// maxNote is for a file in which the gateway records its own state.
	maxNote = 4 << 20
	// maxScores is for the scores that a batch transform job wrote, of about a million
	// rows.
	maxScores = 64 << 20
)

// errTooLarge is the error of an answer or a file that exceeds its bound.
var errTooLarge = errors.New("larger than the limit")

// boundAnswers limits the answers of a client's calls to limit bytes. It does not limit
// the objects of S3, which are streamed.
func boundAnswers(limit int64) func(*middleware.Stack) error {
	const id = "BoundAnswers"
	bound := middleware.DeserializeMiddlewareFunc(id, func(ctx context.Context, in middleware.DeserializeInput, next middleware.DeserializeHandler) (middleware.DeserializeOutput, middleware.Metadata, error) {
		out, metadata, err := next.HandleDeserialize(ctx, in)
		object := awsmiddleware.GetServiceID(ctx) == s3.ServiceID && awsmiddleware.GetOperationName(ctx) == "GetObject"
		if answer, ok := out.RawResponse.(*smithyhttp.Response); ok && answer != nil && answer.Body != nil && (!object || answer.StatusCode >= 300) {
			answer.Body = bounded(answer.Body, limit)
		}
		return out, metadata, err
	})
	return func(stack *middleware.Stack) error {
		if _, ok := stack.Deserialize.Get(id); ok {
			return nil
		}
		return stack.Deserialize.Add(bound, middleware.After) // the innermost middleware, next to the HTTP client
	}
}

// bounded returns a body whose Read fails after limit bytes.
func bounded(body io.ReadCloser, limit int64) io.ReadCloser {
	return &boundedBody{ReadCloser: body, left: limit, limit: limit}
}

type boundedBody struct {
	io.ReadCloser
	left, limit int64 // left is negative once the limit is exceeded
}

// Read implements io.Reader.
func (b *boundedBody) Read(p []byte) (int, error) {
	if b.left < 0 {
		return 0, fmt.Errorf("the answer is %w of %d bytes", errTooLarge, b.limit)
	}
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1]
	}
	n, err := b.ReadCloser.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return n - 1, fmt.Errorf("the answer is %w of %d bytes", errTooLarge, b.limit)
	}
	return n, err
}

// readFile reads a whole file of at most limit bytes.
func readFile(fsys fs.FS, name string, limit int64) ([]byte, error) {
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(text)) > limit {
		err = fmt.Errorf("%s is %w of %d bytes", name, errTooLarge, limit)
	}
	if err != nil {
		return nil, err
	}
	return text, nil
}
