package contracttest

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/go-json-experiment/json"
)

// Check holds an exchange against the document. The answer's status must be one
// of the given ones, where any are given. A request that was not refused must be
// one that the document allows. The pattern is the path of the document for a
// request whose method or path it does not have.
func (c *Contract) Check(pattern string, req *http.Request, a Answer, statuses ...int) {
	c.t.Helper()
	name := fmt.Sprintf("%s %s: %d", req.Method, req.URL, a.Status)
	if len(statuses) > 0 && !slices.Contains(statuses, a.Status) {
		c.t.Errorf("%s, want %v: %.1000s", name, statuses, a.Body)
	}
	item := c.doc.Paths.Value(pattern)
	route, params, err := c.router.FindRoute(req)
	if err != nil {
		// What the path does not have is answered as any of its operations says.
		for _, o := range item.Operations() {
			route = &routers.Route{Spec: c.doc, Path: pattern, PathItem: item, Method: req.Method, Operation: o}
		}
	}
	o := route.Operation
	key := strconv.Itoa(a.Status)
	response := o.Responses.Value(key)
	if response == nil && err != nil {
		key, response = "default", o.Responses.Default()
	}
	if response == nil {
		c.t.Errorf("%s is not documented: %s", name, a.Body)
		return
	}
	c.answered[o.OperationID][key] = true
	c.called[o.OperationID] = c.called[o.OperationID] || err == nil
	if err != nil { // it counts for all operations of the path
		for _, other := range item.Operations() {
			c.answered[other.OperationID][key] = true
		}
	}

	input := &openapi3filter.RequestValidationInput{Request: req, PathParams: params, Route: route, Options: &openapi3filter.Options{
		AuthenticationFunc: func(context.Context, *openapi3filter.AuthenticationInput) error { return nil },
	}}
	if (a.Status < 400 || a.Status >= 500) && !refusedItems(a) {
		if err := openapi3filter.ValidateRequest(c.t.Context(), input); err != nil {
			c.t.Errorf("%s, but the document forbids the request: %.1000s", name, err.Error())
		}
	}
	output := &openapi3filter.ResponseValidationInput{RequestValidationInput: input, Status: a.Status, Header: a.Header,
		Options: &openapi3filter.Options{IncludeResponseStatus: true}}
	if err := openapi3filter.ValidateResponse(c.t.Context(), output.SetBodyBytes([]byte(a.Body))); err != nil {
		c.t.Errorf("%s: %.1000s: %.1000s", name, err.Error(), a.Body)
	}
	c.headers(name, response.Value, a)
	c.content(name, response.Value, a)
}

// refusedItems reports whether the answer is a list in which items have failed.
func refusedItems(a Answer) bool {
	var list struct {
		Failed int `json:"failed"`
	}
	return a.Header.Get("Content-Type") == "application/json" && json.Unmarshal([]byte(a.Body), &list) == nil && list.Failed > 0
}

// content checks the media type, and each line of a stream.
func (c *Contract) content(name string, response *openapi3.Response, a Answer) {
	c.t.Helper()
	given := a.Header.Get("Content-Type")
	media := response.Content.Get(given)
	switch {
	case media == nil && a.Body != "":
		c.t.Errorf("%s: a body is not documented: %s", name, a.Body)
	case strings.HasPrefix(given, "application/x-ndjson"):
		if end := a.Trailer.Get("X-Stream-End"); end != "complete" && end != "failed" {
			c.t.Errorf("%s: the trailer is %q", name, end)
		}
		c.lines(name, media.Schema.Value, a.Body)
	case given == "text/event-stream":
		c.lines(name, media.Schema.Value, eventLines(a.Body))
	}
}

// eventLines returns the data of server-sent events.
func eventLines(text string) string {
	var data strings.Builder
	for line := range strings.Lines(text) {
		if line, ok := strings.CutPrefix(line, "data: "); ok {
			data.WriteString(line)
		}
	}
	return data.String()
}

// plainHeaders need no mention at each answer.
var plainHeaders = []string{"Cache-Control", "Connection", "Content-Length", "Content-Security-Policy", "Content-Type", "Date",
	"Vary", "X-Accel-Buffering", "X-Content-Type-Options"}

// headers finds those that are missing and those that are not documented. The
// validator looks at values, but passes over answers of 3xx.
func (c *Contract) headers(name string, response *openapi3.Response, a Answer) {
	c.t.Helper()
	documented := map[string]bool{}
	for header, h := range response.Headers {
		documented[http.CanonicalHeaderKey(header)] = true
		value := a.Header.Get(header)
		if h.Value.Required && value == "" {
			c.t.Errorf("%s: the header %s is missing", name, header)
		}
		if a.Status < 300 || a.Status >= 400 || value == "" {
			continue
		}
		if err := h.Value.Schema.Value.VisitJSON(value, openapi3.EnableJSONSchema2020()); err != nil {
			c.t.Errorf("%s: the header %s is %q: %v", name, header, value, err)
		}
	}
	for header := range maps.Keys(a.Header) {
		if !documented[header] && !slices.Contains(plainHeaders, header) {
			c.t.Errorf("%s: the header %s is not documented", name, header)
		}
	}
}

var lineSchema = regexp.MustCompile("^(?:Lines|Events) of `(\\w+)`")

// lines holds each line against the schema that the description names.
func (c *Contract) lines(name string, schema *openapi3.Schema, text string) {
	c.t.Helper()
	named := lineSchema.FindStringSubmatch(schema.Description)
	if named == nil || c.doc.Components.Schemas[named[1]] == nil {
		c.t.Errorf("%s: %q does not begin with \"Lines of\" or \"Events of\" and a schema", name, schema.Description)
		return
	}
	for line := range strings.Lines(text) {
		var value any
		if err := json.Unmarshal([]byte(line), &value); err != nil {
			c.t.Errorf("%s: %v: %s", name, err, line)
		} else if err := c.doc.Components.Schemas[named[1]].Value.VisitJSON(value, openapi3.EnableJSONSchema2020(), openapi3.VisitAsResponse()); err != nil {
			c.t.Errorf("%s: %v: %s", name, err, line)
		}
	}
}
