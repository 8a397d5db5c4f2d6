package aws

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"gateway/internal/failure"
)

const goodBody = `{"predictions": [{"score": 0.2500}]}`

func oneRow() *invocation {
	return &invocation{endpoint: "bank-endpoint", contentType: typeCSV, accept: typeJSON, id: failure.NewID(), body: []byte("1,0,0,1")}
}

// answering is a runtime whose endpoint is a handler over pipes.
func answering(t *testing.T, h http.HandlerFunc) *invoker {
	t.Helper()
	r, _ := logged(configOver(t, h, nil))
	return r
}

func configOver(t *testing.T, h http.HandlerFunc, change func(*http.Transport)) sdk.Config {
	t.Helper()
	conns := make(chan net.Conn)
	server := &http.Server{Handler: h, ReadHeaderTimeout: time.Minute}
	go server.Serve(pipeListener{conns, t.Context()})
	t.Cleanup(func() { server.Close() })
	cfg := configFor("http://stand-in.internal")
	cfg.HTTPClient = awshttp.NewBuildableClient().WithTransportOptions(func(tr *http.Transport) {
		tr.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			near, far := net.Pipe()
			conns <- far
			return near, nil
		}
		if change != nil {
			change(tr)
		}
	})
	return cfg
}

type pipeListener struct {
	conns chan net.Conn
	ctx   context.Context
}

func (p pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.ctx.Done():
		return nil, net.ErrClosed
	}
}
func (pipeListener) Close() error   { return nil }
func (pipeListener) Addr() net.Addr { return &net.IPAddr{} }

func logged(cfg sdk.Config) (*invoker, *bytes.Buffer) {
	var log bytes.Buffer
	return newInvoker(cfg, slog.New(slog.NewTextHandler(&log, nil))), &log
}

func good(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", typeJSON)
	io.WriteString(w, goodBody)
}

// TestTheSDKMakesWhatIsUnusual has settings that package wire does not support. The SDK makes
// the calls, and the reason is logged once.
func TestTheSDKMakesWhatIsUnusual(t *testing.T) {
	proxy, _ := url.Parse("http://proxy.internal:3128")
	tests := []struct {
		name    string
		change  func(*sdk.Config)
		through func(*http.Transport)
		says    string
	}{
		{"a proxy", nil, func(tr *http.Transport) { tr.Proxy = http.ProxyURL(proxy) }, "proxy"},
		{"a proxy that is unknown", nil, func(tr *http.Transport) {
			tr.Proxy = func(r *http.Request) (*url.URL, error) { return nil, errors.New("no") }
		}, "proxy"},
		{"no credentials", func(c *sdk.Config) { c.Credentials = sdk.AnonymousCredentials{} }, nil, "no credentials"},
		{"a middleware's header", func(c *sdk.Config) {
			c.APIOptions = append(c.APIOptions, smithyhttp.AddHeaderValue("X-Trace", "1"))
		}, nil, "X-Trace"},
		{"a client that is given", func(c *sdk.Config) {
			inner := c.HTTPClient
			c.HTTPClient = given{inner}
		}, nil, "custom HTTP client"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cfg := configOver(t, good, tt.through)
				if tt.change != nil {
					tt.change(&cfg)
				}
				r, log := logged(cfg)
				for range 3 {
					out, err := r.invoke(t.Context(), oneRow())
					if tt.name == "a proxy that is unknown" {
						if err == nil {
							t.Error("the call was made without knowing how")
						}
						continue
					}
					if err != nil || string(out.body) != goodBody || out.conn != nil {
						t.Fatalf("got %+v, %v", out, err)
					}
				}
				if n := strings.Count(log.String(), "cannot use the fast path"); n != 1 || !strings.Contains(log.String(), tt.says) {
					t.Errorf("the log says %q, want %q once", log, tt.says)
				}
			})
		})
	}
}

type given struct{ sdk.HTTPClient }

func TestAPackedAnswerIsUnpacked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := answering(t, func(w http.ResponseWriter, req *http.Request) {
			w.Header().Set("Content-Encoding", "gzip") // unasked, too
			z := gzip.NewWriter(w)
			io.WriteString(z, goodBody)
			z.Close()
		})
		if out, err := r.invoke(t.Context(), oneRow()); err != nil || string(out.body) != goodBody {
			t.Errorf("got %q, %v", out.body, err)
		}
	})
}

func TestARedirectIsAnErrorAsWithTheSDK(t *testing.T) {
	for _, status := range []int{301, 302, 303, 307, 308} {
		synctest.Test(t, func(t *testing.T) {
			h := func(w http.ResponseWriter, req *http.Request) {
				if strings.HasPrefix(req.URL.Path, "/there") {
					good(w, req)
					return
				}
				http.Redirect(w, req, "http://stand-in.internal/there", status)
			}
			_, fast := answering(t, h).invoke(t.Context(), oneRow())
			_, slow := byTheSDK(answering(t, h)).invoke(t.Context(), oneRow())
			if fast == nil || slow == nil || fast.Error() != slow.Error() {
				t.Errorf("%d: by hand %v, by the SDK %v", status, fast, slow)
			}
		})
	}
}

// TestTheClockIsCorrected has a service whose clock is an hour ahead, and later right again.
// Each time the first call needs a second attempt, and the others do not.
func TestTheClockIsCorrected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ahead atomic.Int64
		var attempts int
		var request string
		r := answering(t, func(w http.ResponseWriter, req *http.Request) {
			attempts++
			request = req.Header.Get("Amz-Sdk-Request")
			now := time.Now().Add(time.Duration(ahead.Load()))
			w.Header().Set("Date", now.UTC().Format(http.TimeFormat))
			signed, _ := time.Parse("20060102T150405Z", req.Header.Get("X-Amz-Date"))
			if now.Sub(signed).Abs() > 5*time.Minute {
				w.Header().Set("X-Amzn-ErrorType", "InvalidSignatureException")
				w.WriteHeader(http.StatusForbidden)
				io.WriteString(w, `{"message":"Signature expired"}`)
				return
			}
			good(w, req)
		})
		for _, step := range []struct {
			ahead time.Duration
			want  int
		}{{0, 1}, {0, 1}, {time.Hour, 2}, {time.Hour, 1}, {time.Hour, 1}, {-time.Hour, 2}, {-time.Hour, 1}, {0, 2}, {0, 1}} {
			ahead.Store(int64(step.ahead))
			attempts = 0
			out, err := r.invoke(t.Context(), oneRow())
			if err != nil || attempts != step.want {
				t.Fatalf("the clock is %v ahead: %d attempts, want %d (%v)", step.ahead, attempts, step.want, err)
			}
			if byHand := out.conn != nil; byHand != (step.want == 1) {
				t.Errorf("the clock is %v ahead: by hand %v", step.ahead, byHand)
			}
			out.release()
		}
		// A template that is captured now contains neither the wrong time nor this deadline.
		ahead.Store(int64(time.Hour))
		for _, accept := range []string{typeJSON, typeCSV, typeCSV} {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			in := oneRow()
			in.accept = accept
			out, err := r.invoke(ctx, in)
			if err != nil || accept == typeCSV && (out.conn == nil || request != "attempt=1; max=3") {
				t.Errorf("got %+v, %v for a request of %q", out, err, request)
			}
			out.release()
			cancel()
		}
	})
}

func TestNewCredentialsMakeANewForm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var key atomic.Pointer[sdk.Credentials]
		key.Store(&sdk.Credentials{AccessKeyID: "AKIAONE", SecretAccessKey: "one", SessionToken: "token-one"})
		var seen []string
		cfg := configOver(t, func(w http.ResponseWriter, req *http.Request) {
			_, id, _ := strings.Cut(req.Header.Get("Authorization"), "Credential=")
			seen = append(seen, id[:7]+" "+req.Header.Get("X-Amz-Security-Token"))
			good(w, req)
		}, nil)
		cfg.Credentials = sdk.CredentialsProviderFunc(func(context.Context) (sdk.Credentials, error) { return *key.Load(), nil })
		r, _ := logged(cfg)
		call := func() {
			t.Helper()
			out, err := r.invoke(t.Context(), oneRow())
			if err != nil || out.conn == nil {
				t.Fatalf("got %+v, %v", out, err)
			}
			out.release()
		}
		call()
		key.Store(&sdk.Credentials{AccessKeyID: "AKIAONE", SecretAccessKey: "one", SessionToken: "token-two"})
		call()
		key.Store(&sdk.Credentials{AccessKeyID: "AKIATWO", SecretAccessKey: "two"})
		call()
		call()
		if got := strings.Join(seen, ","); got != "AKIAONE token-one,AKIAONE token-two,AKIATWO ,AKIATWO " {
			t.Errorf("calls were signed by %s", got)
		}
		if n := len(*r.templates.all.Load()); n != 1 {
			t.Errorf("%d forms are kept", n)
		}
	})
}

func TestCredentialsThatFailAreTheSDKsError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := configOver(t, good, nil)
		cfg.Credentials = sdk.CredentialsProviderFunc(func(context.Context) (sdk.Credentials, error) {
			return sdk.Credentials{}, errors.New("no role")
		})
		r, _ := logged(cfg)
		if _, err := r.invoke(t.Context(), oneRow()); err == nil || !strings.Contains(err.Error(), "no role") {
			t.Errorf("got %v", err)
		}
	})
}

// TestABundleOfRootsIsUsed connects over TLS to a server whose root certificate is only in
// AWS_CA_BUNDLE.
func TestABundleOfRootsIsUsed(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(good))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	defer server.Close()
	bundle := filepath.Join(t.TempDir(), "roots.pem")
	if err := os.WriteFile(bundle, pemOf(server), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, trusted := range []bool{true, false} {
		options := []func(*config.LoadOptions) error{config.WithRegion("eu-central-1"), config.WithBaseEndpoint(server.URL),
			config.WithCredentialsProvider(credentials.NewStaticCredentialsProvider("AKIAONE", "secret", "")),
			config.WithHTTPClient(awshttp.NewBuildableClient())}
		if trusted {
			t.Setenv("AWS_CA_BUNDLE", bundle)
		} else {
			os.Unsetenv("AWS_CA_BUNDLE")
		}
		cfg, err := config.LoadDefaultConfig(t.Context(), options...)
		if err != nil {
			t.Fatal(err)
		}
		r, _ := logged(cfg)
		for range 2 {
			out, err := r.invoke(t.Context(), oneRow())
			if trusted && (err != nil || string(out.body) != goodBody || out.conn == nil) {
				t.Errorf("got %+v, %v", out, err)
			}
			if !trusted && (err == nil || !strings.Contains(err.Error(), "certificate")) {
				t.Errorf("got %+v, %v from a server with an untrusted certificate", out, err)
			}
			out.release()
		}
	}
}

func TestAnIDThatBreaksTheHeaderIsNotSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var evil bool
		r := answering(t, func(w http.ResponseWriter, req *http.Request) {
			evil = evil || req.Header.Get("X-Evil") != ""
			good(w, req)
		})
		in := oneRow()
		in.id = "a\r\nX-Evil: b"
		out, err := r.invoke(t.Context(), in)
		if err == nil {
			out.release()
		}
		if evil {
			t.Errorf("a header was smuggled in (%v)", err)
		}
	})
}

