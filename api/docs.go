package api

import (
	"net/http"
	"strings"

	"github.com/swaggest/swgui/v5emb"
)

const docsPattern = "/docs/*"

// The page loads only what the gateway itself serves, by relative names, so
// that it works without a network and behind a proxy's path. Its script is a
// file of its own because the policy below forbids inline ones.
const (
	docsPage = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Prediction gateway: the API</title>
<link rel="icon" type="image/png" href="favicon-32x32.png" sizes="32x32">
<link rel="stylesheet" href="swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<noscript>This page needs a script to show <a href="../openapi.yaml">openapi.yaml</a>.</noscript>
<script src="swagger-ui-bundle.js"></script>
<script src="page.js"></script>
</body>
</html>
`
	docsScript = `window.onload = function () {
  SwaggerUIBundle({
    url: "../openapi.yaml",
    dom_id: "#swagger-ui",
    deepLinking: true,
    validatorUrl: null,
    presets: [SwaggerUIBundle.presets.apis],
    layout: "BaseLayout"
  });
};
`
	// Swagger UI sets style attributes, and holds its icons as data.
	docsPolicy = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; " +
		"img-src 'self' data:; connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)

// docs serves the pages for people: Swagger UI over /openapi.yaml.
func (a *api) docs() http.Handler {
	page := newStatic("text/html; charset=utf-8", []byte(docsPage))
	script := newStatic("text/javascript; charset=utf-8", []byte(docsScript))
	assets := v5emb.New("", "", "/docs/")
	return handler(func(w http.ResponseWriter, r *http.Request) error {
		w.Header().Set("Content-Security-Policy", docsPolicy)
		switch name := strings.TrimPrefix(r.URL.Path, "/docs/"); name {
		case "":
			return page.serve(w, r)
		case "page.js":
			return script.serve(w, r)
		case "swagger-ui.css", "swagger-ui-bundle.js", "favicon-32x32.png":
			assets.ServeHTTP(w, r)
			return nil
		}
		return refuse(notFound, "there is no such page")
	})
}

// toDocs sends people on to the page proper.
func (a *api) toDocs(w http.ResponseWriter, _ *http.Request) error {
	w.Header().Set("Location", "/docs/")
	w.WriteHeader(http.StatusTemporaryRedirect)
	return nil
}
