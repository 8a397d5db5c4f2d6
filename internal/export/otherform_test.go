package export

import (
	"errors"
	"strings"
	"testing"

	"gateway/internal/failure"
)

func TestAnotherFormIsNamedWithWhatToDo(t *testing.T) {
	const scan = "{\n    \"Items\": [\n        {\n            \"customer_id\": {\n                \"S\": \"1\"\n            }\n        }\n    ],\n    \"Count\": 1\n}\n"
	for name, test := range map[string]struct{ text, want string }{
		"a scan":                         {scan, "output of `aws dynamodb scan`"},
		"a scan on one line":             {`{"Items":[{"customer_id":{"S":"1"}}],"Count":1}`, "jq -c '.Items[]'"},
		"a scan that begins otherwise":   {"\ufeff{\"Count\": 1, \"Items\": []}", "output of `aws dynamodb scan`"},
		"a compressed scan":              {zip(scan), "output of `aws dynamodb scan`"},
		"a list":                         {"[\n" + lineOne + "\n]", "a JSON list; write one item a line: jq -c '.[]'"},
		"an item over several lines":     {"{\n  \"customer_id\": {\"S\": \"1\"}\n}\n", "JSON over several lines"},
		"Ion":                            {"$ion_1_0 {Item:{customer_id:\"1\"}}", "Ion format; export the table in the format DYNAMODB_JSON"},
		"Parquet":                        {"PAR1\x15\x04", "Parquet"},
		"a zip archive":                  {"PK\x03\x04\x14", "a zip archive"},
		"CSV":                            {"customer_id,age\n1,34\n", "`gateway import` loads CSV"},
		"CSV with semicolons and quotes": {"\"customer_id\";\"age\"\r\n", "`gateway import` loads CSV"},
	} {
		t.Run(name, func(t *testing.T) {
			out, report, err := convertFS(t, tinySchema(t), files(map[string]string{"d/items.json": test.text}), "d/items.json", Options{})
			var fault *failure.Error
			if !errors.As(err, &fault) || fault.Kind != failure.Invalid || !strings.Contains(err.Error(), "d/items.json: ") || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %q and %+v, error %v; want one with %q", out, report, err, test.want)
			}
		})
	}
	for name, text := range map[string]string{
		"an item":                     lineOne,
		"an attribute called Items":   `{"Items":{"S":"x"},"customer_id":{"S":"1"}}`,
		"an attribute called Count":   `{"Count":{"N":"1"},"customer_id":{"S":"1"}}`,
		"the oldest form":             "customer_id\x03{\"s\":\"1, 2; 3\"}\x02age\x03{\"n\":\"34\"}",
		"a line that breaks off":      lineOne[:20],
		"a text that is none of them": "rubbish\n",
		"an empty file":               "",
	} {
		if form := otherForm([]byte(text)); form != "" {
			t.Errorf("%s is taken for %s", name, form)
		}
	}
}

func TestNoRowsIsAnErrorThatSaysWhy(t *testing.T) {
	_, report, err := convertFS(t, tinySchema(t), files(map[string]string{"items": `{"x":{"S":"1"}}` + "\n" + `{"x":{"S":"2"}}` + "\nrubbish\n"}), "items", Options{})
	if err != nil {
		t.Fatal(err)
	}
	const want = "none of the 3 items gives a row: no_id 2, broken_line 1; the first is items, line 1: no_id"
	if err := report.NoRows(); err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("got %v, want %s", err, want)
	}
	for _, fine := range []Report{{}, {Items: 3, Rows: 1}} {
		if err := fine.NoRows(); err != nil {
			t.Errorf("%+v: %v", fine, err)
		}
	}
}

func TestRowsGoThroughTheNamedFolderAlone(t *testing.T) {
	dir := t.TempDir() + "/made/if/need/be"
	t.Setenv("TMPDIR", "/dev/null") // as on a root that cannot be written
	text := strings.Repeat(`{"customer_id":{"s":"1"},"age":{"n":"34"},"job":{"s":"admin."},"month":{"s":"jan"},"rate":{"n":"1"},"note":{"s":"a"},"y":{"n":"1"}}`+"\n", 10)
	for dir, works := range map[string]bool{dir: true, "/dev/null/no": false} {
		_, _, err := convertFS(t, tinySchema(t), files(map[string]string{"items": text}), "items", Options{Memory: 1, TempDir: dir})
		if (err == nil) != works {
			t.Errorf("%s: %v", dir, err)
		}
	}
	r, err := Open(t.Context(), files(map[string]string{"items": text}), "items")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Convert(t.Context(), tinySchema(t), r, Outputs{}, Options{}); err == nil {
		t.Error("Convert takes the system's folder")
	}
}
