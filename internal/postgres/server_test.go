package postgres

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestAConnectionIsProtectedUnlessTheServerIsOnThisMachine(t *testing.T) {
	for name, tc := range map[string]struct {
		host, mode, auth string
		tls, verified    bool
		wantAuth         string
		weak             []string // words of each weakness
		fails            string
	}{
		"this machine by name":       {host: "localhost", wantAuth: "scram-sha-256,none"},
		"this machine in capitals":   {host: "LocalHost", wantAuth: "scram-sha-256,none"},
		"this machine by address":    {host: "127.0.0.1", wantAuth: "scram-sha-256,none"},
		"another address of it":      {host: "127.8.9.1", wantAuth: "scram-sha-256,none"},
		"this machine by IPv6":       {host: "::1", wantAuth: "scram-sha-256,none"},
		"a Unix socket":              {host: "/var/run/it's a socket", wantAuth: "scram-sha-256,none"},
		"another machine":            {host: "db.internal", tls: true, verified: true, wantAuth: "scram-sha-256"},
		"another address":            {host: "10.0.0.1", tls: true, verified: true, wantAuth: "scram-sha-256"},
		"two hosts":                  {host: "localhost,db.internal", tls: true, verified: true, wantAuth: "scram-sha-256"},
		"a mode that is set":         {host: "localhost", mode: "require", tls: true, wantAuth: "scram-sha-256,none"},
		"no check":                   {host: "db.internal", mode: "require", tls: true, wantAuth: "scram-sha-256", weak: []string{"any server may pose"}},
		"no check of the name":       {host: "db.internal", mode: "verify-ca", tls: true, wantAuth: "scram-sha-256", weak: []string{"the same authority"}},
		"no TLS if it is not had":    {host: "db.internal", mode: "prefer", tls: true, wantAuth: "scram-sha-256", weak: []string{"only if the server"}},
		"no TLS":                     {host: "db.internal", mode: "disable", wantAuth: "scram-sha-256", weak: []string{"not encrypted"}},
		"MD5":                        {host: "db.internal", auth: "scram-sha-256, md5", tls: true, verified: true, wantAuth: "scram-sha-256, md5", weak: []string{"a hash"}},
		"the password in clear":      {host: "localhost", auth: "password", wantAuth: "password", weak: []string{"in clear"}},
		"all but one":                {host: "db.internal", auth: "!gss", tls: true, verified: true, wantAuth: "!gss", weak: []string{"need not prove", "in clear", "a hash"}},
		"a mode that is none":        {host: "localhost", mode: "leak", fails: "sslmode must be one of"},
		"a method that is none":      {host: "localhost", auth: "leak", fails: "require_auth must be a list of"},
		"methods that do not fit":    {host: "localhost", auth: "md5,!password", fails: "require_auth must be a list of"},
		"a method that is set twice": {host: "localhost", auth: "md5,md5", fails: "more than once"},
	} {
		t.Run(name, func(t *testing.T) {
			server := Server{Host: tc.host, Port: 1, Database: "d", Username: "u", Password: func() string { return "leak" },
				SSLMode: tc.mode, RequireAuth: tc.auth}
			config, err := server.Config()
			if tc.fails != "" {
				if err == nil || !strings.Contains(err.Error(), tc.fails) || strings.Contains(err.Error(), "leak") || strings.Contains(err.Error(), "postgres:") {
					t.Errorf("got %v, want an error that says %s, without a value", err, tc.fails)
				}
				return
			}
			must(t, err)
			for _, fallback := range config.Fallbacks {
				if fallback.TLSConfig == nil && tc.verified {
					t.Error("the connection falls back to one without TLS")
				}
			}
			if got := config.TLSConfig != nil; got != tc.tls {
				t.Errorf("TLS is %v, want %v", got, tc.tls)
			}
			if tc.verified && (config.TLSConfig.InsecureSkipVerify || config.TLSConfig.ServerName == "" && net.ParseIP(tc.host) == nil) {
				t.Error("the server's certificate is not checked")
			}
			if config.RequireAuth != tc.wantAuth {
				t.Errorf("require_auth is %q, want %q", config.RequireAuth, tc.wantAuth)
			}
			hosts := strings.Split(tc.host, ",")
			for i, fallback := range config.Fallbacks {
				if len(hosts) > 1 && (fallback.Host != hosts[i+1] || fallback.Port != 1) {
					t.Errorf("host %d is %s:%d", i+1, fallback.Host, fallback.Port)
				}
			}
			if config.Host != hosts[0] || config.Port != 1 || config.User != "u" || config.Password != "leak" || config.Database != "d" {
				t.Errorf("the connection goes to %s:%d/%s with %d fallbacks", config.Host, config.Port, config.Database, len(config.Fallbacks))
			}
			weak := server.Weaknesses()
			if len(weak) != len(tc.weak) {
				t.Fatalf("the weaknesses are %q, want %q", weak, tc.weak)
			}
			for i := range weak {
				if !strings.Contains(weak[i], tc.weak[i]) {
					t.Errorf("the weaknesses are %q, want %q", weak, tc.weak)
				}
			}
		})
	}
}

func TestTheFileOfAuthoritiesMustHoldCertificates(t *testing.T) {
	path := filepath.Join(t.TempDir(), "roots.pem")
	server := Server{Host: "db.internal", Port: 1, Database: "d", Username: "u", Password: func() string { return "leak" }, SSLRootCert: path}
	if err := server.Check(); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), path) {
		t.Errorf("a file that is not there: got %v", err)
	}
	must(t, os.WriteFile(path, []byte("no certificate"), 0o600))
	if err := server.Check(); err == nil || !strings.Contains(err.Error(), path) || strings.Contains(err.Error(), "no certificate at") {
		t.Errorf("a file of something else: got %v", err)
	}
	server.SSLRootCert = "system"
	must(t, server.Check())
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
