package predict

import (
	"context"

	"gateway/internal/failure"
)

// CallIDKey is where a context holds the name of a call, a *string.
type CallIDKey struct{}

// WithCallID names a call of the Scorer after the one prediction that it is
// for, so that what the endpoint records of the call can be found by it.
func WithCallID(ctx context.Context, id string) context.Context {
	if callID(ctx) == id {
		return ctx
	}
	held := id // so that id itself stays off the heap
	return context.WithValue(ctx, CallIDKey{}, &held)
}

// CallID returns the name of the call; a new one where it has none, because it
// is for many predictions.
func CallID(ctx context.Context) string {
	if id := callID(ctx); id != "" {
		return id
	}
	return failure.NewID()
}

func callID(ctx context.Context) string {
	if id, ok := ctx.Value(CallIDKey{}).(*string); ok {
		return *id
	}
	return ""
}
