package schema_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gateway/internal/schema"
)

// dated has dates of each sort.
const dated = `name: dated
id: customer_id
label: {name: y, positive: [1], negative: [0]}
features:
  - {name: since, type: date}
  - {name: born, type: date, format: DD.MM.YYYY, min: 1900-01-01, max: 2030-12-31, missing: allow}
  - {name: seen, type: date, format: "M/D/YY[ HH:mm]", missing: allow, fill: 2000-02-29}
  - {name: left, type: date, default: 1970-01-01, format: YYYYMMDD}
  - {name: note, type: date, exclude: true}
`

// Golden encodings of dates, as values of JSON and as cells of CSV.
func TestDatesAreEncoded(t *testing.T) {
	s := parse(t, dated)
	want := "since=day since=month since=weekday born=day born=month born=weekday born= seen=day seen=month seen=weekday seen= left=day left=month left=weekday"
	if got := strings.Join(s.Columns(), " "); got != want {
		t.Errorf("columns %s, want %s", got, want)
	}
	if features := s.ColumnFeatures(); !cmp.Equal(features, []int{0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3}) {
		t.Errorf("the columns are of the features %v", features)
	}
	for name, tt := range map[string]struct{ json, csv, want, stored string }{
		"all given": {`{"since":"2026-11-30","born":"1969-12-31","seen":"2024-02-29","left":"2026-11-29"}`, "2026-11-30,31.12.1969,2/29/24 23:59,20261129",
			"20787,11,1,-1,12,3,0,19782,2,4,0,20786,11,7", `{"since":"2026-11-30","born":"1969-12-31","seen":"2024-02-29","left":"2026-11-29"}`},
		"as a time": {`{"since":"2026-11-30T23:30:00-01:00","born":null}`, "2026-12-01T00:30:00Z,,NA,",
			"20788,12,2,0,0,0,1,11016,2,2,1,0,1,4", `{"since":"2026-12-01","born":null,"seen":null,"left":"1970-01-01"}`},
		"as the gateway writes them": {`{"since":"0001-01-01","born":"2000-01-01","seen":"9999-12-31"}`, "0001-01-01,2000-01-01,9999-12-31,",
			"-719162,1,1,10957,1,6,0,2932896,12,5,0,0,1,4", `{"since":"0001-01-01","born":"2000-01-01","seen":"9999-12-31","left":"1970-01-01"}`},
	} {
		fromJSON := record(t, s, tt.json)
		row, err := csvOf(t, s, "since,born,seen,left\n"+tt.csv+"\n").Next()
		if err != nil || row.Violations.Count() > 0 {
			t.Fatalf("%s: %v, %s", name, err, details(row.Violations.Listed))
		}
		for form, r := range map[string]schema.Record{"JSON": fromJSON, "CSV": row.Features} {
			if missing := s.Complete(r, ""); len(missing) > 0 {
				t.Fatalf("%s: %s", name, details(missing))
			}
			if got := string(schema.AppendCSV(nil, s.Encode(r))); got != tt.want {
				t.Errorf("%s from %s: got  %s\nwant %s", name, form, got, tt.want)
			}
			if got := string(s.AppendFeatures(nil, r, true)); got != tt.stored {
				t.Errorf("%s from %s: stored as %s\nwant %s", name, form, got, tt.stored)
			}
		}
		again, err := s.DecodeStored([]byte(tt.stored), func(feature int, code string) { t.Errorf("%s: feature %d is ignored: %s", name, feature, code) })
		if err != nil || string(schema.AppendCSV(nil, s.Encode(again))) != tt.want {
			t.Errorf("%s: read back as %v (%v)", name, s.Encode(again), err)
		}
	}
}

