package edge

import (
	"context"

	"gateway/internal/callctx"

	"github.com/go-chi/chi/v5"
)

// requestContext is the context of a request. It adds values to the server's context,
// which ends when the caller leaves, and has no deadline of its own: see WithTimeout.
type requestContext struct {
	context.Context // the server's
	request         *Request
	route           chi.Context
}

// Value implements context.Context.
func (c *requestContext) Value(key any) any {
	switch key {
	case requestKey{}:
		return c.request
	case chi.RouteCtxKey:
		return &c.route
	case callctx.Key{}:
		return &c.request.Call
	}
	return c.Context.Value(key)
}
