package schema_test

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"gateway/internal/failure"
	"gateway/internal/schema"
)

// summary writes what a table says: for each row the line, the id, the
// features, the label and the violations.
func summary(t testing.TB, s *schema.Schema, table schema.Table) string {
	t.Helper()
	var b strings.Builder
	readAll(t, table, func(row schema.Row) {
		label := "-"
		if row.Label != nil {
			label = fmt.Sprint(*row.Label)
		}
		fmt.Fprintf(&b, "%d [%s] %s %s", row.Line, row.CustomerID, s.AppendFeatures(nil, row.Features, true), label)
		if row.Explain != schema.ExplainNone {
			text, err := row.Explain.MarshalJSON()
			fmt.Fprintf(&b, " explain %s", text)
			if err != nil {
				t.Error(err)
			}
		}
		for _, v := range row.Violations.Listed {
			fmt.Fprintf(&b, " !%s %s: %s", v.Field, v.Code, v.Detail)
		}
		b.WriteString("\n")
	})
	return b.String()
}

func TestCSVTable(t *testing.T) {
	const plain = "2 [] {\"age\":34,\"job\":\"admin.\"} 1\n3 [] {\"age\":35,\"job\":\"services\"} 0\n"
	tests := []struct{ name, text, want string }{
		{"commas", "age,job,y\n34,admin.,1\n35,services,0\n", plain},
		{"semicolons", "age;job;y\n34;admin.;1\n35;services;0\n", plain},
		{"tabs", "age\tjob\ty\n34\tadmin.\t1\n35\tservices\t0\n", plain},
		{"semicolons with a comma in a value", "age;job;y\n34;admin.;1\n\"35\";services;0\n", plain},
		{"quotes everywhere", "\"age\",\"job\",\"y\"\n\"34\",\"admin.\",\"1\"\n\"35\",\"services\",\"0\"\n", plain},
		{"CRLF", "age,job,y\r\n34,admin.,1\r\n35,services,0\r\n", plain},
		{"a byte order mark", "\ufeffage,job,y\n34,admin.,1\n35,services,0\n", plain},
		{"a byte order mark before a quote", "\ufeff\"age\",job,y\n34,admin.,1\n35,services,0\n", plain},
		{"no line end at the end", "age,job,y\n34,admin.,1\n35,services,0", plain},
		{"white space around everything", " age , job , y \n 34 , admin. , 1 \n 35 , services , 0 \n", plain},
		{"label spellings", "age,job,y\n34,admin.,yes\n35,services,no\n", plain},
		{"label numbers", "age,job,y\n34,admin.,1.0\n35,services,0e0\n", plain},
		{"columns in another order", "y,job,age\n1,admin.,34\n0,services,35\n", plain},
		{"blank lines", "\n\nage;job;y\n\n34;admin.;1\n\n\n35;services;0\n\n",
			"5 [] {\"age\":34,\"job\":\"admin.\"} 1\n8 [] {\"age\":35,\"job\":\"services\"} 0\n"},
		{"an alias and an id", "customer_id,age,job,emp.rate,month\n a-1 ,34,admin.,.5,mar\n",
			"2 [a-1] {\"age\":34,\"job\":\"admin.\",\"month\":\"mar\",\"rate\":0.5} -\n"},
		{"an id alone", "customer_id\n10042\n", "2 [10042] {} -\n"},
		{"empty cells", "age,job,y,rate\n34,admin.,,\n,,1,\" \"\n",
			"2 [] {\"age\":34,\"job\":\"admin.\"} -\n3 [] {} 1\n"},
		{"an unlisted category", "age,job\n34,pilot\n", "2 [] {\"age\":34,\"job\":\"unknown\"} -\n"},
		{"line numbers behind values with line ends", "job,age\n\"ad\nmin.\",34\nadmin.,35\n\"\n\n\",36\nadmin.,37\n",
			"2 [] {\"age\":34,\"job\":\"unknown\"} -\n4 [] {\"age\":35,\"job\":\"admin.\"} -\n5 [] {\"age\":36} -\n8 [] {\"age\":37,\"job\":\"admin.\"} -\n"},
		{"quotes in quotes", "age,job\n34,\"\"\"admin.\"\"\"\n", "2 [] {\"age\":34,\"job\":\"unknown\"} -\n"},
		{"a short row and a long row", "age,job,y\n34,admin.\n34,admin.,1,1\n35,services,0\n",
			"2 [] {} - !row format: has 2 columns where the header has 3\n" +
				"3 [] {} - !row format: has 4 columns where the header has 3\n" +
				"4 [] {\"age\":35,\"job\":\"services\"} 0\n"},
		{"the header again", "age,job\n34,admin.\n age ,job\n35,services\n",
			"2 [] {\"age\":34,\"job\":\"admin.\"} -\n3 [] {} - !row format: repeats the header\n4 [] {\"age\":35,\"job\":\"services\"} -\n"},
		{"every violation of a row", "age,job,y,rate,month,customer_id\nx,admin.,maybe,1e999,jun,\n34.5,admin.,2,x,Mar,\x01\n",
			"2 [] {\"job\":\"admin.\"} - !age type: must be an integer, not \"x\" !y unknown_category: must be one of 1, \"yes\", 0, \"no\", or empty" +
				" !rate out_of_range: is larger than a number can be, not \"1e999\" !month unknown_category: must be one of mar, apr, may, not \"jun\"" +
				" !customer_id missing: is empty\n" +
				"3 [\x01] {\"job\":\"admin.\"} - !age not_integer: must be an integer, not \"34.5\" !y unknown_category: must be one of 1, \"yes\", 0, \"no\", or empty" +
				" !rate type: must be a number, not \"x\" !month unknown_category: must be one of mar, apr, may, not \"Mar\"" +
				" !customer_id format: must be printable UTF-8\n"},
		{"a field named as the header names it", "customer_id, emp.rate \n1,x\n", "2 [1] {} - !emp.rate type: must be a number, not \"x\"\n"},
		{"text that is not UTF-8", "age,job\n34,caf\xe9\n", "2 [] {\"age\":34} - !job format: is not valid UTF-8; save the file as UTF-8\n"},
		{"a stray quote spoils its own row only", "age,job\n34,ad\"min\n\"35\"x,admin.\n36,admin.\n",
			"2 [] {} - !row format: is not CSV: bare \" in non-quoted-field\n" +
				"3 [] {} - !row format: is not CSV: extraneous or missing \" in quoted-field\n" +
				"4 [] {\"age\":36,\"job\":\"admin.\"} -\n"},
		{"a quote that is never closed", "age,job\n34,admin.\n35,\"admin.\n36,admin.\n",
			"2 [] {\"age\":34,\"job\":\"admin.\"} -\n3 [] {} - !row format: has a quote that is not closed\n" +
				"4 [] {\"age\":36,\"job\":\"admin.\"} -\n"},
		{"a quote that opens at the end of a row and one that opens later", "age,job\n34,\"\n35,admin.\n36,\"x,admin.\n37,admin.\n",
			"2 [] {} - !row format: has a quote that is not closed\n3 [] {\"age\":35,\"job\":\"admin.\"} -\n" +
				"4 [] {} - !row format: has a quote that is not closed\n5 [] {\"age\":37,\"job\":\"admin.\"} -\n"},
		{"a quote that another one closes in a later row", "age,job,y\n\"34,admin.,1\n35,services,0\n\"36,admin.,1\n",
			"2 [] {} - !row format: has a quote that is not closed\n3 [] {\"age\":35,\"job\":\"services\"} 0\n" +
				"4 [] {} - !row format: is not CSV: extraneous or missing \" in quoted-field\n"},
		{"a row of two lines and too few columns", "age,job,y\n34,\"admin.\n35\"\n36,admin.,1\n",
			"2 [] {} - !row format: has 2 columns where the header has 3, or a quote that is not closed\n" +
				"3 [] {} - !row format: is not CSV: bare \" in non-quoted-field\n4 [] {\"age\":36,\"job\":\"admin.\"} 1\n"},
		{"blank lines behind a quote that is not closed", "age,job\n34,\"admin.\n\n\n35,admin.\n",
			"2 [] {} - !row format: has a quote that is not closed\n5 [] {\"age\":35,\"job\":\"admin.\"} -\n"},
		{"bars", "age|job|y\n34|admin.|1\n35|services|0\n", plain},
		{"CR", "age,job,y\r34,admin.,1\r35,services,0\r", plain},
		{"CR without one at the end", "age,job,y\r34,admin.,1\r35,services,0", plain},
		{"CR and a CRLF", "age,job,y\r34,admin.,1\r\n35,services,0\r", plain},
		{"CR and blank lines", "\r\rage,job\r\r34,admin.\r", "5 [] {\"age\":34,\"job\":\"admin.\"} -\n"},
		{"a line that names the delimiter", "sep=;\r\nage;job\r\n34;admin.\r\n", "3 [] {\"age\":34,\"job\":\"admin.\"} -\n"},
		{"a mark and a line that names the delimiter", "\ufeffsep=,\r\"age\",job\r34,admin.\r", "3 [] {\"age\":34,\"job\":\"admin.\"} -\n"},
		{"delimiters within quotes", "\"customer_id\";\"age\";\"emp.rate\"\n\"a,b,c,d\";34;1.5\n",
			"2 [a,b,c,d] {\"age\":34,\"rate\":1.5} -\n"},
		{"separators at the end of every line", "age,job,\n34,admin.,\n35,admin.\n36,admin.,x\n",
			"2 [] {\"age\":34,\"job\":\"admin.\"} -\n3 [] {\"age\":35,\"job\":\"admin.\"} -\n" +
				"4 [] {} - !row format: has 3 columns where the header has 2\n"},
		{"a header only", "age,job\n", ""},
		{"a header without line end", "age,job", ""},
	}
	s := parse(t, small)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			table, err := schema.NewCSVTable(s, strings.NewReader(tt.text), 1<<16)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, summary(t, s, table)); diff != "" {
				t.Errorf("rows (-want +got):\n%s", diff)
			}
			if table, err = schema.NewCSVTable(s, iotest.OneByteReader(strings.NewReader(tt.text)), 1<<16); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, summary(t, s, table)); diff != "" {
				t.Errorf("rows that come byte by byte (-want +got):\n%s", diff)
			}
		})
	}
}

