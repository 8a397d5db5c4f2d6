package aws

import (
	"bytes"
	"io"
	"net/http"

	sdk "github.com/aws/aws-sdk-go-v2/aws"

	"gateway/internal/aws/wire"
)

// outcome is the result of a first attempt that package wire made. It is an HTTP client for
// one call of the SDK: it answers the SDK's first attempt with that result, and makes the
// further attempts with next.
type outcome struct {
	answer *wire.Answer // nil: err is set
	err    error
	next   sdk.HTTPClient
	played bool
}

// Do implements aws.HTTPClient.
func (o *outcome) Do(r *http.Request) (*http.Response, error) {
	if o.played {
		return o.next.Do(r)
	}
	o.played = true
	if o.answer == nil {
		return nil, o.err
	}
	body := io.Reader(bytes.NewReader(o.answer.Body))
	if o.answer.Err != nil {
		body = io.MultiReader(body, broken{o.answer.Err})
	}
	return &http.Response{
		StatusCode: o.answer.Status, Status: http.StatusText(o.answer.Status), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: o.answer.Header, ContentLength: -1, Body: io.NopCloser(body), Request: r,
	}, nil
}

// broken is a reader that returns an error, as the end of an incomplete body.
type broken struct{ err error }

// Read implements io.Reader.
func (b broken) Read([]byte) (int, error) { return 0, b.err }
