package aws

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/google/go-cmp/cmp"

	"gateway/internal/export"
	"gateway/internal/failure"
	"gateway/internal/modelswap"
	"gateway/internal/predict"
	"gateway/internal/sandbox"
	"gateway/internal/schema"
)

// exported makes a table of n customers and its exporter.
func (s *stand) exported(n int) *Exporter {
	s.t.Helper()
	s.createTable(table, "customer_id", types.ScalarAttributeTypeS)
	c := s.customers(s.schema)
	var all []predict.Customer
	for i := range n {
		label := i % 2
		all = append(all, predict.Customer{ID: fmt.Sprint(i), Features: fmt.Appendf(nil, `{"x":%d,"month":"may","size":2}`, i), Label: &label})
	}
	_, _, err := c.PutCustomers(s.t.Context(), all)
	s.must(err)
	return s.exporter(c.LabelSync, s.schema)
}

func (s *stand) exporter(labels *LabelSync, only *schema.Schema) *Exporter {
	s.t.Helper()
	e, err := NewExporter(s.api, s.files, table, labels, only)
	s.must(err)
	return e
}

// converted returns the training CSV of an export.
func (s *stand) converted(folder string) (text string, report export.Report) {
	s.t.Helper()
	items, err := export.Open(s.t.Context(), s.files.FS(s.t.Context()), folder)
	s.must(err)
	defer items.Close()
	s.must(s.files.WriteFile(s.t.Context(), "converted.csv", func(w io.Writer) error {
		report, err = export.Convert(s.t.Context(), s.schema, items, export.Outputs{All: w}, export.Options{TempDir: s.t.TempDir()})
		return err
	}))
	f, err := s.files.FS(s.t.Context()).Open("converted.csv")
	s.must(err)
	defer f.Close()
	all, err := io.ReadAll(f)
	s.must(err)
	return string(all), report
}

func TestAnExportIsMadeOnceAndConverted(t *testing.T) {
	t.Parallel()
	s := start(t)
	e := s.exported(120)
	s.pointInTime(true)
	s.Order("ExportTableToPointInTime", sandbox.Fault{Kind: sandbox.LoseAnswer})
	s.must(e.StartExport(t.Context(), "renewal-1"))
	s.must(e.StartExport(t.Context(), "renewal-1"))
	if status, err := e.ExportStatus(t.Context(), "renewal-1"); err != nil || status.Done {
		t.Errorf("status is %+v (%v) at once", status, err)
	}
	s.Advance(time.Hour)
	status, err := s.exporter(nil, nil).ExportStatus(t.Context(), "renewal-1") // another process
	if err != nil || !status.Done || status.Items != 120 || !strings.HasPrefix(status.Folder, "exports/renewal-1/AWSDynamoDB/") {
		t.Fatalf("status is %+v (%v)", status, err)
	}
	text, report := s.converted(status.Folder)
	if report.Rows != 120 || len(report.Skipped) != 0 || !strings.Contains(text, "1,7,1,0,2\n") {
		t.Errorf("converted to %+v", report)
	}
	exports := 0
	for _, key := range s.objects("gateway/exports/renewal-1/") {
		if strings.HasSuffix(key, "/manifest-summary.json") {
			exports++
		}
	}
	if exports != 1 {
		t.Errorf("%d exports were made", exports)
	}
	s.must(s.files.RemoveAll(t.Context(), status.Folder))
}

func TestExportsThatFail(t *testing.T) {
	t.Parallel()
	s := start(t)
	e := s.exported(3)
	isFault(t, e.StartExport(t.Context(), "renewal-1"), modelswap.Input, "cannot export table customers: its point-in-time recovery is off; turn it on")
	s.pointInTime(true)
	s.Order("ExportTableToPointInTime", sandbox.Fault{Kind: sandbox.Fail, Code: "S3AccessDenied", Reason: "Access denied to bucket"})
	s.must(e.StartExport(t.Context(), "renewal-2"))
	s.Advance(time.Hour)
	_, err := e.ExportStatus(t.Context(), "renewal-2")
	isFault(t, err, modelswap.Input, "the export of table customers failed: S3AccessDenied")
}

