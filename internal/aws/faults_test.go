package aws

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"gateway/internal/callctx"
	"gateway/internal/failure"
	"gateway/internal/sandbox"
)

var updateDocs = flag.Bool("update", false, "write docs/faults.md anew")

// faultTable is one table of docs/faults.md.
type faultTable struct {
	begin, end string // marks around the table
	lines      []string
}

// check compares the table in docs/faults.md with the results of the test.
func (f *faultTable) check(t *testing.T) {
	t.Helper()
	name := filepath.Join("..", "..", "docs", "faults.md")
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, found := strings.Cut(string(text), f.begin+"\n")
	has, tail, found2 := strings.Cut(rest, f.end)
	if !found || !found2 {
		t.Fatalf("%s has no %q … %q", name, f.begin, f.end)
	}
	want := strings.Join(f.lines, "\n") + "\n"
	if *updateDocs {
		if err := os.WriteFile(name, []byte(head+f.begin+"\n"+want+f.end+tail), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if has != want {
		t.Errorf("docs/faults.md differs from what happens (go test ./internal/aws -run Faults -update writes it anew):\n%s", want)
	}
}

func statusOfKind(k failure.Kind) int {
	return map[failure.Kind]int{failure.Unavailable: 503, failure.BadModel: 502, failure.Deadline: 504}[k]
}

func TestFaultsOfTheEndpointBecomeStatuses(t *testing.T) {
	t.Parallel()
	const secret = "1.7,0,1,2" // the rows, which a container may repeat
	tests := []struct {
		name     string
		fault    sandbox.Fault
		kind     failure.Kind
		attempts int
		wait     bool // Retry-After
	}{
		{"throttled: 400 with a null message", sandbox.Fault{Kind: sandbox.Throttle}, failure.Unavailable, 3, true},
		{"ThrottlingException (400)", sandbox.Fault{Kind: sandbox.Refuse, Code: "ThrottlingException", Message: "Rate exceeded"}, failure.Unavailable, 3, true},
		{"429 without a code", sandbox.Fault{Kind: sandbox.HTML, Status: 429}, failure.Unavailable, 1, true},
		{"ModelNotReadyException (429)", sandbox.Fault{Kind: sandbox.ModelNotReady}, failure.Unavailable, 3, true},
		{"ModelError, the container took too long (original status 0)", sandbox.Fault{Kind: sandbox.ModelTimeout}, failure.Deadline, 1, false},
		{"ModelError, the container answered 400", sandbox.Fault{Kind: sandbox.ModelError, Message: "bad payload " + secret}, failure.BadModel, 1, false},
		{"ModelError, the container answered 500", sandbox.Fault{Kind: sandbox.ModelError, Status: 500, Message: "crashed on " + secret}, failure.BadModel, 3, false},
		{"InternalFailure (500)", sandbox.Fault{Kind: sandbox.Internal}, failure.BadModel, 3, false},
		{"ServiceUnavailable (503)", sandbox.Fault{Kind: sandbox.Unavailable}, failure.BadModel, 3, false},
		{"InternalDependencyException (530)", sandbox.Fault{Kind: sandbox.Dependency}, failure.BadModel, 3, false},
		{"AccessDeniedException (403)", sandbox.Fault{Kind: sandbox.Denied}, failure.BadModel, 1, false},
		{"ExpiredTokenException (403)", sandbox.Fault{Kind: sandbox.Refuse, Status: 403, Code: "ExpiredTokenException", Message: "The security token included in the request is expired"}, failure.BadModel, 1, false},
		{"ValidationError (400)", sandbox.Fault{Kind: sandbox.Refuse, Code: "ValidationError", Message: "Variant x not found for Request"}, failure.BadModel, 1, false},
		{"ValidationError, the endpoint is not found", sandbox.Fault{Kind: sandbox.Refuse, Code: "ValidationError", Message: "Endpoint bank-endpoint of account 123456789012 not found."}, failure.Unavailable, 1, true},
		{"413", sandbox.Fault{Kind: sandbox.HTML, Status: 413}, failure.BadModel, 1, false},
		{"a proxy's page (502)", sandbox.Fault{Kind: sandbox.HTML}, failure.BadModel, 3, false},
		{"a proxy's page (200)", sandbox.Fault{Kind: sandbox.HTML, Status: 200}, failure.BadModel, 1, false},
		{"the connection is cut before an answer", sandbox.Fault{Kind: sandbox.Cut}, failure.BadModel, 3, false},
		{"the answer is cut off", sandbox.Fault{Kind: sandbox.Truncate}, failure.BadModel, 3, false},
		{"no answer", sandbox.Fault{Kind: sandbox.Hang}, failure.Deadline, 1, false},
		{"204 and no body", sandbox.Fault{Kind: sandbox.NoContent}, failure.BadModel, 1, false},
		{"200 and garbage", sandbox.Fault{Kind: sandbox.Garbage}, failure.BadModel, 1, false},
		{"one score too few", sandbox.Fault{Kind: sandbox.WrongCount}, failure.BadModel, 2, false},
		{"a score that is NaN", sandbox.Fault{Kind: sandbox.NotANumber}, failure.BadModel, 1, false},
		{"a score that is null", sandbox.Fault{Kind: sandbox.NullScore}, failure.BadModel, 1, false},
	}
	s := start(t)
	s.train("first", "linear-learner", 400)
	s.deploy("first")
	_, err := s.score(1)
	s.must(err)
	table := faultTable{begin: "<!-- runtime -->", end: "<!-- /runtime -->",
		lines: []string{"| what InvokeEndpoint does | attempts | status | detail |", "|---|---|---|---|"}}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s.wireRuntime() // with a retry budget of its own
			s.ForgetCalls()
			order := tt.fault
			order.Times = -1
			o := s.Order("InvokeEndpoint", order)
			defer o.Cancel()
			ctx := t.Context()
			if tt.fault.Kind == sandbox.Hang {
				ctx = withTimeout(t, 50*time.Millisecond)
			}
			all, _ := rows(3)
			out, err := s.scorer.Score(ctx, all, false)
			var e *failure.Error
			if !errors.As(err, &e) || e.Kind != tt.kind || (e.RetryAfter > 0) != tt.wait {
				t.Fatalf("got %+v, %v; want kind %v, Retry-After %v", out, err, tt.kind, tt.wait)
			}
			for s.Count("InvokeEndpoint") == 0 {
				runtime.Gosched() // the journal records a call that hung after its caller has left
			}
			attempts := 0
			for _, n := range s.Invocations("InvokeEndpoint") {
				attempts += n
			}
			if attempts != tt.attempts {
				t.Errorf("%d attempts, want %d", attempts, tt.attempts)
			}
			if strings.Contains(err.Error(), secret) {
				t.Errorf("the error repeats rows: %v", err)
			}
			status := fmt.Sprint(statusOfKind(e.Kind))
			if e.RetryAfter > 0 {
				status += fmt.Sprintf(", Retry-After %.0f", e.RetryAfter.Seconds())
			}
			table.lines = append(table.lines, fmt.Sprintf("| %s | %d | %s | %s |", tt.name, tt.attempts, status, e.Detail))
		})
	}
	table.check(t)
	// No fault has an effect on later calls.
	if out, err := s.score(1); err != nil || out.Model != "first" {
		t.Errorf("got %+v, %v after all faults", out, err)
	}
}

