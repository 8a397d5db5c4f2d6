package schema_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gateway/internal/draft"
	"gateway/internal/schema"
)

// aCase is a file that people have, and what is in it.
type aCase struct {
	file       string
	headerLine int
	comma      rune
	header     string // joined with |, and so is last
	rows       int
	lastLine   int
	last       string

	labelled int    // rows
	schema   string // where Infer makes none: one that fits as well as one can
	infer    string // why it makes none
	table    string // why the file does not fit the schema
}

const (
	agePlan = "customer_id|age|plan|y"
	income  = "customer_id|age|income|subscribed"
	start   = "name: case\nid: customer_id\nlabel: {name: %s, positive: [%s], negative: [%s]}\nfeatures:\n  - {name: %s, type: integer}\n"
)

var cases = []aCase{
	{"04_label_question_mark.csv", 1, ',', "State|Account Length|Int'l Plan|Day Mins|CustServ Calls|Churn?", 60, 61, "NJ|137|yes|225.8|6|True.", 60, "", "", ""},
	{"05_id_with_space.csv", 1, ',', "Customer ID|Age|Plan|Churn", 60, 61, "C-1059|49|plus|Yes", 60, "", "", ""},
	{"06b_ja_nein.csv", 1, ';', "kunde_id|alter|gekuendigt", 60, 61, "59|77|nein", 60, "", "", ""},
	{"06c_churn_no_churn.csv", 1, ',', "customer_id|age|churn", 60, 61, "59|29|churn", 60, "", "", ""},
	{"06d_one_two.csv", 1, ',', "customer_id|age|label", 60, 61, "59|19|2", 60, "", "", ""},
	{"07_NA.csv", 1, ',', income, 200, 201, "200|26|5591.28|no", 200, "", "", ""},
	{"07_NULL.csv", 1, ',', income, 200, 201, "200|24|7038.97|no", 200, "", "", ""},
	{"07_dash.csv", 1, ',', income, 200, 201, "200|31|1408.11|no", 200, "", "", ""},
	{"07_hiveN.csv", 1, ',', income, 200, 201, "200|56|8701.44|yes", 200, "", "", ""},
	{"07_nan.csv", 1, ',', income, 200, 201, "200|52|2709.26|yes", 200, "", "", ""},
	{"07_question.csv", 1, ',', income, 200, 201, "200|40|2189.70|yes", 200, "", "", ""},
	{"08a_decimal_comma.csv", 1, ';', "customer_id|age|balance|y", 200, 201, "200|69|55474,72|no", 200, "", "", ""},
	{"08b_thousands.csv", 1, ',', "customer_id|age|balance|y", 200, 201, "200|67|56,925.85|no", 200, "", "", ""},
	{"08c_percent.csv", 1, ',', "customer_id|age|fee|y", 200, 201, "200|69|47.3%|yes", 200, "", "", ""},
	{"09c_cr_only.csv", 1, ',', agePlan, 40, 41, "40|60|plus|no", 40, "", "", ""},
	{"09d_sep_line.csv", 2, ',', agePlan, 40, 42, "40|60|plus|no", 40, "", "", ""},
	{"09g_pipe.csv", 1, '|', agePlan, 40, 41, "40|60|plus|no", 40, "", "", ""},
	{"09h_trailing_sep.csv", 1, ',', agePlan, 40, 41, "40|60|plus|no", 40, "", "", ""},
	{"09j_pandas_index.csv", 1, ',', "|customer_id|age|plan|y", 40, 41, "39|40|60|plus|no", 40, "", "", ""},
	{"09k_bom.csv", 1, ',', agePlan, 40, 41, "40|60|plus|no", 40, "", "", ""},
	{"09l_blank_and_total.csv", 1, ',', agePlan, 41, 44, "Total|40||", 40, "", "", ""},
	{"09m_quoted_newline.csv", 1, ',', agePlan, 40, 58, "40|60|plus|no", 40, "", "", ""},
	{"09n_dup_header.csv", 1, ',', "customer_id|age|age|y", 40, 41, "40|60|plus|no", 40, "", "", ""},
	{"10_commas_in_header.csv", 1, ';', "customer_id|How satisfied are you, overall, with price, service, and range?|Age, in years|y", 40, 41, "39|5|24|yes", 40, "", "", ""},
	{"11a_cyrillic.csv", 1, ',', "customer_id|возраст|доход|y", 40, 41, "39|60|710|no", 40, "", "", ""},
	{"24b_label_case.csv", 1, ',', "customer_id|age|y", 40, 41, "39|36|yes", 40, "", "", ""},
	{"24c_label_blank.csv", 1, ',', "customer_id|age|y", 40, 41, "39|66|Yes ", 40, "", "", ""},
	{"24d_single_class.csv", 1, ',', "customer_id|age|y", 40, 41, "39|47|0", 40,
		fmt.Sprintf(start, "y", "1", "0", "age"), "no column has two values", ""},
	{"24e_imbalanced.csv", 1, ',', "customer_id|age|income|y", 1500, 1501, "1499|78|385|no", 1500, "", "", ""},
	{"24f_row_number_tells_all.csv", 1, ',', "RowNumber|customer_id|age|y", 600, 601, "600|c599|34|yes", 600, "", "", ""},
	{"24g_duplicates.csv", 1, ',', "customer_id|age|y", 600, 601, "49|37|no", 600, "", "", ""},
	{"24h_excel_ids.csv", 1, ',', "customer_id|age|y", 300, 301, "1.23457E+11|46|yes", 300, "", "", ""},
	{"24i_constant_and_missing.csv", 1, ',', "customer_id|age|constant|missing|mostly|y", 600, 601, "599|51|7|||yes", 600, "", "", ""},
}