func TestTheNewestExportOfOthersIsTaken(t *testing.T) {
	t.Parallel()
	native := func(s *stand, root, id string, xs ...int) {
		t.Helper()
		files, err := NewFiles(s.api, bucket, root, "", "")
		s.must(err)
		_, err = export.Write(t.Context(), files, export.Meta{Schema: s.schema, ID: id}, func(each func(predict.Customer) error) error {
			for _, x := range xs {
				label := 1
				if err := each(predict.Customer{ID: fmt.Sprint(x), Label: &label, Features: fmt.Appendf(nil, `{"x":%d,"month":"may","size":2}`, x)}); err != nil {
					return err
				}
			}
			return nil
		})
		s.must(err)
	}
	put := func(s *stand, key, text string) {
		t.Helper()
		_, err := s.api.s3.PutObject(t.Context(), &s3.PutObjectInput{Bucket: sdk.String(bucket), Key: &key, Body: strings.NewReader(text)})
		s.must(err)
	}
	backup := func(s *stand, folder string, x int) {
		put(s, folder+"/part-0", fmt.Sprintf(`{"customer_id":{"s":"1"},"x":{"n":"%d"},"month":{"s":"may"},"y":{"n":"1"}}`, x)+"\n")
		put(s, folder+"/manifest", fmt.Sprintf(`{"name":"DynamoDB-export","version":3,"entries":[{"url":"s3://%s/%s/part-0","mandatory":true}]}`, bucket, folder))
		put(s, folder+"/_SUCCESS", "")
	}
	tests := []struct {
		name string
		make func(s *stand)
		at   string
		want string
	}{
		{"backups of Data Pipeline, by time", func(s *stand) {
			backup(s, "backups/2018-09-30-00-00-00", 1)
			backup(s, "backups/2018-10-01-00-00-00", 2)
		}, "s3://bank/backups", "1,2,1,0,1\n"},
		{"one backup itself", func(s *stand) { backup(s, "backups/2018-09-30-00-00-00", 1) }, "s3://bank/backups/2018-09-30-00-00-00/", "1,1,1,0,1\n"},
		{"exports of DynamoDB, by id", func(s *stand) {
			native(s, "theirs", "01695353076000-aaaaaaaa", 3)
			native(s, "theirs", "01695353077000-00000000", 4)
		}, "s3://bank/theirs", "1,4,1,0,2\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := start(t)
			tt.make(s)
			var err error
			s.files, err = NewFiles(s.api, bucket, "gateway", tt.at, "")
			s.must(err)
			e := NewExistingExporter(s.files)
			s.must(e.StartExport(t.Context(), "renewal-1"))
			status, err := e.ExportStatus(t.Context(), "renewal-1")
			s.must(err)
			if text, _ := s.converted(status.Folder); text != tt.want {
				t.Errorf("%s converts to %q, want %q", status.Folder, text, tt.want)
			}
		})
	}
	s := start(t)
	var err error
	s.files, err = NewFiles(s.api, bucket, "gateway", "s3://bank/nothing-here", "")
	s.must(err)
	if _, err := NewExistingExporter(s.files).ExportStatus(t.Context(), "x"); !isKind(err, failure.NotFound) || !strings.Contains(err.Error(), "s3://bank/nothing-here") {
		t.Errorf("got %v", err)
	}
	if _, err := NewFiles(s.api, bucket, "", "bank/backups", ""); err == nil {
		t.Error("an address without s3:// was accepted")
	}
}

