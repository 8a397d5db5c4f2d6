package aws

import (
	"context"
	"net/http"

	sdk "github.com/aws/aws-sdk-go-v2/aws"

	"gateway/internal/aws/wire"
	"gateway/internal/callctx"
)

// A call of the endpoint carries the trace context in header fields that are not signed,
// because proxies rewrite them and a signed field must not change. SageMaker ignores them; a
// gateway or a proxy in front of it may use them.

// traceFields returns the header fields with the trace context of a call; usually none.
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

// tracedClient adds traceFields to the calls of the SDK, after they are signed.
type tracedClient struct{ sdk.HTTPClient }

// Do implements the SDK's HTTPClient.
func (c tracedClient) Do(r *http.Request) (*http.Response, error) {
	for _, field := range traceFields(r.Context()) {
		r.Header.Set(field.Name, field.Value)
	}
	return c.HTTPClient.Do(r)
}