// TestCases reads the files that lie beside a checkout of the project, in
// shared/cases: no row is lost, split or left out without its line and reason.
func TestCases(t *testing.T) {
	dir := filepath.FromSlash("../../../shared/cases")
	there, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(there) == 0 {
		t.Skip("no shared/cases beside the checkout, so nothing was read")
	}
	expected := map[string]bool{}
	for _, c := range cases {
		expected[c.file] = true
		t.Run(c.file, func(t *testing.T) {
			text, err := os.ReadFile(filepath.Join(dir, c.file))
			if err != nil {
				t.Fatal(err)
			}
			c.read(t, text)
			c.fit(t, text)
		})
	}
	for _, path := range there {
		if name := filepath.Base(path); !expected[name] {
			t.Errorf("nothing is expected of %s", name)
		}
	}
}

// TestCasesAsNumbers reads columns of numbers that are written in other ways, or
// have markers where there is none, as numbers. Without a format and where a number
// is required each such row is refused with its line and reason, and no other; with
// both all rows are read.
func TestCasesAsNumbers(t *testing.T) {
	for _, tt := range []struct {
		file, column, label string
		refused, line       int
		detail              string
		with                string // what reads all rows
	}{
		{"07_NA.csv", "income", "subscribed", 10, 5, `is required and has no default; the text "NA" was taken as a missing value`, "missing: allow"},
		{"07_NULL.csv", "income", "subscribed", 10, 5, `is required and has no default; the text "NULL" was taken as a missing value`, "missing: allow"},
		{"07_dash.csv", "income", "subscribed", 10, 5, `is required and has no default; the text "-" was taken as a missing value`, "missing: allow"},
		{"07_hiveN.csv", "income", "subscribed", 10, 5, `is required and has no default; the text "\\N" was taken as a missing value`, "missing: allow"},
		{"07_nan.csv", "income", "subscribed", 10, 5, `is required and has no default; the text "nan" was taken as a missing value`, "missing: allow"},
		{"07_question.csv", "income", "subscribed", 10, 5, `is required and has no default; the text "?" was taken as a missing value`, "missing: allow"},
		{"08a_decimal_comma.csv", "balance", "y", 200, 2, `must be a number, not "57912,81"`, `format: "12,5"`},
		{"08b_thousands.csv", "balance", "y", 200, 2, `must be a number, not "45,117.18"`, `format: "1,234.56"`},
		{"08c_percent.csv", "fee", "y", 200, 2, `must be a number, not "37.5%"`, `format: "12.5%"`},
	} {
		t.Run(tt.file, func(t *testing.T) {
			text, err := os.ReadFile(filepath.Join(filepath.FromSlash("../../../shared/cases"), tt.file))
			if err != nil {
				t.Skip("no shared/cases beside the checkout, so nothing was read")
			}
			s := parse(t, fmt.Sprintf(start, tt.label, `"yes"`, `"no"`, "age")+"  - {name: "+tt.column+", type: number}\n")
			table, err := schema.NewCSVTable(s, bytes.NewReader(text), 1<<16)
			if err != nil {
				t.Fatal(err)
			}
			refused, first := 0, schema.Row{}
			rows := readAll(t, table, func(row schema.Row) {
				s.AddMissing(&row.Violations, row.Features, "")
				if row.Violations.Count() == 0 {
					return
				}
				if refused++; refused == 1 {
					first = row
				}
			})
			v := first.Violations
			if rows != 200 || refused != tt.refused || first.Line != tt.line || v.Count() != 1 || v.Listed[0].Field != tt.column || v.Listed[0].Detail != tt.detail {
				t.Errorf("%d of %d rows are refused, the first on line %d: %+v", refused, rows, first.Line, v)
			}
			s = parse(t, fmt.Sprintf(start, tt.label, `"yes"`, `"no"`, "age")+"  - {name: "+tt.column+", type: number, "+tt.with+"}\n")
			if table, err = schema.NewCSVTable(s, bytes.NewReader(text), 1<<16); err != nil {
				t.Fatal(err)
			}
			readAll(t, table, func(row schema.Row) {
				if s.AddMissing(&row.Violations, row.Features, ""); row.Violations.Count() > 0 {
					t.Errorf("with %s line %d is refused: %+v", tt.with, row.Line, row.Violations)
				}
			})
		})
	}
}

