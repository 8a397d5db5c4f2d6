package ask

import (
	"bufio"
	"bytes"
	"context"
	"database/sql"
	"database/sql/driver"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"modernc.org/sqlite"
)

// Database is a private database of SQLite with the table of a question. It is kept in
// memory and, beyond a few MiB, in a temporary file that the system removes with the
// process, also after a crash. It is for one goroutine.
type Database struct {
	db      *sql.DB
	conn    *sql.Conn
	table   *Table
	columns []Column // that the table has here
	answer  *answer

	describing bool  // the question is compiled alone
	Rows       int64 // of the table
}

// Bounds of the database. Numbers of limits are those of SQLite's C interface.
const (
	limitLength, maxValueBytes = 0, 16 << 20 // of a text, and of a row
	limitAttached, maxAttached = 7, 0
	maxTableColumns            = 2000 // SQLite's own; of a result too
	maxArguments               = 1000 // of a function, SQLite's own
)

// setup are the settings of the database. LIKE distinguishes upper and lower case, as in
// Athena. Nothing must survive a crash, so nothing is flushed.
var setup = []string{
	"PRAGMA journal_mode = OFF", "PRAGMA synchronous = OFF", "PRAGMA cache_size = -16384", "PRAGMA temp_store = FILE",
	"PRAGMA trusted_schema = OFF", "PRAGMA case_sensitive_like = ON",
}

