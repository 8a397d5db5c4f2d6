package aws

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"gateway/internal/failure"
	"gateway/internal/predict"
	"gateway/internal/sandbox"
)

// byTheSDK makes the SDK make all calls.
func byTheSDK(r *invoker) *invoker {
	r.dialer = nil
	return r
}

// inMemory returns the configuration of a stand-in in memory for clients that open their own
// connections.
func inMemory(s *sandbox.Server) sdk.Config {
	cfg := s.Config()
	dial := cfg.HTTPClient.(*http.Client).Transport.(*http.Transport).DialContext
	cfg.HTTPClient = awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) { t.DialContext = dial })
	return cfg
}

// outcomeOf is the result of a call for its caller and for the endpoint.
type outcomeOf struct {
	Kind       failure.Kind
	Detail     string
	RetryAfter time.Duration
	Throttled  bool
	General    bool
	Scores     predict.Scores
	Attempts   []int
	Waited     bool // before a retry; the length of the wait is random
}

// TestEveryFaultEndsAsWithTheSDK orders each kind of fault of the stand-in with and without the
// fast path. Callers and the endpoint must see the same.
func TestEveryFaultEndsAsWithTheSDK(t *testing.T) {
	type order struct {
		name  string
		fault sandbox.Fault
	}
	var orders []order
	for _, kind := range sandbox.Kinds() {
		orders = append(orders, order{string(kind), sandbox.Fault{Kind: kind, Delay: 5 * time.Millisecond}})
	}
	for _, status := range []int{201, 200, 204, 301, 400, 403, 404, 413, 424, 429, 500, 502, 503, 504, 530} {
		orders = append(orders, order{fmt.Sprintf("page %d", status), sandbox.Fault{Kind: sandbox.HTML, Status: status}})
	}
	for _, code := range []string{"ThrottlingException", "SlowDown", "LimitExceededException", "ExpiredTokenException", "RequestTimeout", "RequestTimeTooSkewed",
		"InvalidSignatureException", "ServiceUnavailable", "ModelNotReadyException", "ValidationError", "ModelError", "Unheard"} {
		for _, status := range []int{400, 403, 429, 500} {
			orders = append(orders, order{fmt.Sprintf("%s %d", code, status), sandbox.Fault{Kind: sandbox.Refuse, Status: status, Code: code, Message: "no"}})
		}
	}
	for _, status := range []int{400, 404, 499, 500, 503} {
		orders = append(orders, order{fmt.Sprintf("model error %d", status), sandbox.Fault{Kind: sandbox.ModelError, Status: status}})
	}
	synctest.Test(t, func(t *testing.T) {
		s := startWith(t, smallSchema, sandbox.Options{Clock: sandbox.NewManualClock(), InMemory: true})
		s.train("first", "linear-learner", 400)
		s.must(s.order("first"))
		s.Advance(time.Hour)
		time.Sleep(time.Minute) // or what was seen before would be the newest
		s.serves("first", false)
		for _, o := range orders {
			for _, times := range []int{1, 2, -1} {
				fault := o.fault
				fault.Times = times
				fast := s.outcome(newInvoker(inMemory(s.Server), slog.New(slog.DiscardHandler)), fault)
				slow := s.outcome(byTheSDK(newInvoker(inMemory(s.Server), slog.New(slog.DiscardHandler))), fault)
				if diff := cmp.Diff(slow, fast, cmpopts.EquateErrors()); diff != "" {
					t.Errorf("%s, %d times: the fast path differs:\n%s", o.name, times, diff)
				}
			}
		}
	})
}

// outcome makes a call with a fault, after a successful one.
func (s *stand) outcome(r *invoker, fault sandbox.Fault) outcomeOf {
	s.t.Helper()
	s.api.runtime = r
	_, err := s.score(1)
	s.must(err)
	if (r.dialer != nil) != (r.templates.all.Load() != nil) {
		s.t.Fatal("the call took the wrong path")
	}
	s.ForgetCalls()
	order := s.Order("InvokeEndpoint", fault)
	defer order.Cancel()
	ctx, cancel := context.WithTimeout(s.t.Context(), time.Second)
	defer cancel()
	begun := time.Now()
	all, _ := rows(3)
	scores, err := s.scorer.Score(ctx, all, false)
	out := outcomeOf{Scores: scores, Waited: time.Since(begun) >= firstInvokeWait}
	var e *failure.Error
	if errors.As(err, &e) {
		out.Kind, out.Detail, out.RetryAfter, out.Throttled, out.General = e.Kind, e.Detail, e.RetryAfter, e.Throttled, e.General
	} else if err != nil {
		out.Detail = err.Error()
	}
	synctest.Wait() // the journal records a call that hung after its caller has left
	out.Attempts = s.Invocations("InvokeEndpoint")
	return out
}

// tap is an endpoint on pipes that records the bytes of its requests and always sends the same
// answer.
type tap struct {
	requests [][]byte
	answer   string
	conns    []net.Conn
}

