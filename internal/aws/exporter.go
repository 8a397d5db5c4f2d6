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
	"strings"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"gateway/internal/export"
	"gateway/internal/failure"
	"gateway/internal/modelswap"
)

// Exporter implements modelswap.Exporter with DynamoDB's export to S3. It
// reads a backup, so it takes nothing from the table's capacity.
type Exporter struct {
	api    *Clients
	files  *Files
	table  string
	labels *LabelSync // brings the table up to date first
}

// NewExporter makes an exporter of a table.
func NewExporter(api *Clients, files *Files, table string, labels *LabelSync) *Exporter {
	return &Exporter{api: api, files: files, table: table, labels: labels}
}

// exportsFolder is where exports go, each in a folder of its name.
const exportsFolder = "exports"

// exportNote remembers the ARN of an export. Asking for it again by its token
// would tell it as well, but only for some hours.
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
	// No time is named: one that is computed here would differ at the next try,
	// and the same token with another request is refused.
	out, err := e.api.dynamodb.ExportTableToPointInTime(ctx, &dynamodb.ExportTableToPointInTimeInput{
		TableArn: table.Table.TableArn, S3Bucket: &e.files.root.bucket, S3Prefix: &prefix,
		ExportFormat: types.ExportFormatDynamodbJson, ClientToken: &name,
	})
	if code := codeOf(err); code == "PointInTimeRecoveryUnavailableException" {
		return &modelswap.Fault{Class: modelswap.Input, Err: fmt.Errorf(
			"table %s cannot be exported: its point-in-time recovery is off; turn it on (aws dynamodb update-continuous-backups --table-name %s "+
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

// folder is the export's own, for Files. The manifest's key tells it, where
// the service names one; else the id, the last part of the ARN.
func (e *Exporter) folder(name string, d *types.ExportDescription) (string, error) {
	if key := sdk.ToString(d.ExportManifest); key != "" {
		if within, ok := e.files.relative(path.Dir(key)); ok {
			return within, nil
		}
		return "", fmt.Errorf("the export's manifest %q does not lie where it was to go", key)
	}
	id := path.Base(sdk.ToString(d.ExportArn))
	return path.Join(exportsFolder, name, "AWSDynamoDB", id), nil
}

// ExistingExporter implements modelswap.Exporter for exports that others make:
// DynamoDB's own, or the backups of AWS Data Pipeline. It takes the newest.
type ExistingExporter struct {
	files *Files
}

// NewExistingExporter makes one for the place that files was told of.
func NewExistingExporter(files *Files) *ExistingExporter { return &ExistingExporter{files} }

// StartExport implements modelswap.Exporter: there is nothing to start.
func (e *ExistingExporter) StartExport(context.Context, string) error { return nil }

// ExportStatus implements modelswap.Exporter: the newest complete export below the
// place named.
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

// addressed names places in an error by their addresses.
func (e *ExistingExporter) addressed(err error) error {
	var said *failure.Error
	if !errors.As(err, &said) {
		return err
	}
	return &failure.Error{Kind: said.Kind, Detail: e.addresses(said.Detail), Err: said.Err}
}

// existingName is a name of Files at or below existingFolder, in a sentence.
var existingName = regexp.MustCompile(`(^|[ :])` + existingFolder + `(/| |$)`)

func (e *ExistingExporter) addresses(text string) string {
	place := strings.TrimSuffix(e.files.uri(existingFolder), "/")
	return existingName.ReplaceAllStringFunc(text, func(name string) string { return strings.Replace(name, existingFolder, place, 1) })
}
