package api_test

import (
	"compress/gzip"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"gateway/api"

	"github.com/prometheus/client_golang/prometheus"
)

// gunzipped reads a profile. A truncated one is an error.
func gunzipped(r io.Reader) (int, error) {
	unzipped, err := gzip.NewReader(r)
	if err != nil {
		return 0, err
	}
	n, err := io.Copy(io.Discard, unzipped)
	return int(n), err
}

func TestProfilesWantTheTokenAndAreOnTheOperatorsListenerAlone(t *testing.T) {
	b := setup(t)
	for _, tt := range []struct {
		target, authorization string
		status                int
	}{
		{"/debug/pprof/heap", "", http.StatusUnauthorized},
		{"/debug/pprof/heap", "Bearer wrong", http.StatusForbidden},
		{"/debug/pprof/nothing", "", http.StatusUnauthorized},
		{"/debug/pprof/", "Bearer " + token, http.StatusOK},
		{"/debug/pprof/heap", "Bearer " + token, http.StatusOK},
		{"/debug/pprof/goroutine?debug=2", "Bearer " + token, http.StatusOK},
		{"/debug/pprof/symbol", "Bearer " + token, http.StatusOK},
		{"/debug/pprof/nothing", "Bearer " + token, http.StatusNotFound},
		{"/debug/pprof/cmdline", "Bearer " + token, http.StatusNotFound},
	} {
		got := b.do(http.MethodGet, tt.target, "", "Authorization: "+tt.authorization)
		if got.status != tt.status {
			t.Errorf("%s with %q is %d, want %d: %s", tt.target, tt.authorization, got.status, tt.status, got.body)
		}
		if tt.status >= 400 && got.header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s with %q is refused in %s", tt.target, tt.authorization, got.header.Get("Content-Type"))
		}
	}
	if n, err := gunzipped(strings.NewReader(b.do(http.MethodGet, "/debug/pprof/heap", "", "Authorization: Bearer "+token).body)); n == 0 || err != nil {
		t.Errorf("the heap's profile has %d bytes (%v)", n, err)
	}

	b.deps.Registry = prometheus.NewRegistry()
	public, admin := api.New(b.deps, api.Options{SeparateAdmin: true})
	for name, h := range map[string]http.Handler{"public": public, "operators'": admin} {
		r := httptest.NewRequest(http.MethodGet, "/debug/pprof/heap", nil)
		r.Header.Set("Authorization", "Bearer "+token)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if want := map[string]int{"public": 404, "operators'": 200}[name]; w.Code != want {
			t.Errorf("the %s listener answers %d, want %d", name, w.Code, want)
		}
	}
}

// A profile takes as long as it was asked to, which may be longer than the
// server lets other answers take; and less where the server shuts down.
func TestAProfileOutlastsTheServersTimeoutsAndNotTheServer(t *testing.T) {
	b := setup(t)
	server := httptest.NewUnstartedServer(b.handler)
	server.Config.ReadTimeout, server.Config.WriteTimeout = 200*time.Millisecond, 200*time.Millisecond
	server.Start()
	defer server.Close()
	get := func(target string) (*http.Response, error) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+target, nil)
		if err != nil {
			return nil, err
		}
		r.Header.Set("Authorization", "Bearer "+token)
		return server.Client().Do(r)
	}
	begun := time.Now()
	res, err := get("/debug/pprof/profile?seconds=1")
	if err != nil {
		t.Fatal(err)
	}
	n, err := gunzipped(res.Body)
	res.Body.Close()
	if took := time.Since(begun); res.StatusCode != http.StatusOK || n == 0 || err != nil || took < time.Second {
		t.Errorf("status %d, %d bytes (%v) after %s; want a profile of a second", res.StatusCode, n, err, took)
	}

	type ended struct {
		bytes int
		err   error
	}
	profile := make(chan ended, 1)
	go func() {
		res, err := get("/debug/pprof/trace?seconds=3600")
		if err != nil {
			profile <- ended{0, err}
			return
		}
		defer res.Body.Close()
		n, err := io.Copy(io.Discard, res.Body)
		profile <- ended{int(n), err}
	}()
	running := func() bool { // besides the request that asks
		return strings.Contains(b.asOperator(http.MethodGet, "/metrics", "").body, "gateway_http_requests_in_flight 2")
	}
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	for !running() {
		select {
		case <-look.C:
		case <-t.Context().Done():
			t.Fatal("the profile does not run")
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := server.Config.Shutdown(ctx); err != nil {
		t.Errorf("the server cannot shut down: %v", err)
	}
	if got := <-profile; got.bytes == 0 || got.err != nil {
		t.Errorf("%d bytes (%v), want what was recorded by then", got.bytes, got.err)
	}
}
