package schema_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gateway/internal/failure"
	"gateway/internal/schema"
)

func TestNDJSONTable(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"nested and flat", `{"customer_id":"1","features":{"age":34,"job":"admin."},"y":1}` + "\n" +
			`{"customer_id":"2","age":35,"emp.rate":2,"y":"no"}` + "\n",
			"1 [1] {\"age\":34,\"job\":\"admin.\"} 1\n2 [2] {\"age\":35,\"rate\":2} 0\n"},
		{"both at once", `{"age":34,"features":{"job":"admin."},"month":"may"}`,
			"1 [] {\"age\":34,\"job\":\"admin.\",\"month\":\"may\"} -\n"},
		{"a feature nested and flat", `{"age":34,"features":{"age":35}}` + "\n" + `{"features":{"age":35},"age":34}`,
			"1 [] {\"age\":34} - !/features/age duplicate: is feature \"age\", which is given twice\n" +
				"2 [] {\"age\":35} - !age duplicate: is feature \"age\", which is given twice\n"},
		{"blank lines, CRLF and no line end", "\n  \r\n{\"age\":34}\r\n\n{\"age\":35}",
			"3 [] {\"age\":34} -\n5 [] {\"age\":35} -\n"},
		{"a label that is null", `{"age":34,"y":null}`, "1 [] {\"age\":34} -\n"},
		{"label spellings", `{"y":1}` + "\n" + `{"y":1.0}` + "\n" + `{"y":"yes"}` + "\n" + `{"y":0}`,
			"1 [] {} 1\n2 [] {} 1\n3 [] {} 1\n4 [] {} 0\n"},
		{"wrong labels", `{"y":"1"}` + "\n" + `{"y":true}` + "\n" + `{"y":2}` + "\n" + `{"y":""}`,
			"1 [] {} - !y unknown_category: must be one of 1, \"yes\", 0, \"no\"\n" +
				"2 [] {} - !y type: must be one of 1, \"yes\", 0, \"no\", not a boolean\n" +
				"3 [] {} - !y unknown_category: must be one of 1, \"yes\", 0, \"no\"\n" +
				"4 [] {} - !y unknown_category: must be one of 1, \"yes\", 0, \"no\"\n"},
		{"explain", `{"explain":true}` + "\n" + `{"explain":false}` + "\n" + `{"explain":1}` + "\n" + `{"explain":"all"}` + "\n" + `{"explain":"every"}`,
			"1 [] {} - explain true\n2 [] {} -\n3 [] {} - !explain type: must be true, false or \"all\", not a number\n4 [] {} - explain \"all\"\n" +
				"5 [] {} - !explain type: must be true, false or \"all\", not another string\n"},
		{"wrong ids", `{"customer_id":7}` + "\n" + `{"customer_id":""}`,
			"1 [] {} - !customer_id type: must be a string, not a number\n2 [] {} - !customer_id missing: is empty\n"},
		{"every violation of a line", `{"age":"x","job":7,"nope":1,"features":{"month":"Mar","rate":null}}`,
			"1 [] {} - !age type: must be an integer, not a string !job type: must be a string, not a number" +
				" !nope unknown_field: is not a feature of the schema" +
				" !/features/month unknown_category: must be one of mar, apr, may, not \"Mar\" !/features/rate type: must be a number, not null\n"},
		{"features that are no object", `{"features":[1]}`, "1 [] {} - !/features type: must be an object, not an array\n"},
		{"bad lines among good ones", "{\"age\":34}\nnot json\n[1]\n{\"age\":34\n{\"age\":34} {}\n{\"age\":20,\"age\":21}\n{\"features\":{\"a\":1,\"a\":1}}\n\"\n{\"job\":\"\xff\"}\n{\"age\":35}\n",
			"1 [] {\"age\":34} -\n" +
				"2 [] {} - !row format: is not a JSON object: it does not begin with {\n" +
				"3 [] {} - !row format: is not a JSON object: it does not begin with {\n" +
				"4 [] {\"age\":34} - !row format: is not a JSON object: it ends too early\n" +
				"5 [] {\"age\":34} - !row format: is not a JSON object: there is more text after the object\n" +
				"6 [] {\"age\":20} - !row format: is not a JSON object: a name is given twice in one object\n" +
				"7 [] {} - !row format: is not a JSON object: a name is given twice in one object\n" +
				"8 [] {} - !row format: is not a JSON object: it does not begin with {\n" +
				"9 [] {} - !row format: is not a JSON object: it is not valid UTF-8\n" +
				"10 [] {\"age\":35} -\n"},
	}
	s := parse(t, small)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := summary(t, s, schema.NewNDJSONTable(s, strings.NewReader(tt.text), 1<<16))
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("rows (-want +got):\n%s", diff)
			}
		})
	}
}

