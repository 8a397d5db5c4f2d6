package api

import (
	"math"
	"net/http"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// wantsKey wants an app's key, where apps have keys, notes whose it is, and holds
// each key to its rate.
func (a *api) wantsKey() func(http.Handler) http.Handler {
	if a.d.APIKeys == nil {
		return func(next http.Handler) http.Handler { return next }
	}
	keys, rates := credentialSet{a.d.APIKeys, a.d.RenewAPIKeys}, newRates(a.o.KeyRate)
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			key := keyOf(r)
			if key == "" {
				fail(w, r, refuse(unauthenticated, "send the header X-Api-Key: KEY, or Authorization: Bearer KEY"))
				return
			}
			name, valid := keys.find(r.Context(), key)
			if !valid {
				a.d.SignIns.fail(r, appKey)
				fail(w, r, refuse(forbidden, "this key is not among the valid ones"))
				return
			}
			eventOf(r.Context()).call.Caller = name
			if wait := rates.wait(name, a.d.APIKeys); wait > 0 {
				fail(w, r, &refusal{reason: tooManyRequests, retryAfter: wait, detail: "this key makes more requests than it may"})
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}

// keyOf returns the key that came with a request. X-Api-Key comes first: AWS
// SDKs keep the Authorization header for their signature.
func keyOf(r *http.Request) string {
	if key := r.Header.Get("X-Api-Key"); key != "" {
		return key
	}
	return bearer(r)
}

// rates limits the requests per second of each key. A key is identified by its
// name, so that the new value after a rotation shares the allowance of the old.
type rates struct {
	limit rate.Limit
	burst int

	mu   sync.Mutex
	keys map[string]*rate.Limiter
}

func newRates(perSecond float64) *rates {
	// One second's worth may come at once, and at least one request.
	return &rates{limit: rate.Limit(perSecond), burst: int(math.Max(1, math.Ceil(perSecond))), keys: make(map[string]*rate.Limiter)}
}

// wait takes a request off a key's allowance and returns zero, or returns how
// long it takes until there is one.
func (r *rates) wait(name string, valid func() []Token) time.Duration {
	if r.limit <= 0 {
		return 0
	}
	reservation := r.of(name, valid).Reserve()
	delay := reservation.Delay()
	if delay > 0 {
		reservation.Cancel()
	}
	return delay
}

func (r *rates) of(name string, valid func() []Token) *rate.Limiter {
	r.mu.Lock()
	defer r.mu.Unlock()
	limiter := r.keys[name]
	if limiter == nil {
		r.forget(valid())
		limiter = rate.NewLimiter(r.limit, r.burst)
		r.keys[name] = limiter
	}
	return limiter
}

// forget drops the names of keys that are no longer valid.
func (r *rates) forget(valid []Token) {
	held := make(map[string]bool, len(valid))
	for _, token := range valid {
		held[token.Name] = true
	}
	for name := range r.keys {
		if !held[name] {
			delete(r.keys, name)
		}
	}
}