// TestUnfinishedExportsOfOthersArePassedOver checks that the status lists them with their
// addresses.
func TestUnfinishedExportsOfOthersArePassedOver(t *testing.T) {
	t.Parallel()
	s := start(t)
	put := func(key, text string) {
		t.Helper()
		_, err := s.api.s3.PutObject(t.Context(), &s3.PutObjectInput{Bucket: sdk.String(bucket), Key: &key, Body: strings.NewReader(text)})
		s.must(err)
	}
	var err error
	s.files, err = NewFiles(s.api, bucket, "gateway", "s3://bank/backups", "")
	s.must(err)
	e := NewExistingExporter(s.files)
	put("backups/_SUCCESS", "")
	if _, err := e.ExportStatus(t.Context(), "renewal-1"); !isKind(err, failure.NotFound) || err.Error() != "there is no export in s3://bank/backups" {
		t.Errorf("got %v", err)
	}
	put("backups/2018-10-01-00-00-00/part-0", "half of it")
	const reason = "it has data files, and neither manifest-summary.json nor manifest"
	_, err = e.ExportStatus(t.Context(), "renewal-1")
	if want := "no export in s3://bank/backups is complete: s3://bank/backups/2018-10-01-00-00-00: " + reason; !isKind(err, failure.NotFound) || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	const begun = "AWSDynamoDB/01695353077000-00000000"
	put("backups/"+begun+"/_started", "")
	put("backups/2018-09-30-00-00-00/part-0", `{"customer_id":{"s":"1"},"x":{"n":"1"},"month":{"s":"may"},"y":{"n":"1"}}`)
	put("backups/2018-09-30-00-00-00/manifest", `{"entries":[{"url":"s3://bank/backups/2018-09-30-00-00-00/part-0"}]}`)
	status, err := e.ExportStatus(t.Context(), "renewal-1")
	s.must(err)
	want := modelswap.ExportStatus{Done: true, Folder: "existing/2018-09-30-00-00-00", Source: "s3://bank/backups/2018-09-30-00-00-00",
		PassedOver: []export.PassedOver{{Export: "s3://bank/backups/" + begun, Reason: "the export in s3://bank/backups/" + begun + " is incomplete: it was started, but there is no manifest-summary.json yet"}, {Export: "s3://bank/backups/2018-10-01-00-00-00", Reason: reason}}}
	if diff := cmp.Diff(want, status); diff != "" {
		t.Error(diff)
	}
}

const privateSchema = `
name: private
id: {name: customer_id, alias: [order]}
label: {name: y, positive: [1, "yes"], negative: [0, "no"]}
features:
  - {name: x, type: number, alias: ["size, in cm"]}
  - {name: phone, type: category, values: [a], personal: true, exclude: true}
`

// TestExcludedAttributesDoNotReachS3: the export itself leaves them out, and what the
// schema does not know.
func TestExcludedAttributesDoNotReachS3(t *testing.T) {
	t.Parallel()
	s := startWith(t, privateSchema, sandbox.Options{Clock: sandbox.NewManualClock()})
	s.createTable(table, "customer_id", types.ScalarAttributeTypeS)
	c := s.customers(s.schema)
	s.pointInTime(true)
	_, err := s.api.dynamodb.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: sdk.String(table), Item: map[string]types.AttributeValue{
		"customer_id": &types.AttributeValueMemberS{Value: "1"}, "size, in cm": &types.AttributeValueMemberN{Value: "180"},
		"phone": &types.AttributeValueMemberS{Value: "secret-1"}, "street": &types.AttributeValueMemberS{Value: "secret-2"},
		"y": &types.AttributeValueMemberN{Value: "1"}, "_outcome": &types.AttributeValueMemberN{Value: "7"}}})
	s.must(err)
	for name, only := range map[string]*schema.Schema{"some": s.schema, "all": nil} {
		e := s.exporter(c.LabelSync, only)
		s.must(e.StartExport(t.Context(), name))
		s.Advance(time.Hour)
		status, err := e.ExportStatus(t.Context(), name)
		s.must(err)
		items, err := export.Open(t.Context(), s.files.FS(t.Context()), status.Folder)
		s.must(err)
		defer items.Close()
		item, err := items.Next()
		s.must(err)
		var names []string
		for _, a := range item.Attributes {
			names = append(names, a.Name)
		}
		slices.Sort(names)
		want := []string{"_outcome", "customer_id", "size, in cm", "y"}
		if only == nil {
			want = []string{"_outcome", "customer_id", "phone", "size, in cm", "street", "y"}
		}
		if !slices.Equal(names, want) {
			t.Errorf("%s: attributes are %q, want %q", name, names, want)
		}
	}
}

// TestASchemaTooLargeForAProjectionIsRefused: all attributes would be exported in silence.
func TestASchemaTooLargeForAProjectionIsRefused(t *testing.T) {
	names := make([]string, 1100)
	for i := range names {
		names[i] = fmt.Sprintf("feature_%d", i)
	}
	if _, err := projection(names); err == nil || !strings.Contains(err.Error(), "set GATEWAY_EXPORT_ALL=true") {
		t.Errorf("got %v", err)
	}
	if _, err := projection(names[:1000]); err != nil {
		t.Error(err)
	}
}
