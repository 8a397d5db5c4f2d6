package lambda

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gateway/api"
)

// fake is a gateway that has a handler for all requests.
type fake struct {
	http.HandlerFunc
	work func(context.Context) error
}

func (f fake) Work(ctx context.Context) error { return f.work(ctx) }
func (f fake) Close() error                   { return nil }

// open is a handler whose gateway is open.
func open(f fake) *handler {
	h := &handler{starting: api.Starting(), opened: make(chan struct{}), gateway: f}
	close(h.opened)
	return h
}

type response struct {
	StatusCode      int
	Headers         map[string]string
	Cookies         []string
	Body            string
	IsBase64Encoded bool
}

func invoke(t *testing.T, h *handler, event string) (r response) {
	t.Helper()
	text, err := h.Invoke(t.Context(), []byte(event))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &r); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return r
}

func TestARequestIsThatOfTheEvent(t *testing.T) {
	var got *http.Request
	var body []byte
	h := open(fake{HandlerFunc: func(_ http.ResponseWriter, r *http.Request) {
		got = r
		body, _ = io.ReadAll(r.Body)
	}})
	invoke(t, h, `{"version": "2.0", "rawPath": "/admin/models/a%2Fb", "rawQueryString": "x=1&x=2&y=%20",
		"cookies": ["a=1", "b=2"], "headers": {"host": "api.example", "x-forwarded-for": "192.0.2.1, 192.0.2.7", "content-type": "text/csv"},
		"requestContext": {"domainName": "other.example", "http": {"method": "POST", "sourceIp": "2001:db8::7"}},
		"body": "`+base64.StdEncoding.EncodeToString([]byte("a\x00b"))+`", "isBase64Encoded": true}`)
	for what, pair := range map[string][2]string{
		"method":  {got.Method, "POST"},
		"path":    {got.URL.EscapedPath(), "/admin/models/a%2Fb"},
		"query":   {got.URL.RawQuery, "x=1&x=2&y=%20"},
		"target":  {got.RequestURI, "/admin/models/a%2Fb?x=1&x=2&y=%20"},
		"host":    {got.Host, "api.example"},
		"address": {got.RemoteAddr, "[2001:db8::7]:0"},
		"cookies": {got.Header.Get("Cookie"), "a=1; b=2"},
		"type":    {got.Header.Get("Content-Type"), "text/csv"},
		"body":    {string(body), "a\x00b"},
	} {
		if pair[0] != pair[1] {
			t.Errorf("the %s is %q, want %q", what, pair[0], pair[1])
		}
	}
	if got.ContentLength != 3 {
		t.Errorf("the length is %d", got.ContentLength)
	}
}

const get = `{"version": "2.0", "rawPath": "/", "requestContext": {"http": {"method": "GET", "sourceIp": "192.0.2.7"}}}`

func TestAnAnswerIsTheOneOfTheHandler(t *testing.T) {
	for name, tc := range map[string]struct {
		handle http.HandlerFunc
		want   response
	}{
		"text": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			w.Header().Set("Connection", "close")
			w.Header().Add("Vary", "Origin")
			w.Header().Add("Vary", "Accept")
			http.SetCookie(w, &http.Cookie{Name: "a", Value: "1"})
			http.SetCookie(w, &http.Cookie{Name: "b", Value: "2"})
			w.WriteHeader(http.StatusEarlyHints)
			w.WriteHeader(http.StatusAccepted)
			_, _ = io.WriteString(w, "<p>é</p>")
		}, response{StatusCode: 202, Headers: map[string]string{"Content-Type": "text/html", "Vary": "Origin, Accept"}, Cookies: []string{"a=1", "b=2"}, Body: "<p>é</p>"}},
		"bytes": {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte{0xff, 0xfe}) },
			response{StatusCode: 200, Body: "//4=", IsBase64Encoded: true}},
		"compressed": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = io.WriteString(w, "abc")
		}, response{StatusCode: 200, Headers: map[string]string{"Content-Encoding": "gzip"}, Body: "YWJj", IsBase64Encoded: true}},
		"nothing": {func(http.ResponseWriter, *http.Request) {}, response{StatusCode: 200}},
	} {
		got := invoke(t, open(fake{HandlerFunc: tc.handle}), get)
		if a, b := text(t, got), text(t, tc.want); a != b {
			t.Errorf("%s: got %s, want %s", name, a, b)
		}
	}
}

func text(t *testing.T, r response) string {
	t.Helper()
	if len(r.Headers) == 0 {
		r.Headers = nil
	}
	out, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// Lambda fails an invocation whose answer is too large, and its caller learns nothing.
func TestAnAnswerThatIsTooLargeIsAProblem(t *testing.T) {
	for name, body := range map[string]string{
		"while it is written": strings.Repeat("x", maxAnswer+1),
		"once it is JSON":     strings.Repeat("\n", maxAnswer-10),
	} {
		var written error
		h := open(fake{HandlerFunc: func(w http.ResponseWriter, _ *http.Request) { _, written = io.WriteString(w, body) }})
		got := invoke(t, h, get)
		if got.StatusCode != http.StatusRequestEntityTooLarge || !strings.Contains(got.Body, "ask for fewer rows") || got.Headers["Content-Type"] != "application/problem+json" {
			t.Errorf("%s: got %d %.200s", name, got.StatusCode, got.Body)
		}
		if (written != nil) != (len(body) > maxAnswer) {
			t.Errorf("%s: the handler was told %v", name, written)
		}
	}
}

func TestTheDeadlineLeavesTimeToAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, limit := range []time.Duration{10 * time.Second, time.Second} {
			var left time.Duration
			h := open(fake{HandlerFunc: func(_ http.ResponseWriter, r *http.Request) {
				deadline, _ := r.Context().Deadline()
				left = time.Until(deadline)
			}})
			ctx, cancel := context.WithTimeout(t.Context(), limit)
			if _, err := h.Invoke(ctx, []byte(get)); err != nil {
				t.Fatal(err)
			}
			cancel()
			if want := limit - min(answerTime, limit/4); left != want {
				t.Errorf("of %s a request has %s, want %s", limit, left, want)
			}
		}
	})
}

func TestWhileTheGatewayIsNotOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &handler{starting: api.Starting(), opened: make(chan struct{})}
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		answer, err := h.Invoke(ctx, []byte(get))
		if err != nil || !strings.Contains(string(answer), `"statusCode":503`) || !strings.Contains(string(answer), "the service is starting") {
			t.Errorf("got %s (%v)", answer, err)
		}
		ctx, cancel = context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		if answer, err := h.Invoke(ctx, []byte(tick)); err == nil {
			t.Errorf("a scheduled event was answered with %s", answer)
		}
	})
}

const tick = `{"source": "aws.events", "detail-type": "Scheduled Event"}`

func TestAScheduledEventWorks(t *testing.T) {
	fault := errors.New("the database is down")
	var did int
	h := open(fake{work: func(context.Context) error { did++; return fault }})
	if _, err := h.Invoke(t.Context(), []byte(tick)); !errors.Is(err, fault) {
		t.Errorf("got %v, want %v", err, fault)
	}
	fault = nil
	if _, err := h.Invoke(t.Context(), []byte(tick)); err != nil || did != 2 {
		t.Errorf("worked %d times (%v)", did, err)
	}
}

// Work that the invocation has no time for goes on with the next event.
func TestWorkThatIsCutOffIsNoFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := open(fake{work: func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }})
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		if _, err := h.Invoke(ctx, []byte(tick)); err != nil {
			t.Error(err)
		}
	})
}
