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
	token, valid := c.look(ctx, equals(given))
	return token.Name, valid
}

// look returns the token that is accepted, and reads the secret again if none is.
func (c credentials) look(ctx context.Context, accept func(value string) bool) (token Token, valid bool) {
	if token, valid = tokenOf(c.valid(), accept); valid || c.renew == nil {
		return token, valid
	}
	ctx, cancel := context.WithTimeout(ctx, maxRenewTime)
	defer cancel()
	c.renew(ctx)
	return tokenOf(c.valid(), accept)
}

// operators returns the credentials of operators.
func (e *Edge) operators() credentials {
	tokens := credentials{e.d.Tokens, e.d.RenewTokens}
	if tokens.valid == nil {
		tokens.valid = func() []Token { return nil }
	}
	return tokens
}

// OperatorToken returns the operator's token whose value is accepted. accept is called
// for every valid token, and must take the same time for each. If none is accepted, the
// secret is read again first, within a bounded rate.
func (e *Edge) OperatorToken(ctx context.Context, accept func(value string) bool) (token Token, valid bool) {
	return e.operators().look(ctx, accept)
}

// SignIn returns the operator's token that a form of the console has sent. An unknown one
// is counted as a failed sign-in; the error is a *Refusal: Forbidden, or TooManyRequests
// after ten of an address within a minute.
func (e *Edge) SignIn(r *http.Request, given string) (Token, error) {
	token, valid := e.operators().look(r.Context(), equals(given))
	if !valid {
		return Token{}, e.d.SignIns.refuse(r, e.d.SignIns.forms)
	}
	return token, nil
}

// RequireToken passes on requests with a valid operator token, and notes its name.
func (e *Edge) RequireToken(next http.Handler) http.Handler {
	tokens := e.operators()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token := bearer(r)
		if token == "" {
			Fail(w, r, Refuse(Unauthenticated, "send the header Authorization: Bearer TOKEN"))
			return
		}
		name, valid := tokens.find(r.Context(), token)
		if !valid {
			Fail(w, r, e.d.SignIns.refuse(r, e.d.SignIns.headers))
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

// equals returns a function that compares a token with the one that was given. It compares
// their hashes in constant time, so that the time it takes reveals neither how similar a
// token is nor how long. given must not be empty.
func equals(given string) func(value string) bool {
	sum := sha256.Sum256([]byte(given))
	return func(value string) bool {
		known := sha256.Sum256([]byte(value))
		return subtle.ConstantTimeCompare(sum[:], known[:]) == 1
	}
}

// tokenOf returns the token whose value is accepted. It tries all of them.
func tokenOf(tokens []Token, accept func(value string) bool) (found Token, valid bool) {
	for _, token := range tokens {
		if accept(token.Value) {
			found, valid = token, true
		}
	}
	return found, valid
}
