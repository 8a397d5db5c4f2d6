package callctx

import (
	"context"

	"gateway/internal/failure"
)

// Info describes the request that a context belongs to.
type Info struct {
	// CallID is the id of the one prediction that the model is called for. It is
	// empty while there is none, and where a call is for several predictions.
	CallID string
	// Caller is the name of the caller's API key; empty if the caller has none.
	Caller string
}

// Key is the key of the *Info in a context. A context that implements Value
// itself returns a pointer, because to return an Info would allocate.
type Key struct{}

// CallID returns the id of the call, or a new one if the context has none.
func CallID(ctx context.Context) string {
	if id := of(ctx).CallID; id != "" {
		return id
	}
	return failure.NewID()
}

// WithCallID returns a context whose calls have the id of a prediction, so that
// what the endpoint records of a call can be found by it. If ctx has this id
// already, it returns ctx.
func WithCallID(ctx context.Context, id string) context.Context {
	info := of(ctx)
	if info.CallID == id {
		return ctx
	}
	return context.WithValue(ctx, Key{}, &Info{CallID: id, Caller: info.Caller})
}

// Caller returns the name of the caller's API key; empty if the caller has none.
func Caller(ctx context.Context) string { return of(ctx).Caller }

func of(ctx context.Context) Info {
	if info, ok := ctx.Value(Key{}).(*Info); ok {
		return *info
	}
	return Info{}
}
