package secrets_test

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
	"unicode/utf16"

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
		"another engine":               {text: `{"engine":"mysql","host":"h","username":"u","password":"leak"}`, fault: `"mysql" is not supported, want postgres or aurora-postgresql`},
		"a family of engines":          {text: `{"engine":"sqlserver-ex","host":"h","username":"u","password":"leak"}`, fault: "sqlserver-ex"},
		"a password in engine's place": {text: `{"engine":"leak","host":"h","username":"u","password":"leak"}`, fault: "engine is unknown"},
		"no host":                      {text: `{"username":"u","password":"leak","dbname":"d"}`, fault: "host"},
		"no user":                      {text: `{"host":"h","password":"leak"}`, fault: "username"},
		"no password":                  {text: `{"host":"h","username":"u","dbname":"d"}`, fault: "password"},
		"a port out of range":          {text: `{"host":"h","port":70000,"username":"u","password":"leak","dbname":"d"}`, fault: "port"},
		"a port that is none":          {text: `{"host":"h","port":"leak","username":"u","password":"leak","dbname":"d"}`, fault: "port"},
		"a mark of Windows":            {text: "\ufeff" + `{"host":"h","username":"u","password":"leak"}` + "\r\n", want: want{"h", "u", "postgres", "", 5432}},
		"UTF-16 of Windows":            {text: utf16LE(`{"host":"h","username":"u","password":"leak"}`), want: want{"h", "u", "postgres", "", 5432}},
		"blanks around values":         {text: `{"engine":" Postgres ","host":" h ","port":" 6543 ","username":"u ","password":"leak","dbname":"d\n","sslmode":" verify-ca"}`, want: want{"h", "u", "d", "verify-ca", 6543}},
		"a port with blanks":           {text: `{"host":"h","port":"5432 ","username":"u","password":"leak"}`, want: want{"h", "u", "postgres", "", 5432}},
		"a port with decimals":         {text: `{"host":"h","port":6543.0,"username":"u","password":"leak"}`, want: want{"h", "u", "postgres", "", 6543}},
		"a port with decimals as text": {text: `{"host":"h","port":"6543.00","username":"u","password":"leak"}`, want: want{"h", "u", "postgres", "", 6543}},
		"an empty port":                {text: `{"host":"h","port":"","username":"u","password":"leak"}`, want: want{"h", "u", "postgres", "", 5432}},
		"host and port in one":         {text: `{"host":"h:6543","username":"u","password":"leak"}`, want: want{"h", "u", "postgres", "", 6543}},
		"the same port twice":          {text: `{"host":"h:6543","port":6543,"username":"u","password":"leak"}`, want: want{"h", "u", "postgres", "", 6543}},
		"IPv6":                         {text: `{"host":"::1","username":"u","password":"leak"}`, want: want{"::1", "u", "postgres", "", 5432}},
		"IPv6 in brackets":             {text: `{"host":"[::1]","username":"u","password":"leak"}`, want: want{"::1", "u", "postgres", "", 5432}},
		"IPv6 with a port":             {text: `{"host":"[fe80::1%eth0]:6543","username":"u","password":"leak"}`, want: want{"fe80::1%eth0", "u", "postgres", "", 6543}},
		"a Unix socket":                {text: `{"host":"/run/postgresql","username":"u","password":"leak"}`, want: want{"/run/postgresql", "u", "postgres", "", 5432}},
		"several hosts":                {text: `{"host":"h1,h2","port":6543,"username":"u","password":"leak"}`, want: want{"h1,h2", "u", "postgres", "", 6543}},
		"database and user":            {text: `{"host":"h","user":"u","password":"leak","database":"d"}`, want: want{"h", "u", "d", "", 5432}},
		"both, and the same":           {text: `{"host":"h","user":"u","username":"u","password":"leak","database":"d","dbname":"d"}`, want: want{"h", "u", "d", "", 5432}},
		"the setting's port belongs to the setting's host": {text: `{"host":"h","username":"u","password":"leak"}`, missing: config, want: want{"h", "u", "appdb", "verify-full", 5432}},
		"a password keeps its blanks":                      {text: `{"host":"h","username":"u","password":"leak "}`, want: want{"h", "u", "postgres", "", 5432}},
		"two names of a database":                          {text: `{"host":"h","username":"u","password":"leak","database":"leak1","dbname":"leak2"}`, fault: `"dbname" and "database" differ`},
		"two users":                                        {text: `{"host":"h","username":"leak1","user":"leak2","password":"leak"}`, fault: `"username" and "user" differ`},
		"two ports":                                        {text: `{"host":"h:1","port":2,"username":"u","password":"leak"}`, fault: "port"},
		"a host without its port":                          {text: `{"host":"h:","username":"u","password":"leak"}`, fault: "host must be"},
		"a host with a wrong port":                         {text: `{"host":"h:leak","username":"u","password":"leak"}`, fault: "host must be"},
		"ports of several hosts":                           {text: `{"host":"h1:1,h2:2","username":"u","password":"leak"}`, fault: "host must be"},
		"a URL for a host":                                 {text: `{"host":"postgres://u:leak@h/d","username":"u","password":"leak"}`, fault: "host must be"},
		"a URL for a name":                                 {text: `{"host":"h","username":"u","password":"leak","dbname":"postgres://u:leak@h/d"}`, fault: "dbname"},
		"a URL for a secret":                               {text: `postgres://u:leak@h/d`, fault: "JSON"},
		"a port with half a number":                        {text: `{"host":"h","port":5432.5,"username":"u","password":"leak"}`, fault: "port"},
		"a port below zero":                                {text: `{"host":"h","port":-1,"username":"u","password":"leak"}`, fault: "port"},
		"a port of zero":                                   {text: `{"host":"h","port":0.0,"username":"u","password":"leak"}`, fault: "port"},
		"a password that is no text":                       {text: `{"host":"h","username":"u","password":5}`, fault: "JSON"},
		"not JSON":                                         {text: `leak`, fault: "JSON"},
		"a list":                                           {text: `["leak"]`, fault: "JSON"},
	} {
		t.Run(name, func(t *testing.T) {
			d, err := secrets.ParseDatabase(tc.missing)(secrets.New(tc.text))
			if tc.fault == "" {
				got := want{d.Host, d.Username, d.Name, d.SSLMode, d.Port}
				if err != nil || got != tc.want || strings.TrimSpace(d.Password.Reveal()) != "leak" || d.Password.Reveal() == "leak" == strings.Contains(tc.text, "leak ") {
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

// utf16LE is a text as Windows writes it into files.
func utf16LE(text string) string {
	out := []byte{0xff, 0xfe}
	for _, unit := range utf16.Encode([]rune(text)) {
		out = binary.LittleEndian.AppendUint16(out, unit)
	}
	return string(out)
}

func FuzzDatabaseSecrets(f *testing.F) {
	f.Add("\ufeff" + `{"user":"u","password":"p","host":"[::1]:1","port":"1.0 ","database":"d"}`)
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
