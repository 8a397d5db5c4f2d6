package aws

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/athena/types"

	"gateway/internal/exportsql"
)

// Asker asks questions about files of lines in Athena.
type Asker struct {
	queries *Athena
	files   *Files
}

// NewAsker returns an asker about files.
func NewAsker(queries *Athena, files *Files) *Asker { return &Asker{queries, files} }

// Ask runs the query that sql makes of the name of a table and the s3:// addresses of
// files. The table has the lines of all files in a folder that has the named files and
// folders; it is made for the question and dropped after it. Ask calls each with every row,
// whose error ends the reading and is returned. Values are nil, int64, float64, bool or
// string, by the type of their column. The columns are known before the first row. If ctx
// ends, the running query is stopped.
func (a *Asker) Ask(ctx context.Context, names []string, sql func(table string, files []string) string, each func(row []any) error) (columns []string, err error) {
	files, folder, err := a.locate(ctx, names)
	if err != nil {
		return nil, err
	}
	table := "gateway_ask_" + newToken()
	// The table is dropped also if its definition failed: Athena may have made it.
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), dropWait)
		defer cancel()
		if _, dropErr := a.run(ctx, exportsql.DropTable(table)); dropErr != nil {
			err = errors.Join(err, fmt.Errorf("table %s is left in Athena: %w", table, dropErr))
		}
	}()
	if _, err := a.run(ctx, exportsql.CreateTable(table, a.files.uri(folder)+"/")); err != nil {
		return nil, err
	}
	id, err := a.run(ctx, sql(table, files))
	if err != nil {
		return nil, err
	}
	var read []func(string) any
	err = a.queries.pages(ctx, id, func(meta *types.ResultSetMetadata) {
		if columns = columnNames(meta); meta == nil {
			return
		}
		for _, c := range meta.ColumnInfo {
			read = append(read, readerOf(sdk.ToString(c.Type)))
		}
	}, func(row []*string) error {
		values := make([]any, len(row))
		for i, cell := range row {
			if cell != nil && i < len(read) {
				values[i] = read[i](*cell)
			}
		}
		return each(values)
	})
	return columns, err
}

// dropWait is how long Ask tries to drop its table, and how long it waits for the end of a
// query that it stops.
const dropWait = time.Minute

// run runs a query to its end. If ctx ends, the query is stopped, and its end awaited: a
// definition that is stopped late would make the table again.
func (a *Asker) run(ctx context.Context, sql string) (id string, err error) {
	if id, err = a.queries.Start(ctx, sql, newToken()); err != nil {
		return "", err
	}
	_, err = a.queries.Wait(ctx, id)
	if ctx.Err() == nil {
		return id, err
	}
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), dropWait)
	defer cancel()
	if stopErr := a.queries.Stop(ending, id); stopErr != nil {
		return id, errors.Join(ctx.Err(), stopErr)
	}
	_, waitErr := a.queries.waitUpTo(ending, id, dropWait)
	return id, errors.Join(ctx.Err(), waitErr)
}

// locate returns the addresses of the named files and of all files in the named folders,
// and the folder that has all of them.
func (a *Asker) locate(ctx context.Context, names []string) (files []string, folder string, err error) {
	fsys := a.files.FS(ctx)
	for _, name := range names {
		info, err := fs.Stat(fsys, name)
		if err != nil {
			return nil, "", err
		}
		found := []string{name}
		if info.IsDir() {
			entries, err := fs.ReadDir(fsys, name)
			if err != nil {
				return nil, "", err
			}
			found = nil
			for _, e := range entries {
				found = append(found, path.Join(name, e.Name()))
			}
		}
		for _, name := range found {
			files = append(files, a.files.uri(name))
			folder = commonFolder(folder, path.Dir(name))
		}
	}
	if folder == "" || folder == "." {
		return nil, "", fmt.Errorf("the files %q are in no folder of their own", names)
	}
	return files, folder, nil
}

// commonFolder returns the folder above two folders, or the one that is not empty.
func commonFolder(a, b string) string {
	if a == "" {
		return b
	}
	for a != "." && a != b && !strings.HasPrefix(b, a+"/") {
		a = path.Dir(a)
	}
	return a
}

// newToken returns 32 random hexadecimal digits.
func newToken() string {
	var token [16]byte
	_, _ = rand.Read(token[:]) // never fails
	return hex.EncodeToString(token[:])
}

// readerOf returns what reads the values of a type of Athena. A text that is not of the
// type stays a text.
func readerOf(kind string) func(string) any {
	switch kind {
	case "tinyint", "smallint", "integer", "int", "bigint":
		return func(text string) any {
			if n, err := strconv.ParseInt(text, 10, 64); err == nil {
				return n
			}
			return text
		}
	case "float", "real", "double", "decimal":
		return func(text string) any {
			if x, err := strconv.ParseFloat(text, 64); err == nil {
				return x
			}
			return text
		}
	case "boolean":
		return func(text string) any {
			if b, err := strconv.ParseBool(text); err == nil {
				return b
			}
			return text
		}
	}
	return func(text string) any { return text }
}
