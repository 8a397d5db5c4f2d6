package sandbox

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Call is one HTTP request that the stand-in has had: one attempt of one call
// of an SDK.
type Call struct {
	Service    string    `json:"service"`    // signing name: sagemaker, s3, dynamodb, secretsmanager
	Operation  string    `json:"operation"`  // CreateTrainingJob, InvokeEndpoint, PutObject, …
	Resource   string    `json:"resource"`   // name of the job, model, endpoint or table; bucket/key
	Invocation string    `json:"invocation"` // Amz-Sdk-Invocation-Id: the same for all attempts of a call
	Attempt    int       `json:"attempt"`    // from Amz-Sdk-Request; 1 where a client sends none
	At         time.Time `json:"at"`
	Status     int       `json:"status"` // 0: the connection was cut
	Fault      Kind      `json:"fault,omitempty"`

	// Of invocations only: what the request bore, and the truth about who
	// answered, which the answer itself does not tell.
	InferenceID      string `json:"inference_id,omitempty"`
	CustomAttributes string `json:"custom_attributes,omitempty"`
	ContentType      string `json:"content_type,omitempty"`
	EndpointConfig   string `json:"endpoint_config,omitempty"`
	Variant          string `json:"variant,omitempty"`
	Model            string `json:"model,omitempty"`
	Rows             int    `json:"rows,omitempty"`
}

// call is a Call while it is answered.
type call struct {
	Call
	header  http.Header
	fault   *Ordered
	request *http.Request
}

// kept bounds the calls that are remembered one by one.
const kept = 50_000

// journal remembers calls.
type journal struct {
	mu      sync.Mutex
	calls   []Call
	counts  map[string]int
	observe func(Call)
}

func (j *journal) add(c Call) {
	j.mu.Lock()
	if j.counts == nil {
		j.counts = make(map[string]int)
	}
	j.counts[c.Operation]++
	if len(j.calls) >= 2*kept {
		j.calls = slices.Clone(j.calls[kept:])
	}
	j.calls = append(j.calls, c)
	j.mu.Unlock()
	if j.observe != nil {
		j.observe(c)
	}
}

// Calls returns the calls of the operations named, or of all, oldest first.
// Only the newest 50,000 are sure to be remembered.
func (s *Server) Calls(operations ...string) []Call {
	s.journal.mu.Lock()
	defer s.journal.mu.Unlock()
	var out []Call
	for _, c := range s.journal.calls {
		if len(operations) == 0 || slices.Contains(operations, c.Operation) {
			out = append(out, c)
		}
	}
	return out
}

// Count tells how often an operation was called, retries included, since the
// start or the last ForgetCalls.
func (s *Server) Count(operation string) int {
	s.journal.mu.Lock()
	defer s.journal.mu.Unlock()
	return s.journal.counts[operation]
}

// ForgetCalls begins a new journal.
func (s *Server) ForgetCalls() {
	s.journal.mu.Lock()
	defer s.journal.mu.Unlock()
	s.journal.calls, s.journal.counts = nil, nil
}

// Invocations returns, for each call of the operation, its attempts in order:
// two calls of which the second was tried three times are [1 3].
func (s *Server) Invocations(operation string) []int {
	var order []string
	attempts := make(map[string]int)
	for i, c := range s.Calls(operation) {
		id := c.Invocation
		if id == "" {
			id = "#" + strconv.Itoa(i) // a client without ids: each request is a call
		}
		if attempts[id] == 0 {
			order = append(order, id)
		}
		attempts[id]++
	}
	out := make([]int, len(order))
	for i, id := range order {
		out[i] = attempts[id]
	}
	return out
}

// attempt reads "attempt=2; max=3".
func attempt(header string) int {
	for part := range strings.SplitSeq(header, ";") {
		if n, ok := strings.CutPrefix(strings.TrimSpace(part), "attempt="); ok {
			if i, err := strconv.Atoi(n); err == nil {
				return i
			}
		}
	}
	return 1
}
