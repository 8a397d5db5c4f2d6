package sandbox

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Call is one HTTP request to the stand-in: one attempt of one call of an SDK.
type Call struct {
	Service    string    `json:"service"`    // signing name: sagemaker, s3, dynamodb, secretsmanager, athena
	Operation  string    `json:"operation"`  // CreateTrainingJob, InvokeEndpoint, PutObject, …
	Resource   string    `json:"resource"`   // name of the job, model, endpoint or table; bucket/key; first word of the SQL, or id of a query
	Invocation string    `json:"invocation"` // Amz-Sdk-Invocation-Id: the same for all attempts of a call
	Attempt    int       `json:"attempt"`    // from Amz-Sdk-Request; 1 if the client sends none
	At         time.Time `json:"at"`
	Status     int       `json:"status"` // 0: the connection was cut
	Fault      Kind      `json:"fault,omitempty"`

	// Of invocations only: the inference id of the request, and the variant and the model
	// that answered, which are not in the answer.
	InferenceID      string `json:"inference_id,omitempty"`
	CustomAttributes string `json:"custom_attributes,omitempty"`
	ContentType      string `json:"content_type,omitempty"`
	EndpointConfig   string `json:"endpoint_config,omitempty"`
	Variant          string `json:"variant,omitempty"`
	Model            string `json:"model,omitempty"`
	Rows             int    `json:"rows,omitempty"`
}

// call is a Call that is being answered.
type call struct {
	Call
	header  http.Header
	fault   *Ordered
	request *http.Request
}

// kept is the maximum number of calls in the journal.
const kept = 50_000

// journal records calls.
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

// Calls returns the calls of the given operations, or of all, oldest first. The journal has
// at least the latest 50,000.
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

// Count returns the number of calls of an operation, retries included, since the start or
// the last ForgetCalls.
func (s *Server) Count(operation string) int {
	s.journal.mu.Lock()
	defer s.journal.mu.Unlock()
	return s.journal.counts[operation]
}

// ForgetCalls empties the journal.
func (s *Server) ForgetCalls() {
	s.journal.mu.Lock()
	defer s.journal.mu.Unlock()
	s.journal.calls, s.journal.counts = nil, nil
}

// Invocations returns the number of attempts of each call of an operation: [1 3] for two
// calls of which the second had three attempts.
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

// attempt parses a header such as "attempt=2; max=3".
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
