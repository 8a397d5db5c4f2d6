package predict

import "context"

type callerKey struct{}

// WithCaller returns a context that names who asks: the name of an API key. The
// ledger records it with each prediction.
func WithCaller(ctx context.Context, name string) context.Context {
	return context.WithValue(ctx, callerKey{}, name)
}

// CallerOf returns the name that WithCaller put into the context, or "".
func CallerOf(ctx context.Context) string {
	name, _ := ctx.Value(callerKey{}).(string)
	return name
}
