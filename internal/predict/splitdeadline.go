package predict

import "context"

// SplitDeadline is a context whose two ends can be waited for separately: its
// caller leaves, or its deadline passes. Done covers both, but Done of a context
// with a deadline allocates a timer, a channel and an entry in its parent. A
// scoring.Batch has a timer of its own for each waiting request, so it waits for
// CallerContext and the deadline, and no prediction pays for Done.
type SplitDeadline interface {
	context.Context
	// CallerContext is done when the caller has left, and only then.
	CallerContext() context.Context
}
