package edge_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/prometheus/client_golang/prometheus"

	"gateway/api/edge"
	"gateway/internal/audit/audittest"
)

const token = "an-operators-token"

var errTest = errors.New("a fault of a test")

func TestFailedSignInsAreInTheAuditLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newSignInHarness(t)
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		go h.signIns.Run(ctx)

		for range 3 {
			h.get("/admin/status", "203.0.113.9:4000", "Bearer guess")
		}
		h.get("/admin/models", "203.0.113.9:4001", "Bearer guess")
		h.get("/admin/status", "203.0.113.9:4002", "")                // no credential
		h.get("/admin/status", "203.0.113.9:4003", "Bearer "+token)   // the right one
		h.get("/admin/status", "[2001:db8::7]:4000", "Bearer guess")  // another address
		h.post("/predict", "203.0.113.9:4004", "X-Api-Key", "guess2") // an app's key
		time.Sleep(2 * time.Second)
		synctest.Wait()
		h.want(
			"2001:db8::7 GET /admin/status wrong operator token ×1",
			"203.0.113.9 GET /admin/models wrong operator token ×1",
			"203.0.113.9 GET /admin/status wrong operator token ×3",
			"203.0.113.9 POST /predict wrong app key ×1")
		if text := h.logs.String(); strings.Contains(text, "guess") || strings.Count(text, "a sign-in failed") != 4 {
			t.Errorf("want one line for each entry, without what was sent:\n%s", text)
		}

		// The count grows in the same entry; a new hour begins a new one.
		h.get("/admin/status", "203.0.113.9:4000", "Bearer guess")
		time.Sleep(2 * time.Second)
		synctest.Wait()
		h.want(
			"2001:db8::7 GET /admin/status wrong operator token ×1",
			"203.0.113.9 GET /admin/models wrong operator token ×1",
			"203.0.113.9 GET /admin/status wrong operator token ×4",
			"203.0.113.9 POST /predict wrong app key ×1")
		time.Sleep(time.Hour)
		h.get("/admin/models", "203.0.113.9:4000", "Bearer guess")
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if got := len(h.acts()); got != 5 {
			t.Errorf("got %d entries after an hour, want 5", got)
		}
		h.log.DoubtClock(errTest)
		time.Sleep(91 * 24 * time.Hour)
		synctest.Wait()
		if got := h.acts(); len(got) != 5 {
			t.Errorf("got %d entries after 91 days of a clock in doubt, want 5", len(got))
		}
		h.log.DoubtClock(nil)
		time.Sleep(time.Hour)
		synctest.Wait()
		if got := h.acts(); len(got) != 0 {
			t.Errorf("got %q after 91 days, want nothing", got)
		}
	})
}

func TestFailedSignInsSurviveAnOutageOfTheDatabase(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newSignInHarness(t)
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); h.signIns.Run(ctx) }()
		h.log.Fail(errTest)
		for range 2 {
			h.get("/admin/status", "203.0.113.9:4000", "Bearer guess")
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		time.Sleep(2 * time.Hour) // the window of the entry is over
		h.get("/admin/status", "203.0.113.9:4000", "Bearer guess")
		h.log.Fail(nil)
		stop()
		<-done // the last counts are written at the end
		h.want(
			"203.0.113.9 GET /admin/status wrong operator token ×3")
		if got := strings.Count(h.logs.String(), "cannot write failed sign-ins"); got != 1 {
			t.Errorf("the failure was logged %d times, want once", got)
		}
	})
}

func TestAFailureToRemoveOldSignInsIsLoggedWhenItBeginsAndEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newSignInHarness(t)
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		go h.signIns.Run(ctx)
		for range 2 {
			h.log.Fail(errTest)
			time.Sleep(5 * time.Hour)
			h.log.Fail(nil)
			time.Sleep(5 * time.Hour)
		}
		synctest.Wait()
		text := h.logs.String()
		if begun, ended := strings.Count(text, "cannot remove old failed sign-ins"), strings.Count(text, "old failed sign-ins are removed from the audit log again"); begun != 2 || ended != 2 {
			t.Errorf("of two outages of five hours %d begins and %d ends are logged:\n%s", begun, ended, text)
		}
	})
}

func TestWrongTokensAreLimitedByAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newSignInHarness(t)
		const attacker, other = "203.0.113.9:4000", "203.0.113.10:4000"
		for i := range 60 {
			if got := h.get("/admin/status", attacker, "Bearer guess"); got.Code != 403 {
				t.Fatalf("try %d: got %d, want 403", i+1, got.Code)
			}
		}
		got := h.get("/admin/status", attacker, "Bearer guess")
		if got.Code != 429 || got.Header().Get("Retry-After") != "1" {
			t.Errorf("got %d with Retry-After %q, want 429 with 1", got.Code, got.Header().Get("Retry-After"))
		}
		if got := h.get("/admin/models", attacker, "Bearer guess"); got.Code != 429 {
			t.Errorf("another route: got %d, want 429", got.Code)
		}
		if got := h.get("/admin/status", other, "Bearer guess"); got.Code != 403 {
			t.Errorf("another address: got %d, want 403", got.Code)
		}
		if got := h.get("/admin/models", attacker, "Bearer "+token); got.Code != 200 {
			t.Errorf("the right token from the same address: got %d, want 200", got.Code)
		}
		time.Sleep(time.Second)
		if got := h.get("/admin/status", attacker, "Bearer guess"); got.Code != 403 {
			t.Errorf("a second later: got %d, want 403", got.Code)
		}
	})
}

func TestManyAddressesAreCountedTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newSignInHarness(t)
		for i := range 5000 {
			h.get("/admin/status", fmt.Sprintf("10.0.%d.%d:1", i/250, i%250), "Bearer guess")
		}
		ctx, stop := context.WithCancel(t.Context())
		stop()
		h.signIns.Run(ctx)
		entries := h.acts()
		if len(entries) != 201 || !strings.HasPrefix(entries[len(entries)-1], "other addresses any wrong operator token ×4800") {
			t.Errorf("got %d entries, the last %q; want 200, and one for 4,800 failures of other addresses", len(entries), entries[len(entries)-1])
		}
	})
}

