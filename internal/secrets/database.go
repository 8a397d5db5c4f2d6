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

// databaseForm is a database secret as it is written.
type databaseForm struct {
	Engine, Host         string
	Username, User       string
	Password             string
	DBName, Database     string
	SSLMode, SSLRootCert string
	RequireAuth          string `json:"require_auth"`
	Port, SSL            json.RawMessage
}

// ParseDatabase returns a function that reads a database secret. What the
// secret leaves out is taken from missing; where that has none either, the port
// is 5432 and the name postgres.
//
// Tools write such secrets in several ways. Blanks around a value are passed
// over, except around the password's; user and database are taken for username
// and dbname; and the host may have the port behind it.
func ParseDatabase(missing Database) func(Secret) (Database, error) {
	return func(s Secret) (Database, error) {
		var form databaseForm
		if err := json.Unmarshal([]byte(textOf(s)), &form); err != nil {
			return Database{}, errors.New(`must be a JSON object with "username", "password" and the like, all of them text but the port`)
		}
		for _, text := range []*string{&form.Engine, &form.Host, &form.Username, &form.User, &form.DBName, &form.Database,
			&form.SSLMode, &form.SSLRootCert, &form.RequireAuth} {
			*text = strings.TrimSpace(*text)
		}
		if err := checkEngine(strings.ToLower(form.Engine)); err != nil {
			return Database{}, err
		}
		return form.database(missing)
	}
}

func (form databaseForm) database(missing Database) (Database, error) {
	d := Database{Password: New(form.Password), SSLMode: cmp.Or(form.SSLMode, missing.SSLMode),
		SSLRootCert: cmp.Or(form.SSLRootCert, missing.SSLRootCert), RequireAuth: cmp.Or(form.RequireAuth, missing.RequireAuth)}
	var err error
	if d.Host, d.Port, err = form.address(missing); err != nil {
		return Database{}, err
	}
	if d.Username, err = either("username", form.Username, "user", form.User); err != nil {
		return Database{}, err
	}
	if d.Name, err = either("dbname", form.DBName, "database", form.Database); err != nil {
		return Database{}, err
	}
	d.Name = cmp.Or(d.Name, missing.Name, "postgres")
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
			return Database{}, errors.New(`sslrootcert is "rds", and GATEWAY_DB_SSLROOTCERT does not name the file of Amazon's certificates`)
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

// address returns host and port. The port of the settings counts where their
// host does.
func (form databaseForm) address(missing Database) (string, uint16, error) {
	host, behind, err := ParseHost(form.Host)
	if err != nil {
		return "", 0, err
	}
	port, err := parsePort(form.Port)
	switch {
	case err != nil:
		return "", 0, err
	case port != 0 && behind != 0 && port != behind:
		return "", 0, errors.New(`"port" is another one than that in "host"`)
	case host == "":
		host, behind = missing.Host, missing.Port
	}
	return host, cmp.Or(port, behind, 5432), nil
}

// either returns the member of two that stands for the same.
func either(name, value, otherName, other string) (string, error) {
	if value != "" && other != "" && value != other {
		return "", fmt.Errorf("%q and %q differ", name, otherName)
	}
	return cmp.Or(value, other), nil
}

// hostRule is a name, an address, or several of them with commas between.
var hostRule = regexp.MustCompile(`^[A-Za-z0-9._:-]+(%[A-Za-z0-9._-]+)?(,[A-Za-z0-9._:-]+)*$`)

// ParseHost reads a host that may have a port behind it: db.internal,
// db.internal:5432, 10.0.0.1, ::1, [::1], [::1]:5432, or the folder of a Unix
// socket. The port is zero where there is none. The error does not repeat the
// text, which may be a URL with a password in it.
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

var portRule = regexp.MustCompile(`^([0-9]{1,5})(\.0+)?$`)

// parsePort reads a port that may be text, or have decimals that are zero. It
// returns zero where there is none.
func parsePort(raw json.RawMessage) (uint16, error) {
	text := string(raw)
	if strings.HasPrefix(text, `"`) {
		_ = json.Unmarshal(raw, &text) // it is JSON, and text
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

// parseSSL returns the mode that ssl asks for, where the secret has no sslmode.
// True is what the settings say, if that demands TLS, else the safest mode.
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
