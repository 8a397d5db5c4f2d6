package athena

import (
	"context"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// objectStore has the calls of S3 that a runner makes.
type objectStore interface {
	s3.ListObjectsV2APIClient
	GetObject(ctx context.Context, in *s3.GetObjectInput, options ...func(*s3.Options)) (*s3.GetObjectOutput, error)
	PutObject(ctx context.Context, in *s3.PutObjectInput, options ...func(*s3.Options)) (*s3.PutObjectOutput, error)
}

// table is an external table.
type table struct {
	columns        []column
	bucket, prefix string
	delimiter      string
	quoted         bool // cells may be in quotes
	header         bool // the first line of each file is one
}

type column struct{ name, kind string } // as in the definition

// Clauses behind the columns of a table.
var (
	location   = regexp.MustCompile(`(?i)\bLOCATION\s+'s3://([^/']+)/([^']*)'`)
	terminated = regexp.MustCompile(`(?i)\bFIELDS\s+TERMINATED\s+BY\s+'([^']+)'`)
	openCSV    = regexp.MustCompile(`(?i)OpenCSVSerde`)
	skipHeader = regexp.MustCompile(`(?i)'skip\.header\.line\.count'\s*=\s*'1'`)
)

// parseTable parses a definition from the parenthesis of its columns on.
func parseTable(text string) (*table, error) {
	depth, end := 0, -1
	for i, c := range text {
		switch c {
		case '(', '<':
			depth++
		case ')', '>':
			if depth--; depth == 0 && end < 0 {
				end = i
			}
		}
	}
	if end < 0 {
		return nil, userError("line 1:1: the list of columns has no end")
	}
	t := &table{delimiter: "\x01"}
	for part := range strings.SplitSeq(text[1:end], ",") {
		name, kind, ok := strings.Cut(strings.TrimSpace(part), " ")
		if !ok {
			return nil, userError("line 1:1: mismatched input %q", part)
		}
		t.columns = append(t.columns, column{strings.ToLower(strings.Trim(name, "`")), strings.ToLower(strings.Trim(strings.TrimSpace(kind), "`"))})
	}
	rest := text[end+1:]
	at := location.FindStringSubmatch(rest)
	if at == nil || at[2] != "" && !strings.HasSuffix(at[2], "/") {
		return nil, userError("a table needs a LOCATION such as 's3://bucket/prefix/'")
	}
	t.bucket, t.prefix = at[1], at[2]
	if m := terminated.FindStringSubmatch(rest); m != nil {
		t.delimiter = strings.ReplaceAll(m[1], `\t`, "\t")
	}
	if openCSV.MatchString(rest) {
		t.delimiter, t.quoted = ",", true
	}
	t.header = skipHeader.MatchString(rest)
	return t, nil
}

// kinds are DuckDB's names of the types of Hive.
var kinds = map[string]string{"string": "VARCHAR", "varchar": "VARCHAR", "char": "VARCHAR", "tinyint": "TINYINT", "smallint": "SMALLINT", "int": "INTEGER",
	"integer": "INTEGER", "bigint": "BIGINT", "float": "FLOAT", "double": "DOUBLE", "boolean": "BOOLEAN", "date": "DATE", "timestamp": "TIMESTAMP"}

// load downloads the data of a table to a folder and makes a view of it. Like Athena, it
// passes over objects whose names begin with _ or a point.
func (t *table) load(ctx context.Context, e *Engine, store objectStore, name, dir string) (scanned int64, err error) {
	var files, addresses []string
	pages := s3.NewListObjectsV2Paginator(store, &s3.ListObjectsV2Input{Bucket: &t.bucket, Prefix: &t.prefix})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return 0, err
		}
		for _, o := range page.Contents {
			base := path.Base(*o.Key)
			if *o.Size == 0 || strings.HasPrefix(base, "_") || strings.HasPrefix(base, ".") {
				continue
			}
			scanned += *o.Size
			file := filepath.Join(dir, fmt.Sprintf("%s-%d", name, len(files)))
			if strings.HasSuffix(base, ".gz") {
				file += ".gz"
			}
			if err := download(ctx, store, t.bucket, *o.Key, file); err != nil {
				return 0, err
			}
			files, addresses = append(files, file), append(addresses, "s3://"+t.bucket+"/"+*o.Key)
		}
	}
	return scanned, t.view(ctx, e, name, files, addresses)
}

func download(ctx context.Context, store objectStore, bucket, key, file string) error {
	o, err := store.GetObject(ctx, &s3.GetObjectInput{Bucket: &bucket, Key: &key})
	if err != nil {
		return err
	}
	defer o.Body.Close()
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	if _, err := io.Copy(f, o.Body); err != nil {
		_ = f.Close()
		return err
	}
	return f.Close()
}

// view makes the view of a table over files that were downloaded from addresses. A value
// that is not of its column's type is NULL.
func (t *table) view(ctx context.Context, e *Engine, name string, files, addresses []string) error {
	var cells, texts []string
	for _, c := range t.columns {
		kind := kinds[strings.SplitN(c.kind, "(", 2)[0]]
		if kind == "" {
			return userError("the engine of tests has no columns of type %s", c.kind)
		}
		cells = append(cells, fmt.Sprintf(`TRY_CAST("%s" AS %s) AS "%[1]s"`, c.name, kind))
		texts = append(texts, fmt.Sprintf(`'%s': 'VARCHAR'`, c.name))
	}
	if len(files) == 0 {
		return e.Exec(ctx, fmt.Sprintf(`CREATE VIEW "%s" AS SELECT %s FROM (SELECT %s) WHERE false`, name, strings.Join(cells, ", "), t.nulls()))
	}
	quote := "''"
	if t.quoted {
		quote = `'"'`
	}
	paths := "CASE filename"
	for i, f := range files {
		files[i] = "'" + strings.ReplaceAll(f, "'", "''") + "'"
		paths += fmt.Sprintf(" WHEN %s THEN '%s'", files[i], strings.ReplaceAll(addresses[i], "'", "''"))
	}
	paths += " END"
	return e.Exec(ctx, fmt.Sprintf(`CREATE VIEW "%s" AS SELECT %s, %s AS "$path" FROM read_csv([%s], columns = {%s}, delim = '%s', quote = %s, escape = %s, header = %t, `+
		"auto_detect = false, filename = true, max_line_size = 8388608, strict_mode = false, null_padding = true, parallel = false)",
		name, strings.Join(cells, ", "), paths, strings.Join(files, ", "), strings.Join(texts, ", "), t.delimiter, quote, quote, t.header))
}

func (t *table) nulls() string {
	nulls := make([]string, len(t.columns))
	for i, c := range t.columns {
		nulls[i] = fmt.Sprintf(`NULL AS "%s"`, c.name)
	}
	return strings.Join(nulls, ", ")
}
