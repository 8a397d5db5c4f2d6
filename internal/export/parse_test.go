package export

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestOneParserReadsEverySpelling(t *testing.T) {
	for name, test := range map[string]struct {
		line string
		want []Attribute
	}{
		"DynamoDB's export": {
			`{"Item":{"customer_id":{"S":"1"},"age":{"N":"34"},"ok":{"BOOL":true},"x":{"NULL":true}}}`,
			[]Attribute{{"customer_id", String, "1"}, {"age", Number, "34"}, {"ok", Bool, "true"}, {"x", Null, ""}},
		},
		"EMR connector": {
			`{"customer_id":{"s":"1"},"age":{"n":"34"},"ok":{"bOOL":false},"x":{"nULL":true},"z":{"nULLValue":true}}`,
			[]Attribute{{"customer_id", String, "1"}, {"age", Number, "34"}, {"ok", Bool, "false"}, {"x", Null, ""}, {"z", Null, ""}},
		},
		"Hive-made": {
			"customer_id\x03{\"s\":\"1\"}\x02age\x03{\"n\":\"34\"}\x02tags\x03{\"nS\":[\"100\"]}",
			[]Attribute{{"customer_id", String, "1"}, {"age", Number, "34"}, {"tags", NumberSet, ""}},
		},
		"every nested type": {
			`{"Item":{"a":{"L":[{"S":"x"}]},"b":{"M":{"k":{"N":"1"}}},"c":{"SS":["x"]},"d":{"NS":["1"]},"e":{"BS":["eA=="]},"f":{"B":"eA=="}}}`,
			[]Attribute{{"a", List, ""}, {"b", Map, ""}, {"c", StringSet, ""}, {"d", NumberSet, ""}, {"e", BinarySet, ""}, {"f", Binary, ""}},
		},
		"every nested type of the EMR connector": {
			`{"a":{"l":[{"s":"x"}]},"b":{"m":{"k":{"n":"1"}}},"c":{"sS":["x"]},"d":{"nS":["1"]},"e":{"bS":["eA=="]},"f":{"b":"eA=="}}`,
			[]Attribute{{"a", List, ""}, {"b", Map, ""}, {"c", StringSet, ""}, {"d", NumberSet, ""}, {"e", BinarySet, ""}, {"f", Binary, ""}},
		},
		"escapes in names and values": {
			`{"Item":{"na\u006de":{"S":"a\n\"b\" \u00e9"}}}`,
			[]Attribute{{"name", String, "a\n\"b\" é"}},
		},
		"an attribute called Item":                    {`{"Item":{"s":"x"},"age":{"n":"1"}}`, []Attribute{{"Item", String, "x"}, {"age", Number, "1"}}},
		"an attribute called Item, not first":         {`{"age":{"n":"1"},"Item":{"s":"x"}}`, []Attribute{{"age", Number, "1"}, {"Item", String, "x"}}},
		"an attribute called Item within the wrapper": {`{"Item":{"Item":{"S":"x"}}}`, []Attribute{{"Item", String, "x"}}},
		"no attributes":                               {`{"Item":{}}`, nil},
		"no attributes and no wrapper":                {`{}`, nil},
		"white space":                                 {" \t{ \"age\" : { \"n\" : \"1\" } } \r", []Attribute{{"age", Number, "1"}}},
		"a number that is not quoted":                 {`{"age":{"n":34}}`, []Attribute{{"age", Number, "34"}}},
		"a boolean that is quoted":                    {`{"ok":{"bOOL":"true"}}`, []Attribute{{"ok", Bool, "true"}}},
		"an empty name":                               {`{"":{"s":"x"}}`, []Attribute{{"", String, "x"}}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := newParser().parse([]byte(test.line))
			if err != nil {
				t.Fatal(err)
			}
			if len(got) == 0 {
				got = nil
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestBrokenLinesSayWhy(t *testing.T) {
	for name, test := range map[string]struct{ line, want string }{
		"cut off":                 {`{"Item":{"age":{"N":"3`, "ends before the item does"},
		"cut off between":         {`{"Item":{"age":{"N":"3"}`, "ends before the item does"},
		"not JSON":                {`{"age":{"n":secret}}`, "not JSON at byte 13"},
		"plain text":              {`34,technician,married`, "neither a JSON object nor"},
		"a JSON array":            {`[{"age":{"N":"1"}}]`, "neither a JSON object nor"},
		"a name twice":            {`{"age":{"n":"1"},"age":{"n":"2"}}`, "given twice"},
		"a name twice, Hive-made": {"a\x03{\"n\":\"1\"}\x02a\x03{\"n\":\"2\"}", "given twice"},
		"Hive-made, no value":     {"a\x03{\"n\":\"1\"}\x02b", "has no value"},
		"two items on a line":     {`{"a":{"n":"1"}}{"a":{"n":"1"}}`, "more text after"},
		"beside the wrapper":      {`{"Item":{"a":{"N":"1"}},"b":{"N":"1"}}`, "beside"},
		"bare value":              {`{"age":34}`, `"age" is not of the form`},
		"bare value in a wrapper": {`{"Item":{"a":{"N":"1"},"age":34}}`, `"age" is not of the form`},
		"no type":                 {`{"age":{}}`, `"age" has no type`},
		"unknown type":            {`{"age":{"X":"1"}}`, "does not have"},
		"two types":               {`{"age":{"n":"1","s":"1"}}`, "more than one type"},
		"a string that is none":   {`{"age":{"s":5}}`, "does not fit"},
		"a number that is none":   {`{"age":{"n":true}}`, "does not fit"},
		"a boolean that is none":  {`{"age":{"bOOL":"perhaps"}}`, "neither true nor false"},
		"invalid UTF-8":           {"{\"age\":{\"s\":\"\xff\"}}", "not JSON"},
		"incremental export":      {`{"Metadata":{"WriteTimestampMicros":{"N":"1"}},"Keys":{"id":{"S":"1"}},"NewImage":{"id":{"S":"1"}}}`, "incremental"},
		"Item is a string":        {`{"Item":"x"}`, `"Item" is not of the form`},
		"endless name":            {`{"` + strings.Repeat("n", 1000) + `":1}`, strings.Repeat("n", 64) + "…"},
		"deep nesting":            {`{"a":{"l":` + strings.Repeat("[", 100_000) + `}}`, "not JSON"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := newParser().parse([]byte(test.line))
			if err == nil {
				t.Fatalf("was taken as %v", got)
			}
			if !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %q does not say %q", err, test.want)
			}
			if strings.Contains(err.Error(), "secret") {
				t.Errorf("error %q repeats a value", err)
			}
		})
	}
}

func TestParserCarriesNothingOver(t *testing.T) {
	p := newParser()
	first, err := p.parse([]byte(`{"a":{"s":"one"}}`))
	if err != nil {
		t.Fatal(err)
	}
	text := first[0].Text
	p.parse([]byte(`{"broken`))
	second, err := p.parse([]byte(`{"b":{"s":"two"}}`))
	if err != nil || len(second) != 1 || second[0].Name != "b" || text != "one" {
		t.Errorf("got %v, %v after %q", second, err, text)
	}
}

func FuzzItem(f *testing.F) {
	for _, line := range []string{
		`{"Item":{"loan":{"S":"no"},"age":{"N":"3.4E1"},"ok":{"BOOL":true},"x":{"NULL":true},"l":{"L":[{"S":"x"}]}}}`,
		`{"loan":{"s":"no"},"age":{"n":"34"},"ok":{"bOOL":true},"x":{"nULLValue":true},"t":{"sS":["a"]}}`,
		"loan\x03{\"s\":\"no\"}\x02age\x03{\"n\":\"34\"}",
		`{"Item":{"s":"x"}}`, `{"a":{"n":"1"}} {}`, `{"Item":{"a":{"N":"1"}`, "",
	} {
		f.Add([]byte(line))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		attrs, err := newParser().parse(line)
		if err != nil {
			if len(err.Error()) > 400 {
				t.Errorf("an error of %d bytes", len(err.Error()))
			}
			return
		}
		seen := map[string]bool{}
		for _, a := range attrs {
			if seen[a.Name] {
				t.Errorf("attribute %q twice", a.Name)
			}
			seen[a.Name] = true
			if _, ok := descriptors[string(a.Kind)]; !ok {
				t.Errorf("kind %q", a.Kind)
			}
			if (a.Kind == Null || a.Kind.Nested()) && a.Text != "" {
				t.Errorf("%s with text %q", a.Kind, a.Text)
			}
		}
	})
}
