package console

import (
	"bytes"
	"cmp"
	"net/http"

	"gateway/api/edge"
	"gateway/internal/failure"

	"github.com/go-chi/chi/v5"
)

// page is what a page shows. name is its template, and data the template's .Data.
type page struct {
	name, title string
	section     string // name of the page in the menu that it belongs to; empty: its own
	data        any
	// every is how often the page is read again while a browser shows it, in seconds. The
	// parts of it that change have the attribute data-live and an id. Zero: it is not.
	every int
}

// view is what the layout shows. Its fields are those of templates.
type view struct {
	Title    string
	Section  string // name of the page that the menu marks
	Root     string // relative path to the console
	Schema   string
	Operator string // name of the token; empty: not signed in
	Form     string // token that forms must send back as "form_token"
	Every    int
	Assets   map[string]string // URL of each asset, relative to Root
	Nav      []navItem
	Data     any
}

type navItem struct {
	Name, Path, Title string
}

// navigation lists the pages in the order of the menu.
var navigation = []navItem{
	{"overview", "./", "Overview"},
	{"quality", "quality", "Quality"},
	{"drift", "drift", "Drift"},
	{"renewals", "renewals", "Renewals"},
	{"models", "models", "Models"},
	{"predictions", "predictions", "Predictions"},
	{"try", "try", "Try"},
	{"settings", "settings", "Settings"},
	{"audit", "audit", "Audit"},
}

// page adds a page that show reads. Its reads count against the budget of the console.
func (c *Console) page(r chi.Router, pattern string, show func(r *http.Request) (*page, error)) {
	r.Method(http.MethodGet, pattern, c.handler(func(w http.ResponseWriter, r *http.Request) error {
		reading, done, err := c.read(r)
		if err != nil {
			return err
		}
		p, err := show(reading)
		done()
		if err != nil {
			return err
		}
		return c.render(w, r, http.StatusOK, p)
	}))
}

// render sends a page. It is rendered before anything is sent, so that an error of a
// template can still become a page.
func (c *Console) render(w http.ResponseWriter, r *http.Request, status int, p *page) error {
	v := view{Title: p.title, Section: cmp.Or(p.section, p.name), Root: root(r), Schema: c.d.Predict.Schema().Name,
		Every: p.every, Assets: c.assets.urls, Nav: navigation, Data: p.data}
	if s := ofSession(r.Context()); s != nil {
		v.Operator, v.Form = s.token, s.form
	}
	var body bytes.Buffer
	if err := c.templates[p.name].ExecuteTemplate(&body, "layout", v); err != nil {
		return err
	}
	edge.Write(w, status, "text/html; charset=utf-8", body.Bytes())
	return nil
}

// errorPage is what the page of an error shows.
type errorPage struct {
	Status     int
	Title      string
	Detail     string
	Violations []failure.Violation
	Omitted    int
	RequestID  string
}

// fail answers with the page of an error. It has what the API would answer.
func (c *Console) fail(w http.ResponseWriter, r *http.Request, err error) {
	p := edge.ProblemOf(r.Context(), err)
	q := edge.Of(r.Context())
	if q.Begun() || r.Context().Err() != nil {
		edge.Fail(w, r, err) // it closes the connection
		return
	}
	q.Failed(p, err)
	p.SetHeaders(w.Header(), err)
	w.Header().Del("WWW-Authenticate") // a browser would ask for a password
	data := errorPage{p.Status, p.Title, p.Detail, p.Errors, p.ErrorsOmitted, p.RequestID}
	if err := c.render(w, r, p.Status, &page{name: "error", title: p.Title, data: data}); err != nil {
		edge.Fail(w, r, err)
	}
}
