package sandbox

import (
	"bytes"
	"cmp"
	"errors"
	"math"
	"net/http"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"

	"gateway/internal/learn"
)

// Maximum sizes of the body of a request, for instances and for serverless variants.
const (
	maxPayload           = 6_291_456
	maxServerlessPayload = 4 << 20
)

func validationError(format string, args ...any) *Error {
	return refusef("ValidationError", format, args...)
}

// modelError returns the error of the runtime for an answer of the container.
func (s *Server) modelError(status int, text, endpoint string) *Error {
	side := "server"
	if status >= 400 && status < 500 {
		side = "client"
	}
	link := "https://" + Region + ".console.aws.amazon.com/cloudwatch/home?region=" + Region + "#logEventViewer:group=/aws/sagemaker/Endpoints/" + endpoint
	message := sprintf("Received %s error (%d) from primary with message \"%s\". See %s in account %s for more information.", side, status, text, link, Account)
	return &Error{Status: http.StatusFailedDependency, Code: "ModelError", Message: message, Members: map[string]any{
		"Message": message, "OriginalStatusCode": status, "OriginalMessage": text,
		"LogStreamArn": "arn:aws:logs:" + Region + ":" + Account + ":log-group:/aws/sagemaker/Endpoints/" + endpoint,
	}}
}

// target returns the fleet and the variant that answer an invocation.
func (s *Server) target(c *call) (*fleet, *variant, *Error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.endpoints[c.Resource]
	if e == nil || e.serving == nil || e.status == "Deleting" {
		return nil, nil, validationError("Endpoint %s of account %s not found.", c.Resource, Account)
	}
	s.turn++
	f := e.serving
	name := c.header.Get("X-Amzn-Sagemaker-Target-Variant")
	if r := e.rollout; r != nil && golden(s.turn) < r.phases[0].share {
		f = r.next
	}
	if name == "" {
		// Another sequence than above, so that the two shares are independent.
		return f, f.pick(golden(s.turn * 7919)), nil
	}
	v := f.variant(name)
	if v == nil && e.rollout != nil && e.rollout.phases[0].share > 0 {
		// Only one of the fleets may have the variant.
		for _, other := range []*fleet{e.serving, e.rollout.next} {
			if o := other.variant(name); o != nil {
				return other, o, nil
			}
		}
	}
	if v == nil {
		return nil, nil, validationError("Variant %s not found for Request", name)
	}
	return f, v, nil
}

func (s *Server) serveRuntime(c *call, body []byte) *answer {
	fail := func(e *Error) *answer { return errorAnswer(c, e) }
	f, v, refused := s.target(c)
	if refused != nil {
		return fail(refused)
	}
	most := maxPayload
	if v.serverless != nil {
		most = maxServerlessPayload
	}
	for _, h := range []struct {
		name  string
		limit int
	}{{"X-Amzn-Sagemaker-Custom-Attributes", 1024}, {"X-Amzn-Sagemaker-Inference-Id", 64}} {
		if len(c.header.Get(h.name)) > h.limit {
			return fail(validationError("1 validation error detected: Value at '%s' failed to satisfy constraint: Member must have length less than or equal to %d", h.name, h.limit))
		}
	}
	if len(body) > most {
		return fail(&Error{Status: http.StatusRequestEntityTooLarge, Code: "ValidationError", Message: sprintf("1 validation error detected: Value at 'body' failed to satisfy constraint: Member must have length less than or equal to %d", most)})
	}
	c.EndpointConfig, c.Variant, c.Model = f.config.name, v.name, v.model
	rows, e := readRows(c, body, v)
	if e != nil {
		return fail(s.modelError(e.Status, e.Message, c.Resource))
	}
	c.Rows = len(rows)
	out, e := predictions(c, rows, v)
	if e != nil {
		return fail(s.modelError(e.Status, e.Message, c.Resource))
	}
	out.header.Set("X-Amzn-Invoked-Production-Variant", v.name)
	return out
}

// containerf returns an error that the container answers.
func containerf(status int, format string, args ...any) *Error {
	return &Error{Status: status, Message: sprintf(format, args...)}
}

