package console

import (
	"crypto/subtle"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"gateway/api/edge"

	"github.com/go-chi/chi/v5"
)

// action is something that a page can do. It is a POST: the first shows what ask returns,
// the second, which the form of that page sends, does it.
type action struct {
	// ask says what will be done. It changes nothing. r.PostForm has the form.
	ask func(r *http.Request) (*question, error)
	// do does it, and returns the path below the console of the page to show next.
	do func(r *http.Request) (next string, err error)
}

// question is a page that asks whether to do something.
type question struct {
	Title  string // "Cancel the renewal 01a2…"
	Effect string // what will happen, in one or two sentences
	Facts  []fact // what it will be done with
	Button string // "Cancel the renewal"
	Back   string // path below the console that leads back

	Fields []fact // the form, to be sent again
	Action string // path below the console
}

type fact struct{ Name, Value string }

// Names of fields of forms that are not the action's own.
const (
	formTokenField = "form_token"
	confirmedField = "confirmed"
)

// action adds an action. The parameter id of the pattern is the target in the audit log.
func (c *Console) action(r chi.Router, pattern string, a action) {
	r.Method(http.MethodPost, pattern, c.handler(func(w http.ResponseWriter, r *http.Request) error {
		if err := checkForm(r); err != nil {
			return err
		}
		if r.PostForm.Get(confirmedField) != "yes" {
			return c.confirm(w, r, a)
		}
		c.d.Edge.RecordAct(c.d.Acts, target(r), givenFields(r.PostForm).Encode(), w, r, c.handler(func(w http.ResponseWriter, r *http.Request) error {
			next, err := a.do(r)
			if err != nil {
				return err
			}
			return redirect(w, root(r)+orHere(next))
		}))
		return nil
	}))
}

// target returns the id or name in the path of a request.
func target(r *http.Request) string {
	if id := chi.URLParam(r, "id"); id != "" {
		return id
	}
	return chi.URLParam(r, "name")
}

// confirm shows the page that asks once more.
func (c *Console) confirm(w http.ResponseWriter, r *http.Request, a action) error {
	reading, done, err := c.read(r)
	if err != nil {
		return err
	}
	q, err := a.ask(reading)
	done()
	if err != nil {
		return err
	}
	q.Action = strings.TrimPrefix(r.URL.EscapedPath(), prefix)
	own := ownFields(r.PostForm)
	for _, name := range slices.Sorted(maps.Keys(own)) {
		for _, value := range own[name] {
			q.Fields = append(q.Fields, fact{name, value})
		}
	}
	return c.render(w, r, http.StatusOK, &page{name: "confirm", title: q.Title, data: q})
}

// ownFields returns the fields of a form that are the action's own.
func ownFields(form url.Values) url.Values {
	own := url.Values{}
	for name, values := range form {
		if name != formTokenField && name != confirmedField {
			own[name] = values
		}
	}
	return own
}

// givenFields returns the fields of a form that are the action's own and not empty.
func givenFields(form url.Values) url.Values {
	given := ownFields(form)
	maps.DeleteFunc(given, func(_ string, values []string) bool { return strings.Join(values, "") == "" })
	return given
}

// checkForm reads the form of a request, and checks that it has the token of the session.
func checkForm(r *http.Request) error {
	if err := r.ParseForm(); err != nil {
		return formError(err)
	}
	given := r.PostForm.Get(formTokenField)
	if subtle.ConstantTimeCompare([]byte(given), []byte(ofSession(r.Context()).form)) != 1 {
		return edge.Refuse(edge.Forbidden, "the form is not of this session: go back, reload the page and send it again")
	}
	return nil
}

// changed notes what an action has changed, for the audit log, and returns the path of its
// page below the console.
func changed(r *http.Request, folder, name string) string {
	edge.Of(r.Context()).Target = name
	return folder + url.PathEscape(name)
}
