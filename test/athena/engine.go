// Package athena runs the SQL that the gateway writes for Athena in DuckDB. It is a module
// of its own, because DuckDB needs cgo and 70 MB of binary.
package athena

import (
	"context"
	"database/sql"
	"fmt"
	"math"
	"strconv"
	"strings"

	_ "github.com/duckdb/duckdb-go/v2" // the driver

	"gateway/internal/sandbox"
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
		if _, err := db.ExecContext(context.Background(), "CREATE MACRO "+macro); err != nil {
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
func (e *Engine) Rows(ctx context.Context, query string, each func(row []*string) error) (names []string, err error) {
	columns, err := e.columns(ctx, query, each)
	for _, c := range columns {
		names = append(names, c.Name)
	}
	return names, err
}

// columns is Rows with the types of the columns, as Trino names them.
func (e *Engine) columns(ctx context.Context, query string, each func(row []*string) error) (columns []sandbox.QueryColumn, err error) {
	rows, err := e.db.QueryContext(ctx, query)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	kinds, err := rows.ColumnTypes()
	if err != nil {
		return nil, err
	}
	for _, k := range kinds {
		columns = append(columns, sandbox.QueryColumn{Name: k.Name(), Type: strings.ToLower(k.DatabaseTypeName())})
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
		s = javaDouble(v)
	default:
		s = fmt.Sprint(v)
	}
	return &s
}

// javaDouble returns a number as Java's Double.toString does, which Athena's doubles look
// like: 5.0, 1.0E7, 1.5E-4.
func javaDouble(x float64) string {
	switch size := math.Abs(x); {
	case math.IsNaN(x):
		return "NaN"
	case math.IsInf(x, 0):
		return strings.TrimPrefix(strconv.FormatFloat(x, 'f', -1, 64), "+") + "inity"
	case x == 0 || size >= 1e-3 && size < 1e7:
		s := strconv.FormatFloat(x, 'f', -1, 64)
		if !strings.Contains(s, ".") {
			s += ".0"
		}
		return s
	}
	digits, exponent, _ := strings.Cut(strconv.FormatFloat(x, 'E', -1, 64), "E")
	if !strings.Contains(digits, ".") {
		digits += ".0"
	}
	n, _ := strconv.Atoi(exponent) // of FormatFloat
	return digits + "E" + strconv.Itoa(n)
}
