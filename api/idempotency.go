package api

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path"
	"time"

	"gateway/api/edge"
	"gateway/internal/idempotency"
)

const (
	// IdempotencyKey is the header under which a request is handled once.
	IdempotencyKey = "Idempotency-Key"
	// replayedHeader marks an answer that was given before.
	replayedHeader = "Idempotent-Replayed"
	// unstoredHeader marks one that could not be kept: a repetition of the
	// request will be handled anew.
	unstoredHeader = "Idempotent-Unstored"
)

// predictKeys say how long a prediction may wait because of its key. The store
// of keys is a database, and predictions go on without one: what it has not
// answered within half of the time is done without it.
func (o *Options) predictKeys() idempotency.Limits {
	return idempotency.Limits{Handle: o.PredictTimeout, Store: o.PredictTimeout / 2, Optional: true}
}

var (
	// An outcome counts once however often it is sent, so it needs no guard.
	outcomeKeys = idempotency.Limits{Handle: storeTimeout, Store: storeTimeout * 3 / 4, Optional: true}
	retrainKeys = idempotency.Limits{Handle: storeTimeout, Store: storeTimeout * 3 / 4}
)

// keyed lets a request with an Idempotency-Key be repeated: who sends the same
// body again gets the same answer. A request without the header passes through.
func (a *api) keyed(limits idempotency.Limits, next edge.Handler) edge.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		given := r.Header[IdempotencyKey]
		if len(given) == 0 {
			return next(w, r)
		}
		key, err := parseKey(given)
		if err != nil {
			return err
		}
		body, err := a.bufferBody(w, r)
		if err != nil {
			return err
		}
		deadline := time.Now().Add(limits.Handle)
		ctx, cancel := context.WithDeadline(r.Context(), deadline)
		defer cancel()
		q := edge.Of(ctx)
		var held *heldAnswer
		answer, outcome, err := a.d.Keys.Do(ctx,
			idempotency.Request{Scope: edge.RouteOf(r), Caller: callerOf(r), Owner: a.ownerOf(r), Key: key, Body: body}, limits,
			func(subject string) (idempotency.Answer, bool) {
				q.Subject = subject
				// A caller who leaves now will ask again, and wants to hear how it ended.
				ctx, cancel := context.WithDeadline(context.WithoutCancel(r.Context()), deadline)
				defer cancel()
				held = &heldAnswer{ResponseWriter: w}
				next.ServeHTTP(held, withBody(r.WithContext(ctx), body))
				return held.answer()
			})
		q.Idempotency = string(outcome)
		h := w.Header()
		switch {
		case limits.Optional && (errors.Is(err, idempotency.ErrUnavailable) || errors.Is(err, idempotency.ErrFull)):
			q.Idempotency = string(idempotency.Unstored)
			h.Set(unstoredHeader, "true")
			err := next(w, withBody(r.WithContext(ctx), body))
			if err != nil {
				h.Del(unstoredHeader) // a request that failed may be tried again anyway
			}
			return err
		case err != nil:
			return keyProblem(err)
		case outcome == idempotency.Replayed:
			if err := a.holdReplay(r, body, answer.Body); err != nil {
				return err
			}
			h.Set(replayedHeader, "true")
			if answer.Location != "" {
				h.Set("Location", answer.Location)
				q.Target = path.Base(answer.Location)
			}
			edge.Write(w, answer.Status, answer.ContentType, answer.Body)
			return nil
		case outcome == idempotency.Unstored && held.status < http.StatusBadRequest:
			h.Set(unstoredHeader, "true")
		}
		held.send()
		return nil
	}
}

// parseKey reads the header. One that is empty, as of a variable that a script
// forgot to set, must not mean the same as none.
func parseKey(given []string) (string, error) {
	if len(given) > 1 {
		return "", edge.Refuse(edge.Malformed, "the header %s is there %d times", IdempotencyKey, len(given))
	}
	key, err := idempotency.ParseKey(given[0])
	if err != nil {
		return "", edge.Refuse(edge.Malformed, "the header %s: %v", IdempotencyKey, err)
	}
	return key, nil
}

// callerOf returns whose key it is: the name of the operator's token or of the
// app's API key, if one was valid, and "" if the route needs none. No route takes
// both.
func callerOf(r *http.Request) string {
	q := edge.Of(r.Context())
	return cmp.Or(q.Token, q.Call.Caller)
}

// ownerOf names who is charged for a key. It is stored, so it is no address:
// networks are told apart by 16 bits of a hash, which also bounds their number.
func (a *api) ownerOf(r *http.Request) string {
	if callerOf(r) != "" {
		return a.edge.ChargedTo(r)
	}
	sum := sha256.Sum256([]byte(a.edge.ChargedTo(r)))
	return fmt.Sprintf("network %x", sum[:2])
}

// keyProblem words what the guard refused.
func keyProblem(err error) error {
	switch {
	case errors.Is(err, idempotency.ErrReused):
		return edge.Refuse(edge.KeyReused, "another request was sent with this %s; a new request needs a new key", IdempotencyKey)
	case errors.Is(err, idempotency.ErrInProgress):
		return &edge.Refusal{Reason: edge.InProgress, RetryAfter: time.Second, Err: err,
			Detail: "the first request with this " + IdempotencyKey + " is still being handled"}
	case errors.Is(err, idempotency.ErrUnavailable):
		return &edge.Refusal{Reason: edge.Unavailable, RetryAfter: time.Second, Err: err,
			Detail: "the service cannot see at the moment whether this request was sent before"}
	}
	return err
}

// bufferBody reads the whole body, for a handler that will read it again.
func (a *api) bufferBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	var body bytes.Buffer
	if err := a.edge.ReadBody(w, r, &body, a.o.MaxBody); err != nil {
		return nil, err
	}
	return body.Bytes(), nil
}

// withBody is the request with a body that can be read from its start.
func withBody(r *http.Request, body []byte) *http.Request {
	again := r.WithContext(r.Context()) // a copy
	again.Body, again.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	return again
}

// heldAnswer keeps an answer back until it is stored: else a caller could have
// one that a repetition does not get.
type heldAnswer struct {
	http.ResponseWriter
	status int
	body   bytes.Buffer
}

// WriteHeader notes the status.
func (h *heldAnswer) WriteHeader(status int) {
	if h.status == 0 {
		h.status = status
	}
}

func (h *heldAnswer) Write(p []byte) (int, error) {
	h.WriteHeader(http.StatusOK)
	return h.body.Write(p)
}

// answer is what is to be stored, and whether it is worth that: an answer that
// follows from the request. What follows from the state of the service, such as
// an unknown customer or a renewal that is in the way, may be another one the
// next time, and nothing was done.
func (h *heldAnswer) answer() (idempotency.Answer, bool) {
	h.WriteHeader(http.StatusOK)
	keep := h.status < 300 || h.status == http.StatusBadRequest || h.status == http.StatusUnprocessableEntity
	header := h.Header()
	return idempotency.Answer{Status: h.status, ContentType: header.Get("Content-Type"), Location: header.Get("Location"),
		Body: h.body.Bytes()}, keep
}

func (h *heldAnswer) send() {
	h.ResponseWriter.WriteHeader(h.status)
	_, _ = h.ResponseWriter.Write(h.body.Bytes()) // a caller who has gone is seen by net/http
}
