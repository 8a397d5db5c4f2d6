package sandbox

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/go-json-experiment/json"
	"github.com/google/uuid"
)

// tableExport is an export of a table. Its data are those at the time of the request, because
// the stand-in keeps no history; it ignores ExportTime. The table of a backend is read from
// then on, which may take minutes.
type tableExport struct {
	id, arn    string
	in         *exportInput
	tableID    string
	begun, due time.Time
	ended      time.Time
	status     string
	code       string // FailureCode
	message    string
	read       chan struct{} // closed once items or unread is set
	items      []item
	unread     error
	billed     int64
	manifest   string
	fault      *Ordered
	claimed    bool // a goroutine finishes it
}

type exportInput struct {
	TableArn       string
	S3Bucket       string
	S3Prefix       string
	S3BucketOwner  string
	S3SseAlgorithm string
	ExportFormat   string
	ExportType     string
	ExportTime     float64
	ClientToken    string

	FilterSpecification *exportFilter
}

// exportFilter has the expressions of an export. The stand-in projects and does not filter.
type exportFilter struct {
	expressions `json:",inline"`

	ProjectionExpression   string
	FilterExpression       string
	KeyConditionExpression string
}

// maxExpression is the maximum size of an expression in bytes.
const maxExpression = 4096

// check returns the error of a request with the filter.
func (f *exportFilter) check() error {
	switch {
	case f == nil:
		return nil
	case f.FilterExpression != "" || f.KeyConditionExpression != "":
		return validationf("The stand-in projects exports and does not filter them.")
	case len(f.ProjectionExpression) > maxExpression:
		return validationf("Invalid ProjectionExpression: Expression size has exceeded the maximum allowed size; expression size: %d", len(f.ProjectionExpression))
	}
	_, err := f.project(f.ProjectionExpression, nil)
	return err
}

// apply returns items with the attributes that the filter names.
func (f *exportFilter) apply(items []item) (out []item, err error) {
	if f == nil || f.ProjectionExpression == "" {
		return items, nil
	}
	for _, it := range items {
		projected, err := f.project(f.ProjectionExpression, it)
		if err != nil {
			return nil, err
		}
		out = append(out, projected)
	}
	return out, nil
}

// tokenLife is how long after its end an export can be found by its client token.
const tokenLife = 8 * time.Hour

