package aws

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"gateway/internal/export"
	"gateway/internal/exportsql"
	"gateway/internal/modelswap"
	"gateway/internal/schema"
)

// Converter implements modelswap.Converter with queries in Athena: a table over the export,
// counts, the rows, and those that the caps on apps decide about. Each query runs under a
// token made from the folder, the stage and the number of its try, so that a process finds
// the query that another one has started. A try that failed is over: the next one has
// another token and writes to another folder.
type Converter struct {
	queries *Athena
	files   *Files
	schema  *schema.Schema
	wait    time.Duration // for a query, in one call of Convert
}

// queryWait is how long a call of Convert waits for a query. Most stages end within it.
const queryWait = 5 * time.Second

// NewConverter makes a converter. The error is that of a schema that SQL cannot convert.
func NewConverter(queries *Athena, files *Files, s *schema.Schema) (*Converter, error) {
	if _, err := exportsql.New(s, export.Native); err != nil {
		return nil, err
	}
	return &Converter{queries: queries, files: files, schema: s, wait: queryWait}, nil
}

// The stages of a conversion, each of which is one query.
const (
	stageTable    = "table"
	stageCounts   = "counts"
	stageRows     = "rows"
	stageEvidence = "evidence"
	stageDrop     = "drop"
)

// conversionNote is a file in the folder of a conversion that records its queries.
type conversionNote struct {
	Table  string                `json:"table"`
	Stages map[string]queryStage `json:"stages"`
}

// queryStage is the newest try of a stage.
type queryStage struct {
	Try     int    `json:"try"`           // counted from 0
	SQL     string `json:"sql,omitempty"` // recorded before the query is started, until ID is
	ID      string `json:"id,omitempty"`  // of the query; empty: not started, or the answer was lost
	Done    bool   `json:"done,omitempty"`
	Scanned int64  `json:"scanned_bytes,omitempty"`
}

// conversion is one call of Convert.
type conversion struct {
	*Converter
	job    modelswap.ConversionJob
	note   conversionNote
	plan   *exportsql.Plan
	export *export.Reader
}

// Convert implements modelswap.Converter.
func (c *Converter) Convert(ctx context.Context, job modelswap.ConversionJob) (out modelswap.Conversion, err error) {
	x := &conversion{Converter: c, job: job}
	if x.note, err = c.readConversion(ctx, job.Folder); err != nil {
		return out, err
	}
	defer func() { out.Detail = x.detail() }()
	if x.export, err = export.Open(ctx, c.files.FS(ctx), job.Export); err != nil {
		return out, err
	}
	defer x.export.Close()
	if x.plan, err = exportsql.New(c.schema, x.export.Layout()); err != nil {
		return out, err
	}
	settlement, done, err := x.query(ctx)
	if err != nil || !done {
		return out, err
	}
	// The result is files and does not need the table.
	if done, err = x.stage(ctx, stageDrop, exportsql.DropTable(x.note.Table)); !done {
		return out, err
	}
	out, err = x.finish(ctx, settlement)
	out.Done = err == nil
	return out, err
}

// query runs the queries in their order, as far as this call comes.
func (x *conversion) query(ctx context.Context) (s *export.Settlement, done bool, err error) {
	address, err := x.location(ctx)
	if err != nil {
		return nil, false, err
	}
	table, policy := x.note.Table, *x.job.Policy
	if done, err = x.stage(ctx, stageTable, exportsql.CreateTable(table, address)); !done {
		return nil, false, err
	}
	if done, err = x.stage(ctx, stageCounts, x.plan.Counts(table, policy, x.job.Watermark)); !done {
		return nil, false, err
	}
	if s, err = x.settlement(ctx); err != nil {
		return nil, false, err
	}
	if s.Train+s.Holdout+s.Neither > 0 {
		if done, err = x.stage(ctx, stageRows, x.plan.Unload(table, x.files.uri(x.output(stageRows))+"/", policy, s.Open)); !done {
			return nil, false, err
		}
	}
	if s.Undecided > 0 {
		done, err = x.stage(ctx, stageEvidence, x.plan.UnloadEvidence(table, x.files.uri(x.output(stageEvidence))+"/", policy))
	}
	return s, done, err
}