// An empty text is an error as an empty CSV is.
func TestAnEmptyTextIsNoNDJSON(t *testing.T) {
	s := parse(t, small)
	for _, text := range []string{"", "\n \r\n", "\ufeff"} {
		_, err := schema.NewNDJSONTable(s, strings.NewReader(text), 1<<16).Next()
		var e *failure.Error
		if !errors.As(err, &e) || e.Kind != failure.Invalid || e.Detail != "the table is empty: it must hold a JSON object on each line" {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestMembersThatAreFeatures(t *testing.T) {
	s := parse(t, withFeatures("  - {name: features, type: number}", "  - {name: explain, type: category, values: [a, b]}"))
	got := summary(t, s, schema.NewNDJSONTable(s, strings.NewReader(`{"features":3,"explain":"b"}`), 1<<16))
	if want := "1 [] {\"features\":3,\"explain\":\"b\"} -\n"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	s = parse(t, strings.Replace(small, "id: customer_id", "id: explain", 1))
	got = summary(t, s, schema.NewNDJSONTable(s, strings.NewReader(`{"explain":"b","age":34}`), 1<<16))
	if want := "1 [b] {\"age\":34} -\n"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	s = parse(t, strings.Replace(small, "name: y,", "name: explain,", 1))
	got = summary(t, s, schema.NewNDJSONTable(s, strings.NewReader(`{"explain":1,"age":34}`+"\n"+`{"explain":true}`), 1<<16))
	if want := "1 [] {\"age\":34} 1\n2 [] {} - !explain type: must be one of 1, \"yes\", 0, \"no\", not a boolean\n"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// FuzzNDJSON holds the fast path of a line to the strict one: what is read
// without a fault is read in the same way where there is a member that only the
// strict one knows.
func FuzzNDJSON(f *testing.F) {
	for _, line := range []string{
		`{"customer_id":"1","features":{"age":34,"job":"admin."}}`, `{"age":34,"explain":true}`, `{"features":{"age":34},"age":35}`,
		`{"customer_id":"","age":34}`, `{"age":17,"explain":1}`, `{"age":34} {}`, `{"customer_id":"é","age":34}`, `{"job":"admin\u002e","age":1e1}`,
	} {
		f.Add(line)
	}
	s := parse(f, small)
	f.Fuzz(func(t *testing.T, line string) {
		before, isObject := strings.CutSuffix(strings.TrimSpace(line), "}")
		if !isObject || strings.ContainsAny(line, "\r\n") || strings.Contains(line, `"y"`) {
			return
		}
		fast := summary(t, s, schema.NewNDJSONTable(s, strings.NewReader(line), 1<<16))
		if strings.Contains(fast, " !") || strings.HasSuffix(strings.TrimSpace(before), "{") {
			return // the strict one was asked
		}
		strict := summary(t, s, schema.NewNDJSONTable(s, strings.NewReader(before+`,"y":null}`), 1<<16))
		if fast != strict {
			t.Errorf("fast: %s\nstrict: %s", fast, strict)
		}
	})
}

func TestLongLinesEndTheTable(t *testing.T) {
	s := parse(t, small)
	read := &counter{r: endless{"x"}}
	table := schema.NewNDJSONTable(s, read, 1<<14)
	_, err := table.Next()
	var e *failure.Error
	if !errors.As(err, &e) || e.Kind != failure.Invalid || err.Error() != "the row at line 1 is longer than 16384 bytes" {
		t.Errorf("got %v", err)
	}
	if read.n > 1<<15 {
		t.Errorf("%d bytes were read", read.n)
	}
	table = schema.NewNDJSONTable(s, strings.NewReader("{}\n{}\n"+strings.Repeat(" ", 1<<15)+"\n{}\n"), 1<<14)
	rows := 0
	for err = nil; err == nil; rows++ {
		_, err = table.Next()
	}
	if rows != 3 || err.Error() != "the row at line 3 is longer than 16384 bytes" {
		t.Errorf("after %d calls: %v", rows, err)
	}
}