func TestWrongDates(t *testing.T) {
	s := parse(t, dated)
	_, violations, err := decode(s, `{"since":"30.11.2026","born":"1899-12-31","seen":20260101,"left":"2026-02-29","note":true}`)
	if got, want := details(violations), `/features/since format: must be a date such as 2026-11-30, not "30.11.2026"
/features/born out_of_range: must be at least 1900-01-01, not "1899-12-31"
/features/seen type: must be a date in a string, not a number
/features/left format: must be a date such as 2026-11-30, not "2026-02-29"
/features/note type: must be a date in a string, not a boolean`; err != nil || got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	got := summary(t, s, csvOf(t, s, "since,born,seen,left\n2026-11-30 10:00,1.1.2000,13/1/24,2024\n2026-13-01,31.12.2031,1/1/24 9:00,20240230\n"))
	want := `2 [] {} - !since format: must be a date such as 2026-11-30, not "2026-11-30 10:00"` +
		` !born format: must be a date in the form DD.MM.YYYY, not "1.1.2000"` +
		` !seen format: must be a date in the form M/D/YY[ HH:mm], not "13/1/24" !left format: must be a date in the form YYYYMMDD, not "2024"
3 [] {} - !since format: must be a date such as 2026-11-30, not "2026-13-01" !born out_of_range: must be at most 2030-12-31, not "31.12.2031"` +
		` !seen format: must be a date in the form M/D/YY[ HH:mm], not "1/1/24 9:00" !left format: must be a date in the form YYYYMMDD, not "20240230"
`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
	for _, text := range []string{`"2026-11-30T10:00:00"`, `"2026-11-30T24:00:00Z"`, `"2026-11-30T1:00:00Z"`, `"2026-11-30T10:00:00,5Z"`, `"0000-01-01"`, `"9999-12-31T23:00:00-02:00"`, `"10000-01-01"`, `""`, `"NA"`, `" 2026-11-30"`} {
		if _, violations, _ := decode(s, `{"since":`+text+`}`); codes(violations) != "/features/since format" {
			t.Errorf("%s: %s", text, details(violations))
		}
	}
}

// TestDateTimesOfDatabases reads what PostgreSQL, BigQuery and pandas write beside RFC 3339.
func TestDateTimesOfDatabases(t *testing.T) {
	s := parse(t, dated)
	for text, want := range map[string]string{
		"2026-11-30 23:30:00Z": "2026-11-30", "2026-11-30 23:30:00.123456-01:00": "2026-12-01", "2026-11-30 00:30:00+02": "2026-11-29", "2026-11-30T00:30:00+0200": "2026-11-29",
		"2026-11-30 10:00:00 UTC": "2026-11-30", "2026-11-30 10:00:00 +0000": "2026-11-30", "2026-11-30 10:00:00 UTC+2": "", "2026-11-30 +02": "", "2026-11-30 10:00:00+2": "", "+02": "", "UTC": "", "-": "",
	} {
		r, violations, err := decode(s, fmt.Sprintf(`{"since":%q}`, text))
		got := ""
		if violations == nil {
			got = strings.Split(string(s.AppendFeatures(nil, r, true)), `"`)[3]
		}
		if err != nil || got != want {
			t.Errorf("%s is %q, want %q: %s", text, got, want, details(violations))
		}
	}
}

