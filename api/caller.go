package api

import (
	"errors"
	"net/http"
	"time"

	"gateway/internal/admission"
)

// chargedTo names who is charged for what a request holds while its caller takes
// its time: the API key, the operator's token, or else the network that the
// request comes from, as a trusted proxy tells it. The name is not for logs.
func (a *api) chargedTo(r *http.Request) string {
	e := eventOf(r.Context())
	switch {
	case e.call.Caller != "":
		return "key " + e.call.Caller
	case e.token != "":
		return "token " + e.token
	}
	return "network " + admission.Network(a.d.SignIns.Address(r))
}

// tooMany words the refusal of a Budget: 429 where it is the caller's own share
// that is used up, 503 where it is everyone's together.
func tooMany(err error, what string) error {
	if errors.Is(err, admission.ErrShare) {
		return &refusal{reason: tooManyRequests, retryAfter: time.Second, err: err,
			detail: "this caller has as many " + what + " as one caller may have"}
	}
	return &refusal{reason: unavailable, retryAfter: time.Second, err: err,
		detail: "the service has as many " + what + " as it can take"}
}
