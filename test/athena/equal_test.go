package athena

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"gateway/internal/export"
	"gateway/internal/exportsql"
	"gateway/internal/schema"
)

const hardSchema = `
name: hard
id: {name: customer_id, alias: ["Kunde Nr.", kunde]}
label: {name: y, alias: ["Churn?"], positive: [1, "yes"], negative: [0, "no", -2.5]}
features:
  - {name: age, type: integer, min: 17, max: 120}
  - {name: job, type: category, values: [admin., blue-collar, "it's", other], unknown: other}
  - {name: contact, type: category, values: [cellular, telephone]}
  - {name: plan, type: category, values: [a, NA, b], encode: ordinal, missing: allow}
  - {name: color, type: category, values: [red, green], default: green}
  - {name: size, type: category, values: [s, m], missing: allow}
  - {name: shape, type: category, values: [round, square], encode: ordinal, default: square, unknown: round}
  - {name: income, type: number, alias: ["Income, yearly", "INCOME"], missing: allow, fill: 12.5}
  - {name: balance, type: number, min: -1000.5, max: 1e9, default: 0.25}
  - {name: visits, type: integer, default: 3}
  - {name: tiny, type: number, missing: allow}
  - {name: since, type: date, min: 1990-01-01, missing: allow}
  - {name: seen, type: date, format: D.M.YY, missing: allow, fill: 2001-02-03}
  - {name: born, type: date, format: "DD-MMM-YYYY HH:mm[:ss]", default: 1970-01-01}
  - {name: price, type: number, format: "1.234,56", missing: allow}
  - {name: secret, type: number, exclude: true}
`