// The form of a file shows in its header, of whatever length that is.
func TestFormOfALongHeader(t *testing.T) {
	const columns = 400
	names := make([]string, columns)
	for i := range names {
		names[i] = fmt.Sprintf("\"a, long; name of; a; column; %03d\"", i)
	}
	for _, form := range []struct{ comma, end string }{{",", "\n"}, {";", "\r\n"}, {"\t", "\r"}, {"|", "\r"}} {
		text := strings.Join(names, form.comma) + form.end + strings.Repeat(strings.Repeat("1"+form.comma, columns-1)+"1"+form.end, 3)
		r, err := schema.NewCSVReader(strings.NewReader(text), 1<<16)
		if err != nil {
			t.Fatal(err)
		}
		rows := 0
		for {
			line, cells, err := r.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if rows++; err != nil || line != rows+1 || len(cells) != columns {
				t.Errorf("%q and %q: row %d is on line %d, has %d cells, %v", form.comma, form.end, rows, line, len(cells), err)
			}
		}
		if rows != 3 || len(r.Header()) != columns || string(r.Comma()) != form.comma {
			t.Errorf("%q and %q: %d rows, %d columns, delimiter %q", form.comma, form.end, rows, len(r.Header()), r.Comma())
		}
	}
}

func TestCSVHeaderFaults(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"an empty file", "", "the table is empty: the first row must hold the names of the columns"},
		{"a byte order mark alone", "\ufeff", "the table is empty: the first row must hold the names of the columns"},
		{"blank lines alone", "\n\r\n\n", "the table is empty: the first row must hold the names of the columns"},
		{"unknown columns", "agee,job,age,owner\n", "line 1: the header row does not fit the schema \"small\"; agee: is not a column of the schema; did you mean \"age\"?" +
			"; owner: is not a column of the schema"},
		{"a column without a name", "age,,job\n", "line 1: the header row does not fit the schema \"small\"; column 2: is not a column of the schema"},
		{"commas within quotes", "\"a, b, c\";age;job\n", "line 1: the header row does not fit the schema \"small\"; a, b, c: is not a column of the schema"},
		{"UTF-16, little end first", "\xff\xfea\x00g\x00e\x00,\x00", "the file seems to be UTF-16; save it as UTF-8"},
		{"UTF-16, big end first", "\xfe\xff\x00a\x00g\x00e\x00,", "the file seems to be UTF-16; save it as UTF-8"},
		{"UTF-16 without a mark", "a\x00g\x00e\x00,\x00j\x00o\x00b\x00", "the file seems to be UTF-16; save it as UTF-8"},
		{"a workbook", "PK\x03\x04\x14\x00\x06\x00\x08\x00\x00\x00!\x00", "the file is a workbook of a spreadsheet, or a zip archive; save or unpack it as CSV"},
		{"a workbook of old", "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1\x00\x00", "the file is a workbook of a spreadsheet, or a zip archive; save or unpack it as CSV"},
		{"gzip", "\x1f\x8b\x08\x00\x00\x00\x00\x00", "the file is compressed by gzip; decompress it"},
		{"Parquet", "PAR1\x15\x04", "the file is Parquet; write it as CSV"},
		{"NDJSON", "{\"customer_id\":\"a\",\"age\":34}\n", "line 1: the header row is not CSV; the file seems to be JSON"},
		{"a list of JSON", "\ufeff[{\"customer_id\":\"a\",\"age\":34}]", "line 1: the header row is not CSV; the file seems to be JSON"},
		{"a delimiter is named, and the header is broken", "sep=;\nage;\"jo\"b\n", "line 2: the header row is not CSV: extraneous or missing \" in quoted-field"},
		{"Windows-1252", "age,job,gr\xf6\xdfe\n", "line 1: the header row is not UTF-8; the file seems to be Windows-1252; save it as UTF-8" +
			"; gr\\xf6\\xdfe: is not valid UTF-8"},
		{"columns given twice", "age,job,age\n", "line 1: the header row does not fit the schema \"small\"; age: is given twice"},
		{"a feature by name and alias", "age,job,rate,emp.rate\n", "line 1: the header row does not fit the schema \"small\"; emp.rate: is given twice"},
		{"two ids", "customer_id,customer_id\n", "line 1: the header row does not fit the schema \"small\"; customer_id: is given twice"},
		{"two labels", "age,job,y,y\n", "line 1: the header row does not fit the schema \"small\"; y: is given twice"},
		{"missing columns", "month,y\n", "line 1: the header row does not fit the schema \"small\"; age: is required and has no default" +
			"; job: is required and has no default"},
		{"upper case", "AGE,job\n", "line 1: the header row does not fit the schema \"small\"; AGE: is not a column of the schema; did you mean \"age\"?" +
			"; age: is required and has no default"},
		{"no header but data", "34,admin.\n", "line 1: the header row does not fit the schema \"small\"; 34: is not a column of the schema" +
			"; admin.: is not a column of the schema; age: is required and has no default; and 1 more"},
		{"a misspelt id and label", "custmer_id,age,job,Y2\n", "line 1: the header row does not fit the schema \"small\"; custmer_id: is not a column of the schema; did you mean \"customer_id\"?" +
			"; Y2: is not a column of the schema; did you mean \"y\"?"},
		{"a header below a line of Excel and a blank one", "sep=,\n\nagee,job,age\n", "line 3: the header row does not fit the schema \"small\"; agee: is not a column of the schema; did you mean \"age\"?"},
		{"broken quotes", "age,\"jo\"b\n", "line 1: the header row is not CSV: extraneous or missing \" in quoted-field"},
	}
	s := parse(t, small)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := schema.NewCSVTable(s, strings.NewReader(tt.text), 1<<16)
			var e *failure.Error
			if !errors.As(err, &e) || e.Kind != failure.Invalid || err.Error() != tt.want {
				t.Errorf("got  %v\nwant %s", err, tt.want)
			}
		})
	}
}

