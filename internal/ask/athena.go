package ask

import (
	"fmt"
	"strings"

	"gateway/internal/schema"
)

// AthenaSQL writes a question as one query of Athena, over a table of lines of training
// CSV: a column line, and Athena's hidden column "$path". files are the s3:// addresses of
// the training data; the table may have others. The query is WITH datasource AS (…) before
// the question, so that Athena refuses what does not read, too. It has the columns that the
// question names, or all of them if it has SELECT *.
func (t *Table) AthenaSQL(q *Question, table string, files []string) string {
	names, all := q.names()
	var columns []string
	for i := range t.Columns {
		c := &t.Columns[i]
		if all || c.feature == nil || names[strings.ToLower(c.Name)] {
			columns = append(columns, c.athena()+" AS "+quoteName(c.Name))
		}
	}
	paths := make([]string, len(files))
	for i, f := range files {
		paths[i] = quoteText(f)
	}
	own := fmt.Sprintf("%s AS (\nSELECT %s\nFROM (SELECT split(line, ',') AS c FROM %s WHERE \"$path\" IN (%s)) AS lines\n)",
		TableName, strings.Join(columns, ",\n"), quoteName(table), strings.Join(paths, ", "))
	first := q.tokens[0]
	if !first.is("WITH") {
		return "WITH " + own + "\n" + q.SQL
	}
	keyword, rest := "WITH ", q.SQL[first.end:]
	if len(q.tokens) > 1 && q.tokens[1].is("RECURSIVE") {
		keyword, rest = "WITH RECURSIVE ", q.SQL[q.tokens[1].end:]
	}
	return keyword + own + "," + rest
}

// cell is the number in a column of a row, which counts from 0 and begins with the label.
func cell(at int) string { return fmt.Sprintf("CAST(c[%d] AS double)", at+1) }

// whole is the whole number in a column of a row.
func whole(at int) string { return "CAST(" + cell(at) + " AS bigint)" }

// athena is the value of the column as an expression of Athena.
func (c *Column) athena() string {
	f := c.feature
	if f == nil {
		return whole(0)
	}
	var value string
	switch {
	case f.Type == schema.Category && f.Encode == schema.OneHot:
		var b strings.Builder
		b.WriteString("CASE")
		for i, v := range f.Values {
			fmt.Fprintf(&b, " WHEN %s = 1 THEN %s", cell(c.at+i), quoteText(v))
		}
		b.WriteString(" END")
		value = b.String()
	case f.Type == schema.Category:
		values := make([]string, len(f.Values))
		for i, v := range f.Values {
			values[i] = quoteText(v)
		}
		value = fmt.Sprintf("CASE WHEN %s BETWEEN 1 AND %d THEN (ARRAY[%s])[%[1]s] END", whole(c.at), len(values), strings.Join(values, ", "))
	case f.Type == schema.Date: // text, because DATE '…' is unknown to SQLite
		value = fmt.Sprintf("CAST(CAST(DATE '1970-01-01' + INTERVAL '1' DAY * %s AS date) AS varchar)", whole(c.at))
	case f.Type == schema.Integer:
		value = whole(c.at)
	default:
		value = cell(c.at)
	}
	if f.Missing {
		return fmt.Sprintf("CASE WHEN %s = 1 THEN NULL ELSE %s END", cell(c.at+f.Width()-1), value)
	}
	return value
}

// quoteText writes a text in SQL.
func quoteText(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }
