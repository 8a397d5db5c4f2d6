package sandbox_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"gateway/internal/export"
	"gateway/internal/sandbox"
)

const tableArn = "arn:aws:dynamodb:eu-central-1:123456789012:table/" + table

func (s *stand) recover() {
	s.t.Helper()
	_, err := s.dynamo.UpdateContinuousBackups(s.t.Context(), &dynamodb.UpdateContinuousBackupsInput{TableName: aws.String(table),
		PointInTimeRecoverySpecification: &types.PointInTimeRecoverySpecification{PointInTimeRecoveryEnabled: aws.Bool(true)}})
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *stand) export(in *dynamodb.ExportTableToPointInTimeInput) (*types.ExportDescription, error) {
	in.TableArn, in.S3Bucket = aws.String(tableArn), aws.String(bucket)
	out, err := s.dynamo.ExportTableToPointInTime(s.t.Context(), in)
	if err != nil {
		return nil, err
	}
	return out.ExportDescription, nil
}

func (s *stand) describeExport(arn *string) *types.ExportDescription {
	s.t.Helper()
	out, err := s.dynamo.DescribeExport(s.t.Context(), &dynamodb.DescribeExportInput{ExportArn: arn})
	if err != nil {
		s.t.Fatal(err)
	}
	return out.ExportDescription
}

// files are the objects under a prefix, as a file system.
func (s *stand) files(prefix string) fstest.MapFS {
	s.t.Helper()
	out := fstest.MapFS{}
	pages := s3.NewListObjectsV2Paginator(s.s3, &s3.ListObjectsV2Input{Bucket: aws.String(bucket), Prefix: &prefix})
	for pages.HasMorePages() {
		page, err := pages.NextPage(s.t.Context())
		if err != nil {
			s.t.Fatal(err)
		}
		for _, o := range page.Contents {
			out[*o.Key] = &fstest.MapFile{Data: []byte(s.get(*o.Key, ""))}
		}
	}
	return out
}

// items counts the items that package export reads.
func items(t *testing.T, files fstest.MapFS, folder string) int {
	t.Helper()
	r, err := export.Open(t.Context(), files, folder)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for n := 0; ; n++ {
		it, err := r.Next()
		if errors.Is(err, io.EOF) {
			return n
		}
		if err != nil || it.Err != nil {
			t.Fatal(err, it.Err)
		}
		if a, ok := it.Attribute("job"); !ok || a.Text != "admin." {
			t.Fatalf("item is %+v", it)
		}
	}
}

func TestAnExportHasTheLayoutThatItsReaderKnows(t *testing.T) {
	for _, bare := range []bool{false, true} {
		s := startWith(t, sandbox.Options{Clock: sandbox.NewManualClock(), ManifestWithoutPrefix: bare})
		s.customers(50)
		s.recover()
		e, err := s.export(&dynamodb.ExportTableToPointInTimeInput{S3Prefix: aws.String("exports/r-1")})
		if err != nil {
			t.Fatal(err)
		}
		id := (*e.ExportArn)[strings.LastIndex(*e.ExportArn, "/")+1:]
		folder := "exports/r-1/AWSDynamoDB/" + id
		if e.ExportStatus != types.ExportStatusInProgress || len(s.files(folder)) != 1 || s.files(folder)[folder+"/_started"] == nil {
			t.Fatalf("begun as %s with %v", e.ExportStatus, s.files(folder))
		}
		s.Advance(5 * time.Minute)
		e = s.describeExport(e.ExportArn)
		if e.ExportStatus != types.ExportStatusCompleted || *e.ItemCount != 50 || *e.ExportManifest != folder+"/manifest-summary.json" || e.EndTime == nil {
			t.Fatalf("ended as %+v", e)
		}
		files := s.files(folder)
		empty := 0
		for name, f := range files {
			if strings.Contains(name, "/data/") && len(f.Data) == 0 {
				empty++
			}
		}
		if empty != 1 {
			t.Errorf("%d empty data files, want one: a partition without items", empty)
		}
		if with := bytes.Contains(files[folder+"/manifest-files.json"].Data, []byte(`"exports/r-1/AWSDynamoDB/`)); with == bare {
			t.Errorf("keys bear the prefix: %t, ordered without: %t", with, bare)
		}
		if n := items(t, files, folder); n != 50 {
			t.Errorf("its reader finds %d items, want 50", n)
		}
	}
}

