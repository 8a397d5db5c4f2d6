package secrets

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Database is what a database secret holds, in the forms that Secrets Manager
// gives to RDS:
//
//	{"engine": "postgres", "host": "…", "port": 5432, "username": "…", "password": "…", "dbname": "…"}
//
// The port may be text, and ssl true or false, in text or not. Of two users who
// take turns, username names the one whose turn it is. The secret of a master
// user that RDS manages has username and password alone. How the connection is
// protected may be said by sslmode, sslrootcert and require_auth.
type Database struct {
	Host     string
	Port     uint16
	Username string
	Password Secret
	Name     string
	// SSLMode, SSLRootCert and RequireAuth are what libpq calls sslmode,
	// sslrootcert and require_auth. Empty: the connection's defaults.
	SSLMode, SSLRootCert, RequireAuth string
}

// rdsRoots stands in sslrootcert for the file that the settings name.
const rdsRoots = "rds"

// ParseDatabase returns a function that reads a database secret. What the
// secret leaves out is taken from missing; where that has none either, the port
// is 5432 and the name postgres.
func ParseDatabase(missing Database) func(Secret) (Database, error) {
	return func(s Secret) (Database, error) {
		var form struct {
			Engine, Host, Username, Password, DBName, SSLMode, SSLRootCert string

			RequireAuth string `json:"require_auth"`
			Port, SSL   json.RawMessage
		}
		if err := json.Unmarshal([]byte(s.Reveal()), &form); err != nil {
			return Database{}, errors.New(`must be a JSON object with "username", "password" and the like, all of them text but the port`)
		}
		if err := checkEngine(form.Engine); err != nil {
			return Database{}, err
		}
		d := Database{Host: or(form.Host, missing.Host), Username: form.Username, Password: New(form.Password),
			Name: or(form.DBName, missing.Name, "postgres"), SSLMode: or(form.SSLMode, missing.SSLMode),
			SSLRootCert: or(form.SSLRootCert, missing.SSLRootCert), RequireAuth: or(form.RequireAuth, missing.RequireAuth)}
		if form.SSLRootCert == rdsRoots {
			if missing.SSLRootCert == "" {
				return Database{}, errors.New(`sslrootcert is "rds", and GATEWAY_DB_SSLROOTCERT does not name the file of Amazon's certificates`)
			}
			d.SSLRootCert = missing.SSLRootCert
		}
		for _, member := range []struct{ name, value string }{{"host", d.Host}, {"username", d.Username}, {"password", form.Password}} {
			if member.value == "" {
				return Database{}, fmt.Errorf("%q is missing", member.name)
			}
		}
		var err error
		if d.Port, err = parsePort(form.Port, missing.Port); err != nil {
			return Database{}, err
		}
		if form.SSLMode == "" {
			if d.SSLMode, err = parseSSL(form.SSL, d.SSLMode); err != nil {
				return Database{}, err
			}
		}
		return d, nil
	}
}

func or(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}

// checkEngine names an engine only where it is one: a value that came into the
// wrong member is not repeated.
func checkEngine(engine string) error {
	supported := []string{"", "postgres", "postgresql", "aurora-postgresql"}
	others := []string{"mysql", "aurora-mysql", "aurora", "mariadb", "sqlserver", "oracle", "db2", "redshift", "mongo", "docdb"}
	switch family, _, _ := strings.Cut(engine, "-"); {
	case slices.Contains(supported, engine):
		return nil
	case slices.Contains(others, engine), slices.Contains(others, family):
		return fmt.Errorf("engine %q is not supported; postgres and aurora-postgresql are", engine)
	}
	return errors.New("the engine is not a known one; postgres and aurora-postgresql are supported")
}

func parsePort(text json.RawMessage, missing uint16) (uint16, error) {
	if len(text) == 0 || bytes.Equal(text, []byte("null")) {
		if missing != 0 {
			return missing, nil
		}
		return 5432, nil
	}
	port, err := strconv.ParseUint(strings.Trim(string(text), `"`), 10, 16)
	if err != nil || port == 0 {
		return 0, errors.New("port must be a number from 1 to 65535")
	}
	return uint16(port), nil
}

// parseSSL returns the mode that ssl asks for, where the secret has no sslmode.
// True is what the settings say, if that demands TLS, else the safest mode.
func parseSSL(text json.RawMessage, missing string) (string, error) {
	switch strings.Trim(string(text), `"`) {
	case "", "null":
		return missing, nil
	case "true":
		if missing == "require" || missing == "verify-ca" {
			return missing, nil
		}
		return "verify-full", nil
	case "false":
		return "disable", nil
	}
	return "", errors.New("ssl must be true or false")
}
