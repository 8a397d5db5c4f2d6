package export

import (
	"fmt"
	"strings"
	"testing"

	"gateway/internal/schema"
)

// Each case changes the attributes of a sound customer, whose row is
// "1,34,1,2,3,1.5,0": label, age, job, month, pdays, rate, wealth.
func TestPolicy(t *testing.T) {
	sound := map[string]string{
		"customer_id": `{"S":"c1"}`, "age": `{"N":"34"}`, "job": `{"S":"admin."}`, "month": `{"S":"feb"}`,
		"pdays": `{"N":"3"}`, "rate": `{"N":"1.5"}`, "wealth": `{"N":"0"}`, "note": `{"S":"a"}`, "y": `{"N":"1"}`,
	}
	const base = "1,34,1,2,3,1.5,0\n"
	schema := tinySchema(t)
	type change map[string]string // empty: the attribute is absent
	for name, test := range map[string]struct {
		change change
		want   string // the CSV, or the reason
	}{
		"sound": {nil, base},

		"id absent":            {change{"customer_id": ""}, "no_id"},
		"id NULL":              {change{"customer_id": `{"NULL":true}`}, "no_id"},
		"id empty":             {change{"customer_id": `{"S":""}`}, "no_id"},
		"id Hive's NULL":       {change{"customer_id": `{"S":"\\N"}`}, "no_id"},
		"id nested":            {change{"customer_id": `{"L":[]}`}, "no_id"},
		"id a boolean":         {change{"customer_id": `{"BOOL":true}`}, "no_id"},
		"id a number":          {change{"customer_id": `{"N":"17"}`}, base},
		"id called null":       {change{"customer_id": `{"S":"null"}`}, base},
		"id before everything": {change{"customer_id": "", "y": "", "age": ""}, "no_id"},

		"id by its alias":       {change{"customer_id": "", "Customer No.": `{"N":"17"}`}, base},
		"id blank beside alias": {change{"customer_id": `{"S":" "}`, "Customer No.": `{"S":"c1"}`}, base},

		"label by its alias":            {change{"y": "", "yes, or no?": `{"S":"no"}`}, "0,34,1,2,3,1.5,0\n"},
		"label empty beside alias":      {change{"y": `{"S":""}`, "yes, or no?": `{"S":"no"}`}, "0,34,1,2,3,1.5,0\n"},
		"label before its alias":        {change{"yes, or no?": `{"S":"no"}`}, base},
		"label wrong beside alias":      {change{"y": `{"S":"x"}`, "yes, or no?": `{"S":"no"}`}, "bad_label"},
		"label nested by its alias":     {change{"y": "", "yes, or no?": `{"L":[]}`}, "bad_label"},
		"label absent":                  {change{"y": ""}, "unlabelled"},
		"label NULL":                    {change{"y": `{"NULL":true}`}, "unlabelled"},
		"label nULLValue":               {change{"y": `{"nULLValue":true}`}, "unlabelled"},
		"label empty":                   {change{"y": `{"S":""}`}, "unlabelled"},
		"label spaces":                  {change{"y": `{"S":" "}`}, "unlabelled"},
		"label Hive's NULL":             {change{"y": `{"S":"\\N"}`}, "unlabelled"},
		"label the word None":           {change{"y": `{"S":"None"}`}, "unlabelled"},
		"label in words":                {change{"y": `{"S":"no"}`}, "0,34,1,2,3,1.5,0\n"},
		"label as a string":             {change{"y": `{"S":"1"}`}, base},
		"label with a fraction of zero": {change{"y": `{"N":"1.0"}`}, base},
		"label 2":                       {change{"y": `{"N":"2"}`}, "bad_label"},
		"label true":                    {change{"y": `{"BOOL":true}`}, "bad_label"},
		"label nested":                  {change{"y": `{"SS":["1"]}`}, "bad_label"},
		"label before features":         {change{"y": `{"N":"2"}`, "age": `{"N":"x"}`}, "bad_label"},

		"number as a string":            {change{"age": `{"S":"34"}`}, base},
		"number with an exponent":       {change{"age": `{"N":"3.4E1"}`}, base},
		"number with a zero fraction":   {change{"age": `{"N":"34.000"}`}, base},
		"number in spaces":              {change{"age": `{"S":" 34 "}`}, base},
		"number with a plus":            {change{"age": `{"S":"+34"}`}, base},
		"38 digits":                     {change{"rate": `{"N":"1.5000000000000000000000000000000000000"}`}, base},
		"number too large":              {change{"rate": `{"N":"1E+999"}`}, "out_of_range:rate"},
		"number by its alias":           {change{"rate": "", "emp.rate": `{"N":"1.5"}`}, base},
		"number twice":                  {change{"emp.rate": `{"N":"1.5"}`}, "duplicate:rate"},
		"number and its alias as NULL":  {change{"emp.rate": `{"NULL":true}`}, base},
		"NULL and the alias's number":   {change{"rate": `{"NULL":true}`, "emp.rate": `{"N":"1.5"}`}, base},
		"number absent":                 {change{"age": ""}, "missing:age"},
		"number NULL":                   {change{"age": `{"NULL":true}`}, "missing:age"},
		"number nULL":                   {change{"age": `{"nULL":true}`}, "missing:age"},
		"number empty":                  {change{"age": `{"S":""}`}, "missing:age"},
		"number Hive's NULL":            {change{"age": `{"S":"\\N"}`}, "missing:age"},
		"number the word null":          {change{"age": `{"S":"null"}`}, "missing:age"},
		"number the word NULL":          {change{"age": `{"S":"NULL"}`}, "missing:age"},
		"number the word None":          {change{"age": `{"S":"None"}`}, "missing:age"},
		"number NaN":                    {change{"age": `{"N":"NaN"}`}, "missing:age"},
		"number Infinity":               {change{"rate": `{"S":"Infinity"}`}, "type:rate"},
		"number hexadecimal":            {change{"age": `{"S":"0x22"}`}, "type:age"},
		"number that is a word":         {change{"age": `{"S":"old"}`}, "type:age"},
		"number that is a boolean":      {change{"age": `{"BOOL":true}`}, "type:age"},
		"number nested":                 {change{"age": `{"L":[{"N":"34"}]}`}, "type:age"},
		"number that is a set":          {change{"age": `{"NS":["34"]}`}, "type:age"},
		"number that is binary":         {change{"age": `{"B":"MzQ="}`}, "type:age"},
		"integer with a fraction":       {change{"age": `{"N":"34.5"}`}, "not_integer:age"},
		"integer with a tiny fraction":  {change{"age": `{"N":"34.00000000000000000001"}`}, "not_integer:age"},
		"below its range":               {change{"age": `{"N":"16"}`}, "out_of_range:age"},
		"above its range":               {change{"age": `{"N":"121"}`}, "out_of_range:age"},
		"absent with a default":         {change{"pdays": ""}, "1,34,1,2,999,1.5,0\n"},
		"NULL with a default":           {change{"pdays": `{"NULL":true}`}, "1,34,1,2,999,1.5,0\n"},
		"the word NaN with a default":   {change{"pdays": `{"N":"nan"}`}, "1,34,1,2,999,1.5,0\n"},
		"wrong with a default":          {change{"pdays": `{"N":"-1"}`}, "out_of_range:pdays"},
		"category unlisted, mapped":     {change{"job": `{"S":"pilot"}`}, "1,34,3,2,3,1.5,0\n"},
		"category the word null mapped": {change{"job": `{"S":"null"}`}, "1,34,3,2,3,1.5,0\n"},
		"category empty":                {change{"job": `{"S":""}`}, "missing:job"},
		"category absent":               {change{"job": ""}, "missing:job"},
		"category NULL":                 {change{"job": `{"NULL":true}`}, "missing:job"},
		"category Hive's NULL":          {change{"job": `{"S":"\\N"}`}, "missing:job"},
		"category called None":          {change{"month": `{"S":"None"}`}, "1,34,1,3,3,1.5,0\n"},
		"category the word null":        {change{"month": `{"S":"null"}`}, "missing:month"},
		"category the marker none":      {change{"month": `{"S":"none"}`}, "missing:month"},
		"category the marker -":         {change{"month": `{"S":"-"}`}, "missing:month"},
		"number the marker ?":           {change{"age": `{"S":"?"}`}, "missing:age"},
		"number the marker N/A":         {change{"pdays": `{"S":" N/A "}`}, "1,34,1,2,999,1.5,0\n"},
		"number a marker by its alias":  {change{"emp.rate": `{"S":"--"}`}, base},
		"a marker and the alias":        {change{"rate": `{"S":"#N/A"}`, "emp.rate": `{"N":"1.5"}`}, base},
		"category unlisted":             {change{"month": `{"S":"mar"}`}, "unknown_category:month"},
		"category in another case":      {change{"month": `{"S":"FEB"}`}, "unknown_category:month"},
		"category that is a number":     {change{"month": `{"N":"2"}`}, "unknown_category:month"},
		"category nested":               {change{"month": `{"M":{}}`}, "type:month"},

		"the first reason in schema order":      {change{"month": `{"S":"mar"}`, "age": `{"N":"1"}`}, "out_of_range:age"},
		"a missing one before a wrong one":      {change{"age": "", "month": `{"S":"mar"}`}, "missing:age"},
		"a wrong one before a missing one":      {change{"age": `{"N":"1"}`, "month": ""}, "out_of_range:age"},
		"an excluded one that is wrong":         {change{"note": `{"S":"zzz"}`}, base},
		"an excluded one that is nested":        {change{"note": `{"L":[]}`}, base},
		"an excluded one that is absent":        {change{"note": ""}, base},
		"attributes that the schema has not":    {change{"email": `{"S":"x"}`, "tags": `{"SS":["x"]}`}, base},
		"an attribute in another case is extra": {change{"AGE": `{"N":"35"}`}, base},
		"an attribute without a type":           {change{"email": `{}`}, "broken_line"},
	} {
		for form, line := range map[string]func(map[string]string) string{"native": nativeLine, "backup": backupLine, "hive": hiveLine} {
			t.Run(name+"/"+form, func(t *testing.T) {
				attrs := map[string]string{}
				for k, v := range sound {
					attrs[k] = v
				}
				for k, v := range test.change {
					attrs[k] = v
				}
				fsys := files(map[string]string{"f": line(attrs) + "\n"})
				got, report, err := convertFS(t, schema, fsys, "f", Options{})
				if err != nil {
					t.Fatal(err)
				}
				for reason := range report.Skipped {
					got += reason
				}
				if got != test.want {
					t.Errorf("got %q, want %q", got, test.want)
				}
				checkSums(t, report)
			})
		}
	}
}

