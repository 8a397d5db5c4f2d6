package edge

import (
	"math"
	"net/http"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// RequireKey passes on requests with a valid API key within the rate of that key, and
// notes the name of the key. Without Deps.APIKeys it passes on all requests.
func (e *Edge) RequireKey(next http.Handler) http.Handler {
	if e.d.APIKeys == nil {
		return next
	}
	keys := credentials{e.d.APIKeys, e.d.RenewAPIKeys}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		key := keyOf(r)
		if key == "" {
			Fail(w, r, Refuse(Unauthenticated, "send the header X-Api-Key: KEY, or Authorization: Bearer KEY"))
			return
		}
		name, valid := keys.find(r.Context(), key)
		if !valid {
			e.d.SignIns.fail(r, appKey, e.d.SignIns.headers)
			Fail(w, r, Refuse(Forbidden, "this key is not among the valid ones"))
			return
		}
		Of(r.Context()).Call.Caller = name
		if wait := e.rates.wait(name, e.d.APIKeys); wait > 0 {
			Fail(w, r, &Refusal{Reason: TooManyRequests, RetryAfter: wait, Detail: "this key makes more requests than it may"})
			return
		}
		next.ServeHTTP(w, r)
	})
}

// keyOf returns the key of a request. X-Api-Key has precedence, because AWS SDKs use
// the Authorization header for their signature.
func keyOf(r *http.Request) string {
	if key := r.Header.Get("X-Api-Key"); key != "" {
		return key
	}
	return bearer(r)
}

// keyRates limits the requests per second of each key. A key is identified by its
// name, so that the new value after a rotation shares the allowance of the old one.
type keyRates struct {
	limit rate.Limit
	burst int

	mu   sync.Mutex
	keys map[string]*rate.Limiter
}

func newKeyRates(perSecond float64) *keyRates {
	// The burst is the allowance of one second, and at least one request.
	return &keyRates{limit: rate.Limit(perSecond), burst: int(math.Max(1, math.Ceil(perSecond))), keys: make(map[string]*rate.Limiter)}
}

// wait charges a request to the allowance of a key and returns zero. If the allowance
// is spent, it charges nothing and returns the time until a request is allowed.
func (r *keyRates) wait(name string, valid func() []Token) time.Duration {
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

func (r *keyRates) of(name string, valid func() []Token) *rate.Limiter {
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
func (r *keyRates) forget(valid []Token) {
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
