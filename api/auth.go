package api

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"strings"
)

// Token is an operator's token, under the name that logs and the audit log
// know it by.
type Token struct{ Name, Value string }

// authorized wants one of the tokens that are valid now, and notes whose it
// is. Tokens may change at any time, so they are asked for on every request.
func authorized(tokens func() []Token) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
			token = strings.TrimSpace(token)
			if !strings.EqualFold(scheme, "Bearer") || token == "" {
				fail(w, r, refuse(unauthenticated, "send the header Authorization: Bearer TOKEN"))
				return
			}
			name, valid := holder(tokens(), token)
			if !valid {
				fail(w, r, refuse(forbidden, "this token is not among the valid ones"))
				return
			}
			eventOf(r.Context()).token = name
			next.ServeHTTP(w, r)
		})
	}
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
