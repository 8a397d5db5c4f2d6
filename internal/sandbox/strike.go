package sandbox

import (
	"cmp"
	"fmt"
	"hash/crc32"
	"net/http"
	"strings"
	"time"
)

const page = "<html><head><title>502 Bad Gateway</title></head><body><center><h1>502 Bad Gateway</h1></center></body></html>\n"

// before answers a call instead of the operation, if the operation must have no effect. It
// returns nil if the operation must be done. To cut the connection it panics with
// http.ErrAbortHandler.
func (s *Server) before(c *call) *answer {
	if c.fault == nil {
		return nil
	}
	if d := c.fault.Delay; d > 0 {
		timer := time.NewTimer(d)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-c.request.Context().Done():
			panic(http.ErrAbortHandler)
		case <-s.closed:
			panic(http.ErrAbortHandler)
		}
	}
	switch c.fault.Kind {
	case Cut:
		panic(http.ErrAbortHandler)
	case Hang:
		select {
		case <-c.request.Context().Done():
		case <-s.closed:
		}
		panic(http.ErrAbortHandler)
	case HTML:
		return newAnswer(cmp.Or(c.fault.Status, http.StatusBadGateway), "text/html", []byte(page))
	}
	if e := s.ordered(c); e != nil {
		return errorAnswer(c, e)
	}
	return nil
}

// ordered returns the error of the call's fault in the wording of the service.
func (s *Server) ordered(c *call) *Error {
	f := &c.fault.Fault
	runtime := c.Operation == invoke
	switch f.Kind {
	case Throttle:
		switch {
		case runtime:
			return &Error{Status: http.StatusBadRequest, Null: true}
		case c.Service == "s3":
			return &Error{Status: http.StatusServiceUnavailable, Code: "SlowDown", Message: "Please reduce your request rate."}
		case c.Service == "dynamodb":
			return refusef("ProvisionedThroughputExceededException", "The level of configured provisioned throughput for the table was exceeded. Consider increasing your provisioning level with the UpdateTable API.")
		}
		if c.Service == "athena" && c.Operation == "StartQueryExecution" {
			e := refusef("TooManyRequestsException", "You have exceeded the limit for the number of queries you can run concurrently. Please reduce the number of concurrent queries submitted by this account.")
			e.Members = map[string]any{"Reason": "CONCURRENT_QUERY_LIMIT_EXCEEDED"}
			return e
		}
		return refusef("ThrottlingException", "Rate exceeded")
	case Refuse:
		return &Error{Status: cmp.Or(f.Status, http.StatusBadRequest), Code: f.Code, Message: f.Message}
	case Internal:
		e := &Error{Status: http.StatusInternalServerError, Code: "InternalFailure", Message: "We encountered an internal error. Please try again."}
		switch c.Service {
		case "s3":
			e.Code = "InternalError"
		case "dynamodb":
			e.Code = "InternalServerError"
		case "athena":
			e.Code = "InternalServerException"
		}
		return e
	case Unavailable:
		return &Error{Status: http.StatusServiceUnavailable, Code: "ServiceUnavailable", Message: "The service is unavailable. Please try again shortly."}
	case Denied:
		code := "AccessDeniedException"
		if c.Service == "s3" {
			code = "AccessDenied"
		}
		return &Error{Status: http.StatusForbidden, Code: code,
			Message: fmt.Sprintf("User: arn:aws:sts::%s:assumed-role/gateway/i-0 is not authorized to perform: %s:%s on resource: %s", Account, c.Service, c.Operation, c.Resource)}
	case Limit:
		return refusef("ResourceLimitExceeded", "%s", cmp.Or(f.Message, fmt.Sprintf("The account-level service limit 'ml.m5.large for %s' is 0 Instances, with current utilization of 0 Instances and a request delta of 1 Instances. Please use AWS Service Quotas to request an increase for this quota. If AWS Service Quotas is not available, contact AWS support to request an increase for this quota.", usage(c.Operation))))
	case ModelNotReady:
		return &Error{Status: http.StatusTooManyRequests, Code: "ModelNotReadyException", Message: "The model is not ready to serve inference requests. Please try again."}
	case Dependency:
		return &Error{Status: 530, Code: "InternalDependencyException", Message: "The request failed because of an internal dependency."}
	case ModelError:
		return s.modelError(cmp.Or(f.Status, http.StatusBadRequest), cmp.Or(f.Message, "unable to evaluate payload provided"), c.Resource)
	case ModelTimeout:
		return s.modelError(0, "Your invocation timed out while waiting for a response from container primary. Review the latency metrics for each container in Amazon CloudWatch, resolve the issue, and try again.", c.Resource)
	}
	return nil
}

func usage(operation string) string {
	if operation == "CreateTrainingJob" {
		return "training job usage"
	}
	return "endpoint usage"
}

// after applies the call's fault to the answer of the operation.
func (c *call) after(a *answer) *answer {
	switch c.kind() {
	case LoseAnswer:
		panic(http.ErrAbortHandler)
	case NoContent:
		return newAnswer(http.StatusNoContent, "", nil)
	case Garbage:
		return newAnswer(http.StatusOK, a.header.Get("Content-Type"), []byte("Segmentation fault (core dumped)\n"))
	}
	return a
}

// write sends the answer, or half of it for the fault Truncate.
func (c *call) write(w http.ResponseWriter, a *answer) {
	for name, values := range a.header {
		if strings.HasPrefix(name, "X-Amz-Meta-") {
			name = strings.ToLower(name) // like S3, because Python's SDK depends on the case
		}
		w.Header()[name] = values
	}
	if a.status != http.StatusNoContent && a.status != http.StatusNotModified && w.Header().Get("Content-Length") == "" {
		w.Header().Set("Content-Length", fmt.Sprint(len(a.body)))
	}
	if c.Service == "dynamodb" { // its clients verify the checksum
		w.Header().Set("X-Amz-Crc32", fmt.Sprint(crc32.ChecksumIEEE(a.body)))
	}
	w.WriteHeader(a.status)
	if c.kind() == Truncate {
		_, _ = w.Write(a.body[:len(a.body)/2])
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
	_, _ = w.Write(a.body)
}
