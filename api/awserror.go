package api

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// invocationsPrefix begins the routes that speak SageMaker's wire form, errors
// included: an AWS SDK finds its own exceptions there, not problems.
const invocationsPrefix = "/endpoints/"

// awsError is an error in the envelope of SageMaker's runtime. The name of the
// error is what SDKs look at; status and fields are those of the real service.
type awsError struct {
	status          int
	Code            string  `json:"__type"`
	Message         string  `json:"message"`
	Capital         string  `json:"Message"`                     // where the SDKs' typed errors look
	OriginalStatus  *int    `json:"OriginalStatusCode,omitzero"` // of a ModelError
	OriginalMessage *string `json:"OriginalMessage,omitzero"`
}

// awsErrorOf is the counterpart of problem.go for AWS. A row that the model
// cannot take, or a model that fails, is a ModelError with the status that a
// model container would have answered.
func awsErrorOf(p *Problem, err error) *awsError {
	var missing *noEndpoint
	if errors.As(err, &missing) {
		return &awsError{status: http.StatusBadRequest, Code: "ValidationError", Message: missing.message()}
	}
	var target *wrongTarget
	if errors.As(err, &target) {
		return &awsError{status: http.StatusBadRequest, Code: "ValidationError", Message: target.detail}
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

// modelError words the container's answer as SageMaker does. A status of 0
// means that it gave none in time.
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
		p.setHeaders(h, err)
	}
	// An endpoint's name may be text that is not UTF-8, the only way to fail.
	body, err := json.Marshal(e, jsontext.AllowInvalidUTF8(true))
	if err != nil {
		body = []byte(`{"__type":"` + e.Code + `","message":"","Message":""}`)
	}
	write(w, e.status, "application/json", body)
}
