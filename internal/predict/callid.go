package predict

import "context"

type callID struct{}

// WithCallID names a call of the Scorer after the one prediction that it is
// for, so that what the endpoint records of the call can be found by it.
func WithCallID(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, callID{}, id)
}

// CallID returns the name of the call; a new one where it has none, because it
// is for many predictions.
func CallID(ctx context.Context) string {
	if id, ok := ctx.Value(callID{}).(string); ok {
		return id
	}
	return NewID()
}
