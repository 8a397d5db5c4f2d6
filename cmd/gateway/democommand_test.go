package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gateway/internal/gatewaytest"
)

func TestDemoSaysWhatItCannotDo(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	foreign := gatewaytest.WriteFile(t, "schema.yaml", "name: x\nid: customer_id\nlabel: {name: y, positive: [1], negative: [0]}\nfeatures:\n  - {name: income, type: number}\n")
	for name, tt := range map[string]struct {
		args []string
		env  map[string]string
		want string
	}{
		"no days":         {args: []string{"--days", "0"}, want: "--days: must be from 1 to 366"},
		"too many days":   {args: []string{"--days", "367"}, want: "--days: must be from 1 to 366"},
		"foreign schema":  {env: map[string]string{"GATEWAY_SCHEMA": foreign}, want: "GATEWAY_SCHEMA: demo customers can be made for the bank schema only"},
		"shared database": {env: map[string]string{"GATEWAY_DB_SECRET_ID": "file:db.json"}, want: "GATEWAY_PLATFORM, GATEWAY_DB_SECRET_ID"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("GATEWAY_DATA_DIR", dir)
			for key, value := range tt.env {
				t.Setenv(key, value)
			}
			code, stdout, stderr := command(t, append([]string{"demo"}, tt.args...)...)
			if code != exitUsage || !strings.Contains(stderr, tt.want) {
				t.Errorf("exit %d, %q %q; want %q", code, stdout, stderr, tt.want)
			}
			if _, err := os.Stat(dir); err == nil {
				t.Error("it has made a data dir")
			}
		})
	}
}

func TestDemoReports(t *testing.T) {
	t.Setenv("GATEWAY_DATA_DIR", filepath.Join(t.TempDir(), "data"))
	code, stdout, stderr := command(t, "demo", "--days", "1")
	if code != exitOK || !strings.Contains(stdout, "simulated days: 1, in ") || !strings.Contains(stdout, " 6 renewals") && !strings.Contains(stdout, " 5 renewals") {
		t.Fatalf("exit %d: %q %q", code, stdout, stderr)
	}
	code, _, stderr = command(t, "demo", "--days", "1")
	if code != exitFailed || !strings.Contains(stderr, "the data dir has customers or predictions already; name another one with GATEWAY_DATA_DIR, or add to it with --add") {
		t.Errorf("a second time: exit %d: %q", code, stderr)
	}
}