// TestTheServiceSaysHowLongToWait has a service that sends Retry-After.
func TestTheServiceSaysHowLongToWait(t *testing.T) {
	tests := []struct {
		header   string
		deadline time.Duration
		attempts int
		took     time.Duration // at least
		wait     time.Duration // of the caller
	}{
		{"1", 10 * time.Second, 3, 2 * time.Second, time.Second},
		{"3", 10 * time.Second, 3, 6 * time.Second, 3 * time.Second},
		{"3", 2 * time.Second, 1, 0, 3 * time.Second}, // the caller would have left
		{"86400", 2 * time.Second, 1, 0, time.Minute},
		{"soon", 2 * time.Second, 3, firstInvokeWait, time.Second},
		{"-5", 2 * time.Second, 3, firstInvokeWait, time.Second},
		{"date", 10 * time.Second, 3, 8 * time.Second, 4 * time.Second},
	}
	for _, tt := range tests {
		for _, byHand := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s within %v, %v", tt.header, tt.deadline, byHand), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					attempts := 0
					until := time.Now().Add(4 * time.Second)
					r := answering(t, func(w http.ResponseWriter, _ *http.Request) {
						attempts++
						after := tt.header
						if after == "date" {
							after = until.UTC().Format(http.TimeFormat)
							until = until.Add(4 * time.Second)
						}
						w.Header().Set("Retry-After", after)
						w.Header().Set("X-Amzn-ErrorType", "ThrottlingException")
						w.WriteHeader(http.StatusTooManyRequests)
						io.WriteString(w, `{"message":"slow down"}`)
					})
					if !byHand {
						byTheSDK(r)
					}
					ctx, cancel := context.WithTimeout(t.Context(), tt.deadline)
					defer cancel()
					begun := time.Now()
					_, err := r.invoke(ctx, oneRow())
					var e *failure.Error
					if !errors.As(scoringError(err), &e) || !e.Throttled || e.RetryAfter < tt.wait-time.Second || e.RetryAfter > tt.wait {
						t.Errorf("got %+v; want Retry-After %v", e, tt.wait)
					}
					if took := time.Since(begun); attempts != tt.attempts || took < tt.took || took > tt.took+time.Second {
						t.Errorf("%d attempts in %v, want %d in %v", attempts, took, tt.attempts, tt.took)
					}
				})
			})
		}
	}
}

// TestRetriesAreATenth checks the budget with a service that throttles every other attempt.
func TestRetriesAreATenth(t *testing.T) {
	for _, byHand := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			attempts := 0
			r := answering(t, func(w http.ResponseWriter, req *http.Request) {
				if attempts++; attempts%2 == 1 {
					w.WriteHeader(http.StatusBadRequest)
					io.WriteString(w, `{"message":null}`)
					return
				}
				good(w, req)
			})
			if !byHand {
				byTheSDK(r)
			}
			const calls = 1000
			failed := 0
			for range calls {
				out, err := r.invoke(t.Context(), oneRow())
				if err != nil {
					failed++
				}
				out.release()
			}
			if retries := attempts - calls; retries < calls/10 || retries > calls/10+retryReserve || failed == 0 {
				t.Errorf("by hand %v: %d calls, %d retries, %d failed", byHand, calls, retries, failed)
			}
		})
	}
}

func TestNothingIsRetriedWhileLoadIsShed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		attempts := 0
		r := answering(t, func(w http.ResponseWriter, _ *http.Request) {
			attempts++
			w.WriteHeader(http.StatusServiceUnavailable)
		})
		var shedding atomic.Bool
		(&Clients{runtime: r}).NoRetriesWhile(shedding.Load)
		for _, step := range []struct {
			shedding bool
			want     int
		}{{false, 3}, {true, 1}, {false, 3}} {
			shedding.Store(step.shedding)
			attempts = 0
			if _, err := r.invoke(t.Context(), oneRow()); err == nil || attempts != step.want {
				t.Errorf("shedding %v: %d attempts, want %d (%v)", step.shedding, attempts, step.want, err)
			}
		}
	})
}

func pemOf(s *httptest.Server) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
}

func TestAHandshakeHasItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		go io.Copy(io.Discard, far) // and it never answers
		d := newDialer(awshttp.NewBuildableClient().WithTransportOptions(func(tr *http.Transport) {
			tr.DialContext = func(context.Context, string, string) (net.Conn, error) { return near, nil }
		}).GetTransport())
		begun := time.Now()
		u, _ := url.Parse("https://stand-in.internal")
		if _, err := d.dial(t.Context(), u, true); !errors.Is(err, errSlowHandshake) || time.Since(begun) != awshttp.DefaultHTTPTransportTLSHandleshakeTimeout {
			t.Errorf("got %v after %v", err, time.Since(begun))
		}
		if _, err := near.Write([]byte{0}); err == nil {
			t.Error("the connection was left open")
		}
	})
}
