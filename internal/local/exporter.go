package local

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"path"
	"time"

	"gateway/internal/export"
	"gateway/internal/modelswap"
	"gateway/internal/predict"
	"gateway/internal/schema"
)

// Customers reads the customer store. Package store implements it.
type Customers interface {
	// EachCustomer calls fn with every customer of one consistent snapshot.
	EachCustomer(ctx context.Context, fn func(predict.Customer) error) error
}

// Exporter implements modelswap.Exporter. It writes the customers in the format of an export
// of DynamoDB, so that one converter reads both.
type Exporter struct {
	files     modelswap.Files
	customers Customers
	schema    *schema.Schema
	now       func() time.Time
}

// NewExporter makes an exporter that writes to files, of this back end or of another one.
func NewExporter(files modelswap.Files, customers Customers, schema *schema.Schema) *Exporter {
	return &Exporter{files, customers, schema, time.Now}
}

// UseClock makes the exporter take the times of exports from a clock instead of
// time.Now. It must be called before the first export.
func (e *Exporter) UseClock(now func() time.Time) { e.now = now }

// folder returns the folder of an export.
func folder(name string) string { return path.Join("exports", name) }

// StartExport implements modelswap.Exporter. It returns when the export is written. The
// summary is written last: an export without one is incomplete, and the next attempt writes
// it again.
func (e *Exporter) StartExport(ctx context.Context, name string) error {
	if status, err := e.ExportStatus(ctx, name); err != nil || status.Done {
		return err
	}
	_, err := export.Write(ctx, e.files, export.Meta{Schema: e.schema, ID: name, Folder: folder(name), Time: e.now().UTC()},
		func(each func(predict.Customer) error) error { return e.customers.EachCustomer(ctx, each) })
	return err
}

// ExportStatus implements modelswap.Exporter.
func (e *Exporter) ExportStatus(ctx context.Context, name string) (modelswap.ExportStatus, error) {
	at := path.Join(folder(name), "AWSDynamoDB", name)
	text, err := fs.ReadFile(e.files.FS(ctx), path.Join(at, "manifest-summary.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return modelswap.ExportStatus{}, nil
	}
	if err != nil {
		return modelswap.ExportStatus{}, err
	}
	var summary struct {
		Items int64 `json:"itemCount"`
	}
	if err := json.Unmarshal(text, &summary); err != nil {
		return modelswap.ExportStatus{}, err
	}
	return modelswap.ExportStatus{Done: true, Folder: at, Items: summary.Items}, nil
}