// pools are the values of attributes as {type: value}: what is good, and what is not.
var pools = map[string][2][]string{
	"age": {{`{"N":"34"}`, `{"N":"17"}`, `{"S":" 120 "}`, `{"N":"3.4e1"}`, `{"N":"+50"}`, `{"S":"034.00"}`},
		{`{"N":"16"}`, `{"N":"121"}`, `{"N":"34.5"}`, `{"N":"34.00000000000000000001"}`, `{"S":"abc"}`, `{"S":"NA"}`, `{"S":""}`, `{"NULL":true}`, `{"BOOL":true}`,
			`{"L":[{"N":"1"}]}`, `{"N":"99999999999999999999"}`, `{"N":"1e999"}`, `{"N":"1e-5000000000000"}`, `{"S":"0x1F"}`, `{"S":"1_0"}`, `{"S":"Infinity"}`, `{"S":"\u00a034\u2003"}`}},
	"job": {{`{"S":"admin."}`, `{"S":"it's"}`, `{"S":" blue-collar\n"}`, `{"S":"NA"}`, `{"S":"new one"}`, `{"N":"5"}`, `{"S":"?"}`},
		{`{"S":""}`, `{"S":"\\N"}`, `{"NULL":true}`, `{"SS":["a"]}`, `{"M":{}}`}},
	"contact": {{`{"S":"cellular"}`, `{"S":"telephone"}`, `{"S":"\u00a0telephone\u3000"}`},
		{`{"S":"Cellular"}`, `{"S":"none"}`, `{"S":"letter"}`, `{"B":"eA=="}`, `{"NULL":true}`}},
	"plan":  {{`{"S":"a"}`, `{"S":"NA"}`, `{"S":"b"}`, `{"S":"N/A"}`, `{"S":"NaN"}`, `{"S":" "}`, `{"NULL":true}`}, {`{"S":"c"}`, `{"BOOL":false}`}},
	"color": {{`{"S":"red"}`, `{"S":"green"}`, `{"S":"null"}`, `{"S":"NONE"}`, `{"S":"--"}`}, {`{"S":"blue"}`, `{"N":"1"}`}},
	"size":  {{`{"S":"s"}`, `{"S":"m"}`, `{"S":"<NA>"}`, `{"S":"\\N"}`, `{"NULL":true}`}, {`{"S":"l"}`, `{"NS":["1"]}`}},
	"shape": {{`{"S":"round"}`, `{"S":"square"}`, `{"S":"oval"}`, `{"S":"-"}`}, {`{"L":[]}`}},
	"income": {{`{"N":"1234.5"}`, `{"N":"0.1"}`, `{"N":"-0"}`, `{"N":"12345678901234567890"}`, `{"N":"0.1000000000000000055511151231257827"}`, `{"S":"None"}`, `{"N":"1E-7"}`,
		`{"N":"123456789012345.6"}`, `{"S":"5."}`, `{"S":".5"}`, `{"N":"1e22"}`, `{"N":"9007199254740993"}`},
		{`{"S":"1,234"}`, `{"N":"1e309"}`, `{"S":"--1"}`, `{"S":"e5"}`, `{"S":"1e"}`}},
	"balance": {{`{"N":"-1000.5"}`, `{"N":"1000000000"}`, `{"N":"0.000001"}`, `{"S":"-"}`, `{"N":"2.50"}`}, {`{"N":"-1000.50001"}`, `{"N":"1000000000.5"}`}},
	"visits":  {{`{"N":"0"}`, `{"N":"9007199254740991"}`, `{"N":"12e2"}`, `{"N":"0e-99999999999999999999"}`, `{"N":"1200e-2"}`}, {`{"N":"9007199254740992"}`, `{"N":"1e-400"}`, `{"N":"1201e-2"}`}},
	"tiny":    {{`{"N":"1e-300"}`, `{"N":"-4.9e-324"}`, `{"N":"1e-999"}`, `{"N":"0.00000012345"}`, `{"N":"-17.25"}`, `{"N":"100.0"}`}, {`{"S":"tiny"}`}},
	"since": {{`{"S":"2026-11-30"}`, `{"S":"2024-02-29"}`, `{"S":"2026-11-30T23:30:00-01:00"}`, `{"S":"1990-01-01T00:30:00Z"}`, `{"S":"2000-12-31 23:59:59.999+00"}`, `{"S":"2026-01-01 10:00:00 UTC"}`,
		`{"S":"2026-03-01 00:00:00 +0100"}`, `{"S":"2026-03-01T00:00:00.5+24:60"}`, `{"S":"nan"}`, `{"S":"9999-12-31"}`},
		{`{"S":"1990-01-01T00:30:00+01:00"}`, `{"S":"2023-02-29"}`, `{"S":"2026-13-01"}`, `{"S":"2026-11-31"}`, `{"S":"1989-12-31"}`, `{"S":"2026-11-30T24:00:00Z"}`, `{"S":"2026-11-30T10:00:60Z"}`,
			`{"S":"2026-11-30T1:00:00Z"}`, `{"S":"2026-11-30T10:00:00"}`, `{"S":"2026-11-30T10:00:00,5Z"}`, `{"S":"2026-11-30T10:00:00+25:00"}`, `{"S":"30.11.2026"}`, `{"N":"20261130"}`, `{"S":"0000-01-01"}`,
			`{"S":"9999-12-31T23:00:00-02:00"}`, `{"S":"1900-02-29"}`, `{"S":"2026-00-10"}`, `{"S":"2026-10-00"}`}},
	"seen":  {{`{"S":"1.2.99"}`, `{"S":"31.12.68"}`, `{"S":"01.1.70"}`, `{"S":"2001-02-03"}`, `{"S":"?"}`, `{"NULL":true}`, `{"S":"29.2.00"}`}, {`{"S":"31.4.20"}`, `{"S":"1.13.20"}`, `{"S":"1.2.2020"}`, `{"S":"1/2/20"}`, `{"S":"0.1.20"}`}},
	"born":  {{`{"S":"01-Jan-1980 10:30"}`, `{"S":"28-feb-1981 00:00:60"}`, `{"S":"31-DEC-2000 23:59:59.75"}`, `{"S":"1999-12-31"}`, `{"S":"NULL"}`}, {`{"S":"30-Feb-1980 10:30"}`, `{"S":"01-Foo-1980 10:30"}`, `{"S":"01-Jan-1980 24:30"}`, `{"S":"01-Jan-1980 10:61"}`, `{"S":"01-Jan-1980"}`, `{"S":"01-Jan-0000 10:00"}`}},
	"price": {{`{"N":"1234.56"}`, `{"N":"5"}`, `{"S":"n/a"}`}, {`{"L":[]}`}},
}