func (p *tap) dial(context.Context, string, string) (net.Conn, error) {
	near, far := net.Pipe()
	p.conns = append(p.conns, far)
	go func() {
		var sent bytes.Buffer
		from := bufio.NewReader(io.TeeReader(far, &sent))
		for {
			r, err := http.ReadRequest(from)
			if err != nil {
				return
			}
			io.Copy(io.Discard, r.Body)
			p.requests = append(p.requests, bytes.Clone(sent.Bytes()))
			sent.Reset()
			io.WriteString(far, p.answer)
		}
	}()
	return near, nil
}

const goodAnswer = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 36\r\n\r\n" + `{"predictions": [{"score": 0.2500}]}`

// TestTheWireIsTheSDKs compares the requests of the fast path with those of the SDK: the same
// header fields in the same order with the same signature.
func TestTheWireIsTheSDKs(t *testing.T) {
	long := bytes.Repeat([]byte("0.125,1,0,-3.5e-07\n"), 3000)
	tests := []struct {
		name string
		with func(*sdk.Config)
		call invocation
	}{
		{"a row", nil, invocation{endpoint: "bank-endpoint", contentType: "text/csv", accept: "application/json", id: failure.NewID(), body: []byte("1,0,0,1")}},
		{"many rows", nil, invocation{endpoint: "bank-endpoint", contentType: "text/csv", accept: "application/json", id: failure.NewID(), body: long}},
		{"parameters", nil, invocation{endpoint: "e", contentType: "text/csv; label_size=0", accept: "application/jsonlines;  verbose=true", id: "a", body: []byte("1\n2")}},
		{"a name that must be escaped", nil, invocation{endpoint: "bank endpoint/é", contentType: "text/csv", accept: "text/csv", id: "a", body: []byte("1")}},
		{"the service's own address", func(c *sdk.Config) { c.BaseEndpoint = nil }, invocation{endpoint: "bank-endpoint", contentType: "text/csv", accept: "application/json", id: "a", body: []byte("1")}},
		{"an address with a path", func(c *sdk.Config) { c.BaseEndpoint = sdk.String("http://proxy.internal:8080/runtime/v1/") },
			invocation{endpoint: "bank-endpoint", contentType: "text/csv", accept: "application/json", id: "a", body: []byte("1")}},
		{"temporary credentials", func(c *sdk.Config) {
			c.Credentials = credentials.NewStaticCredentialsProvider("ASIAONE", "secret/+=", "token//+=="+strings.Repeat("x", 700))
		}, invocation{endpoint: "bank-endpoint", contentType: "text/csv", accept: "application/json", id: "a", body: []byte("1")}},
		{"more attempts", func(c *sdk.Config) { c.RetryMaxAttempts = 7 }, invocation{endpoint: "bank-endpoint", contentType: "text/csv", accept: "application/json", id: "a", body: []byte("1")}},
		{"an application's name", func(c *sdk.Config) { c.AppID = "bank" }, invocation{endpoint: "bank-endpoint", contentType: "text/csv", accept: "application/json", id: "a", body: []byte("1")}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { // in which time stands still
				ours, theirs := sentBy(t, tt.with, false, &tt.call, ""), [][]byte(nil)
				for _, request := range ours {
					_, id, _ := bytes.Cut(request, []byte("Amz-Sdk-Invocation-Id: "))
					theirs = append(theirs, sentBy(t, tt.with, true, &tt.call, string(id[:36]))...)
				}
				for i := range ours {
					// net/http adds this field without signing it. Compressing an
					// answer of a few numbers gains nothing.
					want := strings.Replace(string(theirs[i]), "Accept-Encoding: gzip\r\n", "", 1)
					if diff := cmp.Diff(want, string(ours[i])); diff != "" {
						t.Error(diff)
					}
				}
			})
		})
	}
}

// sentBy returns the bytes of calls.
func sentBy(t *testing.T, with func(*sdk.Config), full bool, call *invocation, id string) [][]byte {
	t.Helper()
	p := tap{answer: goodAnswer}
	cfg := sdk.Config{Region: "eu-central-1", BaseEndpoint: sdk.String("http://stand-in.internal"),
		Credentials: credentials.NewStaticCredentialsProvider("AKIAONE", "secret", "")}
	if with != nil {
		with(&cfg)
	}
	cfg.HTTPClient = awshttp.NewBuildableClient().WithTransportOptions(func(tr *http.Transport) {
		tr.DialContext, tr.DialTLSContext = p.dial, p.dial
	})
	r := newInvoker(cfg, slog.New(slog.DiscardHandler))
	calls := 2
	if full {
		calls = 1
	}
	for range calls {
		var out reply
		var err error
		if full {
			out, err = r.full(t.Context(), call, id, nil)
		} else {
			out, err = r.invoke(t.Context(), call)
		}
		if err != nil || string(out.body) != `{"predictions": [{"score": 0.2500}]}` {
			t.Fatalf("got %q, %v", out.body, err)
		}
		if !full && out.conn == nil {
			t.Fatal("the SDK made the call")
		}
		out.release()
	}
	if len(p.requests) != calls {
		t.Fatalf("%d requests for %d calls", len(p.requests), calls)
	}
	for _, c := range p.conns {
		c.Close()
	}
	return p.requests
}
