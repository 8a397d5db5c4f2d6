package api

import (
	"net/http"
	"slices"
	"strings"
)

// cors lets web pages of the listed origins call the apps' routes; "*" lists
// all. Cookies play no part. The operators' routes are never opened to pages of
// other origins.
func cors(origins []string) func(http.Handler) http.Handler {
	anyOrigin := slices.Contains(origins, "*")
	return func(next http.Handler) http.Handler {
		if len(origins) == 0 {
			return next
		}
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if isAdmin(r.URL.Path) {
				next.ServeHTTP(w, r)
				return
			}
			h := w.Header()
			h.Add("Vary", "Origin") // also where there is none, or a cache would mix them up
			origin := r.Header.Get("Origin")
			if origin == "" || !(anyOrigin || slices.Contains(origins, origin)) {
				next.ServeHTTP(w, r)
				return
			}
			h.Set("Access-Control-Allow-Origin", origin)
			h.Set("Access-Control-Expose-Headers", "ETag, X-Request-Id, Retry-After, X-Schema-Fingerprint, Idempotent-Replayed, Idempotent-Unstored")
			if r.Method != http.MethodOptions || r.Header.Get("Access-Control-Request-Method") == "" {
				next.ServeHTTP(w, r)
				return
			}
			h.Set("Access-Control-Allow-Methods", "GET, HEAD, POST")
			h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, Idempotency-Key, If-None-Match, X-Api-Key, X-Request-Id, X-Request-Timeout, traceparent, tracestate, baggage")
			h.Set("Access-Control-Max-Age", "600")
			w.WriteHeader(http.StatusNoContent)
		})
	}
}

// isAdmin reports whether a path is one of the operators' routes.
func isAdmin(path string) bool {
	for _, route := range []string{"/admin", "/debug", "/metrics", "/console"} {
		if rest, ok := strings.CutPrefix(path, route); ok && (rest == "" || rest[0] == '/') {
			return true
		}
	}
	return false
}

// secured sets the headers that keep browsers from guessing. The page at /docs
// loosens the policy for itself.
func secured(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h["X-Content-Type-Options"] = noSniff
		h["Content-Security-Policy"] = noContent
		next.ServeHTTP(w, r)
	})
}

// Values of headers that every response has. The slices are shared: they must not
// be changed or appended to. Set replaces them.
var (
	noSniff   = []string{"nosniff"}
	noContent = []string{"default-src 'none'; frame-ancestors 'none'"}
	noStore   = []string{"no-store"}
	jsonType  = []string{"application/json"}
)
