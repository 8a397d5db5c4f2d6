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

// Customers reads the customer store. Package store has it.
type Customers interface {
	// EachCustomer calls fn with every customer of one consistent snapshot.
	EachCustomer(ctx context.Context, fn func(predict.Customer) error) error
}

// Exporter implements modelswap.Exporter: it writes the customer store as
// DynamoDB would export its table, so that one converter reads both.
type Exporter struct {
	files     modelswap.Files
	customers Customers
	schema    *schema.Schema
}

// NewExporter makes an exporter that writes to files, this platform's or another's.
func NewExporter(files modelswap.Files, customers Customers, schema *schema.Schema) *Exporter {
	return &Exporter{files, customers, schema}
}

// folder is where the export called name goes.
func folder(name string) string { return path.Join("exports", name) }

// StartExport implements modelswap.Exporter. It writes the whole export before
// it returns; the summary comes last, so that a process that dies leaves an
// export that does not count, and the next attempt writes it again.
func (e *Exporter) StartExport(ctx context.Context, name string) error {
	if status, err := e.ExportStatus(ctx, name); err != nil || status.Done {
		return err
	}
	_, err := export.Write(ctx, e.files, export.Meta{Schema: e.schema, ID: name, Folder: folder(name), Time: time.Now().UTC()},
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
