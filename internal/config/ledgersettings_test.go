package config

import (
	"strings"
	"testing"
	"time"
)

func TestSettingsOfTheLedger(t *testing.T) {
	tests := []struct {
		name, value string
		want        string // of the error; empty: none
	}{
		{"GATEWAY_LEDGER_RETENTION", "90d", ""},
		{"GATEWAY_LEDGER_RETENTION", "36h", ""},
		{"GATEWAY_LEDGER_RETENTION", "0", ""},
		{"GATEWAY_LEDGER_RETENTION", "-1d", "GATEWAY_LEDGER_RETENTION"},
		{"GATEWAY_LEDGER_RETENTION", "1.5d", "must be 0 or a time such as 90d or 36h"},
		{"GATEWAY_LEDGER_RETENTION", "5s", "must be 0 or a time such as 90d or 36h"},
		{"GATEWAY_OUTBOX_MAX_SIZE", "2GiB", ""},
		{"GATEWAY_OUTBOX_MAX_SIZE", "512KiB", "GATEWAY_OUTBOX_MAX_SIZE: 512KiB must be at least 1MiB"},
		{"GATEWAY_OUTBOX_POLICY", "panic", `GATEWAY_OUTBOX_POLICY: "panic" must be one of drop-oldest, refuse`},
		{"GATEWAY_OUTBOX_SYNC", "never", `GATEWAY_OUTBOX_SYNC: "never" must be one of always, interval`},
		{"GATEWAY_LEDGER_PERSONAL", "keep", `GATEWAY_LEDGER_PERSONAL: "keep" must be one of omit, hash`},
	}
	for _, tt := range tests {
		t.Run(tt.name+"="+tt.value, func(t *testing.T) {
			t.Setenv(tt.name, tt.value)
			_, err := Load()
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
	t.Run("gateways that share a database must share the key", func(t *testing.T) {
		t.Setenv("GATEWAY_DB_SECRET_ID", "file:database.json")
		t.Setenv("GATEWAY_LEDGER_PERSONAL", "hash")
		if _, err := Load(); err == nil || !strings.Contains(err.Error(), "GATEWAY_LEDGER_KEY_SECRET_ID") {
			t.Errorf("got %v", err)
		}
	})
	var age Age
	if err := age.Decode("90d"); err != nil || time.Duration(age) != 90*24*time.Hour {
		t.Errorf("90d is %v (%v)", time.Duration(age), err)
	}
}
