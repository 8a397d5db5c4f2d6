package predict

import "context"

// Patient is a context that tells its two ends apart: the caller leaves, or its
// deadline comes. To most who wait that is the same, and they use Done. But a
// context with a deadline makes a timer, a channel and a place in its parent's
// list as soon as somebody does. A scoring.Batch, which has waiters with timers of their
// own, waits for both ends and spares each prediction these.
type Patient interface {
	context.Context
	// Left ends when the caller leaves, and only then.
	Left() context.Context
}
