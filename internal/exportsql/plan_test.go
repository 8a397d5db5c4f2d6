package exportsql

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"gateway/internal/export"
	"gateway/internal/schema"
)

func parse(t *testing.T, text string) *schema.Schema {
	t.Helper()
	s, err := schema.Parse("schema.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

const head = `
name: small
id: {name: customer_id, alias: ["Customer's id"]}
label: {name: y, positive: [1, "yes"], negative: [0, "no"]}
features:
`

// TestTheTextOfAQueryIsAlwaysTheSame: a token stands for one text.
func TestTheTextOfAQueryIsAlwaysTheSame(t *testing.T) {
	s := parse(t, head+`
  - {name: since, type: date, format: "DD.MM.YYYY"}
  - {name: until, type: date}
  - {name: plan, type: category, values: [a, b], unknown: a, default: b}
`)
	policy := export.Policy{Now: time.Unix(1, 0), Probation: time.Hour}
	text := func() string {
		p, err := New(s, export.Backup)
		if err != nil {
			t.Fatal(err)
		}
		return p.Counts("t", policy, 5) + p.Unload("t", "s3://b/", policy, false) + p.UnloadEvidence("t", "s3://b/", policy)
	}
	first := text()
	for range 20 {
		if text() != first {
			t.Fatal("two plans of one schema write different queries")
		}
	}
	if !strings.Contains(first, "'Customer''s id'") {
		t.Error("a quote in a name is not doubled")
	}
}

// TestWhatSQLCannotConvertIsRefused at the start.
func TestWhatSQLCannotConvertIsRefused(t *testing.T) {
	if _, err := New(schema.Bank(), export.Loose); err == nil || !strings.Contains(err.Error(), "GATEWAY_TRANSFORM=inline") {
		t.Errorf("files without a manifest: %v", err)
	}
	var values []string
	for i := range 9000 {
		values = append(values, fmt.Sprintf("v%d", i))
	}
	s := parse(t, head+"  - {name: town, type: category, values: ["+strings.Join(values, ", ")+"]}\n")
	if _, err := New(s, export.Native); err == nil || !strings.Contains(err.Error(), `feature "town" has 9000 of the columns`) {
		t.Errorf("a wide schema: %.200v", err)
	}
	// The query of the rows is not the longest one.
	for n := 2400; ; n -= 10 {
		s := parse(t, head+"  - {name: town, type: category, values: ["+strings.Join(values[:n], ", ")+"]}\n")
		p, err := New(s, export.Native)
		if err != nil {
			continue
		}
		policy := export.Policy{Now: time.Now(), Probation: time.Hour}
		for name, text := range map[string]string{"counts": p.Counts("gateway_t", policy, 1), "rows": p.Unload("gateway_t", "s3://b/p/", policy, false),
			"evidence": p.UnloadEvidence("gateway_t", "s3://b/p/", policy)} {
			if len(text) > MaxBytes {
				t.Errorf("a schema of %d values is taken, and its query of the %s has %d bytes", n, name, len(text))
			}
		}
		if n == 2400 {
			t.Error("the widest schema is taken: the test shows nothing")
		}
		break
	}
}

// TestPatternsReadDatesAsTheFormatDoes compares the expressions with the reader of dates
// for texts that fit and texts that nearly do.
func TestPatternsReadDatesAsTheFormatDoes(t *testing.T) {
	texts := []string{"1.2.2003", "01.02.2003", "1.2.03", "31.12.1999", "1/2/99", "12/31/1999", "03-Jan-2001 04:05", "03-jan-2001 04:05:06", "3-January-2001",
		"03-JAN-2001 4:05 PM", "2001-02-03T04:05:06Z", "2001-02-03T04:05:06.789Z", "2001-02-03T04:05:06.Z", "20010203", "2001/02/03 04", "", "x", "1.2.2003 ", "11.22.3333", "3-May-2001"}
	for _, format := range []string{"D.M.YYYY", "DD.MM.YYYY", "D.M.YY", "M/D/YY", "MM/DD/YYYY", "DD-MMM-YYYY HH:mm[:ss]", "D-MMMM-YYYY", "DD-MMM-YYYY H:mm A",
		"YYYY-MM-DDTHH:mm:ssZ", "YYYYMMDD", "YYYY/MM/DD[ HH]"} {
		s := parse(t, head+fmt.Sprintf("  - {name: at, type: date, format: %q}\n", format))
		p, ok := s.Features[0].DatePattern()
		if !ok {
			t.Errorf("%s has no pattern", format)
			continue
		}
		expression, read := regexp.MustCompile(p.Expression), schema.DateReader(format)
		for _, text := range texts {
			m := expression.FindStringSubmatch(text)
			day, ok := read(text)
			if ok && m == nil {
				t.Errorf("%s does not match %q, which the format reads", format, text)
			}
			if !ok || m == nil {
				continue
			}
			if !p.Century && m[p.Year] != fmt.Sprintf("%04d", day.Year()) || strings.TrimLeft(m[p.Day], "0") != fmt.Sprint(day.Day()) ||
				p.Named && !strings.EqualFold(m[p.Month][:3], day.Month().String()[:3]) || !p.Named && strings.TrimLeft(m[p.Month], "0") != fmt.Sprint(int(day.Month())) {
				t.Errorf("%s reads %q as %s, the expression as %q", format, text, day.Format(time.DateOnly), m)
			}
		}
	}
	s := parse(t, head+"  - {name: at, type: date, format: \"DD.MM.YYYY mm:ss.HH\"}\n")
	if p, ok := s.Features[0].DatePattern(); ok {
		t.Errorf("a point after the seconds may be a fraction's: %s", p.Expression)
	}
}

func TestRowsOfCountsAreRead(t *testing.T) {
	p, err := New(parse(t, head+"  - {name: plan, type: category, values: [a, b], unknown: a, default: b}\n"), export.Native)
	if err != nil {
		t.Fatal(err)
	}
	row := func(cells ...string) (out []*string) {
		for _, c := range cells {
			if c == "NULL" {
				out = append(out, nil)
			} else {
				out = append(out, &c)
			}
		}
		return out
	}
	g, err := p.Group(row("NULL", "true", "false", "true", "true", "1", "-1", "app", "12", "3", "77", "0AFF", "4", "5"))
	if err != nil || g.Items != 12 || !g.Held || g.Made || !g.Settled || !g.Outcome || g.Label != 1 || g.Imported != -1 || g.Caller != "app" ||
		g.NewLabels != 3 || g.Watermark != 77 || g.First != "0AFF" || g.Mapped[0] != 4 || g.Defaulted[0] != 5 {
		t.Errorf("got %+v, %v", g, err)
	}
	if g, err = p.Group(row("no_id", "NULL", "NULL", "NULL", "NULL", "NULL", "NULL", "NULL", "2", "0", "9", "NULL", "0", "0")); err != nil || g.Reason != "no_id" || g.Items != 2 {
		t.Errorf("got %+v, %v", g, err)
	}
	for name, cells := range map[string][]*string{
		"a column is missing": row("no_id", "2"),
		"no number":           row("no_id", "NULL", "NULL", "NULL", "NULL", "NULL", "NULL", "NULL", "x", "0", "9", "NULL", "0", "0"),
		"no hash":             row("NULL", "true", "false", "true", "true", "1", "-1", "app", "12", "3", "77", "NULL", "4", "5"),
	} {
		if _, err := p.Group(cells); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
