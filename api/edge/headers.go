package edge

import "net/http"

// securityHeaders forbids browsers to guess the media type of a response, and to load
// or run anything that it names. The pages at /docs/ replace the policy.
func securityHeaders(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h["X-Content-Type-Options"] = noSniff
		h["Content-Security-Policy"] = noContent
		next.ServeHTTP(w, r)
	})
}

// Values of headers of all responses. The slices are shared: they must not be changed
// or appended to. Header.Set replaces them.
var (
	noSniff   = []string{"nosniff"}
	noContent = []string{"default-src 'none'; frame-ancestors 'none'"}
	noStore   = []string{"no-store"}
	jsonType  = []string{JSON}
)
