package edge

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// AWSRefusal is a Refusal that AWS SDKs get as a ValidationError. Message is that of
// SageMaker's runtime and may repeat what the caller sent, so it is not logged.
type AWSRefusal struct {
	Refusal *Refusal
	Message string
}

func (e *AWSRefusal) Error() string { return e.Refusal.Error() }

// Unwrap returns the Refusal.
func (e *AWSRefusal) Unwrap() error { return e.Refusal }

// awsError is the body of an error of SageMaker's runtime. SDKs choose their type of
// error by Code.
type awsError struct {
	status          int
	Code            string  `json:"__type"`
	Message         string  `json:"message"`
	Capital         string  `json:"Message"`                     // read by the SDKs' typed errors
	OriginalStatus  *int    `json:"OriginalStatusCode,omitzero"` // of a ModelError
	OriginalMessage *string `json:"OriginalMessage,omitzero"`
}

// awsErrorOf returns what SageMaker's runtime would answer in place of a problem. A
// row that the model refuses, and a model that fails, is a ModelError with the status
// that a model container would have answered.
func awsErrorOf(p *Problem, err error) *awsError {
	var refused *AWSRefusal
	if errors.As(err, &refused) {
		return &awsError{status: http.StatusBadRequest, Code: "ValidationError", Message: refused.Message}
	}
	switch p.Status {
	case http.StatusUnauthorized:
		return &awsError{status: p.Status, Code: "MissingAuthenticationTokenException", Message: p.Detail}
	case http.StatusForbidden:
		return &awsError{status: p.Status, Code: "AccessDeniedException", Message: p.Detail}
	case http.StatusNotFound, http.StatusMethodNotAllowed:
		return &awsError{status: p.Status, Code: "UnknownOperationException", Message: "there is no such operation"}
	case http.StatusRequestEntityTooLarge:
		return &awsError{status: p.Status, Code: "ValidationError", Message: p.Detail}
	case http.StatusRequestTimeout:
		return &awsError{status: http.StatusBadRequest, Code: "ValidationError", Message: p.Detail}
	case http.StatusTooManyRequests:
		return &awsError{status: p.Status, Code: "ThrottlingException", Message: p.Detail}
	case http.StatusServiceUnavailable:
		return &awsError{status: p.Status, Code: "ServiceUnavailable", Message: p.Detail}
	case http.StatusBadRequest, http.StatusUnprocessableEntity:
		return modelError(http.StatusBadRequest, p.Detail)
	case http.StatusUnsupportedMediaType, http.StatusNotAcceptable:
		return modelError(p.Status, p.Detail)
	case http.StatusBadGateway:
		return modelError(http.StatusInternalServerError, p.Detail)
	case http.StatusGatewayTimeout:
		return modelError(0, "Your invocation timed out while waiting for a response from container primary.")
	}
	return &awsError{status: http.StatusInternalServerError, Code: "InternalFailure", Message: "an internal error"}
}

// modelError returns the error for the response of a model container, with the
// message that SageMaker gives it. Status 0: the container did not answer in time.
func modelError(original int, text string) *awsError {
	text = escapeBytes(text)
	side := "server"
	if original >= 400 && original < 500 {
		side = "client"
	}
	return &awsError{
		status: http.StatusFailedDependency, Code: "ModelError",
		Message:        fmt.Sprintf("Received %s error (%d) from primary with message %q.", side, original, text),
		OriginalStatus: &original, OriginalMessage: &text,
	}
}

func writeAWSError(w http.ResponseWriter, p *Problem, err error) {
	e := awsErrorOf(p, err)
	e.Capital = e.Message
	h := w.Header()
	h.Set("X-Amzn-ErrorType", e.Code)
	h.Set("X-Amzn-RequestId", p.RequestID)
	switch e.status {
	case http.StatusServiceUnavailable, http.StatusTooManyRequests:
		h.Set("Retry-After", strconv.Itoa(retrySeconds(p.retryAfter)))
	case http.StatusMethodNotAllowed, http.StatusUnauthorized:
		p.SetHeaders(h, err)
	}
	// The name of an endpoint may be text that is not UTF-8.
	body, err := json.Marshal(e, jsontext.AllowInvalidUTF8(true))
	if err != nil {
		body = []byte(`{"__type":"` + e.Code + `","message":"","Message":""}`)
	}
	Write(w, e.status, "application/json", body)
}