// TestAnImportNeedsAllRequiredColumns compares an import, whose rows must be whole,
// with predictions about customers that the store may have.
func TestAnImportNeedsAllRequiredColumns(t *testing.T) {
	s, text := parse(t, small), "customer_id,agee,month\n7,1,apr\n"
	_, err := schema.NewCSVImport(s, strings.NewReader(text), 1<<16)
	want := "line 1: the header row does not fit the schema \"small\"; agee: is not a column of the schema; did you mean \"age\"?; age: is required and has no default; job: is required and has no default"
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
	if _, err := schema.NewCSVTable(s, strings.NewReader("customer_id,month\n7,apr\n"), 1<<16); err != nil {
		t.Error(err)
	}
}

func TestAnotherNameForTheID(t *testing.T) {
	s := parse(t, strings.Replace(small, "id: customer_id", "id: client", 1))
	for _, header := range []string{"client", "customer_id"} {
		table, err := schema.NewCSVTable(s, strings.NewReader(header+"\n7\n"), 1<<16)
		if err != nil {
			t.Fatal(err)
		}
		if got := summary(t, s, table); got != "2 [7] {} -\n" {
			t.Errorf("%s: %s", header, got)
		}
		if got := summary(t, s, schema.NewNDJSONTable(s, strings.NewReader(`{"`+header+`":"7"}`), 1<<16)); got != "1 [7] {} -\n" {
			t.Errorf("%s: %s", header, got)
		}
	}
}

