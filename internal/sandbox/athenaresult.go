package sandbox

import (
	"bytes"
	"encoding/base64"
	"strconv"
	"strings"
)

// csv returns a result as Athena's CSV: a header, every value in quotes, and nothing for
// NULL.
func (r *QueryResult) csv() []byte {
	var b bytes.Buffer
	for i, c := range r.Columns {
		comma(&b, i)
		quoteCSV(&b, c.Name)
	}
	b.WriteByte('\n')
	for _, row := range r.Rows {
		for i, cell := range row {
			comma(&b, i)
			if cell != nil {
				quoteCSV(&b, *cell)
			}
		}
		b.WriteByte('\n')
	}
	return b.Bytes()
}

func comma(b *bytes.Buffer, i int) {
	if i > 0 {
		b.WriteByte(',')
	}
}

func quoteCSV(b *bytes.Buffer, text string) {
	b.WriteString(`"` + strings.ReplaceAll(text, `"`, `""`) + `"`)
}

// text returns a result as the text file of SHOW and DESCRIBE.
func (r *QueryResult) text() []byte {
	var b bytes.Buffer
	for _, row := range r.Rows {
		for i, cell := range row {
			if i > 0 {
				b.WriteByte('\t')
			}
			if cell != nil {
				b.WriteString(*cell)
			}
		}
		b.WriteByte('\n')
	}
	return b.Bytes()
}

// queryResultsInput is a request of GetQueryResults.
type queryResultsInput struct {
	QueryExecutionId string
	NextToken        string
	MaxResults       *int
}

type datum struct {
	VarCharValue *string `json:",omitzero"`
}

type resultRow struct{ Data []datum }

// columnInfo describes a column of a result.
type columnInfo struct {
	CatalogName, SchemaName, TableName string
	Name, Label, Type                  string
	Precision, Scale                   int
	Nullable                           string
	CaseSensitive                      bool
}

type resultSet struct {
	Rows              []resultRow
	ResultSetMetadata struct{ ColumnInfo []columnInfo }
}

// queryResults returns a page of the rows of a query that has succeeded. The names of the
// columns are the first row of a query, and not of SHOW and DESCRIBE.
func (s *Server) queryResults(_ *call, in *queryResultsInput) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	q, err := s.findQuery(in.QueryExecutionId)
	if err != nil {
		return nil, err
	}
	size := maxResultRows
	if in.MaxResults != nil {
		size = *in.MaxResults
	}
	switch {
	case size < 1 || size > maxResultRows:
		return nil, invalidQuery("MaxResults is more than maximum allowed length %d.", maxResultRows)
	case !q.over():
		return nil, invalidQuery("Query has not yet finished. Current state: %s", q.state)
	case q.state != querySucceeded:
		return nil, invalidQuery("Query did not finish successfully. Final query state: %s", q.state)
	}
	rows := q.result.Rows
	header := 0
	if q.kind() == "DML" && len(q.result.Columns) > 0 {
		header = 1
	}
	from, ok := place(in.NextToken, len(rows)+header)
	if !ok {
		return nil, invalidQuery("NextToken is not valid.")
	}
	to := min(from+size, len(rows)+header)
	out := struct {
		UpdateCount int
		ResultSet   resultSet
		NextToken   string `json:",omitzero"`
	}{ResultSet: resultSet{Rows: []resultRow{}}}
	out.ResultSet.ResultSetMetadata.ColumnInfo = q.result.columns()
	for i := from; i < to; i++ {
		if i < header {
			out.ResultSet.Rows = append(out.ResultSet.Rows, q.result.header())
			continue
		}
		out.ResultSet.Rows = append(out.ResultSet.Rows, newResultRow(rows[i-header]))
	}
	if to < len(rows)+header {
		out.NextToken = base64.URLEncoding.EncodeToString([]byte(strconv.Itoa(to)))
	}
	return out, nil
}

// place returns the number of the row that a token stands for.
func place(token string, rows int) (from int, ok bool) {
	if token == "" {
		return 0, true
	}
	text, err := base64.URLEncoding.DecodeString(token)
	if err != nil {
		return 0, false
	}
	from, err = strconv.Atoi(string(text))
	return from, err == nil && from > 0 && from < rows
}

func newResultRow(cells []*string) resultRow {
	row := resultRow{Data: make([]datum, len(cells))}
	for i, cell := range cells {
		row.Data[i].VarCharValue = cell
	}
	return row
}

func (r *QueryResult) header() resultRow {
	names := make([]*string, len(r.Columns))
	for i := range names {
		names[i] = &r.Columns[i].Name
	}
	return newResultRow(names)
}

func (r *QueryResult) columns() []columnInfo {
	out := []columnInfo{}
	for _, c := range r.Columns {
		info := columnInfo{CatalogName: "hive", Name: c.Name, Label: c.Name, Type: c.Type, Nullable: "UNKNOWN"}
		switch c.Type {
		case "double", "float":
			info.Precision = 17
		case "bigint":
			info.Precision = 19
		case "integer":
			info.Precision = 10
		case "varchar":
			info.Precision, info.CaseSensitive = 1<<31-1, true
		}
		out = append(out, info)
	}
	return out
}