func TestDateFormats(t *testing.T) {
	for format, cells := range map[string]map[string]string{
		"DD.MM.YYYY":            {"30.11.2026": "2026-11-30", "30.11.26": "", "1.1.2026": "", "30-11-2026": "", "2026-11-30": "2026-11-30", "30.11.2026 ": "2026-11-30", "30.11.2026x": ""},
		"D.M.YYYY":              {"1.1.2026": "2026-01-01", "01.01.2026": "2026-01-01", "31.4.2026": ""},
		"D-MMM-YY":              {"4-Sep-12": "2012-09-04", "30-feb-12": "", "04-OCT-99": "1999-10-04", "4-Foo-12": "", "4-Se": ""},
		"M/D/YY":                {"1/2/68": "2068-01-02", "12/31/69": "1969-12-31", "1/2/1999": ""},
		"YYYY-MM-DD HH:mm[:ss]": {"2026-11-30 23:59": "2026-11-30", "2026-11-30 23:59:60": "2026-11-30", "2026-11-30 24:00": "", "2026-11-30 10:60": "", "2026-11-30 10:00:61": ""},
		"YYYY-MM-DDTHH:mm:ssZ":  {"2026-11-30T10:00:00Z": "2026-11-30"},
		"M/D/YYYY H:mm:ss A":    {"11/30/2026 1:02:03 PM": "2026-11-30", "11/30/2026 12:02:03 am": "2026-11-30", "11/30/2026 1:02:03": "", "11/30/2026 1:02:03 P": "", "11/30/2026 1:02:03 XM": ""},
		"YYYY-MM-DD HH:mm:ss":   {"2026-11-30 10:00:00.123456": "2026-11-30", "2026-11-30 10:00:00.": "", "2026-11-30 9:00:00": "", "2026-11-30 10:00:00.5x": ""},
		"D. MMMM YYYY":          {"3. november 2026": "2026-11-03", "3. Nov 2026": "", "3. May 2026": "2026-05-03", "3. Novem": ""},
		"YYYYMMDD":              {"20261130": "2026-11-30", "2026113": ""},
		"YYYY年M月D日":             {"2026年1月5日": "2026-01-05", "2026年12月31日": "2026-12-31", "2026年13月1日": "", "2026-1-5": ""},
		"YYYY년 M월 D일":           {"2026년 1월 5일": "2026-01-05"},
		"YYYYжMжD":              {},
		"YYYY/M/D":              {"2026/1/31": "2026-01-31", "2026/1/32": ""},
	} {
		text := withFeatures(fmt.Sprintf("  - {name: a, type: date, format: %q}", format))
		if len(cells) == 0 {
			wantFaults(t, text, []string{`s.yaml:5: feature "a": format "` + format + `" has ж; its fields are YYYY, YY, MMMM, MMM, MM, M, DD, D, HH, H, mm, ss and A`})
			continue
		}
		s := parse(t, text)
		for cell, want := range cells {
			if want == "" {
				want = fmt.Sprintf("format: must be a date in the form %s, not %q", format, cell)
			} else {
				want = `"` + want + `"`
			}
			if got := cellOf(s, cell); got != want {
				t.Errorf("%s: %q is %s, want %s", format, cell, got, want)
			}
		}
	}
	for line, fault := range map[string]string{
		`format: "MM/YYYY"`:                    `feature "a": format "MM/YYYY" must have a year, a month and a day, as in DD.MM.YYYY`,
		`format: "YYYY-DD-MM"`:                 `feature "a": format "YYYY-DD-MM" reads 2001-02-03 as 2001-03-02`,
		`format: "DD.MM.YYYY MM"`:              `feature "a": format "DD.MM.YYYY MM" has a field twice: MM`,
		`format: "DMYYYY"`:                     `feature "a": format "DMYYYY" needs a separator before M`,
		`format: "DD.MMMMM.YYYY"`:              `feature "a": format "DD.MMMMM.YYYY" has a field twice: M`,
		`format: "DD.MM.[YYYY]"`:               `feature "a": format "DD.MM.[YYYY]" must have year, month and day outside of brackets`,
		`format: "[DD.]MM.YYYY"`:               `feature "a": format "[DD.]MM.YYYY" may have brackets only around its end`,
		`format: "%d.%m.%Y"`:                   `feature "a": format "%d.%m.%Y" has d; its fields are YYYY, YY, MMMM, MMM, MM, M, DD, D, HH, H, mm, ss and A`,
		`min: 31.12.2026`:                      `min must be a date such as 2026-11-30, not "31.12.2026"`,
		`min: 2026-01-02, max: 2026-01-01`:     `feature "a": min 2026-01-02 is after max 2026-01-01`,
		`min: 2026-01-02, default: 2026-01-01`: `feature "a": the default must be at least 2026-01-02, not "2026-01-01"`,
		`missing: allow, fill: 0`:              `fill must be a date such as 2026-11-30, not "0"`,
		`encode: onehot`:                       `feature "a": encode is for categories, not for type date`,
	} {
		wantFaults(t, withFeatures("  - {name: a, type: date, "+line+"}"), []string{"s.yaml:5: " + fault})
	}
}

