package api

import (
	"bytes"
	"net/http"
	"net/url"
	"strings"
	"sync"

	"gateway/api/edge"

	"github.com/swaggest/swgui/v5emb"
)

// The page loads only files of the gateway, by relative names, so that it works without
// a network and behind a path of a proxy. Its script is a separate file, because the
// policy below forbids inline scripts.
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

// docs serves Swagger UI, which shows /openapi.yaml.
func (a *api) docs() http.Handler {
	page := newStatic("text/html; charset=utf-8", []byte(docsPage))
	script := newStatic("text/javascript; charset=utf-8", []byte(docsScript))
	assets := sync.OnceValue(swaggerAssets)
	return edge.Handler(func(w http.ResponseWriter, r *http.Request) error {
		w.Header().Set("Content-Security-Policy", docsPolicy)
		switch name := strings.TrimPrefix(r.URL.Path, "/docs/"); name {
		case "":
			return page.serve(w, r)
		case "page.js":
			return script.serve(w, r)
		default:
			if asset := assets()[name]; asset != nil {
				return asset.serve(w, r)
			}
		}
		return edge.Refuse(edge.NotFound, "there is no such page")
	})
}

// swaggerAssets returns the files of Swagger UI that the page loads. The handler of
// package swgui would send entity tags without quotes, which clients ignore.
func swaggerAssets() map[string]*compressed {
	files := v5emb.New("", "", "/docs/")
	assets := make(map[string]*compressed)
	for name, contentType := range map[string]string{"swagger-ui.css": "text/css; charset=utf-8",
		"swagger-ui-bundle.js": "text/javascript; charset=utf-8", "favicon-32x32.png": "image/png"} {
		plain, _ := fetch(files, "/docs/"+name, "")
		asset := &compressed{plain: newStatic(contentType, plain)}
		if short, encoding := fetch(files, "/docs/"+name, "gzip"); encoding == "gzip" {
			asset.gzip = newStatic(contentType, short)
		}
		assets[name] = asset
	}
	return assets
}

// fetch gets a file from a handler.
func fetch(files http.Handler, path, accept string) (body []byte, encoding string) {
	r := &http.Request{Method: http.MethodGet, URL: &url.URL{Path: path}, Header: http.Header{}}
	if accept != "" {
		r.Header.Set("Accept-Encoding", accept)
	}
	w := &memoryWriter{header: make(http.Header)}
	files.ServeHTTP(w, r)
	return w.body.Bytes(), w.header.Get("Content-Encoding")
}

// memoryWriter is a ResponseWriter that keeps the response.
type memoryWriter struct {
	header http.Header
	body   bytes.Buffer
}

func (w *memoryWriter) Header() http.Header         { return w.header }
func (w *memoryWriter) WriteHeader(int)             {}
func (w *memoryWriter) Write(p []byte) (int, error) { return w.body.Write(p) }

// toDocs redirects / and /docs to /docs/. The location is relative, so that it is right
// behind a path of a proxy.
func (a *api) toDocs(w http.ResponseWriter, _ *http.Request) error {
	w.Header().Set("Location", "docs/")
	w.WriteHeader(http.StatusTemporaryRedirect)
	return nil
}
