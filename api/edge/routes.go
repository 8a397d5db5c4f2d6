package edge

import (
	"net/http"
	"strings"

	"github.com/go-chi/chi/v5"
)

// AWSPrefix begins the routes whose responses are those of SageMaker's runtime,
// errors included, so that an AWS SDK finds the errors that it expects.
const AWSPrefix = "/endpoints/"

// DocsPattern is the pattern of the documentation's pages. It is the one pattern with
// a wildcard that names a route.
const DocsPattern = "/docs/*"

// RouteOf returns the pattern of the route that a request matched. Patterns are a
// closed set, unlike paths, so they can be labels of metrics.
func RouteOf(r *http.Request) string { return patternOf(chi.RouteContext(r.Context())) }

func patternOf(route *chi.Context) string {
	pattern := route.RoutePattern()
	if pattern == "" || strings.HasSuffix(pattern, "/*") && pattern != DocsPattern {
		return "unmatched"
	}
	return pattern
}

// requestedRoute returns the pattern of the route that a request is for. Credentials
// are checked before the router has found the route.
func requestedRoute(r *http.Request) string {
	route := chi.NewRouteContext()
	chi.RouteContext(r.Context()).Routes.Match(route, r.Method, r.URL.Path)
	return patternOf(route)
}

// isProbe reports whether a route is read by what watches the gateway.
func isProbe(route string) bool {
	return route == "/livez" || route == "/readyz" || route == "/healthz" || route == "/metrics"
}

// isOperators reports whether a path is one of the operators' routes.
func isOperators(path string) bool {
	for _, route := range []string{"/admin", "/debug", "/metrics", "/console"} {
		if rest, ok := strings.CutPrefix(path, route); ok && (rest == "" || rest[0] == '/') {
			return true
		}
	}
	return false
}

// knownMethod returns the method, or "other" for an uncommon one, so that methods are
// a closed set.
func knownMethod(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch,
		http.MethodDelete, http.MethodOptions:
		return method
	}
	return "other"
}
