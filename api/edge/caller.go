package edge

import (
	"errors"
	"net/http"
	"time"

	"gateway/internal/admission"
)

// ChargedTo names the caller who is charged for what a request holds at the caller's
// pace: the API key, else the operator's token, else the client's network. The name
// may contain an address, so it must not be logged.
func (e *Edge) ChargedTo(r *http.Request) string {
	q := Of(r.Context())
	switch {
	case q.Call.Caller != "":
		return "key " + q.Call.Caller
	case q.Token != "":
		return "token " + q.Token
	}
	return "network " + admission.Network(e.Address(r))
}

// TooMany returns the refusal for an error of an admission.Budget: 429 if the caller
// has its share, 503 if all callers together have all there is. What is plural, such
// as "exports".
func TooMany(err error, what string) error {
	if errors.Is(err, admission.ErrShare) {
		return &Refusal{Reason: TooManyRequests, RetryAfter: time.Second, Err: err,
			Detail: "this caller has as many " + what + " as one caller may have"}
	}
	return &Refusal{Reason: Unavailable, RetryAfter: time.Second, Err: err,
		Detail: "the service has as many " + what + " as it can take"}
}

// Address returns the IP address of the client that sent a request; see SignIns.
func (e *Edge) Address(r *http.Request) string { return e.d.SignIns.Address(r) }
