package lambda

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-lambda-go/events"
)

// maxAnswer is how many bytes an answer may have, as JSON
// (https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html).
const maxAnswer = 6_291_556

// answer collects a response. Lambda has no connection, so its deadlines and flushes do
// nothing.
type answer struct {
	header http.Header
	status int // 0: none was written yet
	body   bytes.Buffer
	cut    bool // the body became too large
}

func newAnswer() *answer { return &answer{header: make(http.Header)} }

// Header implements http.ResponseWriter.
func (a *answer) Header() http.Header { return a.header }

// WriteHeader implements http.ResponseWriter.
func (a *answer) WriteHeader(status int) {
	if a.status == 0 && status >= http.StatusOK {
		a.status = status
	}
}

var errTooLarge = errors.New("the response is larger than Lambda allows")

// Write implements http.ResponseWriter.
func (a *answer) Write(p []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	if a.body.Len()+len(p) > maxAnswer {
		a.cut = true
		return 0, errTooLarge
	}
	return a.body.Write(p)
}

// The rest is for http.ResponseController.

func (a *answer) Flush()                           {}
func (a *answer) SetReadDeadline(time.Time) error  { return nil }
func (a *answer) SetWriteDeadline(time.Time) error { return nil }
func (a *answer) EnableFullDuplex() error          { return nil }

// event returns the answer as Lambda wants it.
func (a *answer) event(method string) ([]byte, error) {
	a.WriteHeader(http.StatusOK)
	out := events.APIGatewayV2HTTPResponse{StatusCode: a.status, Headers: make(map[string]string, len(a.header)), Cookies: a.header.Values("Set-Cookie")}
	for name, values := range a.header {
		switch name {
		case "Set-Cookie", "Connection", "Keep-Alive", "Transfer-Encoding":
		default:
			out.Headers[name] = strings.Join(values, ", ")
		}
	}
	switch body := a.body.Bytes(); {
	case method == http.MethodHead:
	case a.header.Get("Content-Encoding") == "" && utf8.Valid(body):
		out.Body = string(body)
	default:
		out.Body, out.IsBase64Encoded = base64.StdEncoding.EncodeToString(body), true
	}
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(out)
	return text.Bytes(), err
}