func TestDatesOfTheSchemaDocument(t *testing.T) {
	s := parse(t, dated)
	text := string(s.JSONSchema())
	for _, want := range []string{`"format": "date",
      "formatMinimum": "1900-01-01",
      "formatMaximum": "2030-12-31"`, `"default": "1970-01-01"`, `"x-format": "M/D/YY[ HH:mm]"`} {
		if !strings.Contains(text, want) {
			t.Errorf("there is no %s in\n%s", want, text)
		}
	}
	example := s.Example()
	if got, want := string(s.AppendFeatures(nil, example, true)), `{"since":"2026-01-01","born":"1965-07-02","seen":"2026-01-01","left":"1970-01-01","note":"2026-01-01"}`; got != want {
		t.Errorf("the example is %s, want %s", got, want)
	}
	// The fingerprint covers the type, the default and the fill, not the form in files.
	seen := map[string]string{}
	for _, line := range []string{"type: date", "type: number", "type: date, default: 1970-01-01", "type: date, missing: allow", "type: date, missing: allow, fill: 1970-01-01"} {
		got := parse(t, withFeatures("  - {name: a, "+line+"}")).Fingerprint()
		if other, taken := seen[got]; taken {
			t.Errorf("%s has the fingerprint of %s", line, other)
		}
		seen[got] = line
	}
	if got := parse(t, withFeatures("  - {name: a, type: date, format: DD.MM.YYYY, min: 1970-01-01}")).Fingerprint(); seen[got] != "type: date" {
		t.Error("format or min changes the fingerprint")
	}
}

// A value has one code in all its forms: of JSON, stored, and as a cell of the file
// that an export of customers writes.
func FuzzEveryForm(f *testing.F) {
	schemas := []*schema.Schema{parse(f, dated), parse(f, optional), parse(f, everyKind), parse(f, aliased)}
	for _, text := range []string{
		`{"since":"2026-11-30","born":null}`, `{"since":"2026-11-30T10:00:00+05:00","seen":"2024-02-29"}`, `{"since":"0001-01-01","left":"9999-12-31"}`,
		`{"age":34,"rate":null,"job":"none","must":1e21,"kind":"?"}`, `{"whole":-3,"low":0,"real":0.1,"free":1e-7,"closed":"b c","gap":null,"hole":"a"}`,
		`{"income":-0.0,"job":"a"}`,
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, s := range schemas {
			r, violations, err := decode(s, text)
			if err != nil || len(violations) > 0 || len(s.Complete(r, "")) > 0 {
				continue
			}
			v := s.Encode(r)
			if len(v) != s.Width() {
				t.Fatalf("%d columns, want %d", len(v), s.Width())
			}
			stored := s.AppendFeatures(nil, r, true)
			again, err := s.DecodeStored(stored, func(feature int, code string) { t.Errorf("feature %d is ignored: %s", feature, code) })
			if err != nil || !cmp.Equal(s.Encode(again), v) {
				t.Fatalf("stored as %s, read as %v, want %v (%v)", stored, s.Encode(again), v, err)
			}
			values, err := s.StoredValues(stored)
			if err != nil {
				t.Fatal(err)
			}
			cells := s.NewRecord()
			for i, value := range values {
				if violation := s.SetText(cells, i, s.Cell(i, value)); violation != nil {
					t.Fatalf("cell %q: %+v", s.Cell(i, value), violation)
				}
			}
			if missing := s.Complete(cells, ""); len(missing) > 0 || !cmp.Equal(s.Encode(cells), v) {
				t.Fatalf("of cells %v, want %v (%s)", s.Encode(cells), v, details(missing))
			}
		}
	})
}

// The days of a date are those of package time.
func FuzzDates(f *testing.F) {
	s := parse(f, dated)
	for _, days := range []int{0, -1, 20787, -719162, 2932896, 19782} {
		f.Add(days)
	}
	f.Fuzz(func(t *testing.T, days int) {
		day := time.Date(1970, 1, 1+days%3_000_000, 0, 0, 0, 0, time.UTC)
		if day.Year() < 1 || day.Year() > 9999 {
			return
		}
		r := record(t, s, `{"since":"`+day.Format(time.DateOnly)+`"}`)
		weekday := int(day.Weekday())
		if weekday == 0 {
			weekday = 7
		}
		want := schema.Vector{float64(days % 3_000_000), float64(day.Month()), float64(weekday)}
		s.Complete(r, "")
		if got := s.Encode(r)[:3]; !cmp.Equal(got, want) {
			t.Errorf("%s: got %v, want %v", day.Format(time.DateOnly), got, want)
		}
	})
}
