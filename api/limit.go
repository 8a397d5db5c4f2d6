package api

import (
	"bytes"
	"io"
	"net/http"

	"gateway/internal/admission"
)

// place is what a request of an app needs while it is handled. It belongs to
// the request's event; the zero place, of all other requests, needs none.
type place struct {
	limit *admission.Limit
	class admission.Class
	held  admission.Permit
}

// enter takes a place, unless the request has one or needs none.
func (e *event) enter(class admission.Class, size int) (err error) {
	p := &e.place
	if p.limit == nil || p.held.Held() {
		return nil
	}
	p.held, err = p.limit.Enter(e.call.Caller, class, size)
	return err
}

// limited sheds load (package overload says when). It guards the apps' routes
// only, for an overloaded gateway must still be seen and steered. A request
// that would be refused is refused before its body is read; one that is not
// takes its place when its body has come, because a body may take its time, and
// gives it back when its answer begins, because a reader may take its time too.
func (a *api) limited(class admission.Class) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			e := eventOf(r.Context())
			if err := a.limit.Check(e.call.Caller, class); err != nil {
				if r.ContentLength < 0 || r.ContentLength > unreadMax {
					// Else net/http reads the body first, and answers then.
					w.Header().Set("Connection", "close")
				}
				fail(w, r, err)
				return
			}
			e.place = place{limit: a.limit, class: class}
			e.out.place = &e.place.held
			defer func() { e.place.held.Leave() }()
			next.ServeHTTP(w, r)
		})
	}
}

const (
	// unreadMax is how much of a body is read for the sake of the connection
	// although the request is refused. It is there already, most likely.
	unreadMax = 16 << 10
	// smallBody is what is read of any body without charging its memory.
	// Connections are bounded, and so is what they hold in this way.
	smallBody = 16 << 10
)

// readBody reads a body of at most most bytes, and takes the request's permit.
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

// readLarge reads a body that is large, or of unknown size. What it holds in
// memory grows with what has come, so that a caller who announces much and
// sends little holds little.
func (a *api) readLarge(w http.ResponseWriter, r *http.Request, text *bytes.Buffer, most int64) error {
	body := http.MaxBytesReader(connection(w), r.Body, most)
	expected := most
	if r.ContentLength > 0 {
		expected = r.ContentLength
	}
	for room := int64(smallBody); ; room = 2 * room {
		room = min(room, expected)
		if room > smallBody {
			if err := a.hold(r, bodyCost*room); err != nil {
				w.Header().Set("Connection", "close")
				return err
			}
		}
		wanted := room - int64(text.Len())
		growTo(text, int(room)+bytes.MinRead) // so that ReadFrom need not grow
		n, err := text.ReadFrom(io.LimitReader(body, wanted))
		switch {
		case err != nil:
			return bodyError(err)
		case n < wanted:
			return nil
		case room == expected:
			return a.endOfBody(text, body)
		}
	}
}

// growTo gives a buffer a capacity. Unlike Grow it gives no more than that.
func growTo(text *bytes.Buffer, capacity int) {
	if text.Cap() < capacity {
		*text = *bytes.NewBuffer(append(make([]byte, 0, capacity), text.Bytes()...))
	}
}

// endOfBody finds that a body of which all that may come has come has no more.
func (a *api) endOfBody(text *bytes.Buffer, body io.Reader) error {
	if _, err := text.ReadFrom(body); err != nil {
		return bodyError(err)
	}
	return nil
}
