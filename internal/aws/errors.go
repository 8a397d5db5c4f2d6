package aws

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws/retry"
	runtimetypes "github.com/aws/aws-sdk-go-v2/service/sagemakerruntime/types"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"gateway/internal/failure"
	"gateway/internal/modelswap"
)

// codeOf returns the error code of the service, or "" if err has none.
func codeOf(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) && api.ErrorCode() != unknownCode {
		return api.ErrorCode()
	}
	return ""
}

// unknownCode is the code that the SDK gives an answer without one.
const unknownCode = "UnknownError"

// statusOf returns the HTTP status of an error, or 0 if there was no answer.
func statusOf(err error) int {
	var response *smithyhttp.ResponseError
	if errors.As(err, &response) {
		return response.HTTPStatusCode()
	}
	return 0
}

// isThrottle reports whether a service throttled the call. The runtime of SageMaker also
// throttles with status 400, no code and a null message.
func isThrottle(err error) bool {
	if _, ok := retry.DefaultThrottleErrorCodes[codeOf(err)]; ok {
		return true
	}
	var api smithy.APIError
	status := statusOf(err)
	return status == http.StatusTooManyRequests ||
		(status == http.StatusBadRequest && errors.As(err, &api) && api.ErrorCode() == unknownCode)
}

// isMissing reports whether the named resource does not exist. SageMaker reports that
// in the text of a ValidationException.
func isMissing(err error) bool {
	var api smithy.APIError
	if !errors.As(err, &api) {
		return false
	}
	switch api.ErrorCode() {
	case "ResourceNotFound", "ResourceNotFoundException", "NoSuchKey", "NotFound", "ExportNotFoundException":
		return true
	case "ValidationException":
		return strings.HasPrefix(api.ErrorMessage(), "Could not find ") ||
			strings.HasPrefix(api.ErrorMessage(), "Requested resource not found")
	}
	return false
}

// isTaken reports whether the name is already in use. An earlier attempt of the same
// call may have used it and lost its answer.
func isTaken(err error) bool {
	var api smithy.APIError
	return errors.As(err, &api) && (api.ErrorCode() == "ResourceInUse" ||
		api.ErrorCode() == "ValidationException" && strings.HasPrefix(api.ErrorMessage(), "Cannot create already existing "))
}

// isInProgress reports whether the endpoint is changing and cannot be updated.
func isInProgress(err error) bool {
	var api smithy.APIError
	return errors.As(err, &api) && api.ErrorCode() == "ValidationException" &&
		strings.HasPrefix(api.ErrorMessage(), "Cannot update in-progress endpoint")
}

// fault classifies an error of a service for a renewal. The text names the operation and
// keeps the message of the service. That message contains no personal values, because
// calls of the control plane send none.
func fault(operation string, err error) error {
	if err == nil {
		return nil
	}
	return &modelswap.Fault{Class: classOf(err), Err: fmt.Errorf("%s: %w", operation, plain(err))}
}

func classOf(err error) modelswap.Class {
	switch code, status := codeOf(err), statusOf(err); {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return modelswap.Transient
	case code == "ResourceLimitExceeded", strings.Contains(code, "Capacity"):
		return modelswap.NoCapacity
	case isThrottle(err):
		return modelswap.Throttled
	case isInProgress(err):
		return modelswap.Transient
	case status >= 500, status == 0:
		return modelswap.Transient
	case code == "", status < 400: // not from the service: an error page of a proxy, a malformed answer
		return modelswap.Transient
	}
	// The service refused the call: a setting, a permission or the request is wrong.
	return modelswap.Input
}

// plain shortens an error of the SDK to the code and the message of the service.
func plain(err error) error {
	var api smithy.APIError
	if errors.As(err, &api) && api.ErrorCode() != unknownCode {
		return &serviceError{text: api.ErrorCode() + ": " + api.ErrorMessage(), err: err}
	}
	return err
}

// serviceError wraps an error of the SDK with a shorter text.
type serviceError struct {
	text string
	err  error
}

