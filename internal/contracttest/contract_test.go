package contracttest

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

const document = `
openapi: 3.1.0
info: {title: A gateway, version: 1.0.0}
paths:
  /rows:
    post:
      operationId: rows
      security: [{token: []}]
      requestBody:
        required: true
        content:
          application/json:
            schema: {type: object, required: [row], properties: {row: {type: integer}}}
      responses:
        "200":
          description: The rows.
          headers:
            X-Request-Id: {required: true, schema: {type: string}}
          content:
            application/json: {schema: {type: object, properties: {score: {type: number}, failed: {type: integer}}}}
            application/x-ndjson: {schema: {type: string, description: Lines of ` + "`Row`" + `.}}
        "307":
          description: It is elsewhere.
          headers:
            Location: {required: true, schema: {type: string, const: elsewhere/}}
        "422":
          description: The rows are wrong.
        default:
          description: Anything else.
components:
  securitySchemes:
    token: {type: http, scheme: bearer}
  schemas:
    Row: {type: object, required: [score], properties: {score: {type: number}}}
`

// recorder keeps the errors of a test.
type recorder struct {
	testing.TB
	errors []string
}

func (r *recorder) Errorf(format string, args ...any) {
	r.errors = append(r.errors, fmt.Sprintf(format, args...))
}

func TestWhatTheDocumentDoesNotSayIsAnError(t *testing.T) {
	const js, lines = "application/json", "application/x-ndjson"
	tests := []struct {
		name, method, request string
		status                int
		contentType, body     string
		header, want          string // a header, "" for the request's id alone
	}{
		{"as documented", "POST", `{"row":1}`, 200, js, `{"score":1}`, "", ""},
		{"another status than the test wants", "POST", `{"row":1}`, 422, "", "", "", "want [200 307 405]"},
		{"a status that is not documented", "POST", `{"row":1}`, 500, "", "", "", "is not documented"},
		{"a member of the wrong type", "POST", `{"row":1}`, 200, js, `{"score":"1"}`, "", "want number"},
		{"a member that is not documented", "POST", `{"row":1}`, 200, js, `{"secret":"1"}`, "", "secret"},
		{"a media type that is not documented", "POST", `{"row":1}`, 200, "text/html", `<p>`, "", "a body is not documented"},
		{"a header that is not documented", "POST", `{"row":1}`, 200, js, `{}`, "X-Powered-By: Go", "X-Powered-By is not documented"},
		{"a header that is missing", "POST", `{"row":1}`, 200, js, `{}`, "X-Request-Id: ", "X-Request-Id is missing"},
		{"a wrong header of a redirect", "POST", `{"row":1}`, 307, "", "", "Location: /nowhere", `Location is "/nowhere"`},
		{"a request that should have been refused", "POST", `{"row":"one"}`, 200, js, `{}`, "", "forbids the request"},
		{"a list with an item that was refused", "POST", `{"row":"one"}`, 200, js, `{"failed":1}`, "", ""},
		{"lines as documented", "POST", `{"row":1}`, 200, lines, "{\"score\":1}\n{\"score\":2}\n", "", ""},
		{"a line that is not documented", "POST", `{"row":1}`, 200, lines, "{\"score\":1}\n{}\n", "", "score"},
		{"a line that is not JSON", "POST", `{"row":1}`, 200, lines, "{\n", "", "{"},
		{"a stream without its end", "POST", `{"row":1}`, 200, lines, "", "X-Stream-End: ", "the trailer is"},
		{"a method that the path does not have", "DELETE", "", 405, "", "", "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := &recorder{TB: t}
			c := Open(r, []byte(document))
			req, err := http.NewRequestWithContext(t.Context(), tt.method, "/rows", strings.NewReader(tt.request))
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Content-Type", js)
			a := Answer{Status: tt.status, Header: http.Header{}, Trailer: http.Header{"X-Stream-End": {"complete"}}, Body: tt.body}
			if tt.status == 200 {
				a.Header.Set("X-Request-Id", "1")
			}
			if tt.contentType != "" {
				a.Header.Set("Content-Type", tt.contentType)
			}
			switch name, value, _ := strings.Cut(tt.header, ": "); {
			case name == "X-Stream-End":
				a.Trailer.Del(name)
			case value == "":
				a.Header.Del(name)
			default:
				a.Header.Set(name, value)
			}
			c.Check("/rows", req, a, 200, 307, 405)
			got := strings.Join(r.errors, "\n")
			if (tt.want == "") != (got == "") || !strings.Contains(got, tt.want) {
				t.Errorf("errors are %q, want %q", got, tt.want)
			}
			if called := tt.status != 500 && tt.method == "POST"; c.Called("rows") != called {
				t.Errorf("the operation was called: %t", !called)
			}
			if key := map[bool]string{true: "200", false: "default"}[tt.status == 200]; c.Answered("rows", key) != (tt.status == 200 || tt.status == 405) {
				t.Errorf("answered %s: %t", key, c.Answered("rows", key))
			}
		})
	}
}