// output is the folder that the present try of a stage writes to. It is new for each try:
// a query that failed may leave files, and UNLOAD writes to an empty folder only.
func (x *conversion) output(stage string) string {
	return path.Join(x.job.Folder, fmt.Sprintf("%s-%d", stage, x.note.Stages[stage].Try))
}

// location returns the address of the folder with the data files, after checking that it
// has no others: a table reads all of them.
func (x *conversion) location(ctx context.Context) (string, error) {
	if x.note.Stages[stageTable].Done {
		return "", nil // the query ran
	}
	folder := x.export.Folder()
	if x.export.Layout() == export.Native {
		folder = path.Join(folder, "data")
	}
	entries, err := fs.ReadDir(x.files.FS(ctx), folder)
	if err != nil {
		return "", err
	}
	named := x.export.Files()
	for _, e := range entries {
		hidden := strings.HasPrefix(e.Name(), "_") || strings.HasPrefix(e.Name(), ".")
		manifest := x.export.Layout() == export.Backup && e.Name() == "manifest"
		if !hidden && !manifest && !slices.Contains(named, path.Join(folder, e.Name())) {
			return "", &modelswap.Fault{Class: modelswap.Input, Err: fmt.Errorf("%s has %s, which its manifest does not name; "+
				"a table in Athena would read it; remove it or set GATEWAY_TRANSFORM=inline", x.files.uri(folder), e.Name())}
		}
	}
	for _, name := range named {
		if path.Dir(name) != folder {
			return "", &modelswap.Fault{Class: modelswap.Input, Err: fmt.Errorf("the manifest of %s names %s, which is in another folder", x.files.uri(folder), name)}
		}
	}
	return x.files.uri(folder) + "/", nil
}

// stage starts the query of a stage or polls it, for as long as x.wait. A query that has
// failed is the error; the next call begins another try.
func (x *conversion) stage(ctx context.Context, name, sql string) (done bool, err error) {
	at := x.note.Stages[name]
	if at.Done {
		return true, nil
	}
	if at.ID == "" {
		if at.SQL == "" {
			at.SQL = sql
			if err := x.record(ctx, name, at); err != nil {
				return false, err
			}
		}
		if at, err = x.begin(ctx, name, at); err != nil {
			return false, err
		}
	}
	status, err := x.queries.waitUpTo(ctx, at.ID, x.wait)
	if err != nil || !status.Done {
		return false, err
	}
	at.Scanned += status.Scanned
	if at.Done = status.Err == nil; !at.Done {
		at.ID = ""
		at.Try++
	}
	return at.Done, errors.Join(status.Err, x.record(ctx, name, at))
}

// begin starts the query that was recorded for a stage, or finds it if it was started.
func (x *conversion) begin(ctx context.Context, name string, at queryStage) (queryStage, error) {
	id, err := x.queries.startTo(ctx, at.SQL, x.token(name, at.Try), x.files.uri(path.Join(x.job.Folder, "results"))+"/")
	if refused := new(modelswap.Fault); errors.As(err, &refused) && refused.Class == modelswap.Input {
		at.SQL = ""
		return at, errors.Join(err, x.record(ctx, name, at))
	}
	if err != nil {
		return at, err
	}
	at.SQL, at.ID = "", id
	return at, x.record(ctx, name, at)
}

// token is that of a try of a stage: the same in every process.
func (x *conversion) token(stage string, try int) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\n%s\n%d", x.files.uri(x.job.Folder), stage, try))
	return hex.EncodeToString(sum[:])
}

// record writes the note with the new state of a stage.
func (x *conversion) record(ctx context.Context, name string, at queryStage) error {
	x.note.Stages[name] = at
	text, err := json.Marshal(x.note)
	if err != nil {
		return err
	}
	return x.files.WriteFile(ctx, noteOfConversion(x.job.Folder), func(w io.Writer) error { _, err := w.Write(text); return err })
}

