package gatewaytest

import (
	"encoding/json"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"gateway/internal/pgtest"
)

// DatabaseSecret writes the secret of a new Postgres database.
func DatabaseSecret(t *testing.T) string {
	t.Helper()
	u, err := url.Parse(pgtest.Database(t))
	if err != nil {
		t.Fatal(err)
	}
	password, _ := u.User.Password()
	host, port := u.Hostname(), u.Port()
	if host == "" { // a socket, named by a parameter
		host, port = u.Query().Get("host"), u.Query().Get("port")
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		t.Fatalf("%v: %v", u.Redacted(), err)
	}
	text, err := json.Marshal(map[string]any{"engine": "postgres", "host": host, "port": number, "username": u.User.Username(),
		"password": password, "dbname": strings.TrimPrefix(u.Path, "/"), "sslmode": "disable"})
	if err != nil {
		t.Fatal(err)
	}
	return WriteFile(t, "database.json", string(text))
}