func (s *Server) exportTable(c *call, in *exportInput) (any, error) {
	name := tableName(in.TableArn)
	token := in.ClientToken
	in.ClientToken = ""
	switch {
	case !strings.HasPrefix(in.TableArn, "arn:"):
		return nil, validationf("1 validation error detected: Value '%s' at 'tableArn' failed to satisfy constraint: it must be an ARN", in.TableArn)
	case in.ExportFormat != "" && in.ExportFormat != "DYNAMODB_JSON" || in.ExportType != "" && in.ExportType != "FULL_EXPORT":
		return nil, validationf("The stand-in makes full exports in DYNAMODB_JSON.")
	case strings.Contains(token, "$"):
		return nil, validationf("1 validation error detected: Value '%s' at 'clientToken' failed to satisfy constraint: Member must satisfy regular expression pattern: ^[^\\$]+$", token)
	case in.ExportTime > float64(s.clock.Now().Unix()+1):
		return nil, refusef("InvalidExportTimeException", "The specified ExportTime is outside of the point in time recovery window.")
	}
	if err := in.FilterSpecification.check(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	found, err := s.sameToken(token, in)
	s.mu.Unlock()
	if found != nil || err != nil {
		return found, err
	}
	tableID, err := s.exportable(c.request.Context(), name)
	if err != nil {
		return nil, err
	}
	now := s.clock.Now()
	id := fmt.Sprintf("%014d-%s", now.UnixMilli(), uuid.NewString()[:8])
	request := *in
	request.ClientToken = token
	e := &tableExport{id: id, arn: tableARN(name) + "/export/" + id, in: &request, tableID: tableID, begun: now, due: now.Add(s.pace.Exporting),
		status: "IN_PROGRESS", fault: c.fault, read: make(chan struct{})}
	read := func() {
		defer close(e.read)
		if e.items, e.unread = s.scanAll(s.ctx, name); e.unread == nil {
			e.items, e.unread = in.FilterSpecification.apply(e.items)
		}
	}
	if s.backend == nil {
		read()
	}
	// If the bucket does not exist, the export fails later.
	_ = s.upload(c.request.Context(), in.S3Bucket, e.folder()+"/_started", nil)
	s.mu.Lock()
	defer s.mu.Unlock()
	if found, err := s.sameToken(token, in); found != nil || err != nil {
		return found, err // a concurrent request with the same token
	}
	s.exports[e.arn] = e
	if s.backend != nil {
		s.work.Go(read)
	}
	return struct{ ExportDescription any }{e.describe()}, nil
}

// sameToken returns the export that has the client token, if any. The caller holds the lock.
func (s *Server) sameToken(token string, in *exportInput) (any, error) {
	for _, e := range s.exports {
		if token == "" || e.in.ClientToken != token || !e.ended.IsZero() && s.clock.Now().After(e.ended.Add(tokenLife)) {
			continue
		}
		same := *e.in
		same.ClientToken = ""
		if !reflect.DeepEqual(same, *in) {
			return nil, refusef("ExportConflictException", "There was a conflict when writing to the specified S3 bucket: the client token was used with other parameters.")
		}
		return struct{ ExportDescription any }{e.describe()}, nil
	}
	return nil, nil
}

// exportable returns an error for a table without point-in-time recovery.
func (s *Server) exportable(ctx context.Context, name string) (tableID string, err error) {
	var described struct{ Table struct{ TableId string } }
	if s.database(ctx, "DescribeTable", tableNamed{name}, &described) != nil {
		return "", tableNotFound(name)
	}
	var backups struct {
		ContinuousBackupsDescription struct {
			PointInTimeRecoveryDescription struct{ PointInTimeRecoveryStatus string }
		}
	}
	if err := s.database(ctx, "DescribeContinuousBackups", tableNamed{name}, &backups); err != nil {
		return "", err
	}
	if backups.ContinuousBackupsDescription.PointInTimeRecoveryDescription.PointInTimeRecoveryStatus != "ENABLED" {
		return "", refusef("PointInTimeRecoveryUnavailableException", "Point in time recovery is not enabled for table '%s'", name)
	}
	return described.Table.TableId, nil
}

func (s *Server) scanAll(ctx context.Context, name string) (items []item, err error) {
	var next item
	for {
		var page scanOutput
		in := struct {
			TableName         string
			ConsistentRead    bool
			ExclusiveStartKey item `json:",omitzero"`
		}{name, true, next}
		if err := s.database(ctx, "Scan", in, &page); err != nil {
			return nil, err
		}
		items = append(items, page.Items...)
		if next = page.LastEvaluatedKey; next == nil {
			return items, nil
		}
	}
}

// database calls DynamoDB, of the stand-in or of the backend, without faults. It does not use
// the SDK because items must keep their JSON.
func (s *Server) database(ctx context.Context, operation string, in, out any) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, cmp.Or(s.options.Backend, "http://stand-in.internal")+"/", bytes.NewReader(marshal(in)))
	if err != nil {
		return err
	}
	r.Header.Set("X-Amz-Target", "DynamoDB_20120810."+operation)
	r.Header.Set("Content-Type", "application/x-amz-json-1.0")
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential="+accessKey+"/20260101/"+Region+"/dynamodb/aws4_request, SignedHeaders=host, Signature=0")
	do := inner{s}.Do
	if s.options.Backend != "" {
		do = http.DefaultClient.Do
	}
	res, err := do(r)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: HTTP %d: %s", operation, res.StatusCode, shorten(string(body), 200))
	}
	return json.Unmarshal(body, out)
}

// dueExports claims and returns the exports whose files are due. The caller holds the lock.
func (s *Server) dueExports(now time.Time) (due []*tableExport) {
	for _, e := range s.exports {
		stuck := e.fault != nil && e.fault.Kind == Stick && e.fault.sticks()
		if e.status == "IN_PROGRESS" && !e.claimed && !stuck && !now.Before(e.due) && e.isRead() {
			e.claimed = true
			due = append(due, e)
		}
	}
	return due
}

