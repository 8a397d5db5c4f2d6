package athena

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"

	"gateway/internal/sandbox"
)

// Runner runs the queries of a sandbox in DuckDB. It has the external tables of one account,
// whose data are objects in the sandbox's buckets, as Athena and its catalog have.
type Runner struct {
	mu     sync.Mutex
	tables map[string]*table
}

// NewRunner returns a runner without tables.
func NewRunner() *Runner { return &Runner{tables: map[string]*table{}} }

// Tables returns the names of the tables, sorted.
func (r *Runner) Tables() (names []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for name := range r.tables {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// userError is the error of a query that is wrong, or that Athena refuses.
func userError(format string, args ...any) error {
	return &sandbox.QueryError{ErrorCategory: 2, ErrorType: 1, ErrorMessage: fmt.Sprintf(format, args...)}
}

// The statements that the runner knows; any other is a query.
var (
	createTable = regexp.MustCompile("(?is)^\\s*CREATE\\s+EXTERNAL\\s+TABLE\\s+(IF\\s+NOT\\s+EXISTS\\s+)?([`\"\\w.]+)\\s*(\\(.*)$")
	dropTable   = regexp.MustCompile("(?is)^\\s*DROP\\s+TABLE\\s+(IF\\s+EXISTS\\s+)?([`\"\\w.]+)\\s*;?\\s*$")
	unload      = regexp.MustCompile(`(?is)^\s*UNLOAD\s*\((.*)\)\s*TO\s*'([^']*)'\s*WITH\s*\((.*)\)\s*;?\s*$`)
	showTables  = regexp.MustCompile(`(?i)^\s*SHOW\s+TABLES\s*;?\s*$`)
	query       = regexp.MustCompile(`(?i)^[\s(]*(SELECT|WITH)\b`)
)

// Run implements sandbox.QueryRunner.
func (r *Runner) Run(ctx context.Context, q sandbox.Query) (out sandbox.QueryResult, err error) {
	if m := createTable.FindStringSubmatch(q.SQL); m != nil {
		t, err := parseTable(m[3])
		if err != nil {
			return out, err
		}
		return out, r.define(tableName(m[2]), t, m[1] != "")
	}
	if m := dropTable.FindStringSubmatch(q.SQL); m != nil {
		return out, r.drop(tableName(m[2]), m[1] != "")
	}
	if m := unload.FindStringSubmatch(q.SQL); m != nil {
		return r.unload(ctx, q.S3, m[1], m[2], m[3])
	}
	if showTables.MatchString(q.SQL) {
		out.Columns = []sandbox.QueryColumn{{Name: "tab_name", Type: "string"}}
		for _, name := range r.Tables() {
			out.Rows = append(out.Rows, []*string{&name})
		}
		return out, nil
	}
	if !query.MatchString(q.SQL) {
		return out, userError("the engine of tests does not run %.60q", q.SQL)
	}
	engine, scanned, end, err := r.open(ctx, q.S3, q.SQL)
	if err != nil {
		return out, err
	}
	defer end()
	out.Scanned = scanned
	out.Columns, err = engine.columns(ctx, strings.TrimSuffix(strings.TrimSpace(q.SQL), ";"), func(row []*string) error {
		out.Rows = append(out.Rows, slices.Clone(row))
		return nil
	})
	return out, queryError(ctx, err)
}

// queryError returns the error of a query for one of DuckDB.
func queryError(ctx context.Context, err error) error {
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	}
	return userError("%v", err)
}

// tableName returns a name without quotes and database.
func tableName(text string) string {
	parts := strings.Split(strings.ToLower(text), ".")
	return strings.Trim(parts[len(parts)-1], "`\"")
}

func (r *Runner) define(name string, t *table, lenient bool) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.tables[name] != nil {
		if lenient {
			return nil
		}
		return userError("FAILED: Execution Error, return code 1 from org.apache.hadoop.hive.ql.exec.DDLTask. AlreadyExistsException(message:Table %s already exists.)", name)
	}
	r.tables[name] = t
	return nil
}

func (r *Runner) drop(name string, lenient bool) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.tables[name] == nil && !lenient {
		return userError("FAILED: SemanticException [Error 10001]: Table not found %s", name)
	}
	delete(r.tables, name)
	return nil
}

// open returns an engine with the tables that a query names, and the size of their data.
func (r *Runner) open(ctx context.Context, store objectStore, sql string) (e *Engine, scanned int64, end func(), err error) {
	dir, err := os.MkdirTemp("", "athena-")
	if err != nil {
		return nil, 0, nil, err
	}
	if e, err = Open(); err != nil {
		_ = os.RemoveAll(dir)
		return nil, 0, nil, err
	}
	end = func() {
		_ = e.Close()
		_ = os.RemoveAll(dir)
	}
	r.mu.Lock()
	used := map[string]*table{}
	for name, t := range r.tables {
		if regexp.MustCompile(`(?i)\b` + regexp.QuoteMeta(name) + `\b`).MatchString(sql) {
			used[name] = t
		}
	}
	r.mu.Unlock()
	for name, t := range used {
		n, err := t.load(ctx, e, store, name, dir)
		if err != nil {
			end()
			return nil, 0, nil, queryError(ctx, err)
		}
		scanned += n
	}
	return e, scanned, end, nil
}
