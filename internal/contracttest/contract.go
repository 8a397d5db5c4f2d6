// Package contracttest checks exchanges of a gateway against openapi.yaml: the
// status, the headers, the media type and the body of every answer, and that a
// request that was not refused is one that the document allows.
package contracttest

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/legacy"
)

// Contract is an OpenAPI document and the answers that were checked against it.
type Contract struct {
	t          testing.TB
	doc        *openapi3.T
	router     routers.Router
	operations map[string]*Operation
	called     map[string]bool            // operations
	answered   map[string]map[string]bool // by operation and documented status
}

// Operation is one of the document's.
type Operation struct {
	Method, Pattern string
	Spec            *openapi3.Operation
}

// Secured reports whether the operation requires a token or key in any case.
func (o *Operation) Secured() bool {
	security := o.Spec.Security
	return security != nil && len(*security) > 0 && !slices.ContainsFunc(*security, func(s openapi3.SecurityRequirement) bool { return len(s) == 0 })
}

// Answer is a response, read whole.
type Answer struct {
	Status          int
	Header, Trailer http.Header
	Body            string
}

// Open reads a document and validates it, its examples included. The document
// tells clients to ignore unknown members; here there must be none, neither in
// answers nor in examples.
func Open(t testing.TB, text []byte) *Contract {
	t.Helper()
	read, _ := documents.LoadOrStore(string(text), sync.OnceValues(func() (*parsed, error) { return readDocument(text) }))
	d, err := read.(func() (*parsed, error))()
	if err != nil {
		t.Fatal(err)
	}
	c := &Contract{t: t, doc: d.doc, router: d.router, operations: map[string]*Operation{}, called: map[string]bool{}, answered: map[string]map[string]bool{}}
	for pattern, item := range c.doc.Paths.Map() {
		for method, o := range item.Operations() {
			c.operations[o.OperationID] = &Operation{method, pattern, o}
			c.answered[o.OperationID] = map[string]bool{}
			c.lineExamples(o)
		}
	}
	return c
}

// parsed is a document that has been read and validated. It is not changed any more.
type parsed struct {
	doc    *openapi3.T
	router routers.Router
}

// documents holds the documents that tests have read, by their text: to validate one
// takes a second under the race detector.
var documents sync.Map

func init() {
	openapi3filter.RegisterBodyDecoder("application/x-ndjson", openapi3filter.PlainBodyDecoder)
	openapi3filter.RegisterBodyDecoder("application/schema+json", openapi3filter.JSONBodyDecoder)
	openapi3filter.RegisterBodyDecoder("application/jsonlines", openapi3filter.PlainBodyDecoder)
	openapi3filter.RegisterBodyDecoder("text/csv", openapi3filter.PlainBodyDecoder)
	openapi3filter.RegisterBodyDecoder("text/event-stream", openapi3filter.PlainBodyDecoder)
}

func readDocument(text []byte) (*parsed, error) {
	doc, err := openapi3.NewLoader().LoadFromData(text)
	if err != nil {
		return nil, err
	}
	closed := false
	_ = doc.WalkSchemas(func(_ string, s *openapi3.SchemaRef) error {
		if more := &s.Value.AdditionalProperties; more.Has == nil && more.Schema == nil && len(s.Value.Properties) > 0 {
			more.Has = &closed
		}
		return nil
	})
	router, err := legacy.NewRouter(doc, openapi3.EnableExamplesValidation()) // validates all of it
	if err != nil {
		return nil, err
	}
	return &parsed{doc, router}, nil
}

// NewRequest makes a request with a body; "" is an empty one. Headers are written as
// "Name: value". The last one of a name counts, and one without a value removes it.
func NewRequest(t testing.TB, method, url, body string, headers ...string) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range headers {
		if name, value, _ := strings.Cut(h, ": "); value != "" {
			req.Header.Set(name, value)
		} else {
			req.Header.Del(name)
		}
	}
	return req
}

// lineExamples checks the examples of streams line by line.
func (c *Contract) lineExamples(o *openapi3.Operation) {
	c.t.Helper()
	name := o.OperationID + ": example"
	for _, response := range o.Responses.Map() {
		if media := response.Value.Content["text/event-stream"]; media != nil {
			c.lines(name, media.Schema.Value, eventLines(media.Example.(string)))
		}
		if media := response.Value.Content["application/x-ndjson"]; media != nil {
			for _, example := range media.Examples {
				c.lines(name, media.Schema.Value, example.Value.Value.(string))
			}
		}
	}
}

// Paths returns the paths of the document.
func (c *Contract) Paths() *openapi3.Paths { return c.doc.Paths }

// Operations returns the operations by their ids.
func (c *Contract) Operations() map[string]*Operation { return maps.Clone(c.operations) }

// Find returns the operation that a request is for.
func (c *Contract) Find(req *http.Request) (*Operation, error) {
	route, _, err := c.router.FindRoute(req)
	if err != nil {
		return nil, err
	}
	return c.operations[route.Operation.OperationID], nil
}

// Called reports whether a documented answer to a request for the operation was checked.
func (c *Contract) Called(operation string) bool { return c.called[operation] }

// Answered reports whether an answer of the operation with the documented
// status was checked.
func (c *Contract) Answered(operation, status string) bool { return c.answered[operation][status] }
