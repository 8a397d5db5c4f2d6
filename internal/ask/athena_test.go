package ask

import (
	"strings"
	"testing"

	"gateway/internal/schema"
)

// TestAthenaSQL has the query of each form of question. What it gives is compared with
// SQLite in the module test/athena.
func TestAthenaSQL(t *testing.T) {
	table := NewTable(parseSchema(t, peopleYAML))
	files := []string{"s3://b/it's.csv", "s3://b/2.csv"}
	sql := func(question string) string {
		t.Helper()
		q, err := Parse(question, Athena)
		if err != nil {
			t.Fatal(err)
		}
		return table.AthenaSQL(q, "gateway_ask_1", files)
	}
	const from = "\nFROM (SELECT split(line, ',') AS c FROM \"gateway_ask_1\" WHERE \"$path\" IN ('s3://b/it''s.csv', 's3://b/2.csv')) AS lines\n)"
	const age = `CASE WHEN CAST(c[3] AS double) = 1 THEN NULL ELSE CAST(CAST(c[2] AS double) AS bigint) END AS "age"`
	const label = `CAST(CAST(c[1] AS double) AS bigint) AS "y"`
	for question, want := range map[string]string{
		"SELECT count(*) FROM datasource;":                      "WITH datasource AS (\nSELECT " + label + from + "\nSELECT count(*) FROM datasource",
		"select AGE from datasource":                            "WITH datasource AS (\nSELECT " + age + ",\n" + label + from + "\nselect AGE from datasource",
		"-- why\nwith a as (select age from datasource) select": "WITH datasource AS (\nSELECT " + age + ",\n" + label + from + ", a as (select age from datasource) select",
		"WITH RECURSIVE t(n) AS (SELECT 1) SELECT n FROM t":     "WITH RECURSIVE datasource AS (\nSELECT " + label + from + ", t(n) AS (SELECT 1) SELECT n FROM t",
	} {
		if got := sql(question); got != want {
			t.Errorf("%s:\ngot  %s\nwant %s", question, got, want)
		}
	}
	if all := sql("SELECT * FROM datasource"); strings.Count(all, " AS \"") != len(table.Columns) || !strings.Contains(all, `WHEN CAST(c[6] AS double) = 1 THEN 'd''Or'`) {
		t.Errorf("all columns: %s", all)
	}
	if size := len(NewTable(schema.Bank()).AthenaSQL(&Question{SQL: "SELECT *", tokens: mustLex(t, "SELECT *")}, "gateway_ask_1", files)); size > 10_000 {
		t.Errorf("all columns of the bank schema take %d bytes", size)
	}
	// A bracket is no quote in Athena, so a semicolon in it is between two statements.
	if _, err := Parse("SELECT a[1;2]", Athena); err == nil {
		t.Error("two statements are one")
	}
}

func mustLex(t *testing.T, sql string) []token {
	t.Helper()
	tokens, err := lex(sql, false)
	if err != nil {
		t.Fatal(err)
	}
	return tokens
}
