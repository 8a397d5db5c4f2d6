package console

import (
	"errors"
	"net/http"
	"strings"
	"time"

	"gateway/api/edge"
)

// signInPage is what the form for signing in shows.
type signInPage struct{ Next, Problem string }

func (c *Console) signInForm(w http.ResponseWriter, r *http.Request) error {
	next := localPath(r.URL.Query().Get("next"))
	if c.session(r) != nil {
		return redirect(w, root(r)+orHere(next))
	}
	return c.render(w, r, http.StatusOK, &page{name: "sign-in", title: "Sign in", data: signInPage{Next: next}})
}

// orHere returns a relative reference to a path below the console; the empty path is the
// console itself.
func orHere(path string) string {
	if path == "" || strings.HasPrefix(path, "?") {
		return "./" + path
	}
	return path
}

// signIn answers the form. What it answers to a wrong token does not depend on the token.
func (c *Console) signIn(w http.ResponseWriter, r *http.Request) error {
	if err := r.ParseForm(); err != nil {
		return formError(err)
	}
	next, given := localPath(r.PostForm.Get("next")), strings.TrimSpace(r.PostForm.Get("token"))
	again := func(status int, problem string) error {
		return c.render(w, r, status, &page{name: "sign-in", title: "Sign in", data: signInPage{next, problem}})
	}
	if given == "" {
		return again(http.StatusUnprocessableEntity, "Enter the admin token.")
	}
	token, err := c.d.Edge.SignIn(r, given)
	if err != nil {
		problem := edge.ProblemOf(r.Context(), err)
		edge.Of(r.Context()).Failed(problem, err)
		problem.SetHeaders(w.Header(), err)
		text := "This token is not valid."
		if problem.Status == http.StatusTooManyRequests {
			text = "Too many wrong tokens from this address. Wait a minute."
		}
		return again(problem.Status, text)
	}
	edge.Of(r.Context()).Token = token.Name
	_, cookie := newSession(token, time.Now())
	c.d.Edge.RecordAct(c.d.Acts, "", "", w, r, c.handler(func(w http.ResponseWriter, r *http.Request) error {
		setCookie(w, r, cookie, int(sessionTime/time.Second))
		return redirect(w, orHere(next))
	}))
	return nil
}

func (c *Console) signOut(w http.ResponseWriter, r *http.Request) error {
	if err := checkForm(r); err != nil {
		return err
	}
	setCookie(w, r, "", -1)
	return redirect(w, "sign-in")
}

// setCookie sets the cookie of the session. It has no path, so that browsers send it to the
// folder of the form, which is the console, even behind a path of a proxy.
func setCookie(w http.ResponseWriter, r *http.Request, value string, maxAge int) {
	http.SetCookie(w, &http.Cookie{Name: sessionCookie, Value: value, MaxAge: maxAge, HttpOnly: true,
		SameSite: http.SameSiteStrictMode, Secure: behindTLS(r)})
}

// behindTLS reports whether the browser speaks TLS, to this process or to a proxy before it.
// A client that sends the header itself only protects its own cookie.
func behindTLS(r *http.Request) bool {
	return r.TLS != nil || strings.EqualFold(r.Header.Get("X-Forwarded-Proto"), "https")
}

// redirect leads to another page by GET. to is relative.
func redirect(w http.ResponseWriter, to string) error {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Location", to)
	w.WriteHeader(http.StatusSeeOther)
	return nil
}

// formError is the error of a form that cannot be read.
func formError(err error) error {
	var tooLong *http.MaxBytesError
	if errors.As(err, &tooLong) {
		return err
	}
	return &edge.Refusal{Reason: edge.Malformed, Detail: "the form cannot be read", Err: err}
}