var (
	labels  = []string{`{"N":"1"}`, `{"N":"0"}`, `{"S":"yes"}`, `{"S":" no "}`, `{"N":"1.0"}`, `{"S":"10e-1"}`, `{"N":"0.00"}`, `{"N":"-2.50"}`, `{"S":"-25e-1"}`}
	noLabel = []string{`{"S":"YES"}`, `{"N":"2"}`, `{"S":"1.00000000000000000001"}`, `{"S":"2.5"}`, `{"L":[]}`, `{"BOOL":true}`, `{"S":""}`, `{"S":"NA"}`, `{"NULL":true}`, ""}
)

// attributes are the names in pools, in a fixed order: the same seed gives the same items.
var attributes = slices.Sorted(maps.Keys(pools))

// generator makes items with hard cases.
type generator struct {
	random *rand.Rand
	bad    float64 // share of features with a bad value
	kinds  map[string]string
}

func pick(r *rand.Rand, list []string) string { return list[r.IntN(len(list))] }

func (g *generator) item(n int) string {
	r := g.random
	members := map[string]string{}
	for _, name := range attributes {
		pool := pools[name]
		switch x := r.Float64(); {
		case x < g.bad:
			members[name] = pick(r, pool[1])
		case x < g.bad+0.02:
		default:
			members[name] = pick(r, pool[0])
		}
	}
	if r.IntN(20) == 0 { // an alias beside the name, or in its place
		members["Income, yearly"] = pick(r, pools["income"][0])
	}
	if r.IntN(10) == 0 {
		delete(members, "income")
		members["INCOME"] = pick(r, pools["income"][0])
	}
	if r.IntN(10) == 0 {
		members["Age"] = `{"N":"5"}` // another attribute: names have case
	}
	members["extra"], members["secret"] = `{"L":[{"M":{"x":{"S":"y"}}}]}`, `{"S":"not a number"}`
	id := fmt.Sprintf(`{"S":"c-%d"}`, n)
	if r.IntN(4) == 0 {
		id = fmt.Sprintf(`{"N":"%d"}`, n)
	}
	switch r.IntN(60) {
	case 0:
		members["Kunde Nr."] = id
	case 1:
		members["customer_id"], members["Kunde Nr."] = `{"S":" "}`, id
	case 2:
		members["customer_id"] = pick(r, []string{`{"S":""}`, `{"S":"\\N"}`, `{"BOOL":true}`, `{"NULL":true}`, `{"L":[]}`})
	case 3:
	default:
		members["customer_id"] = id
	}
	g.label(members)
	names := slices.Sorted(maps.Keys(members))
	r.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	var b strings.Builder
	for _, name := range names {
		if b.Len() > 0 {
			b.WriteString(",")
		}
		quoted, _ := json.Marshal(name)
		fmt.Fprintf(&b, "%s:%s", quoted, g.spell(members[name]))
	}
	return "{" + b.String() + "}"
}

// spell writes a type as the export's layout has it.
func (g *generator) spell(attribute string) string {
	for native, old := range g.kinds {
		if rest, ok := strings.CutPrefix(attribute, `{"`+native+`"`); ok {
			return `{"` + old + `"` + rest
		}
	}
	return attribute
}

