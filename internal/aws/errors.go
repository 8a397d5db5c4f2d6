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

// codeOf is the service's code of an error; empty where there is none.
func codeOf(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) && api.ErrorCode() != unknownCode {
		return api.ErrorCode()
	}
	return ""
}

// unknownCode is what the SDK says where an answer has no code.
const unknownCode = "UnknownError"

// statusOf is the HTTP status of an error; 0 where there was no answer.
func statusOf(err error) int {
	var response *smithyhttp.ResponseError
	if errors.As(err, &response) {
		return response.HTTPStatusCode()
	}
	return 0
}

// isThrottle reports whether a service asks for fewer calls. SageMaker's
// runtime also says so with status 400, no code and a null message.
func isThrottle(err error) bool {
	if _, ok := retry.DefaultThrottleErrorCodes[codeOf(err)]; ok {
		return true
	}
	var api smithy.APIError
	status := statusOf(err)
	return status == http.StatusTooManyRequests ||
		(status == http.StatusBadRequest && errors.As(err, &api) && api.ErrorCode() == unknownCode)
}

// isMissing reports whether the service says that the thing named does not
// exist. SageMaker says so in the text of a ValidationException.
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

// isTaken reports whether the name is in use already, possibly by an earlier
// attempt of the same call whose answer was lost.
func isTaken(err error) bool {
	var api smithy.APIError
	return errors.As(err, &api) && (api.ErrorCode() == "ResourceInUse" ||
		api.ErrorCode() == "ValidationException" && strings.HasPrefix(api.ErrorMessage(), "Cannot create already existing "))
}

// isInProgress reports whether the endpoint is changing and takes no orders.
func isInProgress(err error) bool {
	var api smithy.APIError
	return errors.As(err, &api) && api.ErrorCode() == "ValidationException" &&
		strings.HasPrefix(api.ErrorMessage(), "Cannot update in-progress endpoint")
}

// fault says what a service's error means to a renewal. The text names the
// operation and keeps what the service said: operators need it, and control
// planes are told no customer's values.
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
	case code == "", status < 400: // no error of the service: a proxy's page, a broken answer
		return modelswap.Transient
	}
	// Refused: a setting, a permission or the request is wrong.
	return modelswap.Input
}

// plain shortens an error of the SDK to what the service said.
func plain(err error) error {
	var api smithy.APIError
	if errors.As(err, &api) && api.ErrorCode() != unknownCode {
		return &serviceError{text: api.ErrorCode() + ": " + api.ErrorMessage(), err: err}
	}
	return err
}

// serviceError reads as what the service said, and is the SDK's error.
type serviceError struct {
	text string
	err  error
}

func (e *serviceError) Error() string { return e.text }

// Unwrap returns the SDK's error.
func (e *serviceError) Unwrap() error { return e.err }

// fileError gives an error of S3 the meaning that io/fs gives it.
func fileError(operation, name string, err error) error {
	if isMissing(err) {
		return &fs.PathError{Op: operation, Path: name, Err: fs.ErrNotExist}
	}
	return fault(operation+" "+name, err)
}

// originalStatus is what the container answered; 0 where it did not.
func originalStatus(e *runtimetypes.ModelError) int {
	if e.OriginalStatusCode == nil {
		return 0
	}
	return int(*e.OriginalStatusCode)
}

// How long a caller is asked to wait.
const (
	waitThrottled = time.Second
	waitNotReady  = 5 * time.Second
	waitNoModel   = 15 * time.Second
)

// scoringError says what an error of InvokeEndpoint means to the caller of a
// prediction. Where there is use in waiting, it is for as long as the service
// asks at least. Its cause is for the log. What the container said is left out of
// both: it may repeat the rows.
func scoringError(err error) error {
	failed := func(kind failure.Kind, wait time.Duration, detail string) *failure.Error {
		if wait > 0 {
			wait = max(wait, retryAfter(err))
		}
		return &failure.Error{Kind: kind, RetryAfter: wait, Detail: detail, Err: quiet(err)}
	}
	// No row is to blame: asking about fewer of them would not help.
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
		e := failed(failure.Unavailable, waitThrottled, "the endpoint takes no more calls at the moment")
		e.Throttled = true
		return e
	case isNoEndpoint(err):
		return failed(failure.Unavailable, waitNoModel, "no model serves yet; gateway retrain makes one")
	case statusOf(err) == http.StatusForbidden:
		return general("the endpoint refused the gateway")
	case statusOf(err) >= 400:
		return general(fmt.Sprintf("the endpoint failed (%d)", statusOf(err)))
	case statusOf(err) != 0:
		return failed(failure.BadModel, 0, "the endpoint's answer cannot be read")
	}
	return general("the endpoint cannot be reached")
}

// isNoEndpoint reports whether the runtime knows no such endpoint.
func isNoEndpoint(err error) bool {
	var api smithy.APIError
	return errors.As(err, &api) && strings.HasPrefix(api.ErrorCode(), "Validation") &&
		strings.HasPrefix(api.ErrorMessage(), "Endpoint ") && strings.HasSuffix(strings.TrimSuffix(api.ErrorMessage(), "."), " not found")
}

// quiet is an error of the runtime without the text of the container.
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
