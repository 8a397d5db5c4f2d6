package app

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"gateway/internal/config"
	"gateway/internal/gatewaytest"
)

// TestSettingsOfSageMakerStopTheStart holds each wrong setting to one line that
// names it.
func TestSettingsOfSageMakerStopTheStart(t *testing.T) {
	tests := []struct{ name, setting, value, want string }{
		{"no bucket", "GATEWAY_S3_BUCKET", "", "GATEWAY_S3_BUCKET: must name a bucket"},
		{"a bucket that is not there", "GATEWAY_S3_BUCKET", "nowhere", "GATEWAY_S3_BUCKET: bucket nowhere: NoSuchBucket"},
		{"no role", "GATEWAY_EXECUTION_ROLE_ARN", "admin", `GATEWAY_EXECUTION_ROLE_ARN: "admin" is not the ARN of a role`},
		{"no region", "AWS_REGION", "", "AWS_REGION is not set"},
		{"a region without images", "AWS_REGION", "mars-1", `GATEWAY_TRAINING_IMAGE: the address of the image of linear-learner in region "mars-1" is unknown`},
		{"a canary of one", "GATEWAY_DEPLOY_STRATEGY", "canary", "GATEWAY_DEPLOY_STRATEGY: canary moves a part of the instances"},
		{"a strategy that is none", "GATEWAY_DEPLOY_STRATEGY", "yolo", "GATEWAY_DEPLOY_STRATEGY"},
		{"a custom algorithm without an image", "GATEWAY_TRAINING_ALGORITHM", "custom", "GATEWAY_TRAINING_IMAGE: must name the image"},
		{"a table that is not there", "GATEWAY_CUSTOMERS_TABLE", "nobody", `GATEWAY_CUSTOMERS_TABLE: table "nobody" does not exist`},
		{"a machine that is none", "GATEWAY_HOSTING_INSTANCE_TYPE", "m5.large", "GATEWAY_HOSTING_INSTANCE_TYPE"},
		{"no machines", "GATEWAY_TRAINING_INSTANCE_COUNT", "0", "GATEWAY_TRAINING_INSTANCE_COUNT"},
		{"another way to convert", "GATEWAY_TRANSFORM", "hive", "GATEWAY_TRANSFORM"},
		{"no workgroup", "GATEWAY_ATHENA_WORKGROUP", "a b", "GATEWAY_ATHENA_WORKGROUP"},
		{"no database", "GATEWAY_ATHENA_DATABASE", "My-Data", "GATEWAY_ATHENA_DATABASE"},
		{"no address of results", "GATEWAY_ATHENA_OUTPUT", "/tmp", "GATEWAY_ATHENA_OUTPUT"},
		{"exports of others without a table", "GATEWAY_EXPORT_FROM", "s3://bank/backups", "GATEWAY_EXPORT_FROM"},
	}
	values := make([]string, 9000)
	for i := range values {
		values[i] = fmt.Sprint("v", i)
	}
	wide := gatewaytest.WriteFile(t, "wide.yaml", "name: wide\nid: id\nlabel: {name: y, positive: [1], negative: [0]}\nfeatures:\n  - {name: town, type: category, values: ["+
		strings.Join(values, ", ")+"]}\n")
	tests = append(tests, struct{ name, setting, value, want string }{"a schema that SQL cannot convert", "GATEWAY_SCHEMA", wide,
		"GATEWAY_TRANSFORM: the query of the 9000 columns of schema wide would have "})
	s := gatewaytest.StartSandbox(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			gatewaytest.UseSandbox(t, s)
			t.Setenv("GATEWAY_DATA_DIR", t.TempDir())
			t.Setenv("GATEWAY_ADDR", "127.0.0.1:0")
			t.Setenv(tt.setting, tt.value)
			if tt.setting == "GATEWAY_SCHEMA" {
				t.Setenv("GATEWAY_TRANSFORM", "athena")
			}
			if tt.setting == "AWS_REGION" {
				t.Setenv("AWS_DEFAULT_REGION", "")
			}
			cfg, err := config.Load()
			if err == nil {
				err = tryStart(t, cfg)
			}
			var wrong *config.Error
			if !errors.As(err, &wrong) || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("it says %v, want one line with %s", err, tt.want)
			}
		})
	}
}