func (g *generator) label(members map[string]string) {
	r := g.random
	if label := pick(r, noLabel); r.Float64() < g.bad && label != "" {
		members["y"] = label
	} else if r.Float64() > g.bad/2 {
		members["y"] = pick(r, labels)
	}
	if r.IntN(10) == 0 {
		members["Churn?"] = pick(r, append(labels, noLabel[:8]...))
	}
	if r.IntN(3) != 0 {
		return
	}
	members[export.OutcomeAttribute] = fmt.Sprintf(`{"N":"%d"}`, r.IntN(5000))
	if r.IntN(4) != 0 {
		at := now.Add(-time.Duration(r.IntN(40*24)) * time.Hour)
		members[export.LabelledAttribute] = fmt.Sprintf(`{"N":"%d"}`, at.UnixMicro())
	}
	if r.IntN(5) != 0 {
		members[export.CallerAttribute] = fmt.Sprintf(`{"S":"app %d, \"main\""}`, min(r.IntN(6), r.IntN(120)))
	}
	if r.IntN(2) == 0 {
		members[export.OriginAttribute] = `{"S":"app"}`
	} else if r.IntN(4) != 0 {
		members[export.ImportedAttribute] = pick(r, append(labels, `{"S":"what"}`))
	}
	if r.IntN(50) == 0 {
		members[export.OutcomeAttribute] = pick(r, []string{`{"N":"-5"}`, `{"S":"x"}`, `{"N":"99999999999999999999"}`, `{"N":"1.5"}`})
	}
}

var now = time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)

// writeNative writes items as DynamoDB's export, in files of a few thousand.
func writeNative(t testing.TB, folder string, items iter.Seq[string]) {
	t.Helper()
	must := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.MkdirAll(filepath.Join(folder, "data"), 0o700))
	var manifest bytes.Buffer
	total, count, files := 0, 0, 0
	var stored bytes.Buffer
	packed := gzip.NewWriter(&stored)
	end := func() {
		must(packed.Close())
		name := fmt.Sprintf("part%06d.json.gz", files)
		files++
		must(os.WriteFile(filepath.Join(folder, "data", name), stored.Bytes(), 0o600))
		sum := md5.Sum(stored.Bytes())
		fmt.Fprintf(&manifest, `{"itemCount":%d,"md5Checksum":"%s","etag":"x","dataFileS3Key":"AWSDynamoDB/%s/data/%s"}`+"\n", count,
			base64.StdEncoding.EncodeToString(sum[:]), filepath.Base(folder), name)
		stored.Reset()
		packed.Reset(&stored)
		count = 0
	}
	for item := range items {
		fmt.Fprintf(packed, "{\"Item\":%s}\n", item)
		total++
		if count++; count == 50_000 {
			end()
		}
	}
	end()
	must(os.WriteFile(filepath.Join(folder, "manifest-files.json"), manifest.Bytes(), 0o600))
	must(os.WriteFile(filepath.Join(folder, "manifest-summary.json"), fmt.Appendf(nil,
		`{"version":"2020-06-30","itemCount":%d,"outputFormat":"DYNAMODB_JSON","manifestFilesS3Key":"x"}`, total), 0o600))
}

// result is what a conversion made, in a form that can be compared.
type result struct {
	parts  map[string][]string // rows of the training and of the held-out part, sorted
	report export.Report
}

func (r *result) digest(part string) string {
	sum := sha256.Sum256([]byte(strings.Join(r.parts[part], "")))
	return hex.EncodeToString(sum[:8])
}

func (r *result) finish(train, holdout []byte) {
	r.parts = map[string][]string{}
	for part, text := range map[string][]byte{exportsql.Train: train, exportsql.Holdout: holdout} {
		lines := strings.SplitAfter(string(text), "\n")
		slices.Sort(lines)
		r.parts[part] = lines
	}
	r.report.SHA256, r.report.Examples, r.report.Ignored = "", nil, nil
}

