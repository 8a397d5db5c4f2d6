package client

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"gateway/api"
	"gateway/api/edge"
	"gateway/internal/audit"
	"gateway/internal/insights"
	"gateway/internal/modelswap"

	"github.com/go-json-experiment/json"
)

// Client calls a gateway. The error of a response with a status of 300 or above is an
// *edge.Problem.
type Client struct {
	BaseURL string       // such as http://127.0.0.1:8080
	Token   string       // for the operators' routes; may be empty
	HTTP    *http.Client // nil: http.DefaultClient

	key string // Idempotency-Key of what is posted; empty for none
}

// WithIdempotencyKey returns a client whose Predict, Outcome, Outcomes and Retrain send the
// key. A call may then be repeated if its response was lost. A key is for one request and
// its repetitions.
func (c *Client) WithIdempotencyKey(key string) *Client {
	with := *c
	with.key = key
	return &with
}

// Predict asks for one prediction.
func (c *Client) Predict(ctx context.Context, req api.PredictionRequest) (api.Prediction, error) {
	var p api.Prediction
	text, err := json.Marshal(req)
	if err != nil {
		return p, err
	}
	res, err := c.do(ctx, http.MethodPost, "/predict", "application/json", bytes.NewReader(text))
	if err != nil {
		return p, err
	}
	defer res.Body.Close()
	p.Unexplained = res.Header.Get(api.ExplainUnavailable)
	return p, readAnswer(res, &p)
}

