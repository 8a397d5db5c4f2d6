// Package athena runs the SQL that the gateway writes for Athena in DuckDB. It is a module
// of its own, because DuckDB needs cgo and 70 MB of binary.
package athena

import (
	"context"
	"database/sql"
	"fmt"
	"strconv"
	"strings"

	_ "github.com/duckdb/duckdb-go/v2" // the driver
)

// Engine is a DuckDB in memory that understands what our queries use of Trino's dialect.
type Engine struct{ db *sql.DB }

// macros are the functions of Trino that DuckDB has under another name, or with another
// meaning under the same one.
var macros = []string{
	`json_parse(x) AS CAST(x AS json)`,
	`json_extract_scalar(j, p) AS json_extract_string(j, p)`,
	`element_at(m, k) AS map_extract_value(m, k)`,
	`regexp_like(s, p) AS regexp_matches(s, p)`,
	`array_join(a, d) AS array_to_string(a, d)`,
	`to_utf8(x) AS x`,       // DuckDB's sha256 takes text,
	`to_hex(x) AS upper(x)`, // and answers in hexadecimal
	`is_nan(x) AS isnan(x)`,
}

// Open makes an engine.
func Open() (*Engine, error) {
	db, err := sql.Open("duckdb", "")
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1) // macros and views belong to the database, settings to a connection
	for _, macro := range macros {
		if _, err := db.Exec("CREATE MACRO " + macro); err != nil {
			return nil, fmt.Errorf("macro %s: %w", macro, err)
		}
	}
	return &Engine{db}, nil
}

// Close ends the engine.
func (e *Engine) Close() error { return e.db.Close() }

// Exec runs a statement of DuckDB's own.
func (e *Engine) Exec(ctx context.Context, text string) error {
	_, err := e.db.ExecContext(ctx, text)
	return err
}

// Lines makes a table of the lines of files, gzip or not, as CREATE EXTERNAL TABLE of one
// column does. A name may have wildcards.
func (e *Engine) Lines(ctx context.Context, table string, files ...string) error {
	quoted := make([]string, len(files))
	for i, f := range files {
		quoted[i] = "'" + strings.ReplaceAll(f, "'", "''") + "'"
	}
	_, err := e.db.ExecContext(ctx, fmt.Sprintf(`CREATE OR REPLACE VIEW "%s" AS SELECT line, filename AS "$path" FROM read_csv([%s], columns = {'line': 'VARCHAR'}, `+
		"delim = '\x01', quote = '', escape = '', header = false, auto_detect = false, filename = true, max_line_size = 8388608, strict_mode = false)",
		table, strings.Join(quoted, ", ")))
	return err
}

// Rows calls each with every row of a query, its values as text as Athena's API gives
// them, nil for NULL, and returns the names of the columns.
func (e *Engine) Rows(ctx context.Context, query string, each func(row []*string) error) ([]string, error) {
	rows, err := e.db.QueryContext(ctx, query)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return nil, err
	}
	values, pointers, row := make([]any, len(columns)), make([]any, len(columns)), make([]*string, len(columns))
	for i := range values {
		pointers[i] = &values[i]
	}
	for rows.Next() {
		if err := rows.Scan(pointers...); err != nil {
			return columns, err
		}
		for i, v := range values {
			row[i] = text(v)
		}
		if err := each(row); err != nil {
			return columns, err
		}
	}
	return columns, rows.Err()
}

func text(value any) *string {
	var s string
	switch v := value.(type) {
	case nil:
		return nil
	case string:
		s = v
	case float64:
		s = strconv.FormatFloat(v, 'g', -1, 64)
	default:
		s = fmt.Sprint(v)
	}
	return &s
}