// counter counts what is read through it.
type counter struct {
	r io.Reader
	n int
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += n
	return n, err
}

// endless never ends.
type endless struct{ text string }

func (e endless) Read(p []byte) (int, error) {
	n := 0
	for n < len(p) {
		n += copy(p[n:], e.text)
	}
	return n, nil
}

func TestLongRowsAreRefusedWithoutReadingThem(t *testing.T) {
	s := parse(t, small)
	const maxRow, slack = 1 << 14, 1 << 14
	tests := []struct {
		name, start string
		rest        io.Reader
		line        string
	}{
		{"a value without end", "age,job\n34,admin.\n35,", endless{"x"}, "at line 3"},
		{"a row of commas", "age,job\n34,admin.\n", endless{","}, "at line 3"},
		{"a value of binary zeros", "age,job\n34,admin.\n", endless{"\x00"}, "at line 3"},
		{"a header without end", "age,job", endless{"x"}, "at line 1"},
		{"a header with a quote that is never closed", "\"", endless{"job\n"}, "at line 1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			read := &counter{r: io.MultiReader(strings.NewReader(tt.start), tt.rest)}
			table, err := schema.NewCSVTable(s, read, maxRow)
			if err == nil {
				if row, err := table.Next(); err != nil || row.Violations.Count() > 0 {
					t.Fatalf("the sound row: %v, %v", err, row.Violations)
				}
				_, err = table.Next()
				if err == nil {
					t.Fatal("the long row is accepted")
				}
			}
			if !strings.Contains(err.Error(), tt.line) {
				t.Errorf("%v does not name %s", err, tt.line)
			}
			var e *failure.Error
			if !errors.As(err, &e) || e.Kind != failure.Invalid || !strings.Contains(err.Error(), "longer than 16384 bytes") {
				t.Errorf("got %v", err)
			}
			if read.n > maxRow+slack {
				t.Errorf("%d bytes were read for a bound of %d", read.n, maxRow)
			}
		})
	}
	t.Run("a quote that is never closed", func(t *testing.T) {
		read := &counter{r: strings.NewReader("age,job\n34,\"admin.\n" + strings.Repeat("35,admin.\n", 20_000))}
		table, err := schema.NewCSVTable(s, read, maxRow)
		if err != nil {
			t.Fatal(err)
		}
		row, err := table.Next()
		if err != nil || row.Line != 2 || len(row.Violations.Listed) != 1 || row.Violations.Listed[0].Detail != "has a quote that is not closed within 16384 bytes" {
			t.Fatalf("line %d: %v, %v", row.Line, row.Violations, err)
		}
		if read.n > maxRow+slack {
			t.Errorf("%d bytes were read for a bound of %d", read.n, maxRow)
		}
		for line := 3; line < 10_000; line++ {
			if row, err = table.Next(); err != nil || row.Line != line || row.Violations.Count() > 0 {
				t.Fatalf("line %d, want %d: %v, %v", row.Line, line, row.Violations, err)
			}
		}
	})
	t.Run("a row within the bound", func(t *testing.T) {
		text := "age,job\n34," + strings.Repeat("x", maxRow-100) + "\n35,admin.\n"
		table, err := schema.NewCSVTable(s, strings.NewReader(text), maxRow)
		if err != nil {
			t.Fatal(err)
		}
		if n := readAll(t, table, func(row schema.Row) {
			if row.Violations.Count() > 0 {
				t.Errorf("line %d: %v", row.Line, row.Violations)
			}
		}); n != 2 {
			t.Errorf("%d rows", n)
		}
	})
	t.Run("any number of rows within the bound", func(t *testing.T) {
		text := "age,job\n" + strings.Repeat("34,admin.\n", 20_000)
		table, err := schema.NewCSVTable(s, strings.NewReader(text), 64)
		if err != nil {
			t.Fatal(err)
		}
		if n := readAll(t, table, func(schema.Row) {}); n != 20_000 {
			t.Errorf("%d rows", n)
		}
	})
}

func TestRowsComeWhileTheTableIsStillSent(t *testing.T) {
	s := parse(t, small)
	reader, writer := io.Pipe()
	defer reader.Close()
	header := make(chan schema.Table)
	go func() {
		table, err := schema.NewCSVTable(s, reader, 1<<16)
		if err != nil {
			t.Error(err)
		}
		header <- table
	}()
	// Each write returns once it is read, and the next comes only after the
	// row has been seen: a reader that waits for more would hang here.
	if _, err := io.WriteString(writer, "age,job\n"); err != nil {
		t.Fatal(err)
	}
	table := <-header
	for i := range 3 {
		sent := make(chan error, 1)
		go func() {
			_, err := fmt.Fprintf(writer, "%d,admin.\n", 30+i)
			sent <- err
		}()
		row, err := table.Next()
		if err != nil || row.Violations.Count() > 0 || row.Line != i+2 {
			t.Fatalf("row %d: line %d, %v, %v", i, row.Line, row.Violations, err)
		}
		if err := <-sent; err != nil {
			t.Fatal(err)
		}
	}
}

var errBroken = errors.New("the connection broke")

func TestReaderErrorsEndATable(t *testing.T) {
	s := parse(t, small)
	broken := func(text string) io.Reader {
		return io.MultiReader(strings.NewReader(text), readerFunc(func([]byte) (int, error) { return 0, errBroken }))
	}
	if _, err := schema.NewCSVTable(s, broken(""), 1<<16); !errors.Is(err, errBroken) {
		t.Errorf("at the start: %v", err)
	}
	if _, err := schema.NewCSVTable(s, broken("age,j"), 1<<16); !errors.Is(err, errBroken) {
		t.Errorf("in the header: %v", err)
	}
	table, err := schema.NewCSVTable(s, broken("age,job\n34,admin.\n35,ad"), 1<<16)
	if err != nil {
		t.Fatal(err)
	}
	if row, err := table.Next(); err != nil || row.Violations.Count() > 0 {
		t.Errorf("the sound row: %v", err)
	}
	if _, err := table.Next(); !errors.Is(err, errBroken) {
		t.Errorf("in a row: %v", err)
	}
	lines := schema.NewNDJSONTable(s, broken("{}\n{"), 1<<16)
	if _, err := lines.Next(); err != nil {
		t.Errorf("the sound line: %v", err)
	}
	for err == nil {
		_, err = lines.Next()
	}
	if !errors.Is(err, errBroken) {
		t.Errorf("in a line: %v", err)
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func TestCheckCustomerID(t *testing.T) {
	for _, id := range []string{"1", "10042", "a b", "kündin-7", strings.Repeat("x", 256)} {
		if v := schema.CheckCustomerID("customer_id", id); v != nil {
			t.Errorf("%q: %+v", id, v)
		}
	}
	for id, code := range map[string]string{"": failure.CodeMissing, strings.Repeat("x", 257): failure.CodeFormat,
		"a\nb": failure.CodeFormat, "a\x7f": failure.CodeFormat, "a\xff": failure.CodeFormat, "\x00": failure.CodeFormat} {
		if v := schema.CheckCustomerID("customer_id", id); v == nil || v.Code != code || v.Field != "customer_id" {
			t.Errorf("%q: %+v, want %s", id, v, code)
		}
	}
}

func TestLabelFromText(t *testing.T) {
	l := parse(t, small).Label
	for text, want := range map[string]int{"1": 1, "yes": 1, "1.0": 1, "+1": 1, "0": 0, "-0": 0, "no": 0, "0.00": 0} {
		if got, ok := l.FromText(text); !ok || got != want {
			t.Errorf("%q: %d, %v; want %d", text, got, ok, want)
		}
	}
	for _, text := range []string{"", "Yes", "true", "2", "1e-400x", "0.5", " 1"} {
		if got, ok := l.FromText(text); ok {
			t.Errorf("%q is taken as %d", text, got)
		}
	}
}

func FuzzCSVTable(f *testing.F) {
	f.Add(sampleHeader + sampleRow)
	f.Add("customer_id,age\n1,34\n2,\n,35\n")
	f.Add("\ufeffage\tjob\r\n34\t\"ad\"\"min\"\r\n")
	f.Add("customer_id\n\"\n")
	f.Add("age,job\n34,ad\"min\n\n\n35")
	s := schema.Bank()
	f.Fuzz(func(t *testing.T, text string) {
		const maxRow = 64
		read := &counter{r: strings.NewReader(text)}
		table, err := schema.NewCSVTable(s, read, maxRow)
		if err != nil {
			var e *failure.Error
			if !errors.As(err, &e) || e.Kind != failure.Invalid {
				t.Fatalf("the header: %v", err)
			}
			return
		}
		for line := 1; ; {
			row, err := table.Next()
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				var e *failure.Error
				if !errors.As(err, &e) || e.Kind != failure.Invalid {
					t.Fatal(err)
				}
				return
			}
			if row.Line <= line {
				t.Fatalf("line %d after line %d", row.Line, line)
			}
			line = row.Line
			if row.Violations.Count() == 0 && len(s.Complete(row.Features, "")) == 0 {
				v := s.Encode(row.Features)
				if back, err := s.ParseCSV(schema.AppendCSV(nil, v)); err != nil || !cmp.Equal(back, v) {
					t.Fatalf("line %d: %v", line, err)
				}
			}
		}
	})
}

// TestAnImportLeavesOutTotals has rows of a total in a file whose first column is a number,
// and in one whose first column has the word among its values.
func TestAnImportLeavesOutTotals(t *testing.T) {
	const text = "name: n\nid: customer_id\nlabel: {name: y, positive: [1], negative: [0]}\nfeatures:\n" +
		"  - {name: cover, type: category, values: [total, partial], missing: allow}\n  - {name: age, type: number, missing: allow}\n"
	s, err := schema.Parse("n.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	const total = " !row format: looks like a total: it begins with such a word and has an empty cell\n"
	for csv, want := range map[string]string{
		"age,cover,y\n30,total,1\n Total: ,,\n,Summe,\n,total,1\nTotal,partial,1\n": "2 [] {\"cover\":\"total\",\"age\":30} 1\n" + "3 [] {} -" + total + "4 [] {} -" + total +
			"5 [] {\"cover\":\"total\"} 1\n" + "6 [] {\"cover\":\"partial\"} 1 !age type: must be a number, not \"Total\"\n",
		"customer_id,age,y\n7,30,1\nTotal,30,\n": "2 [7] {\"age\":30} 1\n3 [] {} -" + total,
	} {
		table, err := schema.NewCSVImport(s, strings.NewReader(csv), 1<<16)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, summary(t, s, table)); diff != "" {
			t.Errorf("%q (-want +got)\n%s", csv, diff)
		}
	}
}