func nativeLine(attrs map[string]string) string {
	return `{"Item":{` + strings.Join(members(attrs, `%q:%s`), ",") + `}}`
}

// small writes type descriptors as the EMR connector does.
var small = strings.NewReplacer(`{"S"`, `{"s"`, `{"N"`, `{"n"`, `{"NULL"`, `{"nULL"`, `{"BOOL"`, `{"bOOL"`, `{"L"`, `{"l"`,
	`{"M"`, `{"m"`, `{"B"`, `{"b"`, `{"SS"`, `{"sS"`, `{"NS"`, `{"nS"`)

func backupLine(attrs map[string]string) string {
	return `{` + strings.Join(members(attrs, `%q:%s`), ",") + `}`
}

func hiveLine(attrs map[string]string) string {
	return strings.Join(members(attrs, "%s\x03%s"), "\x02")
}

func members(attrs map[string]string, format string) []string {
	var all []string
	for k, v := range attrs {
		if v == "" {
			continue
		}
		if !strings.Contains(format, `%q`) || len(all)%2 == 1 {
			v = small.Replace(v)
		}
		all = append(all, fmt.Sprintf(format, k, v))
	}
	return all
}

func TestBackslashNIsAValueWhereTheSchemaListsIt(t *testing.T) {
	s, err := schema.Parse("s", []byte(`
name: s
id: id
label: {name: y, positive: [1], negative: [0]}
features: [{name: c, type: category, values: ['\N', b]}]
`))
	if err != nil {
		t.Fatal(err)
	}
	got, _, err := convertFS(t, s, files(map[string]string{"f": `{"id":{"s":"1"},"y":{"n":"1"},"c":{"s":"\\N"}}`}), "f", Options{})
	if err != nil || got != "1,1,0\n" {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestReportsKeepPersonalValuesOut(t *testing.T) {
	attrs := map[string]string{
		"customer_id": `{"S":"top-secret-id"}`, "age": `{"N":"34"}`, "job": `{"S":"admin."}`, "month": `{"S":"feb"}`,
		"rate": `{"N":"1.5"}`, "wealth": `{"N":"987654321"}`, "y": `{"N":"1"}`,
	}
	_, report, err := convertFS(t, tinySchema(t), files(map[string]string{"f": nativeLine(attrs)}), "f", Options{})
	if err != nil || len(report.Examples) != 1 {
		t.Fatalf("%v, %+v", err, report)
	}
	e := report.Examples[0]
	if e.File != "f" || e.Line != 1 || e.Reason != "out_of_range:wealth" || e.Detail == "" {
		t.Errorf("got %+v", e)
	}
	if text := fmt.Sprintf("%+v", report); strings.Contains(text, "987654321") || strings.Contains(text, "top-secret") {
		t.Errorf("the report repeats a personal value: %s", text)
	}
}
