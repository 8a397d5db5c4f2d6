package aws

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"regexp"
	"strconv"
	"strings"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"gateway/internal/export"
	"gateway/internal/failure"
	"gateway/internal/modelswap"
	"gateway/internal/schema"
)

// Exporter implements modelswap.Exporter with DynamoDB's export to S3. The export reads a
// backup and uses no read capacity of the table.
type Exporter struct {
	api    *Clients
	files  *Files
	table  string
	labels *LabelSync                 // writes missing labels to the table first
	filter *types.FilterSpecification // nil: all attributes are exported
}

// NewExporter makes an exporter of a table. It exports the attributes that a conversion by
// the schema only reads; nil: all. The error is that of more names than DynamoDB takes.
func NewExporter(api *Clients, files *Files, table string, labels *LabelSync, only *schema.Schema) (*Exporter, error) {
	e := &Exporter{api: api, files: files, table: table, labels: labels}
	var err error
	if only != nil {
		e.filter, err = projection(export.Attributes(only))
	}
	return e, err
}

// maxProjection is the maximum size of a ProjectionExpression in bytes.
const maxProjection = 4096

// projection returns the filter of an export that has some attributes only. Every name is
// substituted: it may be a reserved word or of any characters.
func projection(names []string) (*types.FilterSpecification, error) {
	substitutes := make([]string, len(names))
	filter := &types.FilterSpecification{ExpressionAttributeNames: make(map[string]string, len(names))}
	for i, name := range names {
		substitutes[i] = "#" + strconv.FormatInt(int64(i), 36)
		filter.ExpressionAttributeNames[substitutes[i]] = name
	}
	text := strings.Join(substitutes, ",")
	if len(text) > maxProjection {
		return nil, fmt.Errorf("the schema reads %d attributes, and the projection of an export that leaves out the others has %d bytes, while DynamoDB takes %d; "+
			"set GATEWAY_EXPORT_ALL=true to export all attributes", len(names), len(text), maxProjection)
	}
	filter.ProjectionExpression = &text
	return filter, nil
}

// exportsFolder has a folder for each export.
const exportsFolder = "exports"

// exportNote is a file that records the ARN of an export. A repeated request with the same
// client token would return the ARN as well, but only for eight hours.
type exportNote struct {
	Arn string `json:"export_arn"`
}

func noteOf(name string) string { return path.Join(exportsFolder, name, "export.json") }

// StartExport implements modelswap.Exporter.
func (e *Exporter) StartExport(ctx context.Context, name string) error {
	if note, err := e.readNote(ctx, name); err != nil || note.Arn != "" {
		return err
	}
	table, err := e.api.dynamodb.DescribeTable(ctx, &dynamodb.DescribeTableInput{TableName: &e.table})
	if err != nil {
		return fault("DescribeTable", err)
	}
	if err := e.labels.Sync(ctx, sdk.ToString(table.Table.TableId)); err != nil {
		return err
	}
	_, prefix := e.files.at(path.Join(exportsFolder, name))
	// ExportTime is not set: a next attempt would set another one, and DynamoDB
	// refuses another request with the same client token.
	out, err := e.api.dynamodb.ExportTableToPointInTime(ctx, &dynamodb.ExportTableToPointInTimeInput{
		TableArn: table.Table.TableArn, S3Bucket: &e.files.root.bucket, S3Prefix: &prefix,
		ExportFormat: types.ExportFormatDynamodbJson, ClientToken: &name, FilterSpecification: e.filter,
	})
	if code := codeOf(err); code == "PointInTimeRecoveryUnavailableException" {
		return &modelswap.Fault{Class: modelswap.Input, Err: fmt.Errorf(
			"cannot export table %s: its point-in-time recovery is off; turn it on (aws dynamodb update-continuous-backups --table-name %s "+
				"--point-in-time-recovery-specification PointInTimeRecoveryEnabled=true)", e.table, e.table)}
	}
	if err != nil {
		return fault("ExportTableToPointInTime", err)
	}
	text, err := json.Marshal(exportNote{sdk.ToString(out.ExportDescription.ExportArn)})
	if err != nil {
		return err
	}
	return e.files.WriteFile(ctx, noteOf(name), func(w io.Writer) error { _, err := w.Write(text); return err })
}