// Open makes the table in a database, with the columns that the question names: all of
// them if it has SELECT * or if they are no more than SQLite's 2,000. Partial reports
// whether some are left out.
func Open(ctx context.Context, t *Table, q *Question) (d *Database, err error) {
	columns := t.Columns
	if len(columns) > maxTableColumns {
		if columns, err = t.named(q); err != nil {
			return nil, err
		}
	}
	d = &Database{table: t, columns: columns, answer: &answer{}}
	c := &connector{}
	if err := errors.Join(registerFunctions(&c.driver), d.answer.register(&c.driver)); err != nil {
		return nil, err
	}
	d.db = sql.OpenDB(c)
	d.db.SetMaxOpenConns(1)
	if d.conn, err = d.db.Conn(ctx); err == nil {
		err = d.create(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

// connector opens connections to databases without a name, with functions of their own.
type connector struct{ driver sqlite.Driver }

// Connect implements driver.Connector.
func (c *connector) Connect(context.Context) (driver.Conn, error) {
	return c.driver.Open("file:?_dqs=0") // "x" is a column, never a text
}

// Driver implements driver.Connector.
func (c *connector) Driver() driver.Driver { return &c.driver }

// named returns the columns that the question names, for a table with too many of them.
func (t *Table) named(q *Question) (columns []Column, err error) {
	names, all := q.names()
	if all {
		return nil, fmt.Errorf("the table has %d columns and SQLite's have %d: name those that you need instead of *", len(t.Columns), maxTableColumns)
	}
	for _, c := range t.Columns {
		if names[strings.ToLower(c.Name)] {
			columns = append(columns, c)
		}
	}
	if len(columns) == 0 {
		columns = []Column{t.Label()} // for count(*)
	}
	if len(columns) > maxTableColumns {
		return nil, fmt.Errorf("the question names %d columns; SQLite's tables have %d", len(columns), maxTableColumns)
	}
	return columns, nil
}

func (d *Database) create(ctx context.Context) error {
	var columns []string
	for _, c := range d.columns {
		kind := map[string]string{"integer": "INTEGER", "number": "REAL"}[c.Type]
		if kind == "" {
			kind = "TEXT"
		}
		columns = append(columns, quoteName(c.Name)+" "+kind)
	}
	statements := append(slices.Clone(setup), "CREATE TABLE "+TableName+" ("+strings.Join(columns, ", ")+")")
	for _, text := range statements {
		if _, err := d.conn.ExecContext(ctx, text); err != nil {
			return fmt.Errorf("making the table: %w", err)
		}
	}
	return nil
}

// Close removes the database.
func (d *Database) Close() (err error) {
	if d.conn != nil {
		err = d.conn.Close()
	}
	return errors.Join(err, d.db.Close())
}

// maxLine bounds a row of training CSV: a schema makes at most 10,000 columns.
const maxLine = 1 << 20

// Load reads training CSV with a header: the label, then the encoded columns. It calls
// progress with the number of rows so far.
func (d *Database) Load(ctx context.Context, data io.Reader, progress func(rows int64)) error {
	s := d.table.schema
	var header bytes.Buffer
	if err := csv.NewWriter(&header).WriteAll([][]string{append([]string{s.Label.Name}, s.Columns()...)}); err != nil {
		return err
	}
	found := make([]byte, header.Len())
	switch _, err := io.ReadFull(data, found); {
	case err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && err != io.EOF:
		return err
	case !bytes.Equal(found, header.Bytes()):
		return fmt.Errorf("the training data was made for another schema than %q of this command: name the gateway's schema with GATEWAY_SCHEMA", s.Name)
	}
	lines := bufio.NewScanner(data)
	lines.Buffer(make([]byte, 0, 64<<10), maxLine)
	tx, err := d.conn.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // does nothing after Commit
	insert, err := tx.PrepareContext(ctx, "INSERT INTO "+TableName+" VALUES (?"+strings.Repeat(", ?", len(d.columns)-1)+")")
	if err != nil {
		return err
	}
	defer insert.Close()
	values := make([]any, len(d.columns))
	for lines.Scan() {
		label, v, err := d.table.row(bytes.TrimSpace(lines.Bytes()))
		if err != nil {
			return fmt.Errorf("row %d of the training data: %w", d.Rows+1, err)
		}
		for i := range d.columns {
			values[i] = d.columns[i].value(label, v)
		}
		// database/sql starts a goroutine for each statement whose context can end.
		if _, err := insert.ExecContext(context.WithoutCancel(ctx), values...); err != nil {
			return fmt.Errorf("row %d of the training data: %w", d.Rows+1, err)
		}
		if d.Rows++; d.Rows%1000 == 0 {
			progress(d.Rows)
			if err := ctx.Err(); err != nil {
				return err
			}
		}
	}
	if err := lines.Err(); err != nil {
		return err
	}
	return tx.Commit()
}

// Ask answers a question with at most limit rows. From the first call on the database can
// only be read. The question ends with ctx.
func (d *Database) Ask(ctx context.Context, q *Question, limit int) (*Result, error) {
	if err := d.seal(); err != nil {
		return nil, err
	}
	columns, err := d.describe(q.SQL)
	if err != nil {
		return nil, err
	}
	d.answer.collector = NewCollector(limit)
	d.answer.row = make([]any, len(columns))
	// All rows come within one step of SQLite, in their order. Between steps the driver
	// does not look at the context.
	err = d.conn.QueryRowContext(ctx, d.answer.around(q.SQL, len(columns))).Scan(new(any))
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil && d.answer.err == nil:
		return nil, plain(err)
	case d.answer.err != nil && !Full(d.answer.err):
		return nil, d.answer.err
	}
	return d.answer.collector.Result(columns), nil
}

// seal allows only reading from now on. The authorizer is asked about each action of a
// statement before it runs.
func (d *Database) seal() error {
	if _, err := sqlite.Limit(d.conn, limitLength, maxValueBytes); err != nil {
		return err
	}
	if _, err := sqlite.Limit(d.conn, limitAttached, maxAttached); err != nil {
		return err
	}
	return d.conn.Raw(func(conn any) error {
		return conn.(sqlite.AuthorizerRegisterer).RegisterAuthorizer(d.authorize)
	})
}

func (d *Database) authorize(action sqlite.AuthorizerActionCode, _, name, _, _ string) sqlite.AuthorizerReturnCode {
	switch action {
	case sqlite.AuthSelect, sqlite.AuthRead, sqlite.AuthRecursive:
		return sqlite.AuthorizerOK
	case sqlite.AuthFunction:
		switch strings.ToLower(name) {
		case "load_extension":
			return sqlite.AuthorizerDeny
		case partFunction, rowFunction: // which are not for questions
			if d.describing {
				return sqlite.AuthorizerDeny
			}
		}
		return sqlite.AuthorizerOK
	}
	return sqlite.AuthorizerDeny
}

// describe returns the names of the columns of a statement, which is compiled for it and
// does not run.
func (d *Database) describe(text string) (names []string, err error) {
	d.describing = true
	defer func() { d.describing = false }()
	err = d.conn.Raw(func(conn any) error {
		columns, err := conn.(interface {
			ColumnInfo(query string) ([]sqlite.ColumnInfo, error)
		}).ColumnInfo(text)
		for _, c := range columns {
			names = append(names, c.Name)
		}
		return err
	})
	if err != nil {
		return nil, plain(err)
	}
	if len(names) == 0 {
		return nil, ErrReads
	}
	return names, nil
}

// plain makes an error of SQLite one for people.
func plain(err error) error {
	text := strings.TrimPrefix(err.Error(), "SQL logic error: ")
	text = strings.TrimSuffix(text, " (1)")
	if strings.Contains(text, "not authorized") || strings.Contains(text, "prohibited") {
		return fmt.Errorf("%w: %s", ErrReads, text)
	}
	return errors.New(text)
}
