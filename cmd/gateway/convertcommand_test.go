package main

import (
	"io"
	"strings"
	"testing"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"gateway/internal/gatewaytest"
)

// TestConvertReadsAndWritesBuckets converts an export from a bucket into the
// bucket.
func TestConvertReadsAndWritesBuckets(t *testing.T) {
	sandbox := gatewaytest.StartSandbox(t)
	gatewaytest.UseSandbox(t, sandbox)
	newConfig(t)
	bucket := s3.NewFromConfig(sandbox.Config())
	const item = `{"customer_id":{"s":"1"},"age":{"n":"34"},"job":{"s":"technician"},"marital":{"s":"married"},"education":{"s":"high.school"},` +
		`"default":{"s":"no"},"housing":{"s":"yes"},"loan":{"s":"no"},"contact":{"s":"cellular"},"month":{"s":"jun"},"day_of_week":{"s":"wed"},` +
		`"duration":{"n":"190"},"campaign":{"n":"1"},"pdays":{"n":"3"},"previous":{"n":"4"},"poutcome":{"s":"success"},"emp_var_rate":{"n":"-1.7"},` +
		`"cons_price_idx":{"n":"94.055"},"cons_conf_idx":{"n":"-39.8"},"euribor3m":{"n":"0.715"},"nr_employed":{"n":"4991.6"},"y":{"n":"1"}}` + "\n"
	if _, err := bucket.PutObject(t.Context(), &s3.PutObjectInput{Bucket: sdk.String("bank"), Key: sdk.String("exports/items.json"), Body: strings.NewReader(item + strings.Replace(item, `"s":"1"`, `"s":"2"`, 1))}); err != nil {
		t.Fatal(err)
	}
	const source = "s3://bank/exports/items.json"
	if code, _, errs := command(t, "convert", source, "s3://bank/by-hand/train.csv"); code != exitOK || !strings.Contains(errs, "read 2 items, wrote 2 rows") {
		t.Errorf("convert ended with %d: %s", code, errs)
	}
	object, err := bucket.GetObject(t.Context(), &s3.GetObjectInput{Bucket: sdk.String("bank"), Key: sdk.String("by-hand/train.csv")})
	if err != nil {
		t.Fatal(err)
	}
	defer object.Body.Close()
	text, err := io.ReadAll(object.Body)
	if rows := gatewaytest.Lines(string(text)); err != nil || len(rows) != 2 || !strings.HasPrefix(rows[0], "1,34,") {
		t.Errorf("the bucket has %q (%v), want two rows, label first", text, err)
	}
	if code, _, errs := command(t, "convert", source, "s3://bank"); code != exitUsage || !strings.Contains(errs, "names a bucket") {
		t.Errorf("convert into a bucket's root ended with %d: %s", code, errs)
	}
	if code, _, errs := command(t, "convert", "s3://bank/nothing", "s3://bank/x"); code != exitFailed || !strings.Contains(errs, "there is no nothing") {
		t.Errorf("convert of nothing ended with %d: %s", code, errs)
	}
}
