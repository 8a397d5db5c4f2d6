package secrets_test

import (
	"fmt"
	"strings"
	"testing"

	"gateway/internal/secrets"
)

func TestDatabaseSecrets(t *testing.T) {
	config := secrets.Database{Host: "from-config", Port: 7000, Name: "appdb", SSLMode: "verify-full"}
	type want struct {
		host, user, name, mode string
		port                   uint16
	}
	for name, tc := range map[string]struct {
		text    string
		missing secrets.Database
		fault   string
		want    want
	}{
		"a single user": {text: `{"engine":"postgres","host":"h","port":6543,"username":"u","password":"leak","dbname":"d"}`,
			want: want{"h", "u", "d", "", 6543}},
		"a port as text": {text: `{"engine":"postgres","host":"h","port":"6543","username":"u","password":"leak","dbname":"d"}`,
			want: want{"h", "u", "d", "", 6543}},
		"users who take turns": {text: `{"engine":"aurora-postgresql","host":"h","username":"app_clone","password":"leak","dbname":"d","masterarn":"arn:x","dbClusterIdentifier":"c"}`,
			want: want{"h", "app_clone", "d", "", 5432}},
		"a master user": {text: `{"username":"u","password":"leak"}`, missing: config,
			want: want{"from-config", "u", "appdb", "verify-full", 7000}},
		"what a secret says wins": {text: `{"host":"h","port":1,"username":"u","password":"leak","dbname":"d","sslmode":"disable"}`, missing: config,
			want: want{"h", "u", "d", "disable", 1}},
		"no port and no name":          {text: `{"host":"h","username":"u","password":"leak","port":null}`, want: want{"h", "u", "postgres", "", 5432}},
		"ssl":                          {text: `{"host":"h","username":"u","password":"leak","ssl":true}`, want: want{"h", "u", "postgres", "verify-full", 5432}},
		"ssl and a weaker setting":     {text: `{"host":"h","username":"u","password":"leak","ssl":true}`, missing: secrets.Database{SSLMode: "prefer"}, want: want{"h", "u", "postgres", "verify-full", 5432}},
		"ssl and a setting with TLS":   {text: `{"host":"h","username":"u","password":"leak","ssl":true}`, missing: secrets.Database{SSLMode: "require"}, want: want{"h", "u", "postgres", "require", 5432}},
		"ssl as text":                  {text: `{"host":"h","username":"u","password":"leak","ssl":"false"}`, want: want{"h", "u", "postgres", "disable", 5432}},
		"ssl and sslmode":              {text: `{"host":"h","username":"u","password":"leak","ssl":false,"sslmode":"require"}`, want: want{"h", "u", "postgres", "require", 5432}},
		"ssl that is neither":          {text: `{"host":"h","username":"u","password":"leak","ssl":"leak"}`, fault: "ssl"},
		"another engine":               {text: `{"engine":"mysql","host":"h","username":"u","password":"leak"}`, fault: `"mysql" is not supported; postgres and aurora-postgresql are`},
		"a family of engines":          {text: `{"engine":"sqlserver-ex","host":"h","username":"u","password":"leak"}`, fault: "sqlserver-ex"},
		"a password in engine's place": {text: `{"engine":"leak","host":"h","username":"u","password":"leak"}`, fault: "engine is not a known one"},
		"no host":                      {text: `{"username":"u","password":"leak","dbname":"d"}`, fault: "host"},
		"no user":                      {text: `{"host":"h","password":"leak"}`, fault: "username"},
		"no password":                  {text: `{"host":"h","username":"u","dbname":"d"}`, fault: "password"},
		"a port out of range":          {text: `{"host":"h","port":70000,"username":"u","password":"leak","dbname":"d"}`, fault: "port"},
		"a port that is none":          {text: `{"host":"h","port":"leak","username":"u","password":"leak","dbname":"d"}`, fault: "port"},
		"a password that is no text":   {text: `{"host":"h","username":"u","password":5}`, fault: "JSON"},
		"not JSON":                     {text: `leak`, fault: "JSON"},
		"a list":                       {text: `["leak"]`, fault: "JSON"},
	} {
		t.Run(name, func(t *testing.T) {
			d, err := secrets.ParseDatabase(tc.missing)(secrets.New(tc.text))
			if tc.fault == "" {
				got := want{d.Host, d.Username, d.Name, d.SSLMode, d.Port}
				if err != nil || got != tc.want || d.Password.Reveal() != "leak" {
					t.Errorf("got %+v (%v), want %+v", got, err, tc.want)
				}
			} else if err == nil || !strings.Contains(err.Error(), tc.fault) {
				t.Errorf("got %v, want an error that says %s", err, tc.fault)
			}
			if text := fmt.Sprintf("%v %+v %#v %v", d, d, d, err); strings.Contains(text, "leak") {
				t.Errorf("the password was printed: %s", text)
			}
		})
	}
}

func TestADatabaseSecretSaysHowTheConnectionIsProtected(t *testing.T) {
	settings := secrets.Database{SSLRootCert: "/etc/rds.pem", RequireAuth: "scram-sha-256,md5"}
	for name, tc := range map[string]struct {
		members             string
		settings            secrets.Database
		roots, auth, faulty string
	}{
		"nothing said":            {},
		"by the settings":         {settings: settings, roots: "/etc/rds.pem", auth: "scram-sha-256,md5"},
		"by the secret":           {members: `,"sslrootcert":"/run/ca.pem","require_auth":"md5"`, settings: settings, roots: "/run/ca.pem", auth: "md5"},
		"Amazon's certificates":   {members: `,"sslrootcert":"rds"`, settings: settings, roots: "/etc/rds.pem", auth: "scram-sha-256,md5"},
		"Amazon's, without place": {members: `,"sslrootcert":"rds"`, faulty: "GATEWAY_DB_SSLROOTCERT"},
	} {
		t.Run(name, func(t *testing.T) {
			d, err := secrets.ParseDatabase(tc.settings)(secrets.New(`{"host":"h","username":"u","password":"p"` + tc.members + `}`))
			if tc.faulty != "" {
				if err == nil || !strings.Contains(err.Error(), tc.faulty) {
					t.Errorf("got %v, want an error that names %s", err, tc.faulty)
				}
				return
			}
			if err != nil || d.SSLRootCert != tc.roots || d.RequireAuth != tc.auth {
				t.Errorf("got %q and %q (%v), want %q and %q", d.SSLRootCert, d.RequireAuth, err, tc.roots, tc.auth)
			}
		})
	}
}

func FuzzDatabaseSecrets(f *testing.F) {
	f.Add(`{"engine":"postgres","host":"h","port":6543,"username":"u","password":"p","dbname":"d"}`)
	f.Add(`{"username":"u","password":"p","port":"5432","ssl":"true"}`)
	f.Add(`{"port":{}}`)
	f.Fuzz(func(t *testing.T, text string) {
		d, err := secrets.ParseDatabase(secrets.Database{})(secrets.New(text))
		if err == nil && (d.Host == "" || d.Username == "" || d.Password.Reveal() == "" || d.Name == "" || d.Port == 0) {
			t.Errorf("%q was accepted as %+v", text, d)
		}
	})
}
