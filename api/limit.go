package api

import (
	"bytes"
	"io"
	"net/http"
	"sync/atomic"
	"time"

	"gateway/internal/overload"
)

// place is what a request of an app needs while it is handled. It belongs to
// the request's event; the zero place, of all other requests, needs none.
type place struct {
	limit *overload.Limit
	class overload.Class
	held  overload.Place
}

// enter takes a place, unless the request has one or needs none.
func (e *event) enter(class overload.Class, size int) (err error) {
	p := &e.place
	if p.limit == nil || p.held.Held() {
		return nil
	}
	p.held, err = p.limit.Enter(e.apiKey, class, size)
	return err
}

// limited sheds load (package overload says when). It guards the apps' routes
// only, for an overloaded gateway must still be seen and steered. A request
// that would be refused is refused before its body is read; one that is not
// takes its place when its body has come, because a body may take its time.
func (a *api) limited(class overload.Class) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			e := eventOf(r.Context())
			if err := a.limit.Check(e.apiKey, class); err != nil {
				if r.ContentLength < 0 || r.ContentLength > unreadMax {
					// Else net/http reads the body first, and answers then.
					w.Header().Set("Connection", "close")
				}
				fail(w, r, err)
				return
			}
			e.place = place{limit: a.limit, class: class}
			defer func() { e.place.held.Leave() }()
			next.ServeHTTP(w, r)
		})
	}
}

const (
	// unreadMax is how much of a body is read for the sake of the connection
	// although the request is refused. It is there already, most likely.
	unreadMax = 16 << 10
	// smallBody is what is read of any body without asking what else is on its
	// way. Connections are bounded, and so is what they hold in this way.
	smallBody = 16 << 10
	// largeBodies bounds the rest of the bodies that are on their way.
	largeBodies = 64 << 20
)

// bodies counts the bytes of large bodies that are being read.
type bodies struct{ onTheWay atomic.Int64 }

func (b *bodies) take(size int64) bool {
	if b.onTheWay.Add(size) > largeBodies {
		b.onTheWay.Add(-size)
		return false
	}
	return true
}

// readBody reads a body of at most so many bytes, and takes the request's place.
func (a *api) readBody(w http.ResponseWriter, r *http.Request, text *bytes.Buffer, most int64) error {
	if r.ContentLength > most {
		return &http.MaxBytesError{Limit: most}
	}
	if r.ContentLength > 0 && r.ContentLength <= smallBody { // then the server reads no more than that
		text.Grow(int(r.ContentLength) + bytes.MinRead) // so that ReadFrom need not grow
		if _, err := text.ReadFrom(r.Body); err != nil {
			return bodyError(err)
		}
	} else if err := a.readLarge(w, r, text, most); err != nil {
		return err
	}
	e := eventOf(r.Context())
	return e.enter(e.place.class, text.Len())
}

// readLarge reads a body that is large, or of unknown size. Once it turns out
// to be large it needs its share of largeBodies.
func (a *api) readLarge(w http.ResponseWriter, r *http.Request, text *bytes.Buffer, most int64) error {
	body := http.MaxBytesReader(connection(w), r.Body, most)
	n, err := text.ReadFrom(io.LimitReader(body, smallBody))
	if err != nil {
		return bodyError(err)
	}
	if n < smallBody {
		return nil
	}
	expected := most
	if r.ContentLength > 0 {
		expected = r.ContentLength
	}
	if !a.bodies.take(expected) {
		w.Header().Set("Connection", "close")
		e := eventOf(r.Context())
		return a.limit.RefuseBody(e.apiKey, e.place.class, time.Second)
	}
	defer a.bodies.onTheWay.Add(-expected)
	if r.ContentLength > 0 {
		text.Grow(int(expected-n) + bytes.MinRead)
	}
	if _, err := text.ReadFrom(body); err != nil {
		return bodyError(err)
	}
	return nil
}