// settlement reads the counts and checks that every item is in them and was read.
func (x *conversion) settlement(ctx context.Context) (*export.Settlement, error) {
	var groups []export.Group
	_, err := x.queries.Rows(ctx, x.note.Stages[stageCounts].ID, func(row []*string) error {
		g, err := x.plan.Group(row)
		groups = append(groups, g)
		return err
	})
	if err != nil {
		return nil, err
	}
	var items int64
	for _, g := range groups {
		items += g.Items
		if what, unread := strings.CutPrefix(g.Reason, exportsql.Unread); unread {
			return nil, &modelswap.Fault{Class: modelswap.Input, Err: fmt.Errorf(
				"a query cannot read %d items as the gateway does; each has in attribute %s; set GATEWAY_TRANSFORM=inline", g.Items, what)}
		}
	}
	if total := x.export.Total(); total >= 0 && items != total {
		return nil, &modelswap.Fault{Class: modelswap.Input, Err: fmt.Errorf("the table of the export in Athena has %d items; the manifest has %d", items, total)}
	}
	return export.NewSettlement(x.schema, groups, x.job.Policy, x.job.Watermark), nil
}

// detail is what operators see of the conversion.
func (x *conversion) detail() map[string]any {
	queries, scanned := map[string]string{}, int64(0)
	for name, at := range x.note.Stages {
		scanned += at.Scanned
		if at.ID != "" {
			queries[name] = at.ID
		}
	}
	return map[string]any{"queries": queries, "scanned_bytes": scanned}
}

func noteOfConversion(folder string) string { return path.Join(folder, "queries.json") }

// unsafeInTable are the characters that the name of a table does not have.
var unsafeInTable = regexp.MustCompile(`[^a-z0-9]+`)

// readConversion reads the note of a conversion, or makes it.
func (c *Converter) readConversion(ctx context.Context, folder string) (note conversionNote, err error) {
	text, err := readFile(c.files.FS(ctx), noteOfConversion(folder), maxNote)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		err = nil
	case err == nil:
		err = json.Unmarshal(text, &note)
	}
	note.Table = "gateway_" + strings.Trim(unsafeInTable.ReplaceAllString(strings.ToLower(folder), "_"), "_")
	if note.Stages == nil {
		note.Stages = map[string]queryStage{}
	}
	return note, err
}

// StopConversion implements modelswap.Converter.
func (c *Converter) StopConversion(ctx context.Context, folder string) error {
	note, err := c.readConversion(ctx, folder)
	if err != nil || len(note.Stages) == 0 || note.Stages[stageDrop].Done {
		return err
	}
	x := &conversion{Converter: c, job: modelswap.ConversionJob{Folder: folder}, note: note}
	x.wait = stopWait
	stopped := x.stopQueries(ctx)
	done, err := x.stage(ctx, stageDrop, exportsql.DropTable(note.Table))
	if err == nil && !done {
		err = fmt.Errorf("table %s is still being dropped", note.Table)
	}
	return errors.Join(stopped, err)
}

// stopQueries stops the queries before the drop that run or may run.
func (x *conversion) stopQueries(ctx context.Context) error {
	var faults []error
	for name, at := range x.note.Stages {
		if at.Done || name == stageDrop || at.ID == "" && at.SQL == "" {
			continue
		}
		faults = append(faults, x.stopQuery(ctx, name, at))
	}
	return errors.Join(faults...)
}

// stopQuery stops the query of a stage and waits for its end: a definition that is stopped
// late would make the table again.
func (x *conversion) stopQuery(ctx context.Context, name string, at queryStage) (err error) {
	if at.ID == "" { // it may have been started: its token finds it
		if at, err = x.begin(ctx, name, at); err != nil {
			return err
		}
	}
	if err := x.queries.Stop(ctx, at.ID); err != nil {
		return err
	}
	_, err = x.queries.waitUpTo(ctx, at.ID, x.wait)
	return err
}

// stopWait is how long StopConversion waits for a query to end.
const stopWait = 20 * time.Second
