package lambda

import (
	"context"
	"net/http"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
)

// Gateway is what events are given to. It is called for one event at a time where Lambda
// handles one request in a process, and otherwise concurrently.
type Gateway interface {
	http.Handler
	// Work does what is due beside requests, and returns when it is done or ctx ends.
	Work(ctx context.Context) error
	Close() error
}

// startWait is how long the start may take before the first event is taken. Lambda ends a
// process that takes no event for 10 s; one that waits for its database takes events and
// answers them with 503.
const startWait = 8 * time.Second

// Here reports whether this process runs as a function.
func Here() bool { return os.Getenv("AWS_LAMBDA_RUNTIME_API") != "" }

// Serve opens the gateway and handles events until ctx ends, which is when Lambda sends
// SIGTERM. Then it closes the gateway. starting answers requests while the gateway is not open
// yet.
func Serve(ctx context.Context, open func(context.Context) (Gateway, error), starting http.Handler) error {
	h := &handler{starting: starting, opened: make(chan struct{})}
	go func() {
		defer close(h.opened)
		h.gateway, h.err = open(ctx)
	}()
	select {
	case <-h.opened:
	case <-time.After(startWait):
	case <-ctx.Done():
	}
	if ctx.Err() == nil && !h.failed() {
		// StartWithOptions never returns. It registers an extension, because Lambda
		// sends SIGTERM only to functions that have one.
		go lambda.StartWithOptions(h, lambda.WithContext(context.WithoutCancel(ctx)), lambda.WithEnableSIGTERM())
	}
	for ctx.Err() == nil && !h.failed() {
		select {
		case <-ctx.Done():
		case <-h.opened:
			if h.err == nil {
				<-ctx.Done()
			}
		}
	}
	<-h.opened
	if h.err != nil {
		return h.err
	}
	return h.gateway.Close()
}

// failed reports whether the gateway could not be opened.
func (h *handler) failed() bool {
	select {
	case <-h.opened:
		return h.err != nil
	default:
		return false
	}
}