func (e *tableExport) isRead() bool {
	select {
	case <-e.read:
		return true
	default:
		return false
	}
}

// finishExport writes the files of an export and ends it.
func (s *Server) finishExport(e *tableExport) {
	code, message := "", ""
	if e.fault != nil && e.fault.Kind == Fail {
		code, message = cmp.Or(e.fault.Code, "UNKNOWN"), cmp.Or(e.fault.Reason, "The export failed for an unknown reason.")
	}
	if code == "" && e.unread != nil {
		code, message = "UNKNOWN", "The table could not be read: "+e.unread.Error()
	}
	var manifest string
	if code == "" {
		var err error
		if manifest, err = s.writeExport(s.ctx, e); err != nil {
			code, message = "S3NoSuchBucket", "The specified bucket does not exist or cannot be written to: "+err.Error()
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	e.ended, e.manifest, e.code, e.message, e.status = e.due, manifest, code, message, "COMPLETED"
	if code != "" {
		e.status = "FAILED"
	}
}

type exportDescription struct {
	ExportArn, ExportStatus, TableArn, TableId string
	ClientToken, S3Bucket                      string
	S3Prefix                                   string `json:",omitzero"`
	S3SseAlgorithm                             string `json:",omitzero"`
	StartTime, ExportTime                      epoch
	EndTime                                    *epoch `json:",omitzero"`
	ExportFormat, ExportType                   string
	ExportManifest                             string `json:",omitzero"`
	FailureCode, FailureMessage                string `json:",omitzero"`
	ItemCount, BilledSizeBytes                 *int64 `json:",omitzero"`
}

func (e *tableExport) time() time.Time {
	if e.in.ExportTime > 0 {
		return time.UnixMilli(int64(e.in.ExportTime * 1000))
	}
	return e.begun
}

func (e *tableExport) describe() exportDescription {
	d := exportDescription{
		ExportArn: e.arn, ExportStatus: e.status, TableArn: e.in.TableArn, TableId: e.tableID, ClientToken: e.in.ClientToken,
		S3Bucket: e.in.S3Bucket, S3Prefix: e.in.S3Prefix, S3SseAlgorithm: e.in.S3SseAlgorithm, StartTime: epoch(e.begun), ExportTime: epoch(e.time()),
		EndTime: at(e.ended), ExportFormat: "DYNAMODB_JSON", ExportType: "FULL_EXPORT", ExportManifest: e.manifest,
		FailureCode: e.code, FailureMessage: e.message,
	}
	if e.status == "COMPLETED" {
		n := int64(len(e.items))
		d.ItemCount, d.BilledSizeBytes = &n, &e.billed
	}
	return d
}

func (s *Server) describeExport(_ *call, in *struct{ ExportArn string }) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.exports[in.ExportArn]
	if e == nil {
		return nil, refusef("ExportNotFoundException", "Export not found: %s", in.ExportArn)
	}
	return struct{ ExportDescription any }{e.describe()}, nil
}

func (s *Server) listExports(_ *call, in *struct {
	TableArn   string
	MaxResults int
	NextToken  string
}) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	type summary struct{ ExportArn, ExportStatus, ExportType string }
	out := struct {
		ExportSummaries []summary
		NextToken       string `json:",omitzero"`
	}{ExportSummaries: []summary{}}
	var arns []string
	for _, arn := range sortedKeys(s.exports) {
		if in.TableArn == "" || s.exports[arn].in.TableArn == in.TableArn {
			arns = append(arns, arn)
		}
	}
	arns, next, err := paged(arns, in.NextToken, in.MaxResults, 25)
	if err != nil {
		return nil, err
	}
	for _, arn := range arns {
		out.ExportSummaries = append(out.ExportSummaries, summary{arn, s.exports[arn].status, "FULL_EXPORT"})
	}
	out.NextToken = next
	return out, nil
}

// upload writes an object. Faults do not apply, and the journal does not record it.
func (s *Server) upload(ctx context.Context, bucket, key string, body []byte) error {
	_, err := s.s3.PutObject(ctx, &s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: bytes.NewReader(body)})
	return err
}