// PredictBatch sends rows of CSV or NDJSON, and yields the items of the response in order, as
// they arrive. The item of a row that failed has an Error. If the sequence yields an error,
// that is the last element, and the remaining rows were not answered.
func (c *Client) PredictBatch(ctx context.Context, contentType string, rows io.Reader) iter.Seq2[api.BatchItem, error] {
	return func(yield func(api.BatchItem, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		res, err := c.do(ctx, http.MethodPost, "/predict/batch", contentType, rows)
		if err != nil {
			yield(api.BatchItem{}, err)
			return
		}
		defer res.Body.Close()
		err = eachLine(res, func(line []byte) error {
			var item api.BatchItem
			if err := json.Unmarshal(line, &item); err != nil {
				return fmt.Errorf("decoding the gateway's answer: %w", err)
			}
			if item.End {
				return item.Error
			}
			if !yield(item, nil) {
				return errStopped
			}
			return nil
		})
		if err != nil && !errors.Is(err, errStopped) {
			yield(api.BatchItem{}, err)
		}
	}
}

var errStopped = errors.New("the caller stopped the sequence")

// Outcome reports what a customer did, for a prediction or a customer.
func (c *Client) Outcome(ctx context.Context, o api.Outcome) (api.Match, error) {
	var m api.Match
	return m, c.post(ctx, "/outcomes", o, &m)
}

// Outcomes reports several outcomes. Match i belongs to outcome i, and may have an Error.
func (c *Client) Outcomes(ctx context.Context, list []api.Outcome) ([]api.Match, error) {
	var answer struct {
		Outcomes []api.Match `json:"outcomes"`
	}
	err := c.post(ctx, "/outcomes", map[string]any{"outcomes": list}, &answer)
	return answer.Outcomes, err
}

// Retrain starts a renewal.
func (c *Client) Retrain(ctx context.Context, req api.RetrainRequest) (*modelswap.Renewal, error) {
	var r modelswap.Renewal
	return &r, c.post(ctx, "/admin/retrain", req, &r)
}

// Renewal returns one renewal in full.
func (c *Client) Renewal(ctx context.Context, id string) (*modelswap.Renewal, error) {
	var r modelswap.Renewal
	return &r, c.get(ctx, "/admin/renewals/"+url.PathEscape(id), &r)
}

// Renewals returns at most limit renewals, newest first, that are older than the renewal with
// the id before. Limit 0 is the gateway's default; an empty id means from the newest.
func (c *Client) Renewals(ctx context.Context, limit int, before string) ([]*modelswap.Renewal, error) {
	var list api.RenewalList
	err := c.get(ctx, "/admin/renewals?"+pageQuery(limit, before), &list)
	return list.Renewals, err
}

func pageQuery(limit int, before string) string {
	query := url.Values{}
	if limit > 0 {
		query.Set("limit", strconv.Itoa(limit))
	}
	if before != "" {
		query.Set("before", before)
	}
	return query.Encode()
}

// Resume continues a renewal from the step at which it stopped, or from req.From.
func (c *Client) Resume(ctx context.Context, id string, req api.ResumeRequest) (*modelswap.Renewal, error) {
	var r modelswap.Renewal
	return &r, c.post(ctx, "/admin/renewals/"+url.PathEscape(id)+"/resume", req, &r)
}

// Cancel requests that a renewal be cancelled. It returns before the renewal has ended.
func (c *Client) Cancel(ctx context.Context, id string) (*modelswap.Renewal, error) {
	var r modelswap.Renewal
	return &r, c.call(ctx, http.MethodPost, "/admin/renewals/"+url.PathEscape(id)+"/cancel", "", nil, &r)
}

// Rollback makes an earlier model serve again. An empty name means the model that served
// before the current one.
func (c *Client) Rollback(ctx context.Context, model string) (*modelswap.Model, error) {
	var m modelswap.Model
	return &m, c.post(ctx, "/admin/rollback", api.RollbackRequest{Model: model}, &m)
}

// Models returns the models that renewals made, newest first.
func (c *Client) Models(ctx context.Context) ([]modelswap.Model, error) {
	var list api.ModelList
	err := c.get(ctx, "/admin/models", &list)
	return list.Models, err
}

// Model returns a model with its figures.
func (c *Client) Model(ctx context.Context, name string) (*modelswap.ModelReport, error) {
	var report modelswap.ModelReport
	return &report, c.get(ctx, "/admin/models/"+url.PathEscape(name), &report)
}

// InsightQuery are the parameters of Quality and Drift. Empty ones are left out.
type InsightQuery struct {
	Model, From, To, Bucket string
	Segments, Curves        bool   // of Quality alone
	Against                 string // of Drift alone
}

func (q InsightQuery) of(path string) string {
	values := url.Values{}
	for name, value := range map[string]string{"model": q.Model, "from": q.From, "to": q.To, "bucket": q.Bucket, "against": q.Against} {
		if value != "" {
			values.Set(name, value)
		}
	}
	if q.Segments {
		values.Set("segments", "true")
	}
	if q.Curves {
		values.Set("curves", "true")
	}
	if len(values) == 0 {
		return path
	}
	return path + "?" + values.Encode()
}

// Quality returns how good predictions were.
func (c *Client) Quality(ctx context.Context, q InsightQuery) (*insights.QualityReport, error) {
	var report insights.QualityReport
	return &report, c.get(ctx, q.of("/admin/insights/quality"), &report)
}

// Drift returns how far what a model is asked is from its training data, or from what it
// was asked in the week before.
func (c *Client) Drift(ctx context.Context, q InsightQuery) (*insights.DriftReport, error) {
	var report insights.DriftReport
	return &report, c.get(ctx, q.of("/admin/insights/drift"), &report)
}

// Correlations returns the correlations of features with the label.
func (c *Client) Correlations(ctx context.Context) (*insights.CorrelationReport, error) {
	var report insights.CorrelationReport
	return &report, c.get(ctx, "/admin/insights/correlations", &report)
}

// Audit returns at most limit entries of the audit log, newest first, that are older than the
// entry with the id before. Limit 0 is the gateway's default; an empty id means from the
// newest.
func (c *Client) Audit(ctx context.Context, limit int, before string) ([]audit.Entry, error) {
	var list api.ActList
	err := c.get(ctx, "/admin/audit?"+pageQuery(limit, before), &list)
	return list.Acts, err
}

// Status returns the state of the service.
func (c *Client) Status(ctx context.Context) (map[string]any, error) {
	var page map[string]any
	err := c.get(ctx, "/admin/status", &page)
	return page, err
}

// SchemaInForce is what GET /schema says of the schema as a whole.
type SchemaInForce struct {
	Name        string `json:"title"`
	Fingerprint string `json:"x-fingerprint"`
	ID          string `json:"x-id"`
	Label       string `json:"x-label"`
	Positive    []any  `json:"x-positive"` // spellings of the positive value of the label
	Negative    []any  `json:"x-negative"`
}

// Schema returns the schema that the gateway uses.
func (c *Client) Schema(ctx context.Context) (s SchemaInForce, err error) {
	err = c.get(ctx, "/schema", &s)
	return s, err
}

// Ready returns whether the gateway can predict. That it is unavailable is not an error.
func (c *Client) Ready(ctx context.Context) (api.Readiness, error) {
	var ready api.Readiness
	res, err := c.send(ctx, http.MethodGet, "/readyz", "", nil)
	if err != nil {
		return ready, err
	}
	defer res.Body.Close()
	if !strings.HasPrefix(res.Header.Get("Content-Type"), "application/json") {
		return ready, problemFrom(res)
	}
	return ready, readAnswer(res, &ready)
}

// eachLine calls fn for each line of a streamed response. It returns an error if the response
// is incomplete.
func eachLine(res *http.Response, fn func(line []byte) error) error {
	lines := bufio.NewScanner(res.Body)
	lines.Buffer(nil, maxClientLine)
	for lines.Scan() {
		if line := bytes.TrimSpace(lines.Bytes()); len(line) > 0 {
			if err := fn(line); err != nil {
				return err
			}
		}
	}
	switch err := lines.Err(); {
	case errors.Is(err, bufio.ErrTooLong):
		return fmt.Errorf("a line of the gateway's answer is larger than %d bytes", maxClientLine)
	case err != nil:
		return fmt.Errorf("the gateway's answer breaks off: %w", err)
	case res.Trailer.Get(api.EndTrailer) != api.Complete:
		return errors.New("the gateway's answer breaks off")
	}
	return nil
}

func (c *Client) get(ctx context.Context, path string, answer any) error {
	return c.call(ctx, http.MethodGet, path, "", nil, answer)
}

func (c *Client) post(ctx context.Context, path string, body, answer any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	return c.call(ctx, http.MethodPost, path, "application/json", bytes.NewReader(text), answer)
}

func (c *Client) call(ctx context.Context, method, path, contentType string, body io.Reader, answer any) error {
	res, err := c.do(ctx, method, path, contentType, body)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	return readAnswer(res, answer)
}

// Bounds of what the client holds in memory, in bytes.
const (
	maxClientAnswer = 64 << 20
	maxClientLine   = 8 << 20
)

// readAnswer decodes a response in JSON.
func readAnswer(res *http.Response, answer any) error {
	body := &io.LimitedReader{R: res.Body, N: maxClientAnswer + 1}
	err := json.UnmarshalRead(body, answer)
	switch {
	case body.N <= 0:
		return fmt.Errorf("the gateway's answer is larger than %d bytes", maxClientAnswer)
	case err != nil:
		return fmt.Errorf("decoding the gateway's answer: %w", err)
	}
	return nil
}

// do sends a request. For a status of 300 or above it returns an *edge.Problem.
func (c *Client) do(ctx context.Context, method, path, contentType string, body io.Reader) (*http.Response, error) {
	res, err := c.send(ctx, method, path, contentType, body)
	if err != nil {
		return nil, err
	}
	if res.StatusCode >= 300 {
		defer res.Body.Close()
		return nil, problemFrom(res)
	}
	return res, nil
}

func (c *Client) send(ctx context.Context, method, path, contentType string, body io.Reader) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(c.BaseURL, "/")+path, body)
	if err != nil {
		return nil, err
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	if c.key != "" && method == http.MethodPost {
		req.Header.Set(api.IdempotencyKey, c.key)
	}
	if c.Token != "" {
		req.Header.Set("Authorization", "Bearer "+c.Token)
	}
	h := c.HTTP
	if h == nil {
		h = http.DefaultClient
	}
	return h.Do(req)
}

// problemFrom returns the problem in a response. If there is none, because a proxy has
// answered, it makes one of the status.
func problemFrom(res *http.Response) error {
	const maxProblem = 1 << 20
	text, _ := io.ReadAll(io.LimitReader(res.Body, maxProblem))
	p := new(edge.Problem)
	if err := json.Unmarshal(text, p); err != nil || p.Title == "" {
		p = &edge.Problem{Title: http.StatusText(res.StatusCode), RequestID: res.Header.Get("X-Request-Id")}
	}
	p.Status = res.StatusCode
	return p
}
