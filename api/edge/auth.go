package edge

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"strings"
	"time"
)

// Token is an operator's token or an app's API key. Name is what the log and the audit
// log call it.
type Token struct{ Name, Value string }

// maxRenewTime is how long a request with an unknown token waits until newer tokens
// have been read.
const maxRenewTime = 2 * time.Second

// credentials are the tokens or keys that are valid. They may change at any time.
type credentials struct {
	valid func() []Token
	renew func(context.Context) // may be nil
}

// find returns the name of the token that was given. If the token is unknown, it reads
// the secret again first, so that a new token can be used as soon as it is stored.
func (c credentials) find(ctx context.Context, given string) (name string, valid bool) {
	if name, valid = nameOf(c.valid(), given); valid || c.renew == nil {
		return name, valid
	}
	ctx, cancel := context.WithTimeout(ctx, maxRenewTime)
	defer cancel()
	c.renew(ctx)
	return nameOf(c.valid(), given)
}

// RequireToken passes on requests with a valid operator token, and notes its name.
func (e *Edge) RequireToken(next http.Handler) http.Handler {
	tokens := credentials{e.d.Tokens, e.d.RenewTokens}
	if tokens.valid == nil {
		tokens.valid = func() []Token { return nil }
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token := bearer(r)
		if token == "" {
			Fail(w, r, Refuse(Unauthenticated, "send the header Authorization: Bearer TOKEN"))
			return
		}
		name, valid := tokens.find(r.Context(), token)
		if !valid {
			Fail(w, r, e.d.SignIns.refuse(r))
			return
		}
		Of(r.Context()).Token = name
		next.ServeHTTP(w, r)
	})
}

// bearer returns the token of the Authorization header, if it has one.
func bearer(r *http.Request) string {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}

// nameOf returns the name of the token that was given. It compares the hashes of
// all tokens in constant time, so that the time it takes reveals neither which
// token is similar nor how long it is. The caller never passes an empty token.
func nameOf(tokens []Token, given string) (name string, valid bool) {
	sum := sha256.Sum256([]byte(given))
	for _, token := range tokens {
		known := sha256.Sum256([]byte(token.Value))
		if subtle.ConstantTimeCompare(sum[:], known[:]) == 1 {
			name, valid = token.Name, true
		}
	}
	return name, valid
}
