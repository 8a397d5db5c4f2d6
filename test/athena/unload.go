package athena

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"gateway/internal/sandbox"
)

// target is where UNLOAD writes, and how.
type target struct {
	bucket, prefix string
	format         string
	delimiter      string
	packed         bool   // with gzip
	partition      string // a column, the last one; empty: none
}

// Options of UNLOAD.
var (
	unloadTo    = regexp.MustCompile(`^s3://([^/]+)/(.*)$`)
	option      = regexp.MustCompile(`(?is)(\w+)\s*=\s*(?:'([^']*)'|ARRAY\s*\[\s*'(\w+)'\s*\])`)
	filesOfEach = 3 // of each partition
)

func parseTarget(to, options string) (target, error) {
	m := unloadTo.FindStringSubmatch(to)
	if m == nil {
		return target{}, userError("UNLOAD needs an address such as s3://bucket/prefix/")
	}
	t := target{bucket: m[1], prefix: m[2], delimiter: "\x01", packed: true}
	for _, o := range option.FindAllStringSubmatch(options, -1) {
		switch strings.ToLower(o[1]) {
		case "format":
			t.format = strings.ToUpper(o[2])
		case "field_delimiter":
			t.delimiter = o[2]
		case "compression":
			t.packed = !strings.EqualFold(o[2], "none")
		case "partitioned_by":
			t.partition = o[3]
		default:
			return t, userError("UNLOAD has no option %s", o[1])
		}
	}
	if t.format != "TEXTFILE" && t.format != "JSON" {
		return t, userError("the engine of tests does not write the format %q", t.format)
	}
	return t, nil
}

// unload writes the rows of a query to files below an empty prefix. Which file a row is in,
// and its place there, are not those of the query.
func (r *Runner) unload(ctx context.Context, store objectStore, sql, to, options string) (out sandbox.QueryResult, err error) {
	t, err := parseTarget(to, options)
	if err != nil {
		return out, err
	}
	found, err := store.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: &t.bucket, Prefix: &t.prefix})
	if err != nil {
		return out, err
	}
	if len(found.Contents) > 0 {
		return out, userError("HIVE_PATH_ALREADY_EXISTS: Target directory for table 'awsdatacatalog.temp' already exists: %s. You may need to manually clean the data at location before retrying.", to)
	}
	engine, scanned, end, err := r.open(ctx, store, sql)
	if err != nil {
		return out, err
	}
	defer end()
	out.Scanned = scanned
	lines := map[string][]string{} // by partition
	err = t.lines(ctx, engine, sql, func(partition, line string) { lines[partition] = append(lines[partition], line) })
	if err != nil {
		return out, queryError(ctx, err)
	}
	for partition, all := range lines {
		slices.Reverse(all)
		for n := range filesOfEach {
			key := path.Join(t.prefix, partition, fmt.Sprintf("20261201_000000_%05d_engine", n))
			if err := t.write(ctx, store, key, all, n); err != nil {
				return out, err
			}
			out.Files = append(out.Files, "s3://"+t.bucket+"/"+key)
		}
	}
	return out, nil
}

// lines calls each with every row of a query as a line, and its partition as a folder.
func (t *target) lines(ctx context.Context, e *Engine, sql string, each func(partition, line string)) error {
	if t.format == "JSON" {
		_, err := e.Rows(ctx, "SELECT CAST(to_json(x) AS varchar) FROM ("+sql+") x", func(row []*string) error {
			each("", *row[0])
			return nil
		})
		return err
	}
	_, err := e.Rows(ctx, sql, func(row []*string) error {
		cells := make([]string, len(row))
		for i, cell := range row {
			if cells[i] = `\N`; cell != nil {
				cells[i] = *cell
			}
		}
		partition := ""
		if t.partition != "" {
			last := len(cells) - 1
			partition = t.partition + "=" + cells[last]
			cells = cells[:last]
		}
		each(partition, strings.Join(cells, t.delimiter))
		return nil
	})
	return err
}

// write writes every line whose number belongs to the n-th file.
func (t *target) write(ctx context.Context, store objectStore, key string, lines []string, n int) error {
	var body bytes.Buffer
	packed := gzip.NewWriter(&body)
	for i := n; i < len(lines); i += filesOfEach {
		if t.packed {
			_, _ = packed.Write([]byte(lines[i] + "\n")) // a bytes.Buffer does not fail
			continue
		}
		body.WriteString(lines[i] + "\n")
	}
	if t.packed {
		_ = packed.Close()
		key += ".gz"
	}
	_, err := store.PutObject(ctx, &s3.PutObjectInput{Bucket: &t.bucket, Key: &key, Body: bytes.NewReader(body.Bytes())})
	return err
}
