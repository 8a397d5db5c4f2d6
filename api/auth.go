package api

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"strings"
	"time"
)

// Token is an operator's token, or an app's key, under the name that logs and
// the audit log know it by.
type Token struct{ Name, Value string }

// renewTime is how long a caller whose token is unknown waits for a look
// whether there are newer ones.
const renewTime = 2 * time.Second

// holders knows whose a token or key is. Both may change at any time.
type holders struct {
	valid func() []Token
	renew func(context.Context) // may be nil
}

// find names the holder of the token that was given. Before it says that there
// is none it looks for newer ones: whoever rotates tokens may use the new one
// at once.
func (h holders) find(ctx context.Context, given string) (name string, valid bool) {
	if name, valid = holder(h.valid(), given); valid || h.renew == nil {
		return name, valid
	}
	ctx, cancel := context.WithTimeout(ctx, renewTime)
	defer cancel()
	h.renew(ctx)
	return holder(h.valid(), given)
}

// authorized wants one of the tokens that are valid now, and notes whose it is.
func authorized(tokens holders) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			token := bearer(r)
			if token == "" {
				fail(w, r, refuse(unauthenticated, "send the header Authorization: Bearer TOKEN"))
				return
			}
			name, valid := tokens.find(r.Context(), token)
			if !valid {
				fail(w, r, refuse(forbidden, "this token is not among the valid ones"))
				return
			}
			eventOf(r.Context()).token = name
			next.ServeHTTP(w, r)
		})
	}
}

// bearer returns the token of the Authorization header, if it has one.
func bearer(r *http.Request) string {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}

// holder names the token that was given. It compares with every one, and hashes
// first, so that the time it takes tells neither which one is close nor how
// long it is. An empty token in the list opens nothing, for none is ever given.
func holder(tokens []Token, given string) (name string, valid bool) {
	sum := sha256.Sum256([]byte(given))
	for _, token := range tokens {
		known := sha256.Sum256([]byte(token.Value))
		if subtle.ConstantTimeCompare(sum[:], known[:]) == 1 {
			name, valid = token.Name, true
		}
	}
	return name, valid
}