// readRows parses a request as the container of the variant's algorithm does.
func readRows(c *call, body []byte, v *variant) ([][]float64, *Error) {
	boosted := v.scorer.Algorithm == learn.XGBoost
	bad := containerf(http.StatusBadRequest, "unable to evaluate payload provided")
	kind, _, _ := strings.Cut(c.ContentType, ";")
	width := len(v.scorer.Model.Columns())
	var rows [][]float64
	switch strings.TrimSpace(kind) {
	case "text/csv":
		for line := range bytes.Lines(bytes.TrimSpace(body)) {
			row, err := parseRow(strings.TrimRight(string(line), "\r\n"))
			if err != nil && boosted {
				return nil, containerf(http.StatusUnsupportedMediaType, "Loading csv data failed with Exception, please ensure data is in csv format:\n <class 'ValueError'>\n could not convert string to float")
			}
			if err != nil {
				return nil, bad
			}
			rows = append(rows, row)
		}
	case "application/json":
		var in struct {
			Instances []struct {
				Features []float64 `json:"features"`
				Data     struct {
					Features struct {
						Values []float64 `json:"values"`
					} `json:"features"`
				} `json:"data"`
			} `json:"instances"`
		}
		if boosted {
			return nil, containerf(http.StatusUnsupportedMediaType, "Content type application/json is not supported.")
		}
		if json.Unmarshal(body, &in) != nil {
			return nil, bad
		}
		for _, one := range in.Instances {
			if one.Features == nil {
				one.Features = one.Data.Features.Values
			}
			rows = append(rows, one.Features)
		}
	default:
		return nil, containerf(http.StatusUnsupportedMediaType, "content_type not supported: %s", c.ContentType)
	}
	for _, row := range rows {
		if len(row) == width {
			continue
		}
		if boosted {
			return nil, containerf(http.StatusBadRequest, "Unable to evaluate payload provided: Feature shape mismatch, expected: %d, got %d", width, len(row))
		}
		return nil, bad
	}
	return rows, nil
}

func parseRow(line string) ([]float64, error) {
	fields := strings.Split(line, ",")
	row := make([]float64, len(fields))
	for i, text := range fields {
		x, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
		if err != nil || math.IsInf(x, 0) || math.IsNaN(x) {
			return nil, errors.New("not a number")
		}
		row[i] = x
	}
	return row, nil
}

// predictions scores rows and returns the answer of the container.
func predictions(c *call, rows [][]float64, v *variant) (*answer, *Error) {
	if len(rows) == 0 {
		return newAnswer(http.StatusNoContent, "", nil), nil
	}
	scores := make([]string, len(rows))
	labels := make([]string, len(rows))
	boosted := v.scorer.Algorithm == learn.XGBoost
	for i, row := range rows {
		scores[i], labels[i] = scored(row, v.scorer)
		if c.kind() == IntegerLabels {
			labels[i] = labels[i][:1]
		}
	}
	switch c.kind() {
	case NotANumber:
		scores[0] = "NaN"
	case NullScore:
		scores[0] = "null"
	case WrongCount:
		scores = scores[:len(scores)-1]
	}
	accept, _, _ := strings.Cut(c.header.Get("Accept"), ";")
	switch accept = strings.TrimSpace(accept); {
	case accept == "*/*":
		accept = ""
	case accept == "application/jsonlines":
		return lines(scores, labels, boosted), nil
	}
	if !boosted {
		if a := cmp.Or(accept, "application/json"); a != "application/json" {
			return nil, containerf(http.StatusNotAcceptable, "Accept type %s is not supported", a)
		}
		return newAnswer(http.StatusOK, "application/json", predictionsJSON(scores, labels)), nil
	}
	switch cmp.Or(accept, "text/csv") {
	case "application/json":
		return newAnswer(http.StatusOK, "application/json", predictionsJSON(scores, nil)), nil
	case "text/csv":
		if v.joined {
			return newAnswer(http.StatusOK, "text/csv; charset=utf-8", []byte(strings.Join(scores, ","))), nil
		}
		return newAnswer(http.StatusOK, "text/csv; charset=utf-8", []byte(strings.Join(scores, "\n")+"\n")), nil
	}
	return nil, containerf(http.StatusNotAcceptable, "Accept type %s is not supported", accept)
}

// decimal formats a float as Python does, always with a point or an exponent.
func decimal(x float64, bits int) string {
	text := strconv.FormatFloat(x, 'g', -1, bits)
	if !strings.ContainsAny(text, ".e") {
		text += ".0"
	}
	return text
}

func prediction(score, label string) string {
	if label == "" {
		return `{"score": ` + score + `}`
	}
	return `{"score": ` + score + `, "predicted_label": ` + label + `}`
}

func predictionsJSON(scores, labels []string) []byte {
	all := make([]string, len(scores))
	for i, score := range scores {
		label := ""
		if labels != nil {
			label = labels[i]
		}
		all[i] = prediction(score, label)
	}
	return []byte(`{"predictions": [` + strings.Join(all, ", ") + `]}`)
}

func lines(scores, labels []string, boosted bool) *answer {
	var b strings.Builder
	for i, score := range scores {
		label := labels[i]
		if boosted {
			label = ""
		}
		b.WriteString(prediction(score, label) + "\n")
	}
	return newAnswer(http.StatusOK, "application/jsonlines", []byte(b.String()))
}

// joinsScores reports whether an image answers in CSV with all scores on one line, as XGBoost
// up to 0.90 does.
func joinsScores(image string) bool {
	_, tag, _ := strings.Cut(image, ":")
	return strings.HasSuffix(strings.TrimSuffix(image, ":"+tag), "xgboost") && (strings.HasPrefix(tag, "0.") || tag == "1" || tag == "latest")
}