func TestAClientTokenMakesOneExport(t *testing.T) {
	s := start(t)
	s.customers(5)
	s.recover()
	in := func(token, prefix string) *dynamodb.ExportTableToPointInTimeInput {
		return &dynamodb.ExportTableToPointInTimeInput{ClientToken: &token, S3Prefix: &prefix}
	}
	first, err := s.export(in("t1", "p"))
	if err != nil {
		t.Fatal(err)
	}
	again, err := s.export(in("t1", "p"))
	if err != nil || *again.ExportArn != *first.ExportArn {
		t.Errorf("the same token gives %v (%v)", again, err)
	}
	_, err = s.export(in("t1", "q"))
	var conflict *types.ExportConflictException
	if !errors.As(err, &conflict) {
		t.Errorf("got %v, want a conflict", err)
	}
	s.Advance(8 * time.Hour)
	again, err = s.export(in("t1", "p"))
	if err != nil || *again.ExportArn != *first.ExportArn || again.ExportStatus != types.ExportStatusCompleted {
		t.Errorf("within eight hours of the end the token gives %v (%v)", again, err)
	}
	s.Advance(time.Hour)
	if again, err = s.export(in("t1", "p")); err != nil || *again.ExportArn == *first.ExportArn {
		t.Errorf("nine hours later the token gives %v (%v), want a new export", again, err)
	}
}

func TestAnExportIsRefusedOrFails(t *testing.T) {
	s := start(t)
	_, err := s.export(&dynamodb.ExportTableToPointInTimeInput{})
	var noTable *types.TableNotFoundException
	if !errors.As(err, &noTable) {
		t.Errorf("got %v, want TableNotFoundException", err)
	}
	s.customers(1)
	_, err = s.export(&dynamodb.ExportTableToPointInTimeInput{})
	var off *types.PointInTimeRecoveryUnavailableException
	if !errors.As(err, &off) {
		t.Errorf("got %v, want PointInTimeRecoveryUnavailableException", err)
	}
	s.recover()
	s.Order("ExportTableToPointInTime", sandbox.Fault{Kind: sandbox.Fail, Code: "S3AccessDenied", Reason: "no"})
	e, err := s.export(&dynamodb.ExportTableToPointInTimeInput{})
	if err != nil {
		t.Fatal(err)
	}
	s.Advance(time.Hour)
	if e = s.describeExport(e.ExportArn); e.ExportStatus != types.ExportStatusFailed || *e.FailureCode != "S3AccessDenied" || e.ExportManifest != nil {
		t.Errorf("it ended as %+v, want FAILED", e)
	}
	_, err = s.dynamo.DescribeExport(t.Context(), &dynamodb.DescribeExportInput{ExportArn: aws.String(tableArn + "/export/none")})
	var none *types.ExportNotFoundException
	if !errors.As(err, &none) {
		t.Errorf("got %v, want ExportNotFoundException", err)
	}
}

func TestABackupOfDataPipelineCanBeReadInBothSpellings(t *testing.T) {
	s := start(t)
	s.customers(11)
	for spelling, prefix := range map[sandbox.Backup]string{sandbox.JSONBackup: "old/json", sandbox.HiveBackup: "old/hive"} {
		n, err := s.WriteBackup(t.Context(), table, bucket, prefix, spelling)
		if err != nil || n != 11 {
			t.Fatalf("wrote %d (%v)", n, err)
		}
		files := s.files(prefix + "/")
		if files[prefix+"/_SUCCESS"] == nil || files[prefix+"/manifest"] == nil {
			t.Errorf("files are %v", files)
		}
		if got := items(t, files, prefix); got != 11 {
			t.Errorf("%s: its reader finds %d items, want 11", prefix, got)
		}
	}
}
