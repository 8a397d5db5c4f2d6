package secrets

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Database is a database secret in the formats that Secrets Manager uses for RDS:
//
//	{"engine": "postgres", "host": "…", "port": 5432, "username": "…", "password": "…", "dbname": "…"}
//
// The port may be a string. ssl may be true or false, also as a string. With alternating
// users, username is the present user. The secret of a master user that RDS manages has
// username and password alone. sslmode, sslrootcert and require_auth may set how the
// connection is protected.
type Database struct {
	Host     string
	Port     uint16
	Username string
	Password Secret
	Name     string
	// SSLMode, SSLRootCert and RequireAuth are the parameters sslmode, sslrootcert and
	// require_auth of libpq. Empty: the default of the connection.
	SSLMode, SSLRootCert, RequireAuth string
}

// rdsRoots as sslrootcert stands for the file that the settings name.
const rdsRoots = "rds"

// databaseForm is the JSON object of a database secret.
type databaseForm struct {
	Engine, Host         string
	Username, User       string
	Password             string
	DBName, Database     string
	SSLMode, SSLRootCert string
	RequireAuth          string `json:"require_auth"`
	Port, SSL            json.RawMessage
}

// ParseDatabase returns a function that parses a database secret. missing has the values of
// members that the secret does not have. If neither has them, the port is 5432 and the name
// postgres.
//
// Tools write such secrets in several formats. Blanks around values are ignored, except
// around the password. user and database are other names for username and dbname. The host
// may end with :PORT.
func ParseDatabase(missing Database) func(Secret) (Database, error) {
	return func(s Secret) (Database, error) {
		var form databaseForm
		if err := form.read(s); err != nil {
			return Database{}, err
		}
		if err := checkEngine(form.Engine); err != nil {
			return Database{}, err
		}
		return form.database(missing, Database{Port: 5432, Name: "postgres"})
	}
}

// ParseMySQL is like ParseDatabase, for MySQL and MariaDB: the default port is 3306, and
// there is no default name.
func ParseMySQL(missing Database) func(Secret) (Database, error) {
	return func(s Secret) (Database, error) {
		var form databaseForm
		if err := form.read(s); err != nil {
			return Database{}, err
		}
		if form.Engine != "" && !isMySQL(form.Engine) {
			return Database{}, errors.New("the engine is not one of " + strings.Join(mysqlEngines, ", "))
		}
		return form.database(missing, Database{Port: 3306})
	}
}

var mysqlEngines = []string{"mysql", "aurora-mysql", "aurora", "mariadb"}

func isMySQL(engine string) bool { return slices.Contains(mysqlEngines, engine) }

// IsMySQL reports whether a database secret names MySQL or MariaDB as its engine.
func IsMySQL(s Secret) bool {
	var form databaseForm
	return form.read(s) == nil && isMySQL(form.Engine)
}

// read decodes a secret and removes the blanks around its members, except the password.
func (form *databaseForm) read(s Secret) error {
	if err := json.Unmarshal([]byte(Text(s)), form); err != nil {
		return errors.New(`must be a JSON object with "username", "password" and so on, whose values are strings except for the port`)
	}
	for _, text := range []*string{&form.Engine, &form.Host, &form.Username, &form.User, &form.DBName, &form.Database,
		&form.SSLMode, &form.SSLRootCert, &form.RequireAuth} {
		*text = strings.TrimSpace(*text)
	}
	form.Engine = strings.ToLower(form.Engine)
	return nil
}

func (form databaseForm) database(missing, defaults Database) (Database, error) {
	d := Database{Password: New(form.Password), SSLMode: cmp.Or(form.SSLMode, missing.SSLMode),
		SSLRootCert: cmp.Or(form.SSLRootCert, missing.SSLRootCert), RequireAuth: cmp.Or(form.RequireAuth, missing.RequireAuth)}
	var err error
	if d.Host, d.Port, err = form.address(missing, defaults.Port); err != nil {
		return Database{}, err
	}
	if d.Username, err = either("username", form.Username, "user", form.User); err != nil {
		return Database{}, err
	}
	if d.Name, err = either("dbname", form.DBName, "database", form.Database); err != nil {
		return Database{}, err
	}
	d.Name = cmp.Or(d.Name, missing.Name, defaults.Name)
	if strings.Contains(d.Name, "://") {
		return Database{}, errors.New(`"dbname" must be the name of a database, not a URL`)
	}
	for _, member := range []struct{ name, value string }{{"host", d.Host}, {"username", d.Username}, {"password", form.Password}} {
		if member.value == "" {
			return Database{}, fmt.Errorf("%q is missing", member.name)
		}
	}
	if form.SSLRootCert == rdsRoots {
		if missing.SSLRootCert == "" {
			return Database{}, errors.New(`sslrootcert is "rds", and GATEWAY_DB_SSLROOTCERT does not name the file with the certificates of RDS`)
		}
		d.SSLRootCert = missing.SSLRootCert
	}
	if form.SSLMode == "" {
		if d.SSLMode, err = parseSSL(form.SSL, d.SSLMode); err != nil {
			return Database{}, err
		}
	}
	return d, nil
}