func (e *serviceError) Error() string { return e.text }

// Unwrap returns the SDK's error.
func (e *serviceError) Unwrap() error { return e.err }

// fileError translates an error of S3: a missing object matches fs.ErrNotExist.
func fileError(operation, name string, err error) error {
	if isMissing(err) {
		return &fs.PathError{Op: operation, Path: name, Err: fs.ErrNotExist}
	}
	return fault(operation+" "+name, err)
}

// originalStatus returns the HTTP status of the container, or 0 if it did not answer.
func originalStatus(e *runtimetypes.ModelError) int {
	if e.OriginalStatusCode == nil {
		return 0
	}
	return int(*e.OriginalStatusCode)
}

// Values of Retry-After in answers to callers.
const (
	waitThrottled = time.Second
	waitNotReady  = 5 * time.Second
	waitNoModel   = 15 * time.Second
)

// scoringError translates an error of InvokeEndpoint for the caller of a prediction. If a
// retry may help, RetryAfter is at least the time that the service asks for. The cause is
// for the log. The text of the container is in neither, because it may repeat the rows.
func scoringError(err error) error {
	failed := func(kind failure.Kind, wait time.Duration, detail string) *failure.Error {
		if wait > 0 {
			wait = max(wait, retryAfter(err))
		}
		return &failure.Error{Kind: kind, RetryAfter: wait, Detail: detail, Err: quiet(err)}
	}
	// No row caused the error, so a call with fewer rows would fail as well.
	general := func(detail string) error {
		e := failed(failure.BadModel, 0, detail)
		e.General = true
		return e
	}
	var model *runtimetypes.ModelError
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return failed(failure.Deadline, 0, "the endpoint did not answer in time")
	case errors.Is(err, context.Canceled):
		return fmt.Errorf("invoke endpoint: %w", context.Canceled)
	case errors.As(err, &model):
		switch status := originalStatus(model); {
		case status == 0:
			return failed(failure.Deadline, 0, "the model did not answer in time")
		case status < http.StatusInternalServerError:
			e := failed(failure.BadModel, 0, fmt.Sprintf("the model refused the rows (%d)", status))
			e.Refused = true
			return e
		default:
			return failed(failure.BadModel, 0, fmt.Sprintf("the model failed (%d)", status))
		}
	}
	switch code := codeOf(err); {
	case code == "ModelNotReadyException":
		return failed(failure.Unavailable, waitNotReady, "the model is being loaded")
	case isThrottle(err):
		e := failed(failure.Unavailable, waitThrottled, "the endpoint throttles calls")
		e.Throttled = true
		return e
	case isNoEndpoint(err):
		return failed(failure.Unavailable, waitNoModel, "no model serves yet; gateway retrain makes one")
	case statusOf(err) == http.StatusForbidden:
		return general("the endpoint denied the gateway access")
	case statusOf(err) >= 400:
		return general(fmt.Sprintf("the endpoint failed (%d)", statusOf(err)))
	case statusOf(err) != 0:
		return failed(failure.BadModel, 0, "the answer of the endpoint is malformed")
	}
	return general("the endpoint cannot be reached")
}

// isNoEndpoint reports whether the endpoint does not exist.
func isNoEndpoint(err error) bool {
	var api smithy.APIError
	return errors.As(err, &api) && strings.HasPrefix(api.ErrorCode(), "Validation") &&
		strings.HasPrefix(api.ErrorMessage(), "Endpoint ") && strings.HasSuffix(strings.TrimSuffix(api.ErrorMessage(), "."), " not found")
}

// quiet returns an error of the runtime without the text of the container.
func quiet(err error) error {
	var model *runtimetypes.ModelError
	if !errors.As(err, &model) {
		return plain(err)
	}
	text := fmt.Sprintf("ModelError: the container answered with status %d", originalStatus(model))
	if model.LogStreamArn != nil {
		text += ", log " + *model.LogStreamArn
	}
	return errors.New(text)
}
