package aws

import (
	"context"
	"net/http"

	sdk "github.com/aws/aws-sdk-go-v2/aws"

	"gateway/internal/aws/wire"
	"gateway/internal/callctx"
)

// A trace's context goes along with a call of the endpoint, outside of what is
// signed, on purpose: what is signed must arrive as it was, and proxies rewrite
// these headers. The runtime itself does not look at them; a gateway or a proxy
// in front of it may.

// traceFields are the headers that a call is to take along; usually none.
func traceFields(ctx context.Context) []wire.Field {
	t := callctx.TraceOf(ctx)
	if t.Parent == "" {
		return nil
	}
	fields := []wire.Field{{Name: "Traceparent", Value: t.Parent}}
	if t.State != "" {
		fields = append(fields, wire.Field{Name: "Tracestate", Value: t.State})
	}
	return fields
}

// tracedClient adds them to the calls that the SDK makes, below its signer.
type tracedClient struct{ sdk.HTTPClient }

// Do implements the SDK's HTTPClient.
func (c tracedClient) Do(r *http.Request) (*http.Response, error) {
	for _, field := range traceFields(r.Context()) {
		r.Header.Set(field.Name, field.Value)
	}
	return c.HTTPClient.Do(r)
}