func inline(t testing.TB, s *schema.Schema, folder string, policy *export.Policy, watermark int64) (r result) {
	t.Helper()
	reader, err := export.Open(t.Context(), os.DirFS(folder), ".")
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	var train, holdout bytes.Buffer
	r.report, err = export.Convert(t.Context(), s, reader, export.Outputs{Train: &train, Holdout: &holdout},
		export.Options{Watermark: watermark, Policy: policy, TempDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	r.finish(train.Bytes(), holdout.Bytes())
	return r
}

// bySQL converts as the gateway does in Athena.
func bySQL(t testing.TB, s *schema.Schema, layout export.Layout, files string, policy *export.Policy, watermark int64) (r result) {
	t.Helper()
	ctx := t.Context()
	plan, err := exportsql.New(s, layout)
	if err != nil {
		t.Fatal(err)
	}
	engine, err := Open()
	if err != nil {
		t.Fatal(err)
	}
	defer engine.Close()
	if err := engine.Lines(ctx, "gateway_test", files); err != nil {
		t.Fatal(err)
	}
	var groups []export.Group
	run(t, engine, plan.Counts("gateway_test", *policy, watermark), func(row []*string) error {
		g, err := plan.Group(row)
		groups = append(groups, g)
		return err
	})
	settlement := export.NewSettlement(s, groups, policy, watermark)
	rows := map[string]*bytes.Buffer{exportsql.Train: {}, exportsql.Holdout: {}, exportsql.Neither: {}}
	counts := map[string]int64{}
	run(t, engine, plan.Rows("gateway_test", *policy, settlement.Open), func(row []*string) error {
		cells := make([]string, len(row)-1)
		for i := range cells {
			if row[i] == nil {
				return fmt.Errorf("column %d is NULL", i)
			}
			cells[i] = *row[i]
		}
		part := *row[len(row)-1]
		counts[part]++
		text, err := exportsql.CanonicalRow(rows[part].AvailableBuffer(), s, []byte(strings.Join(cells, ",")))
		rows[part].Write(text)
		return err
	})
	if counts[exportsql.Train] != settlement.Train || counts[exportsql.Holdout] != settlement.Holdout || counts[exportsql.Neither] != settlement.Neither {
		t.Errorf("rows are %v, the counts say %d, %d and %d", counts, settlement.Train, settlement.Holdout, settlement.Neither)
	}
	evidence := func(yield func(export.Evidence, error) bool) {
		if settlement.Undecided == 0 {
			return
		}
		query := "SELECT CAST(to_json(x) AS varchar) AS line FROM (" + plan.Evidence("gateway_test", *policy) + ") x"
		run(t, engine, query, func(row []*string) error {
			e, err := plan.ReadEvidence([]byte(*row[0]))
			if err == nil {
				e.CSV, err = exportsql.CanonicalRow(nil, s, e.CSV)
				e.CSV = bytes.TrimSuffix(e.CSV, []byte("\n"))
			}
			yield(e, err)
			return err
		})
	}
	if err := settlement.Settle(ctx, evidence, export.Outputs{Train: rows[exportsql.Train], Holdout: rows[exportsql.Holdout]},
		export.Options{TempDir: t.TempDir()}); err != nil {
		t.Fatal(err)
	}
	r.report = settlement.Report
	r.finish(rows[exportsql.Train].Bytes(), rows[exportsql.Holdout].Bytes())
	return r
}

func run(t testing.TB, e *Engine, query string, each func([]*string) error) {
	t.Helper()
	if _, err := e.Rows(context.Background(), query, each); err != nil {
		t.Fatalf("%v\n%.300s", err, query)
	}
}

func equal(t *testing.T, want, got result) {
	t.Helper()
	if !reflect.DeepEqual(want.report, got.report) {
		a, _ := json.MarshalIndent(want.report, "", " ")
		b, _ := json.MarshalIndent(got.report, "", " ")
		x, y := strings.SplitAfter(string(a), "\n"), strings.SplitAfter(string(b), "\n")
		t.Errorf("inline reports %s\nSQL reports %s", strings.Join(difference(x, y), ""), strings.Join(difference(y, x), ""))
	}
	for _, part := range []string{exportsql.Train, exportsql.Holdout} {
		if want.digest(part) == got.digest(part) {
			t.Logf("%s: %d rows, digest %s", part, len(want.parts[part])-1, want.digest(part))
			continue
		}
		missing := difference(want.parts[part], got.parts[part])
		more := difference(got.parts[part], want.parts[part])
		t.Errorf("%s: %d rows are missing, such as %q; %d are too many, such as %q", part, len(missing), first(missing), len(more), first(more))
	}
}

func difference(a, b []string) (only []string) {
	counts := map[string]int{}
	for _, line := range b {
		counts[line]++
	}
	for _, line := range a {
		if counts[line]--; counts[line] < 0 {
			only = append(only, line)
		}
	}
	return only
}

func first(lines []string) []string { return lines[:min(3, len(lines))] }
