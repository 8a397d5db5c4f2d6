package console

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"mime"
	"net/http"
	"path"

	"gateway/api/console/chart"
	"gateway/api/edge"

	"github.com/go-chi/chi/v5"
)

//go:embed assets
var assetFiles embed.FS

// assets are the stylesheet, the scripts and the icon. A browser may keep a file that it asked
// for with the hash of its text. Scripts import each other without it, so browsers ask again.
type assets struct {
	byName map[string]asset
	urls   map[string]string // relative to the console
}

type asset struct {
	contentType string
	body        []byte
	hash        string
}

func newAssets() *assets {
	a := &assets{byName: make(map[string]asset), urls: make(map[string]string)}
	entries, err := assetFiles.ReadDir("assets")
	if err != nil {
		panic(err) // the files are part of the program
	}
	for _, entry := range entries {
		body, err := assetFiles.ReadFile("assets/" + entry.Name())
		if err != nil {
			panic(err)
		}
		a.add(entry.Name(), body)
	}
	a.add("chart.css", []byte(chart.Stylesheet))
	return a
}

func (a *assets) add(name string, body []byte) {
	contentType := mime.TypeByExtension(path.Ext(name))
	if path.Ext(name) == ".js" {
		contentType = "text/javascript; charset=utf-8"
	}
	sum := sha256.Sum256(body)
	hash := hex.EncodeToString(sum[:8])
	a.byName[name] = asset{contentType, body, hash}
	a.urls[name] = "assets/" + name + "?v=" + hash
}

func (a *assets) serve(w http.ResponseWriter, r *http.Request) error {
	file, ok := a.byName[chi.URLParam(r, "name")]
	if !ok {
		return edge.Refuse(edge.NotFound, "there is no such file")
	}
	h, tag := w.Header(), `"`+file.hash+`"`
	h.Set("ETag", tag)
	h.Set("Cache-Control", "no-cache") // browsers may store it, and must ask whether it is still valid
	if r.URL.Query().Get("v") == file.hash {
		h.Set("Cache-Control", "max-age=31536000, immutable")
	}
	if r.Header.Get("If-None-Match") == tag {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	edge.Write(w, http.StatusOK, file.contentType, file.body)
	return nil
}
