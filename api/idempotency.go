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
	// IdempotencyKey is the header that makes a request be handled once.
	IdempotencyKey = "Idempotency-Key"
	// replayedHeader marks a stored response to an earlier request.
	replayedHeader = "Idempotent-Replayed"
	// unstoredHeader marks a response that could not be stored. A repetition of the
	// request is handled again.
	unstoredHeader = "Idempotent-Unstored"
)

// predictKeys are the limits of a prediction with a key. Predictions do not depend on the
// database, which stores the keys: if it has not answered within half of the time, the
// prediction is made without the key.
func (o *Options) predictKeys() idempotency.Limits {
	return idempotency.Limits{Handle: o.PredictTimeout, Store: o.PredictTimeout / 2, Optional: true}
}

var (
	// The ledger counts a repeated outcome once, so the key is optional.
	outcomeKeys = idempotency.Limits{Handle: storeTimeout, Store: storeTimeout * 3 / 4, Optional: true}
	retrainKeys = idempotency.Limits{Handle: storeTimeout, Store: storeTimeout * 3 / 4}
)

// keyed makes a request with an Idempotency-Key repeatable: a request with the same key and
// body gets the same response. A request without the header is passed on.
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
		answer, result, err := a.d.Keys.Do(ctx,
			idempotency.Request{Scope: edge.RouteOf(r), Caller: callerOf(r), Owner: a.ownerOf(r), Key: key, Body: body}, limits,
			func(subject string) (idempotency.Answer, bool) {
				q.Subject = subject
				// A caller who leaves now repeats the request later, and then gets the response.
				ctx, cancel := context.WithDeadline(context.WithoutCancel(r.Context()), deadline)
				defer cancel()
				held = &heldAnswer{ResponseWriter: w}
				next.ServeHTTP(held, withBody(r.WithContext(ctx), body))
				return held.answer()
			})
		q.Idempotency = string(result)
		h := w.Header()
		switch {
		case limits.Optional && (errors.Is(err, idempotency.ErrUnavailable) || errors.Is(err, idempotency.ErrFull)):
			q.Idempotency = string(idempotency.Unstored)
			h.Set(unstoredHeader, "true")
			err := next(w, withBody(r.WithContext(ctx), body))
			if err != nil {
				h.Del(unstoredHeader) // a failed request may be repeated with or without a stored response
			}
			return err
		case err != nil:
			return keyProblem(err)
		case result == idempotency.Replayed:
			if err := a.holdReplay(r, body, answer.Body); err != nil {
				return err
			}
			h.Set(replayedHeader, "true")
			if answer.Location != "" {
				h.Set("Location", answer.Location)
				q.Target = path.Base(answer.Location)
			}
			if answer.Unexplained != "" {
				h.Set(ExplainUnavailable, answer.Unexplained)
			}
			edge.Write(w, answer.Status, answer.ContentType, answer.Body)
			return nil
		case result == idempotency.Unstored && held.status < http.StatusBadRequest:
			h.Set(unstoredHeader, "true")
		}
		held.send()
		return nil
	}
}

// parseKey returns the key of the header. An empty header, as from an unset variable of a
// script, is an error, because it must not mean the same as no header.
func parseKey(given []string) (string, error) {
	if len(given) > 1 {
		return "", edge.Refuse(edge.Malformed, "the header %s is given %d times", IdempotencyKey, len(given))
	}
	key, err := idempotency.ParseKey(given[0])
	if err != nil {
		return "", edge.Refuse(edge.Malformed, "the header %s: %v", IdempotencyKey, err)
	}
	return key, nil
}

// callerOf returns the name of the operator's token or of the app's API key, and "" if the
// route requires neither. No route takes both.
func callerOf(r *http.Request) string {
	q := edge.Of(r.Context())
	return cmp.Or(q.Token, q.Call.Caller)
}

// ownerOf names the caller that is charged for a stored key. The name is stored too, so it
// contains no address: a network is identified by 16 bits of a hash, which also bounds the
// number of names.
func (a *api) ownerOf(r *http.Request) string {
	if callerOf(r) != "" {
		return a.edge.ChargedTo(r)
	}
	sum := sha256.Sum256([]byte(a.edge.ChargedTo(r)))
	return fmt.Sprintf("network %x", sum[:2])
}

// keyProblem returns the error to answer for an error of the guard.
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

// bufferBody reads the whole body, so that withBody can pass it to a handler.
func (a *api) bufferBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	var body bytes.Buffer
	if err := a.edge.ReadBody(w, r, &body, a.o.MaxBody); err != nil {
		return nil, err
	}
	return body.Bytes(), nil
}

// withBody returns the request with another body.
func withBody(r *http.Request, body []byte) *http.Request {
	again := r.WithContext(r.Context()) // a copy
	again.Body, again.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	return again
}

// heldAnswer holds a response until it is stored. Otherwise a caller could get a response
// that differs from the one to a repetition.
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

// answer returns the response, and whether to store it. A response that follows from the
// request is stored. A response that follows from the state of the service, such as an
// unknown customer or an unfinished renewal, may differ the next time; nothing was done, so
// the request may be handled again.
func (h *heldAnswer) answer() (idempotency.Answer, bool) {
	h.WriteHeader(http.StatusOK)
	keep := h.status < 300 || h.status == http.StatusBadRequest || h.status == http.StatusUnprocessableEntity
	header := h.Header()
	return idempotency.Answer{Status: h.status, ContentType: header.Get("Content-Type"), Location: header.Get("Location"), Unexplained: header.Get(ExplainUnavailable),
		Body: h.body.Bytes()}, keep
}

func (h *heldAnswer) send() {
	h.ResponseWriter.WriteHeader(h.status)
	_, _ = h.ResponseWriter.Write(h.body.Bytes()) // net/http notices a caller who has left
}
