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

// answer is a complete response. Faults may truncate it when it is sent.
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

// Error is an error of a service with its wire format. Operations return it as an error.
type Error struct {
	Status  int
	Code    string
	Message string
	// Null sends {"message":null} and no code, as SageMaker's runtime does when
	// it throttles.
	Null bool
	// Members are additional members of the body, such as those of ModelError.
	Members map[string]any
}

func (e *Error) Error() string { return fmt.Sprintf("%s: %s (HTTP %d)", e.Code, e.Message, e.Status) }

// refusef returns an error with HTTP status 400, as nearly all errors of the control planes
// have.
func refusef(code, format string, args ...any) *Error {
	return &Error{Status: http.StatusBadRequest, Code: code, Message: fmt.Sprintf(format, args...)}
}

func validationf(format string, args ...any) *Error {
	return refusef("ValidationException", format, args...)
}

// jsonError returns the answer for e in the JSON protocols: the code is in a header and in
// __type.
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
		panic(err) // the members are strings and numbers, which can be encoded
	}
	a := newAnswer(e.Status, contentType, text)
	if !e.Null {
		a.header.Set("X-Amzn-ErrorType", e.Code)
	}
	return a
}

// epoch is a time in the JSON protocols: a number of seconds since 1970.
type epoch time.Time

// MarshalJSON implements json.Marshaler.
func (t epoch) MarshalJSON() ([]byte, error) {
	return strconv.AppendFloat(nil, float64(time.Time(t).UnixMilli())/1000, 'f', 3, 64), nil
}

// at returns a time for an answer, or nil for the zero time, which is omitted.
func at(t time.Time) *epoch {
	if t.IsZero() {
		return nil
	}
	e := epoch(t)
	return &e
}

// decode decodes a request. Like the services, it ignores unknown members.
func decode[In any](body []byte) (*In, error) {
	in := new(In)
	if len(bytes.TrimSpace(body)) == 0 {
		body = []byte("{}")
	}
	if err := json.Unmarshal(body, in, jsontext.AllowDuplicateNames(true)); err != nil {
		var e *Error // of UnmarshalJSON, for a value that is not valid
		if errors.As(err, &e) {
			return nil, e
		}
		return nil, refusef("SerializationException", "%v", err)
	}
	return in, nil
}

// operation answers a call of a JSON protocol.
type operation func(s *Server, c *call, body []byte) (any, error)

// typed makes an operation from a function of a decoded request.
func typed[In, Out any](f func(*Server, *call, *In) (Out, error)) operation {
	return func(s *Server, c *call, body []byte) (any, error) {
		in, err := decode[In](body)
		if err != nil {
			return nil, err
		}
		return f(s, c, in)
	}
}

// none is the answer of operations without an output.
type none struct{}
