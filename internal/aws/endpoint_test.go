package aws

import (
	"context"
	"testing"
	"time"

	"gateway/internal/sandbox"
)

func TestAnEndpointThatCannotBeDescribedIsLoggedOnce(t *testing.T) {
	t.Parallel()
	s := start(t)
	order := s.Order("DescribeEndpoint", sandbox.Fault{Kind: sandbox.Denied, Times: -1})
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.endpoint.Follow(ctx, time.Millisecond, s.log())
	}()
	calls := func(n int) {
		t.Helper()
		for until := s.Count("DescribeEndpoint") + n; s.Count("DescribeEndpoint") < until; {
			select {
			case <-ended:
				t.Fatal("Follow has returned")
			case <-time.After(time.Millisecond):
			}
		}
	}
	calls(5)
	s.logged("level=ERROR msg=\"cannot describe the endpoint", "AccessDeniedException")
	order.Cancel()
	calls(5)
	s.logged("level=INFO msg=\"the endpoint can be described again", "failed_for=")
	order = s.Order("DescribeEndpoint", sandbox.Fault{Kind: sandbox.Denied, Times: -1})
	defer order.Cancel()
	calls(5)
	if n := s.lines("cannot describe the endpoint"); n != 2 {
		t.Errorf("the second time makes %d lines, want 2:\n%s", n, s.logs)
	}
	// A call that the end of ctx interrupts is no failure of the endpoint.
	stop()
	<-ended
	if n := s.lines("error="); n != 2 {
		t.Errorf("%d lines have errors, want 2:\n%s", n, s.logs)
	}
}
