package config

import (
	"strings"
	"testing"
)

func TestSettingsOfTheDatabasesProtectionAreChecked(t *testing.T) {
	for name, tc := range map[string]struct{ value, says string }{
		"GATEWAY_DB_SSLMODE":      {"verify", "sslmode must be one of"},
		"GATEWAY_DB_SSLROOTCERT":  {"/nowhere/rds.pem", "/nowhere/rds.pem"},
		"GATEWAY_DB_REQUIRE_AUTH": {"scram", "scram-sha-256, md5"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv(name, tc.value)
			if _, err := Load(); err == nil || !strings.HasPrefix(err.Error(), name+": ") || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("got %v, want an error that names the setting and says %s", err, tc.says)
			}
		})
	}
}
