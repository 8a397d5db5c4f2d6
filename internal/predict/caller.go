package predict

import "context"

// CallerKey is where a context holds who asks: the name of the caller's API
// key, a string.
type CallerKey struct{}

// AnonymousCaller stands for callers without a key where contributions are
// counted by caller.
const AnonymousCaller = "anonymous"

// CallerOf returns the name of the caller's API key; empty: the caller has none.
func CallerOf(ctx context.Context) string {
	name, _ := ctx.Value(CallerKey{}).(string)
	return name
}