// wireRuntime makes a new client of the runtime.
func (s *stand) wireRuntime() {
	s.t.Helper()
	s.api.runtime = s.clients().runtime
}

func TestAPassingFaultCostsNoPrediction(t *testing.T) {
	t.Parallel()
	for _, kind := range []sandbox.Kind{sandbox.Throttle, sandbox.Internal, sandbox.Dependency, sandbox.ModelNotReady, sandbox.Cut, sandbox.Truncate} {
		t.Run(string(kind), func(t *testing.T) {
			s := start(t)
			s.train("first", "linear-learner", 400)
			s.deploy("first")
			s.Order("InvokeEndpoint", sandbox.Fault{Kind: kind, Times: 2})
			if out, err := s.score(2); err != nil || out.Model != "first" {
				t.Errorf("got %+v, %v", out, err)
			}
		})
	}
}

func TestRetriesEndWhenTheirBudgetIsSpent(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.train("first", "linear-learner", 400)
	s.deploy("first")
	s.ForgetCalls()
	s.Order("InvokeEndpoint", sandbox.Fault{Kind: sandbox.ModelNotReady, Times: -1})
	const calls = 200
	for range calls {
		if _, err := s.score(1); !isKind(err, failure.Unavailable) {
			t.Fatalf("got %v", err)
		}
	}
	// The reserve of ten retries, and one for each ten calls.
	if n := s.Count("InvokeEndpoint"); n < calls+calls/10 || n > calls+calls/10+10 {
		t.Errorf("%d calls made %d attempts, want a tenth more and the reserve", calls, n)
	}
}

func TestACallerWhoLeavesEndsTheCall(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.train("first", "linear-learner", 400)
	s.deploy("first")
	o := s.Order("InvokeEndpoint", sandbox.Fault{Kind: sandbox.Hang, Times: -1})
	ctx, leave := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		all, _ := rows(1)
		_, err := s.scorer.Score(ctx, all, false)
		done <- err
	}()
	for o.Hits() == 0 {
		runtime.Gosched() // until the call hangs
	}
	leave()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want the caller's own leaving", err)
	}
	if n := o.Hits(); n != 1 {
		t.Errorf("%d attempts for a caller who left", n)
	}
}

func TestACallBearsTheNameOfItsPrediction(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.train("first", "linear-learner", 400)
	s.deploy("first")
	id := failure.NewID()
	all, _ := rows(1)
	_, err := s.scorer.Score(callctx.WithCallID(t.Context(), id), all, false)
	s.must(err)
	_, err = s.score(3)
	s.must(err)
	calls := s.Calls("InvokeEndpoint")
	one, many := calls[len(calls)-2], calls[len(calls)-1]
	if one.InferenceID != id || many.InferenceID == "" || many.InferenceID == id || one.ContentType != "text/csv" {
		t.Errorf("calls are named %q and %q, want %q and a new name", one.InferenceID, many.InferenceID, id)
	}
}