func TestAddressOfTheClient(t *testing.T) {
	trusted := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8::/32")}
	for name, test := range map[string]struct {
		peer      string
		forwarded []string
		trusted   []netip.Prefix
		want      string
	}{
		"without proxies the peer counts":            {"10.0.0.1:80", []string{"203.0.113.7"}, nil, "10.0.0.1"},
		"a stranger's header is ignored":             {"198.51.100.1:80", []string{"203.0.113.7"}, trusted, "198.51.100.1"},
		"a trusted proxy names the client":           {"10.0.0.1:80", []string{"203.0.113.7"}, trusted, "203.0.113.7"},
		"what the client claims is ignored":          {"10.0.0.1:80", []string{"1.2.3.4, 203.0.113.7"}, trusted, "203.0.113.7"},
		"through two proxies":                        {"10.0.0.1:80", []string{"1.2.3.4, 203.0.113.7, 10.1.1.1"}, trusted, "203.0.113.7"},
		"in several headers":                         {"10.0.0.1:80", []string{"1.2.3.4", "203.0.113.7", "10.1.1.1"}, trusted, "203.0.113.7"},
		"with a port":                                {"10.0.0.1:80", []string{"203.0.113.7:5000"}, trusted, "203.0.113.7"},
		"IPv6 with a port":                           {"10.0.0.1:80", []string{"[2001:db9::1]:5000"}, trusted, "2001:db9::1"},
		"IPv6 in brackets":                           {"[2001:db8::1]:80", []string{"[2001:db9::1]"}, trusted, "2001:db9::1"},
		"IPv4 in IPv6":                               {"[::ffff:10.0.0.1]:80", []string{"203.0.113.7"}, trusted, "203.0.113.7"},
		"no header":                                  {"10.0.0.1:80", nil, trusted, "10.0.0.1"},
		"nonsense ends the way back":                 {"10.0.0.1:80", []string{"203.0.113.7, unknown, 10.1.1.1"}, trusted, "10.1.1.1"},
		"only proxies":                               {"10.0.0.1:80", []string{"10.2.2.2, 10.1.1.1"}, trusted, "10.2.2.2"},
		"a peer that is not an address":              {"@", []string{"203.0.113.7"}, trusted, "@"},
		"an empty element ends the way back as well": {"10.0.0.1:80", []string{"203.0.113.7,"}, trusted, "10.0.0.1"},
	} {
		t.Run(name, func(t *testing.T) {
			signIns := edge.NewSignIns(&audittest.Log{}, test.trusted, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
			r := httptest.NewRequest("GET", "/", nil)
			r.RemoteAddr = test.peer
			for _, value := range test.forwarded {
				r.Header.Add("X-Forwarded-For", value)
			}
			if got := signIns.Address(r); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}

// signInHarness is a handler whose requests come from any address.
type signInHarness struct {
	t       *testing.T
	log     *audittest.Log
	logs    bytes.Buffer
	signIns *edge.SignIns
	handler http.Handler
}

func newSignInHarness(t *testing.T) *signInHarness {
	t.Helper()
	h := &signInHarness{t: t, log: &audittest.Log{}}
	reg, log := prometheus.NewRegistry(), slog.New(slog.NewTextHandler(&h.logs, nil))
	h.signIns = edge.NewSignIns(h.log, nil, log, reg)
	list := func(name, value string) func() []edge.Token {
		return func() []edge.Token { return []edge.Token{{Name: name, Value: value}} }
	}
	e := edge.New(edge.Deps{SignIns: h.signIns, Tokens: list("ops", token), APIKeys: list("web", "web-key"), Registry: reg, Log: log}, edge.Options{})
	fine := edge.Handler(func(w http.ResponseWriter, _ *http.Request) error { return edge.WriteJSON(w, http.StatusOK, nil) })
	h.handler = e.Handler(func(r chi.Router) {
		r.With(e.RequireToken).Method("GET", "/admin/status", fine)
		r.With(e.RequireToken).Method("GET", "/admin/models", fine)
		r.With(e.RequireKey).Method("POST", "/predict", fine)
	})
	return h
}

func (h *signInHarness) get(path, from, authorization string) *httptest.ResponseRecorder {
	return h.send(httptest.NewRequest("GET", path, nil), from, "Authorization", authorization)
}

func (h *signInHarness) post(path, from, header, value string) *httptest.ResponseRecorder {
	return h.send(httptest.NewRequest("POST", path, strings.NewReader("{}")), from, header, value)
}

// acts lists the audit log by address, action, kind and count, in this order.
func (h *signInHarness) acts() []string {
	acts, err := h.log.Acts(h.t.Context(), 1000, "")
	if err != nil {
		h.t.Fatal(err)
	}
	var lines []string
	for _, a := range acts {
		what, last, found := strings.Cut(a.Detail, "; the last at ")
		if _, err := time.Parse(time.RFC3339, last); !found || err != nil || a.Target != "sign-in" || a.Status != 403 || a.RequestID == "" || a.Token != "" {
			h.t.Errorf("got %+v, want a failed sign-in", a)
		}
		lines = append(lines, fmt.Sprintf("%s %s %s ×%d", a.Address, a.Action, what, a.Count))
	}
	slices.Sort(lines)
	return lines
}

func (h *signInHarness) want(lines ...string) {
	h.t.Helper()
	if got := h.acts(); !slices.Equal(got, lines) {
		h.t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(lines, "\n"))
	}
}

func (h *signInHarness) send(r *http.Request, from, header, value string) *httptest.ResponseRecorder {
	r.RemoteAddr = from
	if value != "" {
		r.Header.Set(header, value)
	}
	w := httptest.NewRecorder()
	h.handler.ServeHTTP(w, r)
	return w
}
