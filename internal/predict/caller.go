package predict

import "context"

type callerKey struct{}

// WithCaller notes in a context who asks: the name of the caller's API key.
func WithCaller(ctx context.Context, name string) context.Context {
	return context.WithValue(ctx, callerKey{}, name)
}

// CallerOf returns the name of the caller's API key; empty where nobody has one.
func CallerOf(ctx context.Context) string {
	name, _ := ctx.Value(callerKey{}).(string)
	return name
}
