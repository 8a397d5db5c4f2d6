package sandbox

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// answer is a whole response. Faults cut it up on its way out.
type answer struct {
	status int
	header http.Header
	body   []byte
}

func newAnswer(status int, contentType string, body []byte) *answer {
	a := &answer{status: status, header: http.Header{}, body: body}
	if contentType != "" {
		a.header.Set("Content-Type", contentType)
	}
	return a
}

// Error is an error of a service as it goes over the wire. It is also an
// error, so that operations return it.
type Error struct {
	Status  int
	Code    string
	Message string
	// Null sends {"message":null} and no code, as SageMaker's runtime does when
	// it throttles.
	Null bool
	// Members are further members of the body, as ModelError has them.
	Members map[string]any
}

func (e *Error) Error() string { return fmt.Sprintf("%s: %s (HTTP %d)", e.Code, e.Message, e.Status) }

// refusef is an error of HTTP status 400, which is nearly every error of the
// control planes.
func refusef(code, format string, args ...any) *Error {
	return &Error{Status: http.StatusBadRequest, Code: code, Message: fmt.Sprintf(format, args...)}
}

func validationf(format string, args ...any) *Error {
	return refusef("ValidationException", format, args...)
}

// jsonError writes e in the envelope of the JSON protocols: the code in a
// header and in __type.
func jsonError(e *Error, contentType string) *answer {
	body := map[string]any{"message": e.Message}
	if e.Null {
		body["message"] = nil
	} else {
		body["__type"] = e.Code
	}
	for name, value := range e.Members {
		body[name] = value
	}
	text, err := json.Marshal(body, json.Deterministic(true))
	if err != nil {
		panic(err) // strings and numbers of our own
	}
	a := newAnswer(e.Status, contentType, text)
	if !e.Null {
		a.header.Set("X-Amzn-ErrorType", e.Code)
	}
	return a
}

// epoch is a time in the JSON protocols: seconds since 1970, as a number.
type epoch time.Time

// MarshalJSON implements json.Marshaler.
func (t epoch) MarshalJSON() ([]byte, error) {
	return strconv.AppendFloat(nil, float64(time.Time(t).UnixMilli())/1000, 'f', 3, 64), nil
}

// at makes a time for an answer; nil for the zero time, which is left out.
func at(t time.Time) *epoch {
	if t.IsZero() {
		return nil
	}
	e := epoch(t)
	return &e
}

// decode reads a request. Members that the stand-in does not know are passed
// over, as the services do with those of newer clients.
func decode[In any](body []byte) (*In, error) {
	in := new(In)
	if len(bytes.TrimSpace(body)) == 0 {
		body = []byte("{}")
	}
	if err := json.Unmarshal(body, in, jsontext.AllowDuplicateNames(true)); err != nil {
		var e *Error // of a value that is well-formed and still wrong
		if errors.As(err, &e) {
			return nil, e
		}
		return nil, refusef("SerializationException", "%v", err)
	}
	return in, nil
}

// operation answers one call of a JSON protocol.
type operation func(s *Server, c *call, body []byte) (any, error)

// typed makes an operation of a function of a decoded request.
func typed[In, Out any](f func(*Server, *call, *In) (Out, error)) operation {
	return func(s *Server, c *call, body []byte) (any, error) {
		in, err := decode[In](body)
		if err != nil {
			return nil, err
		}
		return f(s, c, in)
	}
}

// none is the answer of operations that answer nothing.
type none struct{}