// read holds what the reader makes of a file against what is in it.
func (c aCase) read(t *testing.T, text []byte) {
	t.Helper()
	r, err := schema.NewCSVReader(bytes.NewReader(text), 1<<16)
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(r.Header(), "|"); got != c.header || r.HeaderLine() != c.headerLine || r.Comma() != c.comma {
		t.Errorf("the header on line %d is %q by %q", r.HeaderLine(), got, r.Comma())
	}
	rows, lastLine, last := 0, 0, ""
	for {
		line, cells, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Errorf("a row is refused: %v", err)
		}
		rows, lastLine, last = rows+1, line, strings.Join(cells, "|")
	}
	if rows != c.rows || lastLine != c.lastLine || last != c.last {
		t.Errorf("%d rows, the last on line %d: %q", rows, lastLine, last)
	}
}

// fit drafts a schema from a file, and reads its customers with it, from the file
// and again as NDJSON.
func (c aCase) fit(t *testing.T, text []byte) {
	t.Helper()
	d, err := draft.Infer(bytes.NewReader(text), draft.Options{})
	if (err == nil) != (c.infer == "") || err != nil && !strings.Contains(err.Error(), c.infer) {
		t.Errorf("infer says %v, want %q", err, c.infer)
	}
	var s *schema.Schema
	if err == nil {
		s = d.Schema
	} else if s, err = schema.Parse("schema.yaml", []byte(c.schema)); err != nil {
		t.Fatal(err)
	}
	table, err := schema.NewCSVTable(s, bytes.NewReader(text), 1<<16)
	if c.table != "" {
		if err == nil || !strings.Contains(err.Error(), c.table) {
			t.Errorf("the table says %v, want %q", err, c.table)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	rows, labelled := 0, 0
	var want, got, ndjson strings.Builder
	readAll(t, table, func(row schema.Row) {
		for _, v := range row.Violations.Listed {
			t.Errorf("line %d: %s %s", row.Line, v.Field, v.Detail)
		}
		if rows++; row.Label != nil {
			labelled++
		}
		describe(&want, s, row)
		ndjson.WriteString(lineOf(s, row) + "\n")
	})
	if rows != c.rows || labelled != c.labelled {
		t.Errorf("%d customers, %d labelled", rows, labelled)
	}
	readAll(t, schema.NewNDJSONTable(s, strings.NewReader(ndjson.String()), 1<<16), func(row schema.Row) { describe(&got, s, row) })
	if diff := cmp.Diff(want.String(), got.String()); diff != "" {
		t.Errorf("as CSV and as NDJSON (-CSV +NDJSON):\n%s", diff)
	}
}

// describe writes the customer of a row.
func describe(to io.Writer, s *schema.Schema, row schema.Row) {
	label := "none"
	if row.Label != nil {
		label = fmt.Sprint(*row.Label)
	}
	fmt.Fprintln(to, row.CustomerID, string(s.AppendFeatures(nil, row.Features, true)), label)
}

// lineOf returns a row as a line of NDJSON.
func lineOf(s *schema.Schema, row schema.Row) string {
	line := fmt.Sprintf(`{"features":%s`, s.AppendFeatures(nil, row.Features, true))
	if row.CustomerID != "" {
		line += fmt.Sprintf(`,"customer_id":%q`, row.CustomerID)
	}
	if row.Label != nil {
		spelling := [][]schema.Spelling{s.Label.Negative, s.Label.Positive}[*row.Label][0]
		value := spelling.Value
		if spelling.IsText {
			value = fmt.Sprintf("%q", value)
		}
		line += fmt.Sprintf(`,%q:%s`, s.Label.Name, value)
	}
	return line + "}"
}
