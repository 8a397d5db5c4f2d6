package export_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing/fstest"

	"gateway/internal/export"
	"gateway/internal/schema"
)

// A backup of three customers, one of them without a label.
func Example() {
	schema, err := schema.Parse("shop.yaml", []byte(`
name: shop
id: customer_id
label: {name: bought, positive: [1], negative: [0]}
features:
  - {name: age, type: integer, min: 0}
  - {name: plan, type: category, values: [free, paid]}
`))
	if err != nil {
		fmt.Println(err)
		return
	}
	backup := fstest.MapFS{"part-0": &fstest.MapFile{Data: []byte(strings.Join([]string{
		`{"customer_id":{"s":"ann"},"age":{"n":"34"},"plan":{"s":"paid"},"bought":{"n":"1"}}`,
		`{"customer_id":{"s":"bob"},"age":{"n":"27"},"plan":{"s":"free"},"bought":{"n":"0"}}`,
		`{"customer_id":{"s":"cat"},"age":{"n":"51"},"plan":{"s":"free"}}`,
	}, "\n"))}}

	ctx := context.Background()
	r, err := export.Open(ctx, backup, ".")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer r.Close()
	report, err := export.Convert(ctx, schema, r, export.Outputs{All: os.Stdout}, export.Options{TempDir: "/var/lib/gateway/temp"})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(report.Items, "items,", report.Rows, "rows,", report.Skipped)
	// Output:
	// 1,34,0,1
	// 0,27,1,0
	// 3 items, 2 rows, map[unlabelled:1]
}
