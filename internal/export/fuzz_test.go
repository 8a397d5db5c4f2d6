package export

import (
	"strings"
	"testing"

	"gateway/internal/schema"
)

func FuzzConvert(f *testing.F) {
	bank, err := appendItem(nil, schema.Bank(), bankCustomers(1)[0])
	if err != nil {
		f.Fatal(err)
	}
	f.Add(bank)
	f.Add([]byte(zip(string(bank))))
	f.Add([]byte(`{"customer_id":{"s":"1"},"age":{"n":"3.4E1"},"job":{"s":"x"},"month":{"nULL":true},"y":{"n":"1"}}` + "\n" + lineOne))
	f.Add([]byte("customer_id\x03{\"s\":\"1\"}\x02y\x03{\"n\":\"1\"}\x02age\x03{\"n\":\"34\"}\x02job\x03{\"s\":\"admin.\"}\x02month\x03{\"s\":\"jan\"}\x02rate\x03{\"n\":\"1\"}"))
	f.Add([]byte(`{"Item":{"customer_id":{"S":"1"},"y":{"N":"1"},"age":{"N":"34"},"job":{"S":"admin."},"month":{"S":"jan"},"rate":{"N":"1"},"_outcome":{"N":"7"}}}`))
	schema := tinySchema(f)
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, data []byte) {
		fsys := files(map[string]string{"f": string(data)})
		csv, report, err := convertFS(t, schema, fsys, "f", Options{})
		if err != nil {
			return
		}
		checkSums(t, report)
		if n := int64(strings.Count(csv, "\n")); n != report.Rows {
			t.Errorf("%d lines, %d rows", n, report.Rows)
		}
		for line := range strings.Lines(csv) {
			label, rest, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ",")
			if label != "0" && label != "1" {
				t.Errorf("label %q", label)
			}
			if _, err := schema.ParseCSV([]byte(rest)); err != nil {
				t.Errorf("line %q: %v", line, err)
			}
		}
		again, report2, err := convertFS(t, schema, fsys, "f", Options{Memory: 1, TempDir: dir})
		if err != nil || again != csv || report2.SHA256 != report.SHA256 {
			t.Errorf("spilled: %q instead of %q, %v", again, csv, err)
		}
		checkSums(t, report2)
	})
}