func (e *Exporter) readNote(ctx context.Context, name string) (note exportNote, err error) {
	text, err := readFile(e.files.FS(ctx), noteOf(name), maxNote)
	if errors.Is(err, fs.ErrNotExist) {
		return note, nil
	}
	if err == nil {
		err = json.Unmarshal(text, &note)
	}
	return note, err
}

// ExportStatus implements modelswap.Exporter.
func (e *Exporter) ExportStatus(ctx context.Context, name string) (modelswap.ExportStatus, error) {
	note, err := e.readNote(ctx, name)
	if err != nil || note.Arn == "" {
		return modelswap.ExportStatus{}, err
	}
	out, err := e.api.dynamodb.DescribeExport(ctx, &dynamodb.DescribeExportInput{ExportArn: &note.Arn})
	if err != nil {
		return modelswap.ExportStatus{}, fault("DescribeExport", err)
	}
	d := out.ExportDescription
	switch d.ExportStatus {
	case types.ExportStatusCompleted:
		folder, err := e.folder(name, d)
		return modelswap.ExportStatus{Done: true, Folder: folder, Items: sdk.ToInt64(d.ItemCount)}, err
	case types.ExportStatusFailed:
		return modelswap.ExportStatus{}, &modelswap.Fault{Class: modelswap.Input, Err: fmt.Errorf("the export of table %s failed: %s: %s",
			e.table, sdk.ToString(d.FailureCode), sdk.ToString(d.FailureMessage))}
	}
	return modelswap.ExportStatus{}, nil
}

// folder returns the folder of the export as a name of Files: the folder of the manifest if
// the service names one, else one that ends with the id, the last part of the ARN.
func (e *Exporter) folder(name string, d *types.ExportDescription) (string, error) {
	if key := sdk.ToString(d.ExportManifest); key != "" {
		if within, ok := e.files.relative(path.Dir(key)); ok {
			return within, nil
		}
		return "", fmt.Errorf("the manifest %q of the export is not below the requested prefix", key)
	}
	id := path.Base(sdk.ToString(d.ExportArn))
	return path.Join(exportsFolder, name, "AWSDynamoDB", id), nil
}

// ExistingExporter implements modelswap.Exporter with exports that another program makes:
// exports of DynamoDB or backups of AWS Data Pipeline. It uses the newest one.
type ExistingExporter struct {
	files *Files
}

// NewExistingExporter makes an exporter for the existing exports of files.
func NewExistingExporter(files *Files) *ExistingExporter { return &ExistingExporter{files} }

// StartExport implements modelswap.Exporter. It does nothing.
func (e *ExistingExporter) StartExport(context.Context, string) error { return nil }

// ExportStatus implements modelswap.Exporter. It returns the newest complete export.
func (e *ExistingExporter) ExportStatus(ctx context.Context, _ string) (modelswap.ExportStatus, error) {
	folder, passed, err := export.Newest(ctx, e.files.FS(ctx), existingFolder)
	if errors.Is(err, fs.ErrNotExist) {
		err = failure.Errorf(failure.NotFound, "there is no export in %s", e.files.uri(existingFolder))
	}
	if err != nil {
		return modelswap.ExportStatus{}, e.addressed(err)
	}
	for i, p := range passed {
		passed[i] = export.PassedOver{Export: e.files.uri(p.Export), Reason: e.addresses(p.Reason)}
	}
	return modelswap.ExportStatus{Done: true, Folder: folder, Source: e.files.uri(folder), PassedOver: passed}, nil
}

// addressed replaces names of Files in an error by their s3:// addresses.
func (e *ExistingExporter) addressed(err error) error {
	var said *failure.Error
	if !errors.As(err, &said) {
		return err
	}
	return &failure.Error{Kind: said.Kind, Detail: e.addresses(said.Detail), Err: said.Err}
}

// existingName matches a name of Files at or below existingFolder in a sentence.
var existingName = regexp.MustCompile(`(^|[ :])` + existingFolder + `(/| |$)`)

func (e *ExistingExporter) addresses(text string) string {
	place := strings.TrimSuffix(e.files.uri(existingFolder), "/")
	return existingName.ReplaceAllStringFunc(text, func(name string) string { return strings.Replace(name, existingFolder, place, 1) })
}
