package edge

import (
	"net/http"

	"gateway/internal/admission"
)

// permit lets a request of an app be handled. The zero permit, of all other requests,
// needs none.
type permit struct {
	limit *admission.Limit
	class admission.Class
	held  admission.Permit
}

// take takes the permit for a body of a number of bytes, unless the request has it or
// needs none.
func (q *Request) takePermit(bytes int) (err error) {
	p := &q.permit
	if p.limit == nil || p.held.Held() {
		return nil
	}
	p.held, err = p.limit.Enter(q.Call.Caller, p.class, bytes)
	return err
}

// maxUnread is how much of the body of a refused request is read, so that the
// connection can be used again.
const maxUnread = 16 << 10

// Limited refuses requests of a class while there is overload; package admission
// decides. It is for the routes of apps only, because operators must reach an
// overloaded gateway.
//
// A request is refused before its body is read. It takes its permit when its body has
// been read (ReadBody), because a body may come slowly, and returns it when its
// response begins, because a response may be read slowly.
func (e *Edge) Limited(class admission.Class) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			q := Of(r.Context())
			if err := e.limit.Check(q.Call.Caller, class); err != nil {
				if r.ContentLength < 0 || r.ContentLength > maxUnread {
					// Otherwise net/http reads the body before it sends the response.
					w.Header().Set("Connection", "close")
				}
				Fail(w, r, err)
				return
			}
			q.permit = permit{limit: e.limit, class: class}
			q.response.permit = &q.permit.held
			defer func() { q.permit.held.Leave() }()
			next.ServeHTTP(w, r)
		})
	}
}
