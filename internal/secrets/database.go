package secrets

import (
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// Database is what a database secret holds, in the form that Secrets Manager
// gives to RDS: {"engine", "host", "port", "username", "password", "dbname"},
// the port as a number or as text.
type Database struct {
	Host     string
	Port     uint16
	Username string
	Password Secret
	Name     string
	SSLMode  string // as libpq has it; empty: disable on this machine, else require
}

// ReadDatabase reads a database secret from a file. Errors name the file and
// the member, and repeat no value.
func ReadDatabase(path string) (Database, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return Database{}, err
	}
	d, err := ParseDatabase(text)
	if err != nil {
		return d, fmt.Errorf("%s: %w", path, err)
	}
	return d, nil
}

// ParseDatabase reads a database secret.
func ParseDatabase(text []byte) (Database, error) {
	var form struct {
		Engine, Host, Username, Password, DBName, SSLMode string
		Port                                              json.RawMessage
	}
	if err := json.Unmarshal(text, &form); err != nil {
		return Database{}, fmt.Errorf("must be a JSON object of texts, and a port")
	}
	for name, value := range map[string]string{"host": form.Host, "username": form.Username, "password": form.Password, "dbname": form.DBName} {
		if value == "" {
			return Database{}, fmt.Errorf("%q is missing", name)
		}
	}
	if e := form.Engine; e != "" && !strings.HasPrefix(e, "postgres") && e != "aurora-postgresql" {
		return Database{}, fmt.Errorf("engine %q is not supported; postgres is", e)
	}
	port := uint64(5432)
	if len(form.Port) > 0 {
		var err error
		if port, err = strconv.ParseUint(strings.Trim(string(form.Port), `"`), 10, 16); err != nil || port == 0 {
			return Database{}, fmt.Errorf("port must be a number from 1 to 65535")
		}
	}
	return Database{Host: form.Host, Port: uint16(port), Username: form.Username, Password: New(form.Password),
		Name: form.DBName, SSLMode: form.SSLMode}, nil
}