// address returns host and port. It uses the port of missing only together with the host
// of missing.
func (form databaseForm) address(missing Database, defaultPort uint16) (string, uint16, error) {
	host, behind, err := ParseHost(form.Host)
	if err != nil {
		return "", 0, err
	}
	port, err := parsePort(form.Port)
	switch {
	case err != nil:
		return "", 0, err
	case port != 0 && behind != 0 && port != behind:
		return "", 0, errors.New(`"port" differs from the port in "host"`)
	case host == "":
		host, behind = missing.Host, missing.Port
	}
	return host, cmp.Or(port, behind, defaultPort), nil
}

// either returns the value of a member that has two names. Both may be set to the same
// value.
func either(name, value, otherName, other string) (string, error) {
	if value != "" && other != "" && value != other {
		return "", fmt.Errorf("%q and %q differ", name, otherName)
	}
	return cmp.Or(value, other), nil
}

// hostRule matches a name, an address, or several of them separated by commas.
var hostRule = regexp.MustCompile(`^[A-Za-z0-9._:-]+(%[A-Za-z0-9._-]+)?(,[A-Za-z0-9._:-]+)*$`)

// ParseHost parses a host with an optional port: db.internal, db.internal:5432, 10.0.0.1,
// ::1, [::1], [::1]:5432, or the folder of a Unix socket. Without a port it returns port 0.
// The error does not repeat the text, which may be a URL with a password.
func ParseHost(text string) (host string, port uint16, err error) {
	fault := errors.New("host must be a name or an address, or host:port such as db.internal:5432 or [::1]:5432")
	host = strings.TrimSpace(text)
	if host == "" || strings.HasPrefix(host, "/") {
		return host, 0, nil
	}
	if name, digits, err := net.SplitHostPort(host); err == nil && !strings.Contains(host, ",") {
		n, err := strconv.ParseUint(digits, 10, 16)
		if err != nil || n == 0 {
			return "", 0, fault
		}
		host, port = name, uint16(n)
	} else if inner, ok := strings.CutPrefix(host, "["); ok && strings.HasSuffix(inner, "]") {
		host = strings.TrimSuffix(inner, "]")
	}
	for one := range strings.SplitSeq(host, ",") {
		if strings.Contains(one, ":") && !isIPv6(one) {
			return "", 0, fault
		}
	}
	if !hostRule.MatchString(host) {
		return "", 0, fault
	}
	return host, port, nil
}

func isIPv6(text string) bool {
	_, err := netip.ParseAddr(text)
	return err == nil
}

// checkEngine returns an error unless the engine is supported. The error repeats only the
// names of known engines, because a secret may have been written into the wrong member.
func checkEngine(engine string) error {
	supported := []string{"", "postgres", "postgresql", "aurora-postgresql"}
	others := []string{"mysql", "aurora-mysql", "aurora", "mariadb", "sqlserver", "oracle", "db2", "redshift", "mongo", "docdb"}
	switch family, _, _ := strings.Cut(engine, "-"); {
	case slices.Contains(supported, engine):
		return nil
	case slices.Contains(others, engine), slices.Contains(others, family):
		return fmt.Errorf("engine %q is not supported, want postgres or aurora-postgresql", engine)
	}
	return errors.New("the engine is unknown, want postgres or aurora-postgresql")
}

var portRule = regexp.MustCompile(`^([0-9]{1,5})(\.0+)?$`)

// parsePort parses a port, which may be a string and may have zero decimals. It returns 0
// if there is none.
func parsePort(raw json.RawMessage) (uint16, error) {
	text := string(raw)
	if strings.HasPrefix(text, `"`) {
		_ = json.Unmarshal(raw, &text) // raw is a valid JSON string
	}
	text = strings.TrimSpace(text)
	if text == "" || text == "null" {
		return 0, nil
	}
	if digits := portRule.FindStringSubmatch(text); digits != nil {
		if port, err := strconv.ParseUint(digits[1], 10, 16); err == nil && port != 0 {
			return uint16(port), nil
		}
	}
	return 0, errors.New("port must be a number from 1 to 65535")
}

// parseSSL returns the sslmode for the member ssl of a secret without sslmode. For true it
// is that of the settings if that requires TLS, else verify-full.
func parseSSL(text json.RawMessage, missing string) (string, error) {
	switch strings.ToLower(strings.Trim(string(text), `" `)) {
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
