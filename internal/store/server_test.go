package store

import (
	"strings"
	"testing"
)

func TestAServerIsAskedForTLSUnlessTheServerIsOnThisMachine(t *testing.T) {
	for name, tc := range map[string]struct {
		host, mode string
		fails      bool
	}{
		"this machine by name":    {host: "localhost"},
		"this machine by address": {host: "127.0.0.1"},
		"another machine":         {host: "db.internal"},
		"a mode that is set":      {host: "localhost", mode: "require"},
		"a mode that is none":     {host: "localhost", mode: "perhaps", fails: true},
	} {
		t.Run(name, func(t *testing.T) {
			server := PostgresServer{Host: tc.host, Port: 1, Database: "d", Username: "u", Password: func() string { return "leak" }, SSLMode: tc.mode}
			config, err := server.config()
			if tc.fails {
				if err == nil || strings.Contains(err.Error(), "leak") {
					t.Errorf("got %v, want an error without the password", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			for _, fallback := range config.Fallbacks {
				if fallback.TLSConfig == nil && tc.host == "db.internal" {
					t.Error("the connection falls back to one without TLS")
				}
			}
			wantTLS := tc.mode == "require" || tc.host == "db.internal"
			if got := config.TLSConfig != nil; got != wantTLS {
				t.Errorf("TLS is %v, want %v", got, wantTLS)
			}
			if config.Host != tc.host || config.Port != 1 || config.User != "u" || config.Password != "leak" || config.Database != "d" {
				t.Errorf("the connection goes to %s:%d/%s with %d fallbacks", config.Host, config.Port, config.Database, len(config.Fallbacks))
			}
		})
	}
}
