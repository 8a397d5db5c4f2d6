package console

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"net/http"
	"net/url"
	"strings"
	"time"

	"gateway/api/edge"
)

const (
	sessionCookie = "gateway_session"
	// sessionTime is how long a session lasts if its token stays valid.
	sessionTime = 12 * time.Hour
	nonceSize   = 16
	sessionSize = 8 + nonceSize + sha256.Size
)

// session is what a cookie proves. The cookie is the time at which the session ends, a
// random number, and an HMAC of both under the operator's token. No replica stores it.
type session struct {
	token   string // name of the operator's token
	form    string // token that the session's forms must have
	expires time.Time
}

// newSession returns a session of a token and the value of its cookie.
func newSession(token edge.Token, now time.Time) (s *session, cookie string) {
	text := make([]byte, 8+nonceSize, sessionSize)
	expires := now.Add(sessionTime)
	binary.BigEndian.PutUint64(text, uint64(expires.Unix()))
	_, _ = rand.Read(text[8:]) // it never returns an error
	cookie = base64.RawURLEncoding.EncodeToString(append(text, signature(token.Value, "session", text)...))
	return sessionOf(token, text), cookie
}

// sessionOf returns the session of a cookie without its signature.
func sessionOf(token edge.Token, text []byte) *session {
	return &session{
		token:   token.Name,
		form:    base64.RawURLEncoding.EncodeToString(signature(token.Value, "form", text)),
		expires: time.Unix(int64(binary.BigEndian.Uint64(text)), 0),
	}
}

// signature is an HMAC under an operator's token. use keeps the signatures of different
// things apart.
func signature(key, use string, text []byte) []byte {
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte("gateway console " + use + "\n"))
	mac.Write(text)
	return mac.Sum(nil)
}

// session returns the session of a request, nil for none that is valid.
func (c *Console) session(r *http.Request) *session {
	cookie, err := r.Cookie(sessionCookie)
	if err != nil {
		return nil
	}
	value, err := base64.RawURLEncoding.DecodeString(cookie.Value)
	if err != nil || len(value) != sessionSize {
		return nil
	}
	text, given := value[:8+nonceSize], value[8+nonceSize:]
	if !time.Now().Before(time.Unix(int64(binary.BigEndian.Uint64(text)), 0)) {
		return nil
	}
	token, valid := c.d.Edge.OperatorToken(r.Context(), func(key string) bool {
		return hmac.Equal(given, signature(key, "session", text))
	})
	if !valid {
		return nil
	}
	return sessionOf(token, text)
}

type sessionKey struct{}

// ofSession returns the session that signedIn has found.
func ofSession(ctx context.Context) *session {
	s, _ := ctx.Value(sessionKey{}).(*session)
	return s
}

// signedIn passes on requests with a valid session. Others are led to the form for signing
// in, which leads back; a form without a session is refused, because it would be lost.
func (c *Console) signedIn(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s := c.session(r)
		switch {
		case s != nil:
			edge.Of(r.Context()).Token = s.token
			next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), sessionKey{}, s)))
		case r.Method == http.MethodGet || r.Method == http.MethodHead:
			w.Header().Set("Cache-Control", "no-store")
			w.Header().Set("Location", root(r)+"sign-in?next="+url.QueryEscape(here(r)))
			w.WriteHeader(http.StatusSeeOther)
		default:
			c.fail(w, r, edge.Refuse(edge.Unauthenticated, "the session has ended: sign in again"))
		}
	})
}

// prefix is the path of the console.
const prefix = "/console/"

// here returns the path of a request below the console, and its query.
func here(r *http.Request) string {
	at := strings.TrimPrefix(r.URL.EscapedPath(), prefix)
	if r.URL.RawQuery != "" {
		at += "?" + r.URL.RawQuery
	}
	return at
}

// root returns the relative path from the page of a request to the console: "", "../" and
// so on.
func root(r *http.Request) string {
	return strings.Repeat("../", strings.Count(strings.TrimPrefix(r.URL.EscapedPath(), prefix), "/"))
}

// localPath returns a path below the console that a query or form has sent, or "" for
// anything that could lead elsewhere.
func localPath(given string) string {
	at, err := url.Parse(given)
	if err != nil || at.IsAbs() || at.Host != "" || at.User != nil || strings.HasPrefix(given, "/") ||
		strings.ContainsAny(given, "\\\r\n\t") || strings.Contains("/"+at.Path+"/", "/../") || strings.Contains(at.Path, ":") {
		return ""
	}
	return given
}
