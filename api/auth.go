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

// credentialSet finds the name of a token or key. Both may change at any time.
type credentialSet struct {
	valid func() []Token
	renew func(context.Context) // may be nil
}

// find returns the name of the token that was given. Where the token is unknown
// it reads the secret again first, so that a token may be used as soon as it has
// been rotated in.
func (h credentialSet) find(ctx context.Context, given string) (name string, valid bool) {
	if name, valid = holder(h.valid(), given); valid || h.renew == nil {
		return name, valid
	}
	ctx, cancel := context.WithTimeout(ctx, renewTime)
	defer cancel()
	h.renew(ctx)
	return holder(h.valid(), given)
}

// authorized lets requests through that carry a valid operator token, and notes
// its name.
func (a *api) authorized(tokens credentialSet) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			token := bearer(r)
			if token == "" {
				fail(w, r, refuse(unauthenticated, "send the header Authorization: Bearer TOKEN"))
				return
			}
			name, valid := tokens.find(r.Context(), token)
			if !valid {
				fail(w, r, a.d.SignIns.refuse(r))
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

// holder returns the name of the token that was given. It compares the hashes of
// all tokens in constant time, so that the time it takes reveals neither which
// token is similar nor how long it is. The caller never passes an empty token.
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
